"""How the simulated server judges a request before anything fills: its fields, the symbol, volume, price, filling and levels.

What belongs here: refusals with their return codes, in the server's order of checks, and what an accepted request asks of the server.
What must not: fills (`server`), or the terminal's tuples and error codes (`module`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from execution.adapters.mt5 import constants as mt5
from execution.adapters.mt5.server_clock import ServerClock, to_utc_us
from execution.adapters.mt5.simulator.faults import Fault, FaultKind, FaultPlan
from execution.adapters.mt5.simulator.ledger import BookOrder, BookPosition
from execution.adapters.mt5.simulator.orders import Execution, MarketOrder
from execution.adapters.mt5.simulator.server import TradeServer
from execution.market import MarketFile, SymbolSpec

COMMENT_LIMIT = 29
_INTEGER_FIELDS = ("action", "magic", "order", "deviation", "type", "type_filling", "type_time", "expiration", "position", "position_by")
_FLOAT_FIELDS = ("volume", "price", "stoplimit", "sl", "tp")
_PENDING_TYPES = (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_LIMIT, mt5.ORDER_TYPE_BUY_STOP, mt5.ORDER_TYPE_SELL_STOP)


class InvalidRequestError(ValueError):
    """A request that the package itself refuses: a wrong type, an unknown field. The message is the package's own."""


class Refusal(Exception):
    """The server refuses a request with a return code before any time passes."""

    def __init__(self, retcode: int) -> None:
        super().__init__(str(retcode))
        self.retcode = retcode


def parse_request(request: Any) -> dict[str, Any]:
    """Return all 17 fields; a wrong type or an unknown field is -2, as the package answers."""
    if not isinstance(request, Mapping):
        raise InvalidRequestError("Invalid arguments")
    for name, value in request.items():
        if not _is_field_valid(name, value):
            raise InvalidRequestError(f'Invalid "{name}" argument')
    if "action" not in request:
        raise InvalidRequestError('Invalid "action" argument')
    values: dict[str, Any] = dict.fromkeys(_INTEGER_FIELDS, 0) | dict.fromkeys(_FLOAT_FIELDS, 0.0) | {"symbol": "", "comment": ""}
    values.update({name: float(value) if name in _FLOAT_FIELDS else value for name, value in request.items()})
    return values


class RequestDesk:
    """Judges requests and hands accepted ones to the server. `selected` are the symbols in the terminal's Market Watch, as they change."""

    def __init__(self, market: MarketFile, server: TradeServer, clock: ServerClock, faults: FaultPlan, selected: set[str]) -> None:
        self.market, self.server, self.clock, self.faults, self._selected = market, server, clock, faults, selected
        self._draw_keys: dict[tuple[int, str], str] = {}

    def expect_draw_key(self, magic: int, comment: str, key: str) -> None:
        """Announce the draw key of the order that will carry this magic and comment."""
        self._draw_keys[(magic, comment)] = key

    def entry_key(self, values: Mapping[str, Any]) -> str:
        """Return the draw key of an entry, empty for a request about a position."""
        return "" if values["position"] else self._draw_key(values)

    def carry_out(self, values: Mapping[str, Any], fault: Fault | None) -> Execution:
        """Carry a parsed request out, or raise a `Refusal`."""
        if self.faults.is_broker_link_down:
            raise Refusal(mt5.TRADE_RETCODE_CONNECTION)
        if self.faults.is_algo_trading_off:
            raise Refusal(mt5.TRADE_RETCODE_CLIENT_DISABLES_AT)
        if fault is not None and fault.kind in (FaultKind.REJECT, FaultKind.REQUOTE):
            raise Refusal(mt5.TRADE_RETCODE_REQUOTE if fault.kind is FaultKind.REQUOTE else fault.retcode)
        actions = {
            mt5.TRADE_ACTION_SLTP: self._modify_position,
            mt5.TRADE_ACTION_PENDING: self._place_pending,
            mt5.TRADE_ACTION_MODIFY: self._modify_pending,
            mt5.TRADE_ACTION_REMOVE: self._remove_pending,
            mt5.TRADE_ACTION_CLOSE_BY: self._close_by,
        }
        if values["action"] == mt5.TRADE_ACTION_DEAL:
            return self._deal(values, fault)
        if values["action"] not in actions:
            raise Refusal(mt5.TRADE_RETCODE_INVALID)
        return actions[values["action"]](values)

    def _deal(self, values: Mapping[str, Any], fault: Fault | None) -> Execution:
        share = fault.share if fault is not None and fault.kind is FaultKind.PARTIAL else 1.0
        order = self.market_order(values, share)
        if fault is not None and fault.kind is FaultKind.LATE_FILL:
            self.server.send_and_forget(order)
            return Execution(mt5.TRADE_RETCODE_PLACED)
        return self.server.send(order)

    def market_order(self, values: Mapping[str, Any], share: float = 1.0) -> MarketOrder:
        """Check a market order in the server's order of checks; stops are checked at the tick that fills."""
        spec, sign = self._check_symbol(values), 1 if values["type"] == mt5.ORDER_TYPE_BUY else -1
        if values["type"] not in (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL):
            raise Refusal(mt5.TRADE_RETCODE_INVALID)
        self._check_volume(spec, values["volume"])
        if values["price"] < 0.0 or (spec.execution in ("request", "instant") and values["price"] <= 0.0):
            raise Refusal(mt5.TRADE_RETCODE_INVALID_PRICE)
        self._check_filling(spec, values["type_filling"])
        closed = self._position_to_close(values, sign)
        key = closed.draw_key if closed is not None else self._draw_key(values)
        return MarketOrder(
            symbol=spec.symbol, sign=sign, volume=values["volume"], stop_points=_points(spec, values["sl"]),
            target_points=_points(spec, values["tp"]), magic=values["magic"], comment=values["comment"], filling=values["type_filling"],
            closes=closed.ticket if closed is not None else 0, draw_key=key, asked_points=_points(spec, values["price"]),
            deviation=values["deviation"], share=share,
        )  # fmt: skip

    def _draw_key(self, values: Mapping[str, Any]) -> str:
        marks = (values["magic"], values["comment"])
        return self._draw_keys.get(marks, f"{marks[0]}|{marks[1]}|{self.server.ledger.last_ticket}")

    def _check_symbol(self, values: Mapping[str, Any]) -> SymbolSpec:
        name = values["symbol"]
        if name not in self.market.symbols or name not in self._selected:
            raise Refusal(mt5.TRADE_RETCODE_INVALID)
        if self.server.quote(name) is None:
            raise Refusal(mt5.TRADE_RETCODE_PRICE_OFF)
        return self.market.symbols[name]

    def _check_volume(self, spec: SymbolSpec, volume: float) -> None:
        steps = (volume - spec.volume_min) / spec.volume_step
        if not spec.volume_min - 1e-9 <= volume <= spec.volume_max + 1e-9 or abs(steps - round(steps)) > 1e-6:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_VOLUME)

    def _check_filling(self, spec: SymbolSpec, filling: int) -> None:
        if spec.execution in ("request", "instant"):
            return
        allowed = {mt5.ORDER_FILLING_FOK: mt5.SYMBOL_FILLING_FOK, mt5.ORDER_FILLING_IOC: mt5.SYMBOL_FILLING_IOC}
        if filling == mt5.ORDER_FILLING_RETURN and spec.execution == "exchange":
            return
        if not allowed.get(filling, 0) & spec.filling_mode:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_FILL)

    def _position_to_close(self, values: Mapping[str, Any], sign: int) -> BookPosition | None:
        if not values["position"]:
            return None
        position = self.server.ledger.positions.get(values["position"])
        if position is None:
            raise Refusal(mt5.TRADE_RETCODE_POSITION_CLOSED)
        if position.symbol != values["symbol"] or position.sign == sign:
            raise Refusal(mt5.TRADE_RETCODE_INVALID)
        if values["volume"] > position.volume + 1e-9:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME)
        if self._is_frozen(position):
            raise Refusal(mt5.TRADE_RETCODE_FROZEN)
        return position

    def _is_frozen(self, position: BookPosition) -> bool:
        level = self.market.symbols[position.symbol].freeze_level
        quote = self.server.quote(position.symbol)
        if not level or quote is None:
            return False
        price = quote[1] if position.sign > 0 else quote[2]
        return any(points and abs(price - points) <= level for points in (position.stop_points, position.target_points))

    def _modify_position(self, values: Mapping[str, Any]) -> Execution:
        position = self.server.ledger.positions.get(values["position"])
        if position is None:
            raise Refusal(mt5.TRADE_RETCODE_POSITION_CLOSED)
        spec = self.market.symbols[position.symbol]
        stop, target = _points(spec, values["sl"]), _points(spec, values["tp"])
        if (stop, target) == (position.stop_points, position.target_points):
            raise Refusal(mt5.TRADE_RETCODE_NO_CHANGES)
        quote = self.server.quote(position.symbol)
        assert quote is not None
        _check_levels(spec, position.sign, quote[1] if position.sign > 0 else quote[2], stop, target)
        if self._is_frozen(position):
            raise Refusal(mt5.TRADE_RETCODE_FROZEN)
        position.stop_points, position.target_points, position.updated_us = stop, target, self.server.now_us
        return Execution(mt5.TRADE_RETCODE_DONE, position.ticket)

    def _place_pending(self, values: Mapping[str, Any]) -> Execution:
        spec = self._check_symbol(values)
        if values["type"] not in _PENDING_TYPES:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_ORDER)
        self._check_volume(spec, values["volume"])
        price, stop, target = (_points(spec, values[name]) for name in ("price", "sl", "tp"))
        self._check_pending_price(spec, values["type"], price)
        _check_levels(spec, 1 if values["type"] in (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_BUY_STOP) else -1, price, stop, target)
        expiration = to_utc_us(self.clock, values["expiration"] * 1_000_000) if values["expiration"] else 0
        if expiration and expiration <= self.server.now_us:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_EXPIRATION)
        order = BookOrder(
            self.server.ledger.next_ticket(), spec.symbol, values["type"], values["volume"], values["volume"], price, stop, target,
            values["type_filling"], values["magic"], values["comment"], mt5.ORDER_REASON_EXPERT, mt5.ORDER_STATE_PLACED,
            self.server.now_us, expiration_us=expiration, draw_key=self._draw_key(values),
        )  # fmt: skip
        self.server.place_pending(order)
        return Execution(mt5.TRADE_RETCODE_DONE, order.ticket)

    def _check_pending_price(self, spec: SymbolSpec, order_type: int, price: int) -> None:
        quote = self.server.quote(spec.symbol)
        assert quote is not None
        _, bid, ask = quote
        room = {
            mt5.ORDER_TYPE_BUY_LIMIT: ask - price,
            mt5.ORDER_TYPE_SELL_LIMIT: price - bid,
            mt5.ORDER_TYPE_BUY_STOP: price - ask,
            mt5.ORDER_TYPE_SELL_STOP: bid - price,
        }[order_type]
        if price <= 0 or room < max(1, spec.stops_level):
            raise Refusal(mt5.TRADE_RETCODE_INVALID_PRICE)

    def _modify_pending(self, values: Mapping[str, Any]) -> Execution:
        order = self.server.ledger.pending.get(values["order"])
        if order is None:
            raise Refusal(mt5.TRADE_RETCODE_INVALID)
        spec = self.market.symbols[order.symbol]
        price, stop, target = (_points(spec, values[name]) for name in ("price", "sl", "tp"))
        if (price, stop, target) == (order.price_points, order.stop_points, order.target_points):
            raise Refusal(mt5.TRADE_RETCODE_NO_CHANGES)
        self._check_pending_price(spec, order.order_type, price)
        order.price_points, order.stop_points, order.target_points = price, stop, target
        return Execution(mt5.TRADE_RETCODE_DONE, order.ticket)

    def _remove_pending(self, values: Mapping[str, Any]) -> Execution:
        if values["order"] not in self.server.ledger.pending:
            raise Refusal(mt5.TRADE_RETCODE_INVALID)
        self.server.cancel_pending(values["order"])
        return Execution(mt5.TRADE_RETCODE_DONE, values["order"])

    def _close_by(self, values: Mapping[str, Any]) -> Execution:
        positions = self.server.ledger.positions
        first, second = positions.get(values["position"]), positions.get(values["position_by"])
        if first is None or second is None:
            raise Refusal(mt5.TRADE_RETCODE_POSITION_CLOSED)
        if self.market.account.margin_mode != "hedging" or first.symbol != second.symbol or first.sign == second.sign:
            raise Refusal(mt5.TRADE_RETCODE_INVALID)
        deal = self.server.account.close_by(first, second)
        return Execution(mt5.TRADE_RETCODE_DONE, deal.order, deal.ticket, deal.volume, deal.price_points)


def _points(spec: SymbolSpec, price: float) -> int:
    return round(price * spec.price_factor)


def _check_levels(spec: SymbolSpec, sign: int, price: int, stop: int, target: int) -> None:
    distance = max(1, spec.stops_level)
    if (stop and sign * (price - stop) < distance) or (target and sign * (target - price) < distance):
        raise Refusal(mt5.TRADE_RETCODE_INVALID_STOPS)


def _is_field_valid(name: str, value: Any) -> bool:
    if name in _INTEGER_FIELDS:
        return isinstance(value, int) and not isinstance(value, bool)
    if name in _FLOAT_FIELDS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if name == "comment":
        return isinstance(value, str) and len(value) <= COMMENT_LIMIT and value.isascii()
    return name == "symbol" and isinstance(value, str)
