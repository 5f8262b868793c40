"""The simulated terminal answers as the MetaTrader5 package does, errors included."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from execution.adapters.mt5 import constants as mt5
from execution.adapters.mt5 import records
from execution.adapters.mt5.simulator.history import TickHistory
from execution.adapters.mt5.simulator.module import SimulatedMetaTrader5
from execution.market import MarketFile
from tests.unit.execution.conftest import MARKET, START_US, flat_history

SERVER_START_S = START_US // 1_000_000 + 7200


def make_module(history: TickHistory | None = None, market: MarketFile = MARKET) -> SimulatedMetaTrader5:
    module = SimulatedMetaTrader5(market)
    module.load_ticks({"EURUSD": history or flat_history()})
    module.initialize()
    module.symbol_select("EURUSD", True)
    module.advance_to(START_US + 10_000_000)
    return module


def deal(**changes: Any) -> dict[str, Any]:
    base = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 0, "price": 1.00002, "magic": 7, "comment": "ta-1"}
    return base | changes


def test_module_before_initialize_answers_nothing() -> None:
    module = SimulatedMetaTrader5(MARKET)
    assert (module.account_info(), module.last_error()) == (None, (-10004, "No IPC connection"))


def test_module_has_every_function_and_constant_of_the_package() -> None:
    module = make_module()
    from execution.adapters.mt5.bridge.protocol import ALLOWED_FUNCTIONS

    assert all(callable(getattr(module, name)) for name in ALLOWED_FUNCTIONS)
    assert (module.TIMEFRAME_H4, module.TRADE_RETCODE_DONE, module.ORDER_FILLING_IOC) == (16388, 10009, 1)


@pytest.mark.parametrize(
    ("record", "fields"),
    [("Tick", 8), ("AccountInfo", 28), ("TerminalInfo", 22), ("SymbolInfo", 96), ("TradeRequest", 17), ("OrderSendResult", 11),
     ("OrderCheckResult", 9), ("TradeOrder", 24), ("TradePosition", 19), ("TradeDeal", 18), ("BookInfo", 4)],
)  # fmt: skip
def test_records_have_the_packages_field_counts(record: str, fields: int) -> None:
    assert len(getattr(records, record)._fields) == fields


def test_tick_stamps_are_server_wall_time() -> None:
    tick = make_module().symbol_info_tick("EURUSD")
    assert (tick.time, tick.time_msc, tick.bid) == (SERVER_START_S + 10, (SERVER_START_S + 10) * 1000, 1.0)


def test_unselected_symbol_has_no_tick() -> None:
    module = make_module()
    assert (module.symbol_info_tick("GBPUSD"), module.last_error()[0]) == (None, -1)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"comment": "x" * 30}, "comment"), ({"comment": "ü"}, "comment"), ({"volume": "0.1"}, "volume"), ({"magic": 1.5}, "magic"),
     ({"sl": None}, "sl"), ({"type": np.int64(0)}, "type"), ({"colour": 1}, "colour")],
)  # fmt: skip
def test_order_send_wrong_field_is_minus_two(changes: dict[str, Any], field: str) -> None:
    module = make_module()
    assert module.order_send(deal(**changes)) is None
    assert module.last_error() == (-2, f'Invalid "{field}" argument')


@pytest.mark.parametrize(
    ("changes", "retcode"),
    [({}, 10009), ({"symbol": "NOSUCH"}, 10013), ({"volume": 0.015}, 10014), ({"volume": 1000.0}, 10014), ({"price": -1.0}, 10015),
     ({"sl": 1.5}, 10016), ({"type_filling": 2}, 10030), ({"volume": 100.0}, 10019), ({"position": 5}, 10036), ({"type": 9}, 10013),
     ({"action": 3}, 10013)],
)  # fmt: skip
def test_order_send_literal_request_has_its_retcode(changes: dict[str, Any], retcode: int) -> None:
    assert make_module().order_send(deal(**changes)).retcode == retcode


def test_named_and_positional_mixtures_are_refused() -> None:
    module = make_module()
    assert module.positions_get("EURUSD") is None  # type: ignore[misc]
    assert module.last_error()[0] == -2


def test_naive_datetime_is_refused() -> None:
    module = make_module()
    assert module.copy_ticks_from("EURUSD", datetime(2024, 1, 8), 5, -1) is None  # noqa: DTZ001


def test_copy_ticks_shows_the_past_alone() -> None:
    ticks = make_module().copy_ticks_range("EURUSD", SERVER_START_S, SERVER_START_S + 3600, mt5.COPY_TICKS_ALL)
    assert (len(ticks), ticks.dtype, int(ticks["time"][0])) == (11, records.TICKS_DTYPE, SERVER_START_S)


def test_rates_are_bars_by_bid_ascending_with_the_forming_one_last() -> None:
    module = make_module()
    module.advance_to(START_US + 150_000_000)
    rates = module.copy_rates_from_pos("EURUSD", mt5.TIMEFRAME_M1, 0, 10)
    assert rates["time"].tolist() == [SERVER_START_S, SERVER_START_S + 60, SERVER_START_S + 120]
    assert rates["tick_volume"].tolist() == [60, 60, 31]
    assert set(rates["spread"].tolist()) == {2}


def test_stop_out_closes_at_the_level() -> None:
    falling = flat_history(300)
    falling = replace(falling, bid_points=falling.bid_points - np.arange(300) * 100, ask_points=falling.ask_points - np.arange(300) * 100)
    module = make_module(falling)
    assert module.order_send(deal(volume=50.0)).retcode == 10009
    module.advance_to(START_US + 299_000_000)
    last = module.history_deals_get(SERVER_START_S, SERVER_START_S + 3600)[-1]
    assert (module.positions_total(), last.reason) == (0, mt5.DEAL_REASON_SO)


def test_pending_limit_fills_at_its_price_and_reports_as_order() -> None:
    history = flat_history(100)
    history.bid_points[50:] -= 50
    history.ask_points[50:] -= 50
    module = make_module(history)
    placed = module.order_send(deal(action=5, type=2, price=0.9999, type_filling=2))
    assert (placed.retcode, module.orders_total()) == (10009, 1)
    module.advance_to(START_US + 60_000_000)
    (position,) = module.positions_get(symbol="EURUSD")
    assert (module.orders_total(), position.price_open, position.ticket) == (0, 0.9999, placed.order)


def test_pending_can_be_moved_and_removed() -> None:
    module = make_module()
    placed = module.order_send(deal(action=5, type=2, price=0.99))
    assert module.order_send({"action": 7, "order": placed.order, "price": 0.98}).retcode == 10009
    assert module.orders_get(ticket=placed.order)[0].price_open == 0.98
    assert module.order_send({"action": 8, "order": placed.order}).retcode == 10009
    assert module.history_orders_get(ticket=placed.order)[0].state == mt5.ORDER_STATE_CANCELED


def test_levels_can_be_changed_and_unchanged_ones_say_so() -> None:
    module = make_module()
    ticket = module.order_send(deal()).order
    change = {"action": 6, "position": ticket, "sl": 0.99, "tp": 1.01}
    assert [module.order_send(change).retcode for _ in range(2)] == [10009, 10025]


def test_hedging_without_position_opens_the_other_side_and_close_by_ends_both() -> None:
    module = make_module()
    first, second = module.order_send(deal()).order, module.order_send(deal(type=1)).order
    assert module.positions_total() == 2
    assert module.order_send({"action": 10, "position": first, "position_by": second}).retcode == 10009
    assert module.positions_total() == 0


def test_netting_opposite_deal_reverses_and_keeps_the_identifier() -> None:
    module = make_module(market=replace(MARKET, account=replace(MARKET.account, margin_mode="netting")))
    first = module.order_send(deal())
    module.order_send(deal(type=1, volume=0.3))
    (position,) = module.positions_get()
    assert (position.type, position.volume, position.identifier) == (1, 0.2, first.order)
    assert module.history_deals_get(position=first.order)[-1].entry == mt5.DEAL_ENTRY_INOUT


def test_instant_execution_requotes_beyond_the_deviation() -> None:
    symbols = {**MARKET.symbols, "EURUSD": replace(MARKET.symbol("EURUSD"), execution="instant")}
    module = make_module(market=replace(MARKET, symbols=symbols))
    assert module.order_send(deal(price=1.0, deviation=1)).retcode == 10004
    assert module.order_send(deal(price=1.0, deviation=2)).retcode == 10009


def test_balance_deal_opens_the_account_and_commission_is_on_both_deals() -> None:
    module = make_module()
    ticket = module.order_send(deal()).order
    module.order_send(deal(type=1, position=ticket))
    deals = module.history_deals_get(SERVER_START_S - 86_400, SERVER_START_S + 86_400)
    assert [(row.type, row.commission) for row in deals] == [(2, 0.0), (0, pytest.approx(-0.35)), (1, pytest.approx(-0.35))]
    assert module.account_info().balance == pytest.approx(100_000.0 + sum(row.profit + row.commission for row in deals[1:]))


@pytest.mark.parametrize(("mask", "names"), [("EURUSD", ["EURUSD"]), ("*USD,!X*,!BTC*", ["EURUSD", "GBPUSD"]), ("*JPY*", ["USDJPY"])])
def test_symbols_get_masks_apply_in_order(mask: str, names: list[str]) -> None:
    assert [info.name for info in make_module().symbols_get(mask)] == names


def test_order_check_done_is_zero() -> None:
    module = make_module()
    result = module.order_check(deal())
    assert (result.retcode, result.comment) == (0, "Done")
    assert module.order_check(deal(volume=0.015)).retcode == 10014


DAY_S, SWAP_OF_A_TENTH_LOT = 86_400, -0.7
PATIENT = replace(MARKET, execution=replace(MARKET.execution, quote_wait_ms=3_600_000))
CHARGED = replace(PATIENT, account=replace(MARKET.account, charges_swap=True))


def three_days(market: MarketFile) -> SimulatedMetaTrader5:
    """Return a module on a quote every ten minutes, from Monday 08:00 UTC on; the server's midnights are at 22:00 UTC."""
    return make_module(flat_history(size=500, gap_ms=600_000), market)


def test_swap_is_booked_with_the_deal_that_closes() -> None:
    module = three_days(CHARGED)
    ticket = module.order_send(deal()).order
    module.advance_to(START_US + 2 * DAY_S * 1_000_000)
    (position,) = module.positions_get()
    assert position.swap == pytest.approx(2 * SWAP_OF_A_TENTH_LOT)
    assert module.account_info().equity == pytest.approx(100_000.0 - 0.35 - 0.2 + 2 * SWAP_OF_A_TENTH_LOT)
    module.order_send(deal(type=1, position=ticket))
    entry, leave = module.history_deals_get(position=ticket)
    assert (entry.swap, leave.swap) == (0.0, pytest.approx(2 * SWAP_OF_A_TENTH_LOT))
    assert module.account_info().balance == pytest.approx(100_000.0 - 0.7 - 0.2 + 2 * SWAP_OF_A_TENTH_LOT)


def test_swap_is_not_charged_by_default() -> None:
    module = three_days(PATIENT)
    module.order_send(deal())
    module.advance_to(START_US + 2 * DAY_S * 1_000_000)
    assert module.positions_get()[0].swap == 0.0


def test_swap_of_a_part_is_taken_with_the_part() -> None:
    module = three_days(CHARGED)
    ticket = module.order_send(deal(volume=0.4)).order
    module.advance_to(START_US + DAY_S * 1_000_000)
    module.order_send(deal(type=1, position=ticket, volume=0.1))
    module.advance_to(START_US + 2 * DAY_S * 1_000_000)
    module.order_send(deal(type=1, position=ticket, volume=0.3))
    swaps = [row.swap for row in module.history_deals_get(position=ticket)]
    assert swaps == [0.0, pytest.approx(SWAP_OF_A_TENTH_LOT), pytest.approx(3 * 2 * SWAP_OF_A_TENTH_LOT)]


def test_swap_of_a_netted_position_counts_each_volume_for_its_own_nights() -> None:
    module = three_days(replace(CHARGED, account=replace(CHARGED.account, margin_mode="netting")))
    module.order_send(deal(volume=0.1))
    module.advance_to(START_US + DAY_S * 1_000_000)
    module.order_send(deal(volume=0.2))
    module.advance_to(START_US + 2 * DAY_S * 1_000_000)
    (position,) = module.positions_get()
    assert position.swap == pytest.approx((1 + 3) * SWAP_OF_A_TENTH_LOT)
    module.order_send(deal(type=1, volume=0.5))
    assert module.history_deals_get(position=position.identifier)[-1].swap == pytest.approx(4 * SWAP_OF_A_TENTH_LOT)
    assert module.positions_get()[0].swap == 0.0


@pytest.mark.parametrize(("weekday", "number"), [("wednesday", 3), ("friday", 5), ("none", 3)])
def test_symbol_info_names_the_triple_weekday(weekday: str, number: int) -> None:
    symbols = {**MARKET.symbols, "EURUSD": replace(MARKET.symbol("EURUSD"), triple_swap_weekday=weekday)}
    assert make_module(market=replace(MARKET, symbols=symbols)).symbol_info("EURUSD").swap_rollover3days == number
