"""The leak firewall: features must not know what comes after them.

What belongs here: checks that rerun a kernel on a shortened or poisoned future and compare. What must not: the kernel.
Each check must find a planted leak, else it proves nothing; the tests plant one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tick_assets.domain.kernel import FEATURE_NAMES, Kernel, KernelBatch
from tick_assets.domain.ticks import Float64Array, Int64Array, Ticks

POISON_POINTS = 1_000_000_000
SAMPLING = "sampling_clock"
FIXES = {
    "prefix_invariance": "Compute it from rows up to the event's own; look for a shift, a centred window or a whole-day statistic.",
    "future_poison": "Something after the event reaches it; look for a backward fill, a join on a later stamp or a global scaler.",
}


@dataclass(frozen=True)
class LeakFinding:
    """One feature that changed at one event when only the future did."""

    check: str
    feature: str
    ts_event_us: int
    delta: float
    suggested_fix: str


def find_leaks(
    kernel: Kernel,
    ticks: Ticks,
    price_factor: int,
    seed: int = 0,
    moments: int = 12,
    feature_names: Sequence[str] = FEATURE_NAMES,
) -> list[LeakFinding]:
    """Rerun the kernel without, and with a poisoned, future at random events of one date; return every difference, bit for bit."""
    whole = kernel(ticks, price_factor)
    places = _moments(len(whole.event_row), seed, moments)
    findings: list[LeakFinding] = []
    for place in places:
        row = int(whole.event_row[place])
        ts_event_us = int(ticks.ts_us[row])
        for check, changed in (("prefix_invariance", ticks.take(slice(0, row + 1))), ("future_poison", poison_after(ticks, row))):
            again = kernel(changed, price_factor)
            findings += _differences(check, whole, again, int(place), ts_event_us, feature_names)
    return findings


def poison_after(ticks: Ticks, row: int) -> Ticks:
    """Return the ticks with absurd prices and no sizes after a row; stamps stay."""
    bid, ask = ticks.bid_points.copy(), ticks.ask_points.copy()
    bid_size, ask_size = ticks.bid_size.copy(), ticks.ask_size.copy()
    bid[row + 1 :], ask[row + 1 :] = POISON_POINTS, POISON_POINTS + 1
    bid_size[row + 1 :], ask_size[row + 1 :] = np.nan, np.nan
    return Ticks(ticks.ts_us, bid, ask, bid_size, ask_size)


def _moments(events: int, seed: int, moments: int) -> Int64Array:
    random = np.random.default_rng(seed)
    return np.sort(random.choice(events, size=min(moments, events), replace=False)).astype(np.int64)


def _differences(
    check: str, whole: KernelBatch, again: KernelBatch, place: int, ts_event_us: int, feature_names: Sequence[str]
) -> list[LeakFinding]:
    rows = whole.event_row[: place + 1]
    if len(again.event_row) <= place or not np.array_equal(rows, again.event_row[: place + 1]):
        return [LeakFinding(check, SAMPLING, ts_event_us, float("nan"), FIXES[check])]
    before, after = whole.features[place], again.features[place]
    return [LeakFinding(check, feature_names[i], ts_event_us, float(after[i] - before[i]), FIXES[check]) for i in _unequal(before, after)]


def _unequal(left: Float64Array, right: Float64Array) -> Int64Array:
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    return np.flatnonzero(~same).astype(np.int64)
