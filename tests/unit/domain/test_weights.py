"""Weights: AFML's numbers, and what holds for every set of labels."""

from collections.abc import Callable

import numpy as np
import pytest

from tick_assets.domain import training, weights
from tick_assets.domain.dataset import TrainingSet

Build = Callable[[float, int, int], TrainingSet]
START, END = np.array([0, 2, 4]), np.array([2, 3, 5])
"""The labels of AFML 4.5.3, closed intervals of bars."""


def test_uniqueness_of_the_book_is_as_printed() -> None:
    np.testing.assert_allclose(weights.average_uniqueness(START, END), [5 / 6, 3 / 4, 1.0], rtol=1e-15)


def test_second_draw_of_the_book_is_as_printed() -> None:
    np.testing.assert_allclose(weights.draw_probabilities(START, END, np.array([1])), [5 / 14, 3 / 14, 6 / 14], rtol=1e-15)


def test_first_draw_is_uniform_and_a_label_drawn_twice_counts_twice() -> None:
    none, twice = np.array([], np.int64), np.array([1, 1])
    np.testing.assert_allclose(weights.draw_probabilities(START, END, none), [1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_allclose(weights.draw_probabilities(START, END, twice), np.array([7 / 9, 1 / 3, 1.0]) / (19 / 9))


def test_uniqueness_equals_the_count_at_every_instant() -> None:
    random = np.random.default_rng(3)
    start = np.sort(random.integers(0, 400, 60))
    end = start + random.integers(0, 40, 60)
    alive = np.array([[s <= t <= e for t in range(441)] for s, e in zip(start, end, strict=True)])
    expected = [float(np.mean(1.0 / alive.sum(axis=0)[row])) for row in alive]
    np.testing.assert_allclose(weights.average_uniqueness(start, end), expected, rtol=1e-12)


def test_sample_weights_have_a_mean_of_one_and_keep_the_order() -> None:
    made = weights.sample_weights(START, END)
    assert made.mean() == pytest.approx(1.0, abs=1e-15)
    np.testing.assert_allclose(made / made[2], [5 / 6, 3 / 4, 1.0])
    assert len(weights.sample_weights(START[:0], END[:0])) == 0


def test_uniqueness_label_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="was 1 that end before"):
        weights.average_uniqueness(np.array([5]), np.array([4]))


def test_training_matrix_weighs_its_own_rows_only(build_events: Build) -> None:
    events = build_events(2.0, 0, 3)
    rows = np.flatnonzero(events.is_labelled)[::7]
    expected = weights.sample_weights(events.ts_event_us[rows], events.ts_label_end_us[rows])
    np.testing.assert_allclose(training.training_matrix(events, rows).get_weight(), expected, rtol=1e-6)
    assert len(training.matrix(events, rows).get_weight()) == 0


def test_fit_final_learns_less_from_labels_that_share_their_time(build_events: Build) -> None:
    events = build_events(2.0, 0, 3)
    rows = np.flatnonzero(events.is_labelled)
    weighed = bytes(training.train_booster(training.training_matrix(events, rows), training.BoosterParams(rounds=5)).save_raw("json"))
    plain = bytes(training.train_booster(training.matrix(events, rows), training.BoosterParams(rounds=5)).save_raw("json"))
    assert training.fit_final(events, training.BoosterParams(rounds=5)) == weighed
    assert weighed != plain
