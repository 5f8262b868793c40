"""Splits in time: whole dates, purge by closed label intervals, embargo, folds and walk-forward windows."""

import numpy as np
import pytest

from tick_assets.domain import splits

DATES = tuple(f"2024-01-{day:02d}" for day in range(8, 18))


@pytest.mark.parametrize(("n", "sizes"), [(10, (6, 2, 2)), (5, (3, 1, 1)), (3, (1, 1, 1)), (20, (12, 4, 4))])
def test_split_dates_sizes(n: int, sizes: tuple[int, int, int]) -> None:
    split = splits.split_dates([f"2024-{1 + i // 28:02d}-{1 + i % 28:02d}" for i in range(n)])
    assert (len(split.train), len(split.validation), len(split.test)) == sizes


def test_split_dates_keeps_time_order() -> None:
    split = splits.split_dates(tuple(reversed(DATES)))
    assert split.train + split.validation + split.test == DATES
    assert split.search == DATES[:8]


def test_split_dates_of_two_leaves_none_for_validation() -> None:
    assert splits.split_dates(DATES[:2]) == splits.DateSplit(DATES[:1], (), DATES[1:2])


def test_split_dates_of_one_is_refused() -> None:
    with pytest.raises(splits.TooFewDates, match="at least 2 trading dates"):
        splits.split_dates(DATES[:1])


def _labels(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    start = np.sort(random.integers(0, 10_000, n)).astype(np.int64)
    return start, start + random.integers(0, 300, n)


@pytest.mark.parametrize("seed", range(5))
def test_meets_any_and_count_overlaps_equal_a_slow_loop(seed: int) -> None:
    start, end = _labels(seed, 80)
    other_start, other_end = _labels(seed + 100, 40)
    pairs = [[s <= f and g <= e for g, f in zip(other_start, other_end, strict=True)] for s, e in zip(start, end, strict=True)]
    assert splits.meets_any(start, end, other_start, other_end).tolist() == [any(row) for row in pairs]
    assert splits.count_overlaps(start, end, other_start, other_end) == sum(map(sum, pairs))


def test_closed_intervals_that_touch_meet() -> None:
    one = np.array([10]), np.array([20])
    assert splits.count_overlaps(*one, np.array([20]), np.array([30])) == 1


@pytest.mark.parametrize(("start", "expected"), [(100, False), (101, True), (150, True), (151, False)])
def test_embargo_covers_what_follows_a_test_label(start: int, expected: bool) -> None:
    assert splits.is_embargoed(np.array([start]), np.array([100]), 50).tolist() == [expected]


def test_purged_folds_have_no_overlap_and_cover_every_event() -> None:
    start, end = _labels(7, 600)
    folds = splits.purged_folds(start, end, embargo_us=50)
    assert np.concatenate([fold.test for fold in folds]).tolist() == list(range(600))
    assert [fold.overlaps for fold in folds] == [0, 0, 0, 0]
    assert all(len(np.intersect1d(fold.train, fold.test)) == 0 for fold in folds)


def test_purged_folds_drop_what_unpurged_ones_leak() -> None:
    start, end = _labels(8, 600)
    fold = splits.purged_folds(start, end, embargo_us=0)[1]
    others = np.setdiff1d(np.arange(600), fold.test)
    assert splits.count_overlaps(start[others], end[others], start[fold.test], end[fold.test]) > 0
    assert len(fold.train) < len(others)


def test_purged_folds_keep_the_embargo() -> None:
    start, end = _labels(9, 600)
    for fold in splits.purged_folds(start, end, embargo_us=500):
        after = start[fold.train][start[fold.train] > start[fold.test].max()]
        assert len(after) == 0 or after.min() > end[fold.test].max() + 500


def test_embargo_is_at_least_the_longest_feature_memory() -> None:
    from tick_assets.domain.kernel import WARM_UP_S

    assert splits.EMBARGO_US >= WARM_UP_S * 1_000_000


def test_walk_forward_windows_roll() -> None:
    windows = splits.walk_forward_windows(DATES, 5)
    assert (windows[0].train[0], windows[0].train[-1], windows[0].test) == (DATES[0], DATES[4], DATES[5])
    assert [w.test for w in windows] == list(DATES[5:])


def test_walk_forward_windows_of_few_dates_shorten_the_fit() -> None:
    assert splits.walk_forward_windows(DATES[:3], 5) == (splits.WalkForwardWindow(DATES[:2], DATES[2]),)
