"""Tick history of one symbol, searched by numpy so that idle stretches cost nothing.

What belongs here: the arrays, searches in them, bars from them. What must not: orders, money, server time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TickHistory:
    """Ticks of one symbol in order: microseconds UTC, integer points, sizes in units (NaN when unknown)."""

    ts_us: Int64Array
    bid_points: Int64Array
    ask_points: Int64Array
    bid_size: Float64Array
    ask_size: Float64Array

    def __post_init__(self) -> None:
        columns = (self.ts_us, self.bid_points, self.ask_points, self.bid_size, self.ask_size)
        if len({len(column) for column in columns}) != 1:
            raise ValueError(f"Expected columns of one length, was {[len(column) for column in columns]}.")
        if len(self.ts_us) > 1 and bool(np.any(self.ts_us[1:] < self.ts_us[:-1])):
            raise ValueError("Expected ticks in time order, was out of order. Sort by ts_event and source_row.")

    def __len__(self) -> int:
        return len(self.ts_us)

    def first_at_or_after(self, ts_us: int, start: int = 0) -> int:
        """Return the first row >= start whose stamp is >= ts_us, or the length."""
        return max(start, int(np.searchsorted(self.ts_us, ts_us, side="left")))

    def last_at_or_before(self, ts_us: int) -> int:
        """Return the last row whose stamp is <= ts_us, or -1."""
        return int(np.searchsorted(self.ts_us, ts_us, side="right")) - 1

    def first_exit(self, start: int, end: int, sign: int, stop: int, target: int) -> int:
        """Return the first row in [start, end] where a stop or target of a position triggers, or -1; 0 means no level."""
        price = self.bid_points[start : end + 1] if sign > 0 else self.ask_points[start : end + 1]
        hit = np.zeros(len(price), bool)
        if stop:
            hit |= (price <= stop) if sign > 0 else (price >= stop)
        if target:
            hit |= (price >= target) if sign > 0 else (price <= target)
        place = int(np.argmax(hit)) if len(hit) else 0
        return start + place if len(hit) and bool(hit[place]) else -1

    def first_reach(self, start: int, end: int, *, is_buy: bool, is_limit: bool, level: int) -> int:
        """Return the first row in [start, end] where a pending order triggers, or -1."""
        price = self.ask_points[start : end + 1] if is_buy else self.bid_points[start : end + 1]
        hit = price <= level if is_buy == is_limit else price >= level
        place = int(np.argmax(hit)) if len(hit) else 0
        return start + place if len(hit) and bool(hit[place]) else -1


def empty_history() -> TickHistory:
    """Return a history without ticks."""
    i, f = np.empty(0, np.int64), np.empty(0, np.float64)
    return TickHistory(i, i, i, f, f)


@dataclass(frozen=True)
class Bars:
    """Bars by bid, in the order of their ticks. `time_s` is the opening in server time, which a clock change sets back; `opened_us` is
    the same opening in UTC, ascending."""

    time_s: Int64Array
    opened_us: Int64Array
    open: Int64Array
    high: Int64Array
    low: Int64Array
    close: Int64Array
    ticks: Int64Array
    spread: Int64Array


def bars_of(ts_us: Int64Array, server_us: Int64Array, bid: Int64Array, ask: Int64Array, starts_s: Int64Array) -> Bars:
    """Group ticks into bars; `starts_s[i]` is the opening server second of tick i's bar."""
    if len(ts_us) == 0:
        return Bars(ts_us, ts_us, bid, bid, bid, bid, bid, bid)
    first = np.flatnonzero(np.diff(starts_s, prepend=starts_s[0] - 1))
    last = np.append(first[1:], len(starts_s)) - 1
    return Bars(
        time_s=starts_s[first],
        opened_us=starts_s[first] * 1_000_000 - (server_us - ts_us)[first],
        open=bid[first],
        high=np.maximum.reduceat(bid, first),
        low=np.minimum.reduceat(bid, first),
        close=bid[last],
        ticks=last - first + 1,
        spread=np.minimum.reduceat(ask - bid, first),
    )


def first_row(history: TickHistory, ts_us: int, bid_points: int | None = None, ask_points: int | None = None) -> int:
    """Return the first row of a stamp (with these quotes when given); -1 when there is none."""
    start, end = history.first_at_or_after(ts_us), history.last_at_or_before(ts_us)
    for row in range(start, end + 1):
        same_bid = bid_points is None or int(history.bid_points[row]) == bid_points
        if same_bid and (ask_points is None or int(history.ask_points[row]) == ask_points):
            return row
    return -1
