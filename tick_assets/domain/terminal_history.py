"""What a terminal has of a date against what the lakehouse has: ticks one by one, minute bars one by one.

What belongs here: pure comparison and our own minute bars by bid. What must not: asking a terminal, or server time; both sides come in UTC.

A terminal keeps milliseconds, so our stamps are compared at theirs. A tick is known by its stamp and its rank among the ticks of that
stamp: a missing one is then one mismatch, not a shift of all later ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tick_assets.domain.ticks import Float64Array, Int64Array, Ticks

MINUTE_US = 60_000_000
POINT_TOLERANCE = 1e-3
"""Two prices are one when they differ by less than this, in points: floats of one decimal may differ in their last bit."""
_RANKS = 1 << 20


class TicksOfTerminal(Protocol):
    """Past ticks of a terminal: microseconds UTC and prices."""

    @property
    def ts_us(self) -> Int64Array: ...
    @property
    def bid_price(self) -> Float64Array: ...
    @property
    def ask_price(self) -> Float64Array: ...


class BarsOfTerminal(Protocol):
    """Minute bars of a terminal by bid: the opening in microseconds UTC, prices, number of ticks."""

    @property
    def ts_us(self) -> Int64Array: ...
    @property
    def open_price(self) -> Float64Array: ...
    @property
    def high_price(self) -> Float64Array: ...
    @property
    def low_price(self) -> Float64Array: ...
    @property
    def close_price(self) -> Float64Array: ...
    @property
    def tick_count(self) -> Int64Array: ...


@dataclass(frozen=True)
class MinuteBars:
    """Our minute bars by bid, in points: minutes without a tick have none."""

    ts_us: Int64Array
    open_points: Int64Array
    high_points: Int64Array
    low_points: Int64Array
    close_points: Int64Array
    tick_count: Int64Array


@dataclass(frozen=True)
class HistoryComparison:
    """One date, both sides. Stamps are microseconds UTC, -1 without ticks; differences are the largest, in points.

    `ticks_missing` and `bars_missing` are ours alone, `ticks_extra` and `bars_extra` the terminal's alone.
    """

    date: str
    ticks: int
    terminal_ticks: int
    ticks_missing: int
    ticks_extra: int
    prices_differing: int
    price_difference_points: float
    first_ts_us: int
    terminal_first_ts_us: int
    last_ts_us: int
    terminal_last_ts_us: int
    bars: int
    terminal_bars: int
    bars_missing: int
    bars_extra: int
    bars_differing: int
    bar_difference_points: float

    @property
    def mismatches(self) -> int:
        """Count the ticks and bars that are not the same on both sides."""
        ticks = self.ticks_missing + self.ticks_extra + self.prices_differing
        return ticks + self.bars_missing + self.bars_extra + self.bars_differing

    @property
    def has_same_ticks(self) -> bool:
        """Tell whether both sides have the same ticks, so that a row means the same on either."""
        return self.ticks_missing == self.ticks_extra == self.prices_differing == 0

    def to_row(self) -> dict[str, Any]:
        """Return plain values for a table row."""
        return {**asdict(self), "mismatches": self.mismatches}


def bid_minute_bars(ticks: Ticks) -> MinuteBars:
    """Build minute bars by bid from ticks in time order: open, high, low, close and the number of ticks."""
    minutes = ticks.ts_us // MINUTE_US
    first = np.flatnonzero(np.diff(minutes, prepend=-1))
    if not len(first):
        return MinuteBars(*(np.empty(0, np.int64) for _ in range(6)))
    bid, last = ticks.bid_points, np.append(first[1:], len(minutes)) - 1
    high, low = np.maximum.reduceat(bid, first), np.minimum.reduceat(bid, first)
    return MinuteBars(minutes[first] * MINUTE_US, bid[first], high, low, bid[last], last - first + 1)


def compare_history(date: str, ticks: Ticks, terminal: TicksOfTerminal, bars: BarsOfTerminal, price_factor: int) -> HistoryComparison:
    """Compare a date's clean ticks, and the minute bars made of them, with a terminal's; prices are points / price_factor."""
    ours, theirs = _shared(_ranked(ticks.ts_us), _ranked(terminal.ts_us))
    sides = ((ticks.bid_points, terminal.bid_price), (ticks.ask_points, terminal.ask_price))
    differences = _largest([np.abs(price[theirs] * price_factor - points[ours]) for points, price in sides], len(ours))
    made = bid_minute_bars(ticks)
    kept, found = _shared(made.ts_us, bars.ts_us)
    bar_differences = _bar_differences(made, bars, kept, found, price_factor)
    is_other_count = made.tick_count[kept] != bars.tick_count[found]
    return HistoryComparison(
        date=date,
        ticks=len(ticks),
        terminal_ticks=len(terminal.ts_us),
        ticks_missing=len(ticks) - len(ours),
        ticks_extra=len(terminal.ts_us) - len(theirs),
        prices_differing=int(np.sum(differences > POINT_TOLERANCE)),
        price_difference_points=_to_points(differences),
        first_ts_us=_at(ticks.ts_us, 0),
        terminal_first_ts_us=_at(terminal.ts_us, 0),
        last_ts_us=_at(ticks.ts_us, -1),
        terminal_last_ts_us=_at(terminal.ts_us, -1),
        bars=len(made.ts_us),
        terminal_bars=len(bars.ts_us),
        bars_missing=len(made.ts_us) - len(kept),
        bars_extra=len(bars.ts_us) - len(found),
        bars_differing=int(np.sum((bar_differences > POINT_TOLERANCE) | is_other_count)),
        bar_difference_points=_to_points(bar_differences),
    )


def _ranked(ts_us: Int64Array) -> Int64Array:
    """Return each tick's identity: its millisecond, and its rank among the ticks of that millisecond in their order."""
    stamps = ts_us // 1000
    order = np.argsort(stamps, kind="stable")
    ordered = stamps[order]
    ranks = np.empty(len(stamps), np.int64)
    ranks[order] = np.arange(len(stamps)) - np.searchsorted(ordered, ordered, side="left")
    return np.asarray(stamps * _RANKS + ranks, np.int64)


def _shared(ours: Int64Array, theirs: Int64Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the rows of either side whose key the other has too, pairwise."""
    _, left, right = np.intersect1d(ours, theirs, return_indices=True)
    return left, right


def _bar_differences(
    made: MinuteBars, bars: BarsOfTerminal, kept: npt.NDArray[np.intp], found: npt.NDArray[np.intp], price_factor: int
) -> Float64Array:
    prices = (bars.open_price, bars.high_price, bars.low_price, bars.close_price)
    points = (made.open_points, made.high_points, made.low_points, made.close_points)
    pairs = zip(points, prices, strict=True)
    return _largest([np.abs(price[found] * price_factor - point[kept]) for point, price in pairs], len(kept))


def _largest(differences: Sequence[Float64Array], size: int) -> Float64Array:
    return np.max(differences, axis=0) if size else np.empty(0, np.float64)


def _to_points(differences: Float64Array) -> float:
    """Return the largest difference; what floats of one decimal differ by is none."""
    largest = float(differences.max()) if len(differences) else 0.0
    return largest if largest > POINT_TOLERANCE else 0.0


def _at(stamps: Int64Array, place: int) -> int:
    return int(stamps[place]) if len(stamps) else -1


def history_figures(days: Sequence[HistoryComparison]) -> Mapping[str, Any]:
    """Return the figures of several dates together."""
    return {
        "history_dates": len(days),
        "history_ticks": sum(day.ticks for day in days),
        "history_terminal_ticks": sum(day.terminal_ticks for day in days),
        "history_bars": sum(day.bars for day in days),
        "history_terminal_bars": sum(day.terminal_bars for day in days),
        "history_price_difference_points": max((day.price_difference_points for day in days), default=0.0),
        "history_bar_difference_points": max((day.bar_difference_points for day in days), default=0.0),
        "history_mismatches": sum(day.mismatches for day in days),
    }
