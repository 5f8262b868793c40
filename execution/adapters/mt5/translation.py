"""Pure translation between MetaTrader's records and the trader's types.

What belongs here: requests, filling modes, rounding, marks (magic and comment), fills. What must not: calls to the terminal.
"""

from __future__ import annotations

import hashlib
import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np

from execution.adapters.mt5 import constants as mt5
from execution.adapters.mt5.server_clock import ServerClock, to_utc_us, to_utc_us_in_order
from execution.history import PastBars, PastTicks
from execution.orders import (
    Account,
    AccountKind,
    Contract,
    ExitReason,
    Fill,
    FillKind,
    OrderRequest,
    Position,
    Quote,
    Side,
    to_datetime,
)

END_OF_DATA_COMMENT = "end of data"
_KINDS = {
    mt5.ACCOUNT_TRADE_MODE_DEMO: AccountKind.DEMO,
    mt5.ACCOUNT_TRADE_MODE_CONTEST: AccountKind.CONTEST,
    mt5.ACCOUNT_TRADE_MODE_REAL: AccountKind.LIVE,
}
_EXIT_REASONS = {
    mt5.DEAL_REASON_SL: ExitReason.STOP,
    mt5.DEAL_REASON_TP: ExitReason.TARGET,
    mt5.DEAL_REASON_SO: ExitReason.STOP_OUT,
    mt5.DEAL_REASON_EXPERT: ExitReason.TIME,
}


def magic_of(strategy: str, signal_id: str) -> int:
    """Return 31 bits: 8 of the strategy's name, 23 of the signal id. They find candidates; the journal decides."""
    return hashlib.sha256(strategy.encode()).digest()[0] << 23 | int(signal_id[:6], 16) & 0x7FFFFF


def comment_of(signal_id: str) -> str:
    """Return the comment of a signal's orders; brokers may overwrite it."""
    return f"ta-{signal_id[:12]}"


def filling_choices(filling_mode: int, execution: int) -> tuple[int, ...]:
    """Return filling modes of market orders, the best first; Request and Instant execution force FOK."""
    if execution in (mt5.SYMBOL_TRADE_EXECUTION_REQUEST, mt5.SYMBOL_TRADE_EXECUTION_INSTANT):
        return (mt5.ORDER_FILLING_FOK,)
    bits = ((mt5.SYMBOL_FILLING_FOK, mt5.ORDER_FILLING_FOK), (mt5.SYMBOL_FILLING_IOC, mt5.ORDER_FILLING_IOC))
    allowed = [mode for bit, mode in bits if filling_mode & bit]
    rest = [mode for mode in (mt5.ORDER_FILLING_RETURN, mt5.ORDER_FILLING_IOC, mt5.ORDER_FILLING_FOK) if mode not in allowed]
    return (*allowed, *rest)


def round_price(price: float, tick_size: float, digits: int) -> float:
    """Return the nearest multiple of the tick size, with the symbol's digits; 0.0 (no level) stays."""
    if price == 0.0:
        return 0.0
    step = Decimal(repr(tick_size)).quantize(Decimal(1).scaleb(-digits)) if tick_size < 1 else Decimal(repr(tick_size))
    steps = (Decimal(repr(price)) / step).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return float(round(steps * step, digits))


def round_volume(volume: float, volume_min: float, volume_step: float, volume_max: float) -> float:
    """Return the largest allowed volume <= `volume` (never up), clamped to [minimum, maximum]."""
    steps = math.floor((volume - volume_min) / volume_step + 1e-9)
    return min(max(round(volume_min + steps * volume_step, 8), volume_min), volume_max)


def to_request(
    order: OrderRequest, info: Any, tick: Any, filling: int, deviation: int, venue_symbol: str, ticket: int
) -> dict[str, Any]:  # fmt: skip
    """Build the `order_send` request of a market order; `ticket` is the position to close, 0 for an entry."""
    size, digits = _tick_size(info), int(info.digits)
    request: dict[str, Any] = {
        "action": mt5.TRADE_ACTION_DEAL,
        "symbol": venue_symbol,
        "volume": round_volume(float(order.quantity), float(info.volume_min), float(info.volume_step), float(info.volume_max)),
        "type": mt5.ORDER_TYPE_BUY if order.side is Side.BUY else mt5.ORDER_TYPE_SELL,
        "price": float(tick.ask if order.side is Side.BUY else tick.bid),
        "deviation": int(deviation),
        "magic": magic_of(order.strategy, order.client_order_id),
        "comment": comment_of(order.client_order_id),
        "type_time": mt5.ORDER_TIME_GTC,
        "type_filling": int(filling),
    }
    if ticket:
        return {**request, "position": ticket}
    return {
        **request,
        "sl": round_price(float(order.stop_loss), size, digits),
        "tp": round_price(float(order.take_profit), size, digits),
    }


def _tick_size(info: Any) -> float:
    return float(getattr(info, "trade_tick_size", 0.0) or info.point)


def to_contract(info: Any, symbol: str) -> Contract:
    """Translate a SymbolInfo."""
    mode = int(info.trade_mode)
    return Contract(
        symbol=symbol,
        digits=int(info.digits),
        tick_size=_tick_size(info),
        contract_size=float(info.trade_contract_size),
        quantity_min=float(info.volume_min),
        quantity_max=float(info.volume_max),
        quantity_step=float(info.volume_step),
        stops_distance=int(info.trade_stops_level) * float(info.point),
        profit_currency=str(info.currency_profit),
        may_buy=mode in (mt5.SYMBOL_TRADE_MODE_FULL, mt5.SYMBOL_TRADE_MODE_LONGONLY),
        may_sell=mode in (mt5.SYMBOL_TRADE_MODE_FULL, mt5.SYMBOL_TRADE_MODE_SHORTONLY),
    )


def to_account(info: Any, is_simulator: bool) -> Account:
    """Translate an AccountInfo; an account type that is not known stays UNRECOGNIZED."""
    return Account(
        login=str(info.login),
        server=str(info.server),
        currency=str(info.currency),
        kind=AccountKind.SIMULATED if is_simulator else _KINDS.get(int(info.trade_mode), AccountKind.UNRECOGNIZED),
        is_hedging=int(info.margin_mode) == mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING,
        balance=float(info.balance),
        equity=float(info.equity),
        margin_free=float(info.margin_free),
        may_trade=bool(info.trade_allowed) and bool(info.trade_expert),
    )


def to_quote(tick: Any, symbol: str, clock: ServerClock) -> Quote:
    """Translate a Tick or a row of a tick array."""
    stamp = int(tick["time_msc"]) if not hasattr(tick, "time_msc") else int(tick.time_msc)
    bid, ask = (float(tick["bid"]), float(tick["ask"])) if not hasattr(tick, "bid") else (float(tick.bid), float(tick.ask))
    return Quote(symbol, to_datetime(to_utc_us(clock, stamp * 1000)), bid, ask)


def to_past_ticks(rows: Any, clock: ServerClock) -> PastTicks:
    """Translate the array of `copy_ticks_range`; None means no ticks."""
    if rows is None or not len(rows):
        return PastTicks(np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.float64))
    stamps = to_utc_us_in_order(clock, rows["time_msc"].astype(np.int64) * 1000)
    return PastTicks(stamps, rows["bid"].astype(np.float64), rows["ask"].astype(np.float64))


def to_past_bars(rows: Any, clock: ServerClock) -> PastBars:
    """Translate the array of `copy_rates_range`; None means no bars. Unsigned counts are cast before anybody subtracts them."""
    if rows is None or not len(rows):
        whole, nothing = np.empty(0, np.int64), np.empty(0, np.float64)
        return PastBars(whole, nothing, nothing, nothing, nothing, whole)
    return PastBars(
        ts_us=to_utc_us_in_order(clock, rows["time"].astype(np.int64) * 1_000_000),
        open_price=rows["open"].astype(np.float64),
        high_price=rows["high"].astype(np.float64),
        low_price=rows["low"].astype(np.float64),
        close_price=rows["close"].astype(np.float64),
        tick_count=rows["tick_volume"].astype(np.int64),
    )


def to_position(row: Any, symbol: str, clock: ServerClock) -> Position:
    """Translate a TradePosition; the position's id is its `identifier`, which survives netting."""
    return Position(
        position_id=str(row.identifier),
        symbol=symbol,
        side=Side.BUY if int(row.type) == mt5.POSITION_TYPE_BUY else Side.SELL,
        quantity=float(row.volume),
        open_price=float(row.price_open),
        opened_at=to_datetime(to_utc_us(clock, int(row.time_msc) * 1000)),
        stop_loss=float(row.sl),
        take_profit=float(row.tp),
        profit=float(row.profit),
        tag=int(row.magic),
        comment=str(row.comment),
    )


def to_fill(row: Any, symbol: str, clock: ServerClock) -> Fill:
    """Translate a TradeDeal."""
    is_entry = int(row.entry) in (mt5.DEAL_ENTRY_IN, mt5.DEAL_ENTRY_INOUT)
    return Fill(
        deal_id=str(row.ticket),
        venue_order_id=str(row.order),
        position_id=str(row.position_id),
        symbol=symbol,
        side=Side.BUY if int(row.type) == mt5.DEAL_TYPE_BUY else Side.SELL,
        kind=FillKind.ENTRY if is_entry else FillKind.EXIT,
        quantity=float(row.volume),
        price=float(row.price),
        ts_event=to_datetime(to_utc_us(clock, int(row.time_msc) * 1000)),
        profit=float(row.profit),
        commission=float(row.commission) + float(getattr(row, "fee", 0.0)),
        swap=float(row.swap),
        exit_reason=_exit_reason(row),
        tag=int(row.magic),
        comment=str(row.comment),
    )


def _exit_reason(row: Any) -> ExitReason:
    if str(row.comment) == END_OF_DATA_COMMENT:
        return ExitReason.END_OF_DATA
    return _EXIT_REASONS.get(int(row.reason), ExitReason.OTHER)
