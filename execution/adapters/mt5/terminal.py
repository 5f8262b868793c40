"""The terminal port on any object with the module surface of the MetaTrader5 package: the real module or the simulator.

What belongs here: calls, their shape and their errors. What must not: translation (`translation`), risk, retries of orders.

Call shape: the package refuses positional arguments when a keyword mapping is present, even an empty one, so `_ask` passes keywords
only when there are some. Results are read together with `last_error()` under one lock, because the latter is global.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from execution.adapters.mt5 import constants as mt5
from execution.adapters.mt5 import translation
from execution.adapters.mt5.retcodes import outcome_of
from execution.adapters.mt5.server_clock import (
    ServerClock,
    server_range,
    to_server_us,
    to_utc_us_array,
)
from execution.history import PastBars, PastTicks, join_ticks
from execution.orders import (
    Account,
    Contract,
    Fill,
    FillKind,
    OrderReport,
    OrderRequest,
    Outcome,
    Position,
    Quote,
    QuoteCursor,
    TerminalHealth,
    to_datetime,
    to_us,
)
from execution.ports import TerminalPort, TerminalUnavailableError

_DAY_US = 86_400_000_000
_TICKS_SPAN_US = _DAY_US // 4
"""Ticks are asked for in pieces: too long a range is refused by the terminal, too many rows by the bridge."""
_QUOTE_WAIT = (10, 0.2)
_VISIBLE_WAIT = (10, 0.2)


@dataclass(frozen=True)
class TerminalSettings:
    """How to reach a terminal. `login` and `server` are asserted after connecting and before every order; empty ones are not."""

    path: str = ""
    login: int = 0
    password: str = field(default="", repr=False)
    server: str = ""
    portable: bool = False
    timeout_ms: int = 60_000
    deviation_points: int = 20
    venue_symbols: Mapping[str, str] = field(default_factory=dict)
    """Our symbol -> the broker's name, where they differ (`EURUSD` -> `EURUSD.a`)."""


class MetaTrader5Terminal(TerminalPort):
    """`TerminalPort` over `module`. `sleep` is called while the terminal makes something visible; inject a no-op in tests."""

    def __init__(
        self, module: Any, settings: TerminalSettings, clock: ServerClock, sleep: Callable[[float], None] = time.sleep
    ) -> None:  # fmt: skip
        self._module = module
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.RLock()
        self._filling: dict[str, list[int]] = {}
        self._symbols = {venue: symbol for symbol, venue in settings.venue_symbols.items()}

    # Calls.
    def _ask(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, tuple[int, str]]:
        with self._lock:
            result = function(*args) if not kwargs else function(*args, **kwargs)
            code, text = self._module.last_error()
            return result, (int(code), str(text))

    def _query(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result, (code, text) = self._ask(function, *args, **kwargs)
        if result is None and code != mt5.RES_S_OK:
            name = getattr(function, "__name__", "call")
            raise TerminalUnavailableError(f"Expected an answer to {name}, was error {code} ({text}). Check the terminal.")
        return result

    def _venue(self, symbol: str) -> str:
        return self._settings.venue_symbols.get(symbol, symbol)

    def _ours(self, venue_symbol: str) -> str:
        return self._symbols.get(venue_symbol, venue_symbol)

    # Connection.
    def connect(self) -> None:
        settings = self._settings
        named: dict[str, Any] = {"timeout": settings.timeout_ms, "portable": settings.portable}
        if settings.login:
            named |= {"login": settings.login, "password": settings.password, "server": settings.server}
        if settings.path:
            named["path"] = settings.path
        is_up, (code, text) = self._ask(self._module.initialize, **named)
        if not is_up:
            raise TerminalUnavailableError(f"Expected the terminal to start, was error {code} ({text}). Check path, login and server.")
        problem = self._identity_problem(self._query(self._module.account_info))
        if problem:
            raise TerminalUnavailableError(problem)

    def _identity_problem(self, info: Any) -> str:
        wanted = self._settings
        if info is None:
            return "Expected an account, was none. Log the terminal in."
        if wanted.login and int(info.login) != wanted.login:
            return f"Expected login {wanted.login}, was {info.login}. Another terminal answers; start each on its own path."
        if wanted.server and str(info.server) != wanted.server:
            return f"Expected server {wanted.server}, was {info.server}. Log the terminal in there."
        return ""

    def disconnect(self) -> None:
        self._ask(self._module.shutdown)

    def health(self) -> TerminalHealth:
        info, (code, text) = self._ask(self._module.terminal_info)
        if info is None:
            return TerminalHealth(False, False, f"{code} {text}")
        if not info.connected:
            return TerminalHealth(False, False, "BROKER_LINK_DOWN")
        if not info.trade_allowed or getattr(info, "tradeapi_disabled", False):
            return TerminalHealth(True, False, "ALGO_TRADING_OFF")
        return TerminalHealth(True, True, "")

    def account(self) -> Account:
        return translation.to_account(self._query(self._module.account_info), bool(getattr(self._module, "is_simulator", False)))

    # Market data.
    def contract(self, symbol: str) -> Contract:
        return translation.to_contract(self._info(symbol), symbol)

    def _info(self, symbol: str) -> Any:
        venue = self._venue(symbol)
        info, (code, text) = self._ask(self._module.symbol_info, venue)
        if info is not None and not info.select:
            self._ask(self._module.symbol_select, venue, True)
            info, (code, text) = self._ask(self._module.symbol_info, venue)
        if info is None and code == mt5.RES_E_INTERNAL_FAIL_CONNECT:
            raise TerminalUnavailableError(f"Expected symbol {venue}, was error {code} ({text}). Check the terminal.")
        if info is None:
            raise LookupError(f"Expected the terminal to know {venue}, was error {code} ({text}). Map the symbol to the broker's name.")
        return info

    def quote(self, symbol: str) -> Quote | None:
        tick = self._tick(symbol)
        return translation.to_quote(tick, symbol, self._clock) if tick is not None and tick.bid > 0.0 else None

    def _tick(self, symbol: str) -> Any:
        venue = self._venue(symbol)
        tick, (code, _) = self._ask(self._module.symbol_info_tick, venue)
        if tick is None and code == mt5.RES_E_FAIL:
            self._info(symbol)
            tick, (code, _) = self._ask(self._module.symbol_info_tick, venue)
        if tick is None and code != mt5.RES_S_OK:
            raise TerminalUnavailableError(f"Expected a tick of {venue}, was error {code}. Check the terminal.")
        return tick

    def quotes_after(self, symbol: str, cursor: QuoteCursor, limit: int) -> tuple[list[Quote], QuoteCursor]:
        self._info(symbol)
        start_us = to_us(cursor.ts_event)
        server_s = to_server_us(self._clock, start_us) // 1_000_000
        rows = self._query(self._module.copy_ticks_from, self._venue(symbol), int(server_s), limit + 10_000, mt5.COPY_TICKS_ALL)
        if rows is None or not len(rows):
            return [], cursor
        stamps = to_utc_us_array(self._clock, rows["time_msc"] * 1000)
        start_ms = start_us // 1000 * 1000
        first = int((stamps < start_ms).sum()) + cursor.seen_at_stamp
        chosen = range(first, min(first + limit, len(rows)))
        if not chosen:
            return [], cursor
        prices = zip(rows["bid"][first : chosen.stop].tolist(), rows["ask"][first : chosen.stop].tolist(), strict=True)
        quotes = [Quote(symbol, to_datetime(int(stamps[row])), bid, ask) for row, (bid, ask) in zip(chosen, prices, strict=True)]
        last_us = int(stamps[chosen[-1]])
        seen = int((stamps[: chosen.stop] == last_us).sum())
        return quotes, QuoteCursor(to_datetime(last_us), seen)

    def ticks_between(self, symbol: str, start_us: int, end_us: int) -> PastTicks:
        self._info(symbol)
        starts = range(start_us, end_us, _TICKS_SPAN_US)
        return join_ticks([self._some_ticks(symbol, start, min(start + _TICKS_SPAN_US, end_us)) for start in starts])

    def _some_ticks(self, symbol: str, start_us: int, end_us: int) -> PastTicks:
        first, last = server_range(self._clock, start_us, end_us)
        rows = self._query(self._module.copy_ticks_range, self._venue(symbol), first, last, mt5.COPY_TICKS_ALL)
        return translation.to_past_ticks(rows, self._clock).between(start_us, end_us)

    def minute_bars_between(self, symbol: str, start_us: int, end_us: int) -> PastBars:
        self._info(symbol)
        first, last = server_range(self._clock, start_us, end_us)
        rows = self._query(self._module.copy_rates_range, self._venue(symbol), mt5.TIMEFRAME_M1, first, last)
        return translation.to_past_bars(rows, self._clock).between(start_us, end_us)

    # Positions.
    def positions(self, symbol: str = "") -> list[Position]:
        rows = self._position_rows(symbol)
        return [translation.to_position(row, self._ours(row.symbol), self._clock) for row in rows]

    def _position_rows(self, symbol: str = "") -> Any:
        if symbol:
            return self._query(self._module.positions_get, symbol=self._venue(symbol)) or ()
        return self._query(self._module.positions_get) or ()

    def fills_of(self, position_id: str) -> list[Fill]:
        rows = self._query(self._module.history_deals_get, position=int(position_id)) or ()
        return [translation.to_fill(row, self._ours(row.symbol), self._clock) for row in rows]

    # Orders.
    def submit(self, order: OrderRequest) -> OrderReport:
        with self._lock:
            try:
                refusal, request = self._prepare(order)
            except (TerminalUnavailableError, LookupError) as error:
                return OrderReport(Outcome.REJECTED, "NOT_SENT", message=str(error))
            if refusal is not None:
                return refusal
            return self._send(order, request)

    def _prepare(self, order: OrderRequest) -> tuple[OrderReport | None, dict[str, Any]]:
        problem = self._identity_problem(self._query(self._module.account_info))
        if problem:
            return OrderReport(Outcome.REJECTED, "ACCOUNT_MISMATCH", message=problem), {}
        info, tick = self._info(order.symbol), self._priced_tick(order.symbol)
        if tick is None:
            return OrderReport(Outcome.REJECTED, "PRICE_OFF", message="No price yet."), {}
        ticket = self._ticket(order.position_id)
        if order.position_id and not ticket:
            return OrderReport(Outcome.POSITION_CLOSED, "POSITION_CLOSED"), {}
        filling = self._filling_of(order.symbol, info)[0]
        venue = self._venue(order.symbol)
        return None, translation.to_request(order, info, tick, filling, self._settings.deviation_points, venue, ticket)

    def _priced_tick(self, symbol: str) -> Any:
        tries, pause = _QUOTE_WAIT
        for _ in range(tries):
            tick = self._tick(symbol)
            if tick is not None and tick.bid > 0.0:
                return tick
            self._sleep(pause)
        return None

    def _ticket(self, position_id: str) -> int:
        """Return the ticket of an open position; on a netting account it may differ from the id."""
        if not position_id:
            return 0
        return next((int(row.ticket) for row in self._position_rows() if str(row.identifier) == position_id), 0)

    def _filling_of(self, symbol: str, info: Any) -> list[int]:
        if symbol not in self._filling:
            self._filling[symbol] = list(translation.filling_choices(int(info.filling_mode), int(info.trade_exemode)))
        return self._filling[symbol]

    def _send(self, order: OrderRequest, request: dict[str, Any]) -> OrderReport:
        announce = getattr(self._module, "expect_draw_key", None)
        if announce is not None and not order.position_id:
            announce(request["magic"], request["comment"], order.client_order_id)
        try:
            result, (code, text) = self._ask(self._module.order_send, request)
        except Exception as error:
            return OrderReport(Outcome.UNKNOWN, "EXCEPTION", message=repr(error))
        if result is None:
            is_refused_here = code == mt5.RES_E_INVALID_PARAMS
            outcome = Outcome.REJECTED if is_refused_here else Outcome.UNKNOWN
            return OrderReport(outcome, "INVALID_PARAMS" if is_refused_here else "NO_RESULT", code, message=text)
        return self._report(order, result)

    def _report(self, order: OrderRequest, result: Any) -> OrderReport:
        retcode = int(result.retcode)
        outcome, reason = outcome_of(retcode)
        if retcode == mt5.TRADE_RETCODE_INVALID_FILL and order.symbol in self._filling:
            modes = self._filling[order.symbol]
            modes.append(modes.pop(0))
        return OrderReport(
            outcome=outcome,
            reason=reason,
            venue_code=retcode,
            venue_order_id=str(result.order) if result.order else "",
            venue_deal_id=str(result.deal) if result.deal else "",
            price=float(result.price),
            quantity=float(result.volume),
            message=str(result.comment),
            position_id=self._position_id(order, result) if outcome.is_accepted else "",
        )

    def _position_id(self, order: OrderRequest, result: Any) -> str:
        """Return the position that an accepted order opened; its deal becomes visible only after a moment."""
        if order.position_id:
            return order.position_id
        tries, pause = _VISIBLE_WAIT
        for _ in range(tries if result.deal else 1):
            deals, _ = self._ask(self._module.history_deals_get, ticket=int(result.order))
            if deals:
                return str(deals[0].position_id)
            self._sleep(pause)
        return str(result.order)

    # Reconciliation.
    def find(self, order: OrderRequest, since_us: int) -> list[Fill | Position]:
        magic = translation.magic_of(order.strategy, order.client_order_id)
        if order.position_id:
            fills = self.fills_of(order.position_id)
            return [fill for fill in fills if fill.kind is FillKind.EXIT]
        venue = self._venue(order.symbol)
        start, end = self._window(since_us)
        deals = self._query(self._module.history_deals_get, start, end) or ()
        found: list[Fill | Position] = [
            fill
            for row in deals
            if int(row.magic) == magic and row.symbol == venue
            for fill in (translation.to_fill(row, order.symbol, self._clock),)
            if fill.kind is FillKind.ENTRY and fill.side is order.side
        ]
        held = [row for row in self._position_rows(order.symbol) if int(row.magic) == magic]
        return found or [translation.to_position(row, order.symbol, self._clock) for row in held]

    def is_waiting(self, order: OrderRequest, since_us: int) -> bool:
        magic = translation.magic_of(order.strategy, order.client_order_id)
        rows = self._query(self._module.orders_get, symbol=self._venue(order.symbol)) or ()
        return any(int(row.magic) == magic for row in rows)

    def _window(self, since_us: int) -> tuple[int, int]:
        """Return server seconds from a day before to two days after: the server's clock runs ahead of UTC."""
        server_us = to_server_us(self._clock, since_us)
        return (server_us - _DAY_US) // 1_000_000, (server_us + 2 * _DAY_US) // 1_000_000

    def trading_day(self, ts_us: int) -> str:
        return to_datetime(to_server_us(self._clock, ts_us)).date().isoformat()
