"""The simulated broker's books: positions, orders and deals, in integer points and UTC microseconds.

What belongs here: records and money. What must not: when anything fills (`server`), MetaTrader's tuples (`module`).
Profit is not rounded to cents, so that sums agree with the backtest to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from execution.adapters.mt5 import constants as mt5
from execution.market import AccountTerms, SymbolSpec


@dataclass(slots=True)
class BookPosition:
    """An open position; `sign` is +1 or -1, levels are points with 0 for none."""

    ticket: int
    identifier: int
    symbol: str
    sign: int
    volume: float
    open_points: float
    stop_points: int
    target_points: int
    opened_us: int
    updated_us: int
    magic: int
    comment: str
    draw_key: str
    lot_nights: float = 0.0
    swap_from_us: int = 0
    """Swap that is due: lots times nights counted up to `swap_from_us`."""


@dataclass(slots=True)
class BookOrder:
    """An order, pending or done."""

    ticket: int
    symbol: str
    order_type: int
    volume: float
    volume_left: float
    price_points: float
    stop_points: int
    target_points: int
    filling: int
    magic: int
    comment: str
    reason: int
    state: int
    setup_us: int
    done_us: int = 0
    position_id: int = 0
    expiration_us: int = 0
    draw_key: str = ""


@dataclass(frozen=True, slots=True)
class BookDeal:
    """One deal; money is in account currency."""

    ticket: int
    order: int
    ts_us: int
    deal_type: int
    entry: int
    magic: int
    position_id: int
    reason: int
    volume: float
    price_points: float
    commission: float
    profit: float
    symbol: str
    comment: str
    swap: float = 0.0


@dataclass
class Ledger:
    """All books of one account."""

    terms: AccountTerms
    balance: float = 0.0
    positions: dict[int, BookPosition] = field(default_factory=dict)
    pending: dict[int, BookOrder] = field(default_factory=dict)
    orders: list[BookOrder] = field(default_factory=list)
    deals: list[BookDeal] = field(default_factory=list)
    last_ticket: int = 1000

    def next_ticket(self) -> int:
        """Return a number that no order or deal has."""
        self.last_ticket += 1
        return self.last_ticket

    def deposit(self, ts_us: int) -> None:
        """Book the balance deal that opens the account."""
        self.book(BookDeal(
            self.next_ticket(), 0, ts_us, mt5.DEAL_TYPE_BALANCE, mt5.DEAL_ENTRY_IN, 0, 0, mt5.DEAL_REASON_CLIENT,
            0.0, 0.0, 0.0, self.terms.balance, "", "Initial deposit",
        ))  # fmt: skip

    def book(self, deal: BookDeal) -> None:
        """Append a deal and move the balance."""
        self.deals.append(deal)
        self.balance += deal.profit + deal.commission + deal.swap


def profit_in_account(spec: SymbolSpec, currency: str, sign: int, open_points: float, close_points: float, volume: float) -> float:
    """Return gross profit in account currency; a quote currency that is foreign is converted at the closing price."""
    gross = sign * (close_points - open_points) / spec.price_factor * spec.contract_size * volume
    return gross if spec.profit_currency == currency else gross / (close_points / spec.price_factor)


def margin_in_account(spec: SymbolSpec, terms: AccountTerms, volume: float, price_points: float) -> float:
    """Return margin in account currency."""
    base = volume * spec.contract_size / terms.leverage
    return base if spec.base_currency == terms.currency else base * price_points / spec.price_factor
