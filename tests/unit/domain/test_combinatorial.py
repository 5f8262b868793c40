"""Combinatorial purged cross-validation against counts from the book and a second implementation."""

import numpy as np
import pytest

from tick_assets.domain.combinatorial import combinatorial_folds, path_count, split_count
from tick_assets.domain.splits import count_overlaps

MINUTE_US = 60_000_000


def _labels(count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Labels of 1 to 59 minutes, one event a minute."""
    start = np.arange(count, dtype=np.int64) * MINUTE_US
    return start, start + np.random.default_rng(0).integers(1, 60, count) * MINUTE_US


def test_combinatorial_six_groups_two_of_them_tested_make_15_splits_and_5_paths() -> None:
    start, end = _labels()
    assert (split_count(6, 2), path_count(6, 2)) == (15, 5)
    folds = list(combinatorial_folds(start, end, 6, 2))
    assert len(folds) == 15
    tested = np.bincount(np.concatenate([fold.test for fold in folds]))
    assert set(tested.tolist()) == {5}


def test_combinatorial_counts_agree_with_a_second_implementation() -> None:
    from skfolio.model_selection import CombinatorialPurgedCV

    other = CombinatorialPurgedCV(n_folds=6, n_test_folds=2)
    assert (other.get_n_splits(), other.n_test_paths) == (split_count(6, 2), path_count(6, 2))


def test_combinatorial_folds_leave_no_closed_overlap_where_a_purge_without_labels_leaves_many() -> None:
    start, end = _labels()
    folds = list(combinatorial_folds(start, end, 6, 2, embargo_us=0))
    plain = [np.setdiff1d(np.arange(600), fold.test) for fold in folds]
    assert (
        sum(count_overlaps(start[rows], end[rows], start[fold.test], end[fold.test]) for rows, fold in zip(plain, folds, strict=True)) > 0
    )
    assert sum(count_overlaps(start[fold.train], end[fold.train], start[fold.test], end[fold.test]) for fold in folds) == 0


def test_combinatorial_folds_embargo_what_follows_a_test_group() -> None:
    start = np.arange(60, dtype=np.int64) * MINUTE_US
    folds = list(combinatorial_folds(start, start, 6, 1, embargo_us=5 * MINUTE_US))
    assert folds[0].train.tolist() == list(range(15, 60))


@pytest.mark.parametrize(("groups", "test_groups"), [(6, 0), (6, 6), (700, 2)])
def test_combinatorial_folds_impossible_groups_are_refused(groups: int, test_groups: int) -> None:
    start, end = _labels()
    with pytest.raises(ValueError, match="test groups"):
        list(combinatorial_folds(start, end, groups, test_groups))
