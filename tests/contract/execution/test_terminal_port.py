"""What every terminal behind the port promises, held against the simulator and against the bridge with the simulator behind it.

The native package runs on Windows alone; on a demo account the same suite takes `native` as a third backend.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC

import pytest

from execution.adapters.mt5 import terminal as terminal_source
from execution.adapters.mt5.bridge.client import BridgedMetaTrader5
from execution.adapters.mt5.bridge.server import BridgeServer
from execution.adapters.mt5.retcodes import RETCODES
from execution.adapters.mt5.server_clock import server_clock_from
from execution.adapters.mt5.simulator.faults import Fault, FaultKind
from execution.adapters.mt5.simulator.module import SimulatedMetaTrader5
from execution.adapters.mt5.terminal import MetaTrader5Terminal, TerminalSettings
from execution.orders import AccountKind, ExitReason, FillKind, OrderRequest, Outcome, QuoteCursor, Side, to_datetime
from execution.ports import TerminalPort, TerminalUnavailableError
from tests.unit.execution.conftest import MARKET, START_US, flat_history

KEY = b"a key of more than sixteen bytes"
SIGNAL_ID = hashlib.sha256(b"contract").hexdigest()


@pytest.fixture
def module() -> SimulatedMetaTrader5:
    module = SimulatedMetaTrader5(MARKET)
    module.load_ticks({"EURUSD": flat_history()})
    return module


def _port_on(module: object) -> MetaTrader5Terminal:
    settings = TerminalSettings(login=MARKET.account.login, server=MARKET.account.server)
    return MetaTrader5Terminal(module, settings, server_clock_from(MARKET.server_clock), sleep=lambda seconds: None)


@pytest.fixture(params=["sim", "bridge"])
def terminal(request: pytest.FixtureRequest, module: SimulatedMetaTrader5) -> Iterator[TerminalPort]:
    if request.param == "sim":
        port = _port_on(module)
        port.connect()
        module.advance_to(START_US + 10_000_000)
        yield port
        return
    server = BridgeServer(module, KEY)
    server.start()
    client = BridgedMetaTrader5(*server.address, KEY)
    port = _port_on(client)
    port.connect()
    module.advance_to(START_US + 10_000_000)
    yield port
    client.close()
    server.stop()


ENTRY = OrderRequest(SIGNAL_ID, "direction", "EURUSD", Side.BUY, 0.1, 0.999, 1.001)


def test_account_is_the_configured_one(terminal: TerminalPort) -> None:
    account = terminal.account()
    assert (account.login, account.kind, account.is_hedging, account.balance) == ("1000001", AccountKind.SIMULATED, True, 100_000.0)


def test_contract_unknown_symbol_is_a_lookup_error(terminal: TerminalPort) -> None:
    with pytest.raises(LookupError, match="NOSUCH"):
        terminal.contract("NOSUCH")


def test_contract_known_symbol_has_steps(terminal: TerminalPort) -> None:
    contract = terminal.contract("EURUSD")
    assert (contract.digits, contract.quantity_min, contract.quantity_step, contract.may_buy) == (5, 0.01, 0.01, True)


def test_quote_is_in_utc_although_the_server_is_not(terminal: TerminalPort) -> None:
    quote = terminal.quote("EURUSD")
    assert quote is not None
    assert (quote.ts_event, quote.ts_event.tzinfo, quote.bid_price) == (to_datetime(START_US + 10_000_000), UTC, 1.0)


def test_quotes_after_a_cursor_come_once_each(terminal: TerminalPort, module: SimulatedMetaTrader5) -> None:
    cursor = QuoteCursor(to_datetime(START_US), 0)
    first, cursor = terminal.quotes_after("EURUSD", cursor, 4)
    second, cursor = terminal.quotes_after("EURUSD", cursor, 100)
    third, _ = terminal.quotes_after("EURUSD", cursor, 100)
    stamps = [quote.ts_event for quote in first + second]
    assert (len(first), len(second), third) == (4, 7, [])
    assert stamps == [to_datetime(START_US + second_ * 1_000_000) for second_ in range(11)]


def test_ticks_between_are_those_of_the_half_open_range_in_utc(terminal: TerminalPort) -> None:
    ticks = terminal.ticks_between("EURUSD", START_US + 2_000_000, START_US + 5_000_000)
    assert ticks.ts_us.tolist() == [START_US + second * 1_000_000 for second in (2, 3, 4)]
    assert (ticks.bid_price.tolist(), ticks.ask_price.tolist()) == ([1.0] * 3, [1.00002] * 3)


def test_ticks_between_does_not_see_ahead(terminal: TerminalPort) -> None:
    assert len(terminal.ticks_between("EURUSD", START_US, START_US + 86_400_000_000)) == 11


def test_ticks_between_without_ticks_is_empty(terminal: TerminalPort) -> None:
    ticks = terminal.ticks_between("EURUSD", START_US - 86_400_000_000, START_US)
    assert (len(ticks), ticks.bid_price.dtype) == (0, "float64")


def test_minute_bars_between_count_the_ticks_by_bid(terminal: TerminalPort, module: SimulatedMetaTrader5) -> None:
    module.advance_to(START_US + 89_000_000)
    bars = terminal.minute_bars_between("EURUSD", START_US, START_US + 86_400_000_000)
    assert (bars.ts_us.tolist(), bars.tick_count.tolist()) == ([START_US, START_US + 60_000_000], [60, 30])
    assert (bars.open_price.tolist(), bars.close_price.tolist(), bars.tick_count.dtype) == ([1.0, 1.0], [1.0, 1.0], "int64")


def test_history_of_an_unknown_symbol_is_a_lookup_error(terminal: TerminalPort) -> None:
    with pytest.raises(LookupError, match="NOSUCH"):
        terminal.ticks_between("NOSUCH", START_US, START_US + 1)
    with pytest.raises(LookupError, match="NOSUCH"):
        terminal.minute_bars_between("NOSUCH", START_US, START_US + 1)


def test_submit_entry_opens_one_position_with_levels_and_marks(terminal: TerminalPort) -> None:
    report = terminal.submit(ENTRY)
    (position,) = terminal.positions("EURUSD")
    assert report.outcome is Outcome.FILLED
    assert (position.position_id, position.side, position.quantity) == (report.position_id, Side.BUY, 0.1)
    assert (position.stop_loss, position.take_profit, position.comment) == (0.999, 1.001, f"ta-{SIGNAL_ID[:12]}")
    assert 0 <= position.tag < 2**31


def test_submit_close_ends_the_position_and_books_both_fills(terminal: TerminalPort) -> None:
    opened = terminal.submit(ENTRY)
    closed = terminal.submit(replace(ENTRY, side=Side.SELL, position_id=opened.position_id))
    fills = terminal.fills_of(opened.position_id)
    assert (closed.outcome, terminal.positions()) == (Outcome.FILLED, [])
    assert [fill.kind for fill in fills] == [FillKind.ENTRY, FillKind.EXIT]
    assert fills[1].exit_reason is ExitReason.TIME
    assert sum(fill.commission for fill in fills) == pytest.approx(-0.7)


def test_submit_close_of_a_closed_position_says_so(terminal: TerminalPort) -> None:
    opened = terminal.submit(ENTRY)
    close = replace(ENTRY, side=Side.SELL, position_id=opened.position_id)
    terminal.submit(close)
    assert terminal.submit(close).outcome is Outcome.POSITION_CLOSED


def test_submit_stop_on_the_wrong_side_is_rejected(terminal: TerminalPort) -> None:
    report = terminal.submit(replace(ENTRY, stop_loss=1.01))
    assert (report.outcome, report.reason, terminal.positions()) == (Outcome.REJECTED, "INVALID_STOPS", [])


@pytest.mark.parametrize("retcode", sorted(code for code in RETCODES if code not in (10008, 10009, 10010, 10025, 10036)))
def test_submit_every_refusal_maps_to_its_outcome(terminal: TerminalPort, module: SimulatedMetaTrader5, retcode: int) -> None:
    module.faults.script(Fault(FaultKind.REJECT, retcode))
    report = terminal.submit(ENTRY)
    assert (report.outcome, report.reason, report.venue_code) == (*RETCODES[retcode], retcode)


def test_submit_unknown_retcode_is_an_unknown_outcome(terminal: TerminalPort, module: SimulatedMetaTrader5) -> None:
    module.faults.script(Fault(FaultKind.REJECT, 19_999))
    assert terminal.submit(ENTRY).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("kind", [FaultKind.LOST_BEFORE, FaultKind.LOST_AFTER, FaultKind.LATE_FILL])
def test_submit_answer_that_never_comes_is_an_unknown_outcome(
    terminal: TerminalPort, module: SimulatedMetaTrader5, kind: FaultKind
) -> None:  # fmt: skip
    module.faults.script(Fault(kind))
    assert terminal.submit(ENTRY).outcome is Outcome.UNKNOWN


def test_find_executed_order_shows_in_the_books(terminal: TerminalPort, module: SimulatedMetaTrader5) -> None:
    module.faults.script(Fault(FaultKind.LOST_AFTER))
    sent_us = module.now_us
    terminal.submit(ENTRY)
    (trace,) = terminal.find(ENTRY, sent_us)
    assert (trace.symbol, trace.quantity) == ("EURUSD", 0.1)


def test_find_other_order_shows_nothing(terminal: TerminalPort, module: SimulatedMetaTrader5) -> None:
    terminal.submit(ENTRY)
    other = replace(ENTRY, client_order_id=hashlib.sha256(b"other").hexdigest())
    assert terminal.find(other, module.now_us) == []


def test_submit_another_account_on_the_pipe_sends_nothing(terminal: TerminalPort, module: SimulatedMetaTrader5) -> None:
    module.faults.login_seen = 42
    assert (terminal.submit(ENTRY).reason, terminal.positions()) == ("ACCOUNT_MISMATCH", [])


def test_queries_without_a_terminal_raise(terminal: TerminalPort, module: SimulatedMetaTrader5) -> None:
    module.faults.is_disconnected = True
    with pytest.raises(TerminalUnavailableError):
        terminal.positions()
    with pytest.raises(TerminalUnavailableError):
        terminal.ticks_between("EURUSD", START_US, START_US + 1_000_000)
    assert not terminal.health().is_connected


def test_health_names_what_stops_trading(terminal: TerminalPort, module: SimulatedMetaTrader5) -> None:
    module.faults.is_algo_trading_off = True
    assert terminal.health().reason == "ALGO_TRADING_OFF"


def test_trading_day_is_the_brokers(terminal: TerminalPort) -> None:
    assert terminal.trading_day(1_704_754_800_000_000) == "2024-01-09"  # 23:00 UTC on the 8th is 01:00 there


def test_adapter_never_passes_an_empty_keyword_mapping() -> None:
    """The package refuses positional arguments beside a keyword mapping, even an empty one."""
    tree = ast.parse(inspect.getsource(terminal_source))
    starred = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and any(keyword.arg is None for keyword in node.keywords)]
    calls = sorted(ast.unparse(node) for node in starred)
    assert calls == [
        "function(*args, **kwargs)",
        "self._ask(function, *args, **kwargs)",
        "self._ask(self._module.initialize, **named)",
    ]
    assert "function(*args) if not kwargs else function(*args, **kwargs)" in inspect.getsource(terminal_source)


def test_bridge_wrong_key_gets_nothing(module: SimulatedMetaTrader5) -> None:
    server = BridgeServer(module, KEY)
    server.start()
    client = BridgedMetaTrader5(*server.address, b"another key of enough bytes", timeout_s=3)
    assert client.version() is None
    assert client.last_error()[0] == -10004
    server.stop()


def test_bridge_function_off_the_list_is_refused(module: SimulatedMetaTrader5) -> None:
    server = BridgeServer(module, KEY)
    server.start()
    client = BridgedMetaTrader5(*server.address, KEY, timeout_s=3)
    assert client._call("load_ticks", (), {}) is None
    assert "allowed" in client.last_error()[1]
    client.close()
    server.stop()
