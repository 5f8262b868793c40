"""The ports that the trader owns: the terminal, the signal service and the passing of time.

What must not live here: an implementation. Fakes and adapters name their port in their docstring.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from execution.history import PastBars, PastTicks
from execution.orders import (
    Account,
    Contract,
    Fill,
    OrderReport,
    OrderRequest,
    Position,
    Quote,
    QuoteCursor,
    TerminalHealth,
)
from execution.signals import Signal


class TerminalUnavailableError(ConnectionError):
    """The terminal can't be asked now. Says nothing about an order: those have an Outcome."""


class TerminalPort(ABC):
    """A trading terminal in market words; times are aware UTC. Queries raise `TerminalUnavailableError`."""

    @abstractmethod
    def connect(self) -> None:
        """Connect, and check that the terminal is on the configured account."""

    @abstractmethod
    def disconnect(self) -> None:
        """Let go of the terminal."""

    @abstractmethod
    def health(self) -> TerminalHealth:
        """Tell whether orders can go out."""

    @abstractmethod
    def account(self) -> Account:
        """Return the account as it is now."""

    @abstractmethod
    def contract(self, symbol: str) -> Contract:
        """Return how a symbol trades; an unknown one is a `LookupError`."""

    @abstractmethod
    def quote(self, symbol: str) -> Quote | None:
        """Return the latest quote, or None when there was none yet."""

    @abstractmethod
    def quotes_after(self, symbol: str, cursor: QuoteCursor, limit: int) -> tuple[list[Quote], QuoteCursor]:
        """Return quotes after a cursor, in order, and the cursor behind them."""

    @abstractmethod
    def ticks_between(self, symbol: str, start_us: int, end_us: int) -> PastTicks:
        """Return the ticks that the terminal has of start <= stamp < end, microseconds UTC, in its order."""

    @abstractmethod
    def minute_bars_between(self, symbol: str, start_us: int, end_us: int) -> PastBars:
        """Return the terminal's own minute bars that open at start <= stamp < end, microseconds UTC."""

    @abstractmethod
    def positions(self, symbol: str = "") -> list[Position]:
        """Return open positions, of one symbol or all."""

    @abstractmethod
    def fills_of(self, position_id: str) -> list[Fill]:
        """Return every fill of a position, in order."""

    @abstractmethod
    def submit(self, order: OrderRequest) -> OrderReport:
        """Send an order once. Never raises for what may have reached the venue: that is UNKNOWN."""

    @abstractmethod
    def find(self, order: OrderRequest, since_us: int) -> list[Fill | Position]:
        """Return what the venue's books hold of an order that was sent since then: its opening fills or position."""

    @abstractmethod
    def is_waiting(self, order: OrderRequest, since_us: int) -> bool:
        """Tell whether the venue still holds the order without a fill."""

    @abstractmethod
    def trading_day(self, ts_us: int) -> str:
        """Return the broker's own date of a moment, ISO."""


class SignalService(ABC):
    """The signal service as execution sees it."""

    @abstractmethod
    def post_ticks(self, quotes: Sequence[Quote]) -> list[Signal]:
        """Post quotes and return the signals that they caused, in order."""

    @abstractmethod
    def report(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Hand over order events."""


class ServiceUnavailableError(ConnectionError):
    """The signal service did not answer, or not with success."""


@dataclass(frozen=True)
class Mark:
    """A place in a symbol's quotes: a stamp, and the row where rows are known (-1 where they are not)."""

    ts_us: int
    row: int = -1


class Pacer(ABC):
    """How time passes between the quotes that the engine has seen and the terminal's clock."""

    @abstractmethod
    def now_us(self) -> int:
        """Return the present, in microseconds UTC."""

    @abstractmethod
    def mark_of_quote(self, symbol: str, ts_us: int, bid_price: float, ask_price: float) -> Mark:
        """Return the place of the quote that caused a signal."""

    @abstractmethod
    def mark_of_exit(self, symbol: str, exit_at_us: int) -> Mark | None:
        """Return the place of the first quote at or after an exit time, not before the present; None when there is none yet."""

    @abstractmethod
    def advance(self, symbol: str, mark: Mark) -> None:
        """Let time pass up to a place."""

    @abstractmethod
    def advance_to(self, ts_us: int) -> None:
        """Let time pass up to a moment, all quotes of that stamp included."""

    @abstractmethod
    def mark_busy(self, symbol: str) -> None:
        """Note that an order of this symbol has kept the terminal busy until now."""

    @abstractmethod
    def was_busy_at(self, symbol: str, mark: Mark) -> bool:
        """Tell whether an order of this symbol was in flight at a place."""
