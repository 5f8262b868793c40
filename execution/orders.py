"""The trader's value types: quotes, orders, positions, fills and what came of an order, in market words and UTC.

What belongs here: frozen values. What must not: MetaTrader's words (`adapters/mt5`), wire formats (`signals`), rules (`risk`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_datetime(ts_us: int) -> datetime:
    """Return the aware UTC datetime of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=ts_us)


def to_us(moment: datetime) -> int:
    """Return microseconds since 1970 UTC of an aware datetime."""
    if moment.tzinfo is None:
        raise ValueError(f"Expected a datetime with a time zone, was {moment!r}. Pass UTC.")
    return (moment - EPOCH) // timedelta(microseconds=1)


class Side(StrEnum):
    """What an order does."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class Outcome(StrEnum):
    """What is known after an order was sent. RETRYABLE is a definitive rejection that a fresh price can cure."""

    FILLED = "FILLED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PLACED = "PLACED"
    UNCHANGED = "UNCHANGED"
    POSITION_CLOSED = "POSITION_CLOSED"
    REJECTED = "REJECTED"
    RETRYABLE = "RETRYABLE"
    UNKNOWN = "UNKNOWN"

    @property
    def is_accepted(self) -> bool:
        return self in (Outcome.FILLED, Outcome.PARTIALLY_FILLED, Outcome.PLACED, Outcome.UNCHANGED)


class AccountKind(StrEnum):
    """Which money an account holds. SIMULATED is the in-process terminal alone."""

    SIMULATED = "SIMULATED"
    DEMO = "DEMO"
    CONTEST = "CONTEST"
    LIVE = "LIVE"
    UNRECOGNIZED = "UNRECOGNIZED"


@dataclass(frozen=True, slots=True)
class Quote:
    """One tick. Sizes are in units, NaN when the terminal gives none."""

    symbol: str
    ts_event: datetime
    bid_price: float
    ask_price: float
    bid_size: float = float("nan")
    ask_size: float = float("nan")


@dataclass(frozen=True, slots=True)
class QuoteCursor:
    """Where a reader of quotes stands: the last stamp seen and how many quotes of that stamp."""

    ts_event: datetime
    seen_at_stamp: int


@dataclass(frozen=True)
class Account:
    """The account that orders would go to, as the terminal says now."""

    login: str
    server: str
    currency: str
    kind: AccountKind
    is_hedging: bool
    balance: float
    equity: float
    margin_free: float
    may_trade: bool


@dataclass(frozen=True)
class TerminalHealth:
    """Whether orders can go out now; `reason` names the first obstacle, else it is empty."""

    is_connected: bool
    may_trade: bool
    reason: str


@dataclass(frozen=True)
class Contract:
    """How one symbol trades: prices are multiples of `tick_size`, quantities (lots) of `quantity_step`."""

    symbol: str
    digits: int
    tick_size: float
    contract_size: float
    quantity_min: float
    quantity_max: float
    quantity_step: float
    stops_distance: float
    profit_currency: str
    may_buy: bool
    may_sell: bool


@dataclass(frozen=True)
class OrderRequest:
    """A market order. `client_order_id` is ours (the signal id); `position_id` makes it a close of that position."""

    client_order_id: str
    strategy: str
    symbol: str
    side: Side
    quantity: float
    stop_loss: float = 0.0
    take_profit: float = 0.0
    position_id: str = ""


@dataclass(frozen=True)
class OrderReport:
    """What came back for an order; `reason` is a code such as `PRICE_OFF`, `venue_code` the venue's number."""

    outcome: Outcome
    reason: str
    venue_code: int = 0
    venue_order_id: str = ""
    venue_deal_id: str = ""
    price: float = 0.0
    quantity: float = 0.0
    message: str = ""
    position_id: str = ""


@dataclass(frozen=True)
class Position:
    """An open position. `position_id` stays the same for its life."""

    position_id: str
    symbol: str
    side: Side
    quantity: float
    open_price: float
    opened_at: datetime
    stop_loss: float
    take_profit: float
    profit: float
    tag: int
    comment: str


class FillKind(StrEnum):
    """Whether a fill opened or closed."""

    ENTRY = "ENTRY"
    EXIT = "EXIT"


class ExitReason(StrEnum):
    """Why a position ended."""

    STOP = "STOP"
    TARGET = "TARGET"
    TIME = "TIME"
    END_OF_DATA = "END_OF_DATA"
    STOP_OUT = "STOP_OUT"
    OTHER = "OTHER"


@dataclass(frozen=True)
class Fill:
    """One deal of the venue. Money is in account currency; `commission` is negative when paid."""

    deal_id: str
    venue_order_id: str
    position_id: str
    symbol: str
    side: Side
    kind: FillKind
    quantity: float
    price: float
    ts_event: datetime
    profit: float
    commission: float
    swap: float
    exit_reason: ExitReason
    tag: int
    comment: str
