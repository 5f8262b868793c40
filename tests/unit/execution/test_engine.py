"""The engine: chunks of any size trade alike, and a silent service stops nobody from closing."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from execution.adapters.mt5.simulator.history import TickHistory
from execution.adapters.mt5.simulator.module import SimulatedMetaTrader5
from execution.engine import chunks_of
from execution.journal import Journal
from execution.orders import Quote, to_datetime, to_us
from execution.pacing import RealTimePacer
from execution.ports import ServiceUnavailableError
from execution.risk import RiskPolicy
from execution.service_client import FakeSignalService
from execution.signals import Signal
from execution.simulate import terminal_on
from execution.trader import DayTicks, LiveTrader, TradedDay, trade_day
from tests.unit.execution.conftest import MARKET, START_US, flat_history, make_signal


def random_history(seed: int, size: int = 1500) -> TickHistory:
    rng = np.random.default_rng(seed)
    stamps = START_US + np.cumsum(rng.choice([0, 5, 200, 900, 3000], size)) * 1000
    bids = 100_000 + np.cumsum(rng.integers(-5, 6, size))
    return TickHistory(stamps, bids, bids + rng.integers(1, 6, size), np.ones(size), np.ones(size))


def every_tenth(quote: Quote, counter: list[int]) -> Signal | None:
    counter[0] += 1
    if counter[0] % 10:
        return None
    is_long = counter[0] % 20 == 0
    bid, ask = quote.bid_price, quote.ask_price
    stop, target = (bid - 0.0002, bid + 0.0002) if is_long else (ask + 0.0002, ask - 0.0002)
    return make_signal(
        hashlib.sha256(str(counter[0]).encode()).hexdigest(), to_us(quote.ts_event), view="LONG" if is_long else "SHORT", bid_price=bid,
        ask_price=ask, stop_loss=stop, take_profit=target, exit_at_us=to_us(quote.ts_event) + 20_000_000,
    )  # fmt: skip


def trade_with(history: TickHistory, chunk: int) -> TradedDay:
    counter = [0]
    service = FakeSignalService(lambda quote: every_tenth(quote, counter))
    return trade_day(MARKET, [DayTicks("EURUSD", history, history)], service, Journal(), chunk_quotes=chunk)


@pytest.mark.parametrize("chunk", [1, 7, 500, 10_000])
def test_engine_chunk_size_changes_no_trade(chunk: int) -> None:
    history = random_history(3)
    traded, wanted = trade_with(history, chunk), trade_with(history, 64)
    assert len(traded.trades) > 20
    assert traded.trades == wanted.trades
    assert [verdict.reason for _, verdict in traded.verdicts] == [verdict.reason for _, verdict in wanted.verdicts]


def test_engine_reports_every_order_event_to_the_service() -> None:
    counter = [0]
    service = FakeSignalService(lambda quote: every_tenth(quote, counter))
    history = random_history(4, 400)
    traded = trade_day(MARKET, [DayTicks("EURUSD", history, history)], service, Journal())
    closed = [event for event in service.reports if event["state"] == "CLOSED"]
    assert [event["signal_id"] for event in closed] == [trade.signal_id for trade in traded.trades]


def test_engine_replay_without_a_service_fails_loudly() -> None:
    service = FakeSignalService()
    service.is_down = True
    with pytest.raises(ServiceUnavailableError):
        trade_day(MARKET, [DayTicks("EURUSD", flat_history(), flat_history())], service, Journal())


def test_chunks_never_split_a_stamp() -> None:
    history = random_history(5, 300)
    quotes = [Quote("EURUSD", q, 1.0, 1.0) for q in _stamps(history)]
    chunks = list(chunks_of(quotes, 4))
    assert [quote for chunk in chunks for quote in chunk] == quotes
    assert all(a[-1].ts_event < b[0].ts_event for a, b in itertools.pairwise(chunks))


def _stamps(history: TickHistory) -> list[Any]:
    return [to_datetime(int(ts)) for ts in history.ts_us]


def test_live_loop_closes_at_exit_time_while_the_service_is_silent() -> None:
    module = SimulatedMetaTrader5(MARKET)
    module.load_ticks({"EURUSD": flat_history()})
    sent: list[int] = []

    def once(quote: Quote) -> Signal | None:
        if sent or to_us(quote.ts_event) < START_US + 5_000_000:
            return None
        sent.append(1)
        return replace(make_signal("live", to_us(quote.ts_event)), mode="live")

    service = FakeSignalService(once)
    port = terminal_on(module)
    module.advance_to(START_US)
    trader = LiveTrader(
        port, service, Journal(), RiskPolicy(), ["EURUSD"], pacer=RealTimePacer(lambda: module.now_us),
        sleep=lambda seconds: module.advance_to(module.now_us + 1_000_000),
    )  # fmt: skip
    turns = iter(range(200))

    def should_stop() -> bool:
        turn = next(turns)
        service.is_down = 10 < turn < 150
        return turn > 100

    trader.run(should_stop)
    deals = [deal for deal in module.server.ledger.deals if deal.position_id]
    assert [deal.entry for deal in deals] == [0, 1]
    assert 60_000_000 <= deals[1].ts_us - deals[0].ts_us <= 64_000_000
    assert trader.engine.counts.service_failures > 0


def test_live_loop_lost_terminal_is_reconnected() -> None:
    module = SimulatedMetaTrader5(MARKET)
    module.load_ticks({"EURUSD": flat_history()})
    port = terminal_on(module)
    module.advance_to(START_US)
    pauses: list[float] = []
    trader = LiveTrader(
        port, FakeSignalService(), Journal(), RiskPolicy(), ["EURUSD"], pacer=RealTimePacer(lambda: module.now_us), sleep=pauses.append
    )
    turns = iter(range(100))

    def should_stop() -> bool:
        turn = next(turns)
        module.faults.is_disconnected = turn in (3, 4, 5)
        module.advance_to(module.now_us + 6_000_000)
        return turn > 10

    trader.run(should_stop)
    assert pauses[3:6] == [1.0, 2.0, 5.0]
    assert trader.engine.counts.terminal_failures == 3
