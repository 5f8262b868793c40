"""Fractional differences: the binomial series, its cut, and rows with a whole memory only."""

import numpy as np
import pytest

from tick_assets.domain.fractional_difference import ffd_weights, fractionally_differenced


def test_ffd_weights_of_one_half_are_the_binomial_series() -> None:
    assert ffd_weights(0.5, 0.0, 6).tolist() == [1, -0.5, -0.125, -0.0625, -0.0390625, -0.02734375]


@pytest.mark.parametrize(("order", "expected"), [(1.0, [1.0, -1.0]), (2.0, [1.0, -2.0, 1.0]), (0.0, [1.0])])
def test_ffd_weights_of_whole_orders_are_plain_differences(order: float, expected: list[float]) -> None:
    assert ffd_weights(order).tolist() == expected


def test_ffd_weights_end_before_the_first_below_the_tolerance() -> None:
    weights = ffd_weights(0.5, 0.03)
    assert weights.tolist() == [1, -0.5, -0.125, -0.0625, -0.0390625]


def test_fractionally_differenced_of_order_one_is_the_difference() -> None:
    np.testing.assert_allclose(fractionally_differenced(np.array([1.0, 4.0, 9.0]), 1.0), [np.nan, 3.0, 5.0])


def test_fractionally_differenced_row_is_the_weighted_sum_of_what_lies_behind_it() -> None:
    series = np.random.default_rng(0).normal(size=40)
    weights = ffd_weights(0.4, 0.01)
    result = fractionally_differenced(series, 0.4, 0.01)
    assert np.isnan(result[: len(weights) - 1]).all()
    assert result[30] == pytest.approx(sum(weight * series[30 - lag] for lag, weight in enumerate(weights)))


def test_fractionally_differenced_of_a_series_shorter_than_the_memory_is_missing() -> None:
    assert np.isnan(fractionally_differenced(np.ones(3), 0.5, 0.01)).all()
