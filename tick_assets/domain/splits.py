"""How events are divided in time: train, validation and test, purged folds and walk-forward windows.

What belongs here: dates, intervals, purge and embargo. What must not: models or money.
Labels live on closed intervals [event, label end]; two events overlap when their intervals share even one instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tick_assets.domain.dataset import BoolArray
from tick_assets.domain.ticks import Int64Array

EMBARGO_US = 900_000_000
"""The longest memory of a feature: an event this close behind a test label still sees ticks of that label."""
FOLDS = 4


class TooFewDates(ValueError):
    """The window has too few trading dates to be divided."""


@dataclass(frozen=True)
class DateSplit:
    """Whole dates in time order; nothing of `test` may be seen before the one opening of the test set."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def search(self) -> tuple[str, ...]:
        """The dates that the search may see: train and validation."""
        return self.train + self.validation


@dataclass(frozen=True)
class Fold:
    """Event rows of one purged fold."""

    train: Int64Array
    test: Int64Array
    overlaps: int


@dataclass(frozen=True)
class WalkForwardWindow:
    """One refit: fit on `train`, trade `test`."""

    train: tuple[str, ...]
    test: str


def split_dates(dates: Sequence[str], validation_share: float = 0.2, test_share: float = 0.2) -> DateSplit:
    """Divide trading dates by time, 60/20/20 unless told, at least one date each; `TooFewDates` below two.

    Two dates leave none for validation: folds of the one before the test stand in, and the gate on trades decides.
    """
    ordered = sorted(set(dates))
    if len(ordered) < 2:
        raise TooFewDates(f"Expected at least 2 trading dates, to learn from and to test on, was {len(ordered)}. Widen the window.")
    test = max(1, round(len(ordered) * test_share))
    validation = min(max(1, round(len(ordered) * validation_share)), len(ordered) - test - 1)
    train = len(ordered) - validation - test
    return DateSplit(tuple(ordered[:train]), tuple(ordered[train : train + validation]), tuple(ordered[train + validation :]))


def meets_any(start: Int64Array, end: Int64Array, other_start: Int64Array, other_end: Int64Array) -> BoolArray:
    """Tell for each closed interval whether it meets any of the others."""
    if len(other_start) == 0:
        return np.zeros(len(start), dtype=np.bool_)
    order = np.argsort(other_start, kind="stable")
    latest_end = np.maximum.accumulate(other_end[order])
    begun = np.searchsorted(other_start[order], end, side="right")
    return np.asarray((begun > 0) & (latest_end[np.maximum(begun, 1) - 1] >= start))


def is_embargoed(start: Int64Array, test_end: Int64Array, embargo_us: int) -> BoolArray:
    """Tell for each start whether a test label ended before it, but not longer ago than the embargo."""
    ends = np.sort(test_end)
    return np.asarray(np.searchsorted(ends, start, side="left") > np.searchsorted(ends, start - embargo_us, side="left"))


def count_overlaps(start: Int64Array, end: Int64Array, other_start: Int64Array, other_end: Int64Array) -> int:
    """Count the pairs of closed intervals that meet, one from each side."""
    begun = np.searchsorted(np.sort(other_start), end, side="right")
    over = np.searchsorted(np.sort(other_end), start, side="left")
    return int(np.sum(begun - over))


def purge(start: Int64Array, end: Int64Array, train: Int64Array, test: Int64Array, embargo_us: int = EMBARGO_US) -> Int64Array:
    """Return the train rows whose label meets no test label and that no embargo covers."""
    keep = ~meets_any(start[train], end[train], start[test], end[test]) & ~is_embargoed(start[train], end[test], embargo_us)
    return train[keep]


def purged_folds(start: Int64Array, end: Int64Array, folds: int = FOLDS, embargo_us: int = EMBARGO_US) -> tuple[Fold, ...]:
    """Divide time-ordered events into contiguous folds; each trains on the rest, purged and embargoed, without one overlap."""
    if len(start) < 2 * folds:
        raise TooFewDates(f"Expected at least {2 * folds} events for {folds} folds, was {len(start)}. Widen the window.")
    rows = np.arange(len(start), dtype=np.int64)
    return tuple(_fold(start, end, rows, test, embargo_us) for test in np.array_split(rows, folds))


def _fold(start: Int64Array, end: Int64Array, rows: Int64Array, test: Int64Array, embargo_us: int) -> Fold:
    train = purge(start, end, np.setdiff1d(rows, test, assume_unique=True), test, embargo_us)
    overlaps = count_overlaps(start[train], end[train], start[test], end[test])
    if overlaps:
        raise AssertionError(f"Expected no overlap of train and test labels, was {overlaps}. The purge is broken.")
    return Fold(train, test, overlaps)


def walk_forward_windows(dates: Sequence[str], train_days: int) -> tuple[WalkForwardWindow, ...]:
    """Roll over trading dates: `train_days` to fit, the next one to trade; too few dates shorten the fit, never the honesty."""
    ordered, days = _ordered(dates, train_days)
    return tuple(WalkForwardWindow(tuple(ordered[i - days : i]), ordered[i]) for i in range(days, len(ordered)))


def anchored_windows(dates: Sequence[str], train_days: int) -> tuple[WalkForwardWindow, ...]:
    """Grow over trading dates: all so far to fit, `train_days` at least, the next one to trade; the same test dates as rolling windows."""
    ordered, days = _ordered(dates, train_days)
    return tuple(WalkForwardWindow(tuple(ordered[:i]), ordered[i]) for i in range(days, len(ordered)))


def _ordered(dates: Sequence[str], train_days: int) -> tuple[list[str], int]:
    ordered = sorted(set(dates))
    if len(ordered) < 2:
        raise TooFewDates(f"Expected at least 2 trading dates for walk-forward windows, was {len(ordered)}. Widen the window.")
    return ordered, min(train_days, len(ordered) - 1)
