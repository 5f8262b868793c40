"""Combinatorial purged cross-validation: every choice of k test groups among N, purged by label end and embargoed.

What belongs here: the splits and how many paths they make. What must not: models. Source: Lopez de Prado, Advances in Financial Machine
Learning, 12.4. The gate's search uses `splits.purged_folds`; this divides a history into several paths of predictions instead of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb

import numpy as np

from tick_assets.domain.splits import EMBARGO_US, Fold, count_overlaps, purge
from tick_assets.domain.ticks import Int64Array


def split_count(groups: int, test_groups: int) -> int:
    """Return the number of splits, C(N, k)."""
    return comb(groups, test_groups)


def path_count(groups: int, test_groups: int) -> int:
    """Return the number of whole histories that the splits' predictions make, k / N C(N, k): how often each group is a test group."""
    return comb(groups, test_groups) * test_groups // groups


def combinatorial_folds(
    start: Int64Array, end: Int64Array, groups: int = 6, test_groups: int = 2, embargo_us: int = EMBARGO_US
) -> Iterator[Fold]:
    """Yield one fold per choice of test groups of time-ordered events with closed label intervals, none with an overlap."""
    if not 0 < test_groups < groups <= len(start):
        raise ValueError(f"Expected 0 < test groups < groups <= events, was {test_groups}, {groups}, {len(start)}. Widen the window.")
    rows = np.arange(len(start), dtype=np.int64)
    parts = np.array_split(rows, groups)
    for chosen in combinations(range(groups), test_groups):
        test = np.concatenate([parts[i] for i in chosen])
        train = purge(start, end, np.setdiff1d(rows, test, assume_unique=True), test, embargo_us)
        overlaps = count_overlaps(start[train], end[train], start[test], end[test])
        if overlaps:
            raise AssertionError(f"Expected no overlap of train and test labels, was {overlaps}. The purge is broken.")
        yield Fold(train, test, overlaps)
