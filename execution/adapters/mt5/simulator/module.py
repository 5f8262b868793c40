"""The module surface of the MetaTrader5 package over the simulated trade server.

What belongs here: argument rules, error codes, who may see what. What must not: the tuples (`answers`), judging requests (`requests`),
fills (`server`) or money (`ledger`).

`SimulatedMetaTrader5` has every function and constant of the package as an attribute, so it can stand where the module stands.
Beyond that surface it has `load_ticks`, `advance_to`, `advance_to_row`, `next_tick`, `finish`, `now_us`, `faults` and
`expect_draw_key`. It is strict: an unselected symbol has no tick, a comment may have 29 characters, field types must be exact, and
positional next to named arguments are refused. (That the real functions also refuse an *empty* keyword mapping can't be seen from
Python; the adapter's own call shape is tested instead.)

Draw keys: latency and slippage depend on (seed, key). `expect_draw_key(magic, comment, key)` announces the key (the signal id) of the
order that will carry this magic and comment; a close uses the key of the order that opened its position.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from execution.adapters.mt5 import constants as mt5
from execution.adapters.mt5 import records
from execution.adapters.mt5.server_clock import (
    server_clock_from,
    to_server_us_array,
    to_utc_us,
)
from execution.adapters.mt5.simulator.answers import Answers, comment_of
from execution.adapters.mt5.simulator.faults import FaultKind, FaultPlan
from execution.adapters.mt5.simulator.history import Bars, TickHistory, bars_of
from execution.adapters.mt5.simulator.ledger import (
    BookDeal,
    BookOrder,
    BookPosition,
    margin_in_account,
    profit_in_account,
)
from execution.adapters.mt5.simulator.orders import Execution
from execution.adapters.mt5.simulator.requests import InvalidRequestError, Refusal, RequestDesk, parse_request
from execution.adapters.mt5.simulator.server import TradeServer
from execution.market import MarketFile, SymbolSpec

BUILD = 5836
_P = ParamSpec("_P")
_R = TypeVar("_R")


class _Failure(Exception):
    """A call failed with a `last_error()` pair."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def _call(
    failed: Any = None, is_gated: bool = True
) -> Callable[[Callable[Concatenate[SimulatedMetaTrader5, _P], _R]], Callable[Concatenate[SimulatedMetaTrader5, _P], _R]]:
    """Make a method a module function: one lock, `last_error` set by every call, failures returned and not raised."""

    def decorate(function: Callable[Concatenate[SimulatedMetaTrader5, _P], _R]) -> Callable[Concatenate[SimulatedMetaTrader5, _P], _R]:
        @wraps(function)
        def call(self: SimulatedMetaTrader5, *args: _P.args, **kwargs: _P.kwargs) -> _R:
            with self.lock:
                try:
                    if is_gated:
                        self.require_connection()
                    result = function(self, *args, **kwargs)
                except _Failure as failure:
                    self.error = (failure.code, failure.text)
                    return failed  # type: ignore[no-any-return]
                except TypeError as error:
                    self.error = (mt5.RES_E_INVALID_PARAMS, f"Invalid arguments: {error}")
                    return failed  # type: ignore[no-any-return]
                self.error = (mt5.RES_S_OK, "Success")
                return result

        return call  # type: ignore[return-value]

    return decorate


class SimulatedMetaTrader5:
    """One terminal, one account. Thread-safe: calls are serialised as the package's are."""

    def __init__(self, market: MarketFile) -> None:
        self.market = market
        self.server = TradeServer(market)
        self.faults = FaultPlan()
        self.clock = server_clock_from(market.server_clock)
        self.lock = threading.RLock()
        self.error: tuple[int, str] = (mt5.RES_S_OK, "Success")
        self._is_initialized = False
        self._selected: set[str] = set()
        self._books: set[str] = set()
        self._desk = RequestDesk(market, self.server, self.clock, self.faults, self._selected)
        self._answers = Answers(market, self.server, self.clock)
        self._requests = 0
        for name in dir(mt5):
            if name.isupper():
                setattr(self, name, getattr(mt5, name))

    # Beyond the package's surface.
    is_simulator = True

    def load_ticks(self, histories: Mapping[str, TickHistory]) -> None:
        """Begin a session with these ticks (usually one UTC date); what an earlier session left open is ended first."""
        with self.lock:
            self.server.begin_session(histories)

    def expect_draw_key(self, magic: int, comment: str, key: str) -> None:
        """Announce the draw key of the order that will carry this magic and comment."""
        with self.lock:
            self._desk.expect_draw_key(magic, comment, key)

    @property
    def now_us(self) -> int:
        """Simulated UTC time in microseconds."""
        return self.server.now_us

    def advance_to(self, ts_us: int) -> None:
        """Play every tick up to this UTC time."""
        with self.lock:
            self.server.advance_to(ts_us)

    def advance_to_row(self, symbol: str, row: int) -> None:
        """Play ticks up to a row of one symbol."""
        with self.lock:
            self.server.advance_to_row(symbol, row)

    def next_tick(self) -> tuple[str, int] | None:
        """Play one tick; returns its symbol and row, or None at the end."""
        with self.lock:
            return self.server.next_tick()

    def finish(self) -> None:
        """Play what is left and end open positions at the last tick."""
        with self.lock:
            self.server.finish_session()

    def require_connection(self) -> None:
        """Raise the failure that every call meets while the terminal is not there."""
        if self.faults.is_disconnected or not self._is_initialized:
            raise _Failure(mt5.RES_E_INTERNAL_FAIL_CONNECT, "No IPC connection")

    # Connection.
    @_call(failed=False, is_gated=False)
    def initialize(
        self, path: str | None = None, *, login: int = 0, password: str = "", server: str = "", timeout: int = 60000, portable: bool = False
    ) -> bool:
        if self.faults.is_disconnected:
            raise _Failure(mt5.RES_E_INTERNAL_FAIL_TIMEOUT, "IPC timeout")
        if login:
            self._check_login(login, server)
        self._is_initialized = True
        return True

    @_call(failed=False)
    def login(self, login: int, *, password: str = "", server: str = "", timeout: int = 60000) -> bool:
        self._check_login(login, server)
        return True

    def _check_login(self, login: int, server: str) -> None:
        terms = self.market.account
        if login != terms.login or (server and server != terms.server):
            raise _Failure(mt5.RES_E_AUTH_FAILED, "Terminal: Authorization failed")

    @_call(is_gated=False)
    def shutdown(self) -> None:
        self._is_initialized = False

    @_call()
    def version(self) -> tuple[int, int, str]:
        return (500, BUILD, "21 Nov 2026")

    def last_error(self) -> tuple[int, str]:
        return self.error

    @_call()
    def account_info(self) -> Any:
        return self._answers.account_info(self.faults.login_seen or self.market.account.login)

    @_call()
    def terminal_info(self) -> Any:
        return records.TerminalInfo(
            community_account=False, community_connection=False, connected=not self.faults.is_broker_link_down, dlls_allowed=False,
            trade_allowed=not self.faults.is_algo_trading_off, tradeapi_disabled=False, email_enabled=False, ftp_enabled=False,
            notifications_enabled=False, mqid=False, build=BUILD, maxbars=100000, codepage=0, ping_last=40000, community_balance=0.0,
            retransmission=0.0, company="tick_assets", name="Simulated terminal", language="English", path="simulator",
            data_path="simulator", commondata_path="simulator",
        )  # fmt: skip

    # Symbols.
    def _spec(self, name: Any) -> SymbolSpec:
        if not isinstance(name, str):
            raise _Failure(mt5.RES_E_INVALID_PARAMS, 'Invalid "symbol" argument')
        if name not in self.market.symbols:
            raise _Failure(mt5.RES_E_FAIL, "Terminal: Call failed")
        return self.market.symbols[name]

    def _selected_spec(self, name: Any) -> SymbolSpec:
        spec = self._spec(name)
        if spec.symbol not in self._selected:
            raise _Failure(mt5.RES_E_FAIL, "Terminal: Call failed")
        return spec

    @_call()
    def symbols_total(self) -> int:
        return len(self.market.symbols)

    @_call()
    def symbols_get(self, group: str = "*") -> Any:
        return tuple(
            self._answers.symbol_info(name, name in self._selected) for name in sorted(self.market.symbols) if _is_in_group(name, group)
        )

    @_call()
    def symbol_info(self, name: str) -> Any:
        symbol = self._spec(name).symbol
        return self._answers.symbol_info(symbol, symbol in self._selected)

    @_call(failed=False)
    def symbol_select(self, name: str, enable: bool = True) -> bool:
        symbol = self._spec(name).symbol
        if enable:
            self._selected.add(symbol)
        elif any(position.symbol == symbol for position in self.server.ledger.positions.values()):
            raise _Failure(mt5.RES_E_FAIL, "Terminal: Call failed")
        else:
            self._selected.discard(symbol)
        return True

    @_call()
    def symbol_info_tick(self, name: str) -> Any:
        return self._answers.tick(self._selected_spec(name).symbol)

    # Book (one level: the quote's sizes).
    @_call(failed=False)
    def market_book_add(self, symbol: str) -> bool:
        self._books.add(self._selected_spec(symbol).symbol)
        return True

    @_call(failed=False)
    def market_book_release(self, symbol: str) -> bool:
        self._books.discard(self._spec(symbol).symbol)
        return True

    @_call()
    def market_book_get(self, symbol: str) -> Any:
        spec = self._selected_spec(symbol)
        if spec.symbol not in self._books:
            raise _Failure(mt5.RES_E_FAIL, "Terminal: Call failed")
        line = self.server.lines[spec.symbol]
        if line.row < 0:
            return ()
        history, row = line.history, line.row
        sizes = [float(np.nan_to_num(side[row])) / spec.contract_size for side in (history.ask_size, history.bid_size)]
        prices = [float(side[row]) / spec.price_factor for side in (history.ask_points, history.bid_points)]
        kinds = (mt5.BOOK_TYPE_SELL, mt5.BOOK_TYPE_BUY)
        return tuple(records.BookInfo(kind, price, round(size), size) for kind, price, size in zip(kinds, prices, sizes, strict=True))

    # Ticks and bars. Only what has been played is visible.
    def _played(self, symbol: Any) -> tuple[SymbolSpec, TickHistory, int]:
        spec = self._selected_spec(symbol)
        line = self.server.lines[spec.symbol]
        return spec, line.history, line.row + 1

    def _ticks(self, symbol: Any, start_us: int, end_us: int, count: int) -> npt.NDArray[Any]:
        spec, history, played = self._played(symbol)
        first = min(history.first_at_or_after(start_us), played)
        last = min(history.last_at_or_before(end_us) + 1, played, first + count)
        rows = slice(first, max(first, last))
        stamps = to_server_us_array(self.clock, history.ts_us[rows])
        ticks = np.zeros(len(stamps), records.TICKS_DTYPE)
        ticks["time"], ticks["time_msc"] = stamps // 1_000_000, stamps // 1000
        ticks["bid"] = history.bid_points[rows] / spec.price_factor
        ticks["ask"] = history.ask_points[rows] / spec.price_factor
        ticks["flags"] = mt5.TICK_FLAG_BID | mt5.TICK_FLAG_ASK | 128
        return ticks

    @_call()
    def copy_ticks_from(self, symbol: str, date_from: int | datetime, count: int, flags: int) -> Any:
        return self._ticks(symbol, self._utc_us(date_from, "date_from"), 2**62, int(count))

    @_call()
    def copy_ticks_range(self, symbol: str, date_from: int | datetime, date_to: int | datetime, flags: int) -> Any:
        return self._ticks(symbol, self._utc_us(date_from, "date_from"), self._utc_us(date_to, "date_to"), 2**62)

    def _utc_us(self, moment: Any, name: str) -> int:
        """Return the UTC moment of an argument: server seconds, or an aware datetime that carries server wall time."""
        if isinstance(moment, bool) or not isinstance(moment, int | datetime):
            raise _Failure(mt5.RES_E_INVALID_PARAMS, f'Invalid "{name}" argument')
        if isinstance(moment, datetime):
            if moment.tzinfo is None:
                raise _Failure(mt5.RES_E_INVALID_PARAMS, f'Invalid "{name}" argument')
            return to_utc_us(self.clock, (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
        return to_utc_us(self.clock, moment * 1_000_000)

    def _bars(self, symbol: Any, timeframe: Any) -> tuple[SymbolSpec, Bars]:
        spec, history, played = self._played(symbol)
        stamps = to_server_us_array(self.clock, history.ts_us[:played])
        starts = _bar_starts(stamps // 1_000_000, timeframe)
        return spec, bars_of(history.ts_us[:played], stamps, history.bid_points[:played], history.ask_points[:played], starts)

    def _rates(self, spec: SymbolSpec, bars: Bars, rows: slice) -> Any:
        times = bars.time_s[rows]
        rates = np.zeros(len(times), records.RATES_DTYPE)
        rates["time"], rates["tick_volume"], rates["spread"] = times, bars.ticks[rows], bars.spread[rows]
        for name in ("open", "high", "low", "close"):
            rates[name] = getattr(bars, name)[rows] / spec.price_factor
        return rates

    @_call()
    def copy_rates_from(self, symbol: str, timeframe: int, date_from: int | datetime, count: int) -> Any:
        spec, bars = self._bars(symbol, timeframe)
        end = int(np.searchsorted(bars.opened_us, self._utc_us(date_from, "date_from"), side="right"))
        return self._rates(spec, bars, slice(max(0, end - int(count)), end))

    @_call()
    def copy_rates_from_pos(self, symbol: str, timeframe: int, start_pos: int, count: int) -> Any:
        spec, bars = self._bars(symbol, timeframe)
        end = max(0, len(bars.time_s) - int(start_pos))
        return self._rates(spec, bars, slice(max(0, end - int(count)), end))

    @_call()
    def copy_rates_range(self, symbol: str, timeframe: int, date_from: int | datetime, date_to: int | datetime) -> Any:
        spec, bars = self._bars(symbol, timeframe)
        first = int(np.searchsorted(bars.opened_us, self._utc_us(date_from, "date_from"), side="left"))
        last = int(np.searchsorted(bars.opened_us, self._utc_us(date_to, "date_to"), side="right"))
        return self._rates(spec, bars, slice(first, max(first, last)))

    # Orders and positions.
    @_call()
    def orders_total(self) -> int:
        return len(self.server.ledger.pending)

    @_call()
    def orders_get(self, *, symbol: str | None = None, group: str | None = None, ticket: int | None = None) -> Any:
        rows = [order for order in self.server.ledger.pending.values() if _is_wanted(order, symbol, group, ticket)]
        return tuple(self._answers.order(order) for order in rows)

    @_call()
    def positions_total(self) -> int:
        return len(self.server.ledger.positions)

    @_call()
    def positions_get(self, *, symbol: str | None = None, group: str | None = None, ticket: int | None = None) -> Any:
        rows = [position for position in self.server.ledger.positions.values() if _is_wanted(position, symbol, group, ticket)]
        return tuple(self._answers.position(position) for position in rows)

    @_call()
    def history_orders_total(self, date_from: int | datetime, date_to: int | datetime) -> int:
        return len(self._orders_between(date_from, date_to))

    @_call()
    def history_orders_get(self, *args: Any, group: str | None = None, ticket: int | None = None, position: int | None = None) -> Any:
        if args:
            rows = [order for order in self._orders_between(*args) if group is None or _is_in_group(order.symbol, group)]
        else:
            rows = [order for order in self.server.ledger.orders if _is_one(order.ticket, order.position_id, ticket, position)]
        return tuple(self._answers.order(order) for order in rows)

    @_call()
    def history_deals_total(self, date_from: int | datetime, date_to: int | datetime) -> int:
        return len(self._deals_between(date_from, date_to))

    @_call()
    def history_deals_get(self, *args: Any, group: str | None = None, ticket: int | None = None, position: int | None = None) -> Any:
        if args:
            rows = [deal for deal in self._deals_between(*args) if group is None or _is_in_group(deal.symbol, group)]
        else:
            rows = [deal for deal in self.server.ledger.deals if _is_one(deal.order, deal.position_id, ticket, position)]
        return tuple(self._answers.deal(deal) for deal in rows)

    def _orders_between(self, date_from: Any, date_to: Any) -> list[BookOrder]:
        start, end = self._utc_us(date_from, "date_from"), self._utc_us(date_to, "date_to")
        return [order for order in self.server.ledger.orders if start <= order.done_us <= end]

    def _deals_between(self, date_from: Any, date_to: Any) -> list[BookDeal]:
        start, end = self._utc_us(date_from, "date_from"), self._utc_us(date_to, "date_to")
        return [deal for deal in self.server.ledger.deals if start <= deal.ts_us <= end]

    # Calculation.
    @_call()
    def order_calc_margin(self, action: int, symbol: str, volume: float, price: float) -> float:
        spec = self._spec(symbol)
        return margin_in_account(spec, self.market.account, volume, price * spec.price_factor)

    @_call()
    def order_calc_profit(self, action: int, symbol: str, volume: float, price_open: float, price_close: float) -> float:
        if action not in (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL):
            raise _Failure(mt5.RES_E_INVALID_PARAMS, 'Invalid "action" argument')
        spec, sign = self._spec(symbol), 1 if action == mt5.ORDER_TYPE_BUY else -1
        factor = spec.price_factor
        return profit_in_account(spec, self.market.account.currency, sign, price_open * factor, price_close * factor, volume)

    # Trading.
    @_call()
    def order_check(self, request: Mapping[str, Any]) -> Any:
        values = _parsed(request)
        retcode, margin = 0, self.server.account.margin()
        try:
            if values["action"] == mt5.TRADE_ACTION_DEAL:
                order = self._desk.market_order(values)
                quote = self.server.quote(order.symbol)
                assert quote is not None
                price = quote[2] if order.sign > 0 else quote[1]
                margin += 0.0 if order.closes else margin_in_account(self._spec(order.symbol), self.market.account, order.volume, price)
        except Refusal as refusal:
            retcode = refusal.retcode
        equity = self.server.account.equity()
        level = 100.0 * equity / margin if margin else 0.0
        if retcode == 0 and margin > equity:
            retcode = mt5.TRADE_RETCODE_NO_MONEY
        return records.OrderCheckResult(
            retcode, self.server.ledger.balance, equity, equity - self.server.ledger.balance, margin, equity - margin, level,
            "Done" if retcode == 0 else comment_of(retcode), records.TradeRequest(**values),
        )  # fmt: skip

    @_call()
    def order_send(self, request: Mapping[str, Any]) -> Any:
        values = _parsed(request)
        fault = self.faults.take(self._desk.entry_key(values))
        if fault is not None and fault.kind is FaultKind.LOST_BEFORE:
            raise _Failure(mt5.RES_E_INTERNAL_FAIL_SEND, "IPC send failed")
        self._requests += 1
        try:
            result = self._desk.carry_out(values, fault)
        except Refusal as refusal:
            result = Execution(refusal.retcode)
        if fault is not None and fault.kind in (FaultKind.LOST_AFTER, FaultKind.LATE_FILL):
            raise _Failure(mt5.RES_E_INTERNAL_FAIL_RECEIVE, "IPC recv failed")
        if fault is not None and fault.kind is FaultKind.TIMEOUT_AFTER:
            result = Execution(mt5.TRADE_RETCODE_TIMEOUT)
        return self._answers.send_result(values, result, self._requests)


def _parsed(request: Any) -> dict[str, Any]:
    try:
        return parse_request(request)
    except InvalidRequestError as error:
        raise _Failure(mt5.RES_E_INVALID_PARAMS, str(error)) from error


def _is_in_group(name: str, group: str) -> bool:
    """Apply comma-separated masks in order; `!` excludes, `*` stands only at the ends."""
    is_in = False
    for mask in group.split(","):
        pattern = mask.strip().removeprefix("!")
        core = pattern.strip("*")
        is_open_left, is_open_right = pattern.startswith("*"), pattern.endswith("*")
        if is_open_left and is_open_right:
            is_match = core in name
        elif is_open_left:
            is_match = name.endswith(core)
        elif is_open_right:
            is_match = name.startswith(core)
        else:
            is_match = name == core
        if is_match:
            is_in = not mask.strip().startswith("!")
    return is_in


def _is_wanted(row: BookOrder | BookPosition, symbol: str | None, group: str | None, ticket: int | None) -> bool:
    if symbol is not None and row.symbol != symbol:
        return False
    if group is not None and not _is_in_group(row.symbol, group):
        return False
    return ticket is None or row.ticket == ticket


def _is_one(order_ticket: int, position_id: int, ticket: int | None, position: int | None) -> bool:
    if (ticket is None) == (position is None):
        raise _Failure(mt5.RES_E_INVALID_PARAMS, "Invalid arguments")
    return order_ticket == ticket if ticket is not None else position_id == position


def _bar_starts(seconds: npt.NDArray[np.int64], timeframe: Any) -> npt.NDArray[np.int64]:
    if timeframe == mt5.TIMEFRAME_MN1:
        months = seconds.astype("datetime64[s]").astype("datetime64[M]")
        return months.astype("datetime64[s]").astype(np.int64)
    if timeframe == mt5.TIMEFRAME_W1:
        sunday = 4 * 86_400
        return (seconds + sunday) // 604_800 * 604_800 - sunday
    if timeframe == mt5.TIMEFRAME_D1:
        width = 86_400
    elif isinstance(timeframe, int) and timeframe & 0x4000:
        width = (timeframe & 0xFF) * 3600
    elif isinstance(timeframe, int) and 1 <= timeframe <= 30:
        width = timeframe * 60
    else:
        raise _Failure(mt5.RES_E_INVALID_PARAMS, 'Invalid "timeframe" argument')
    return seconds // width * width
