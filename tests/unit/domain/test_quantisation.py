"""Cuts from a sample: where they lie, and that a booster on them is as good."""

import numpy as np

from tick_assets.domain.quantisation import quantile_points, quantise
from tick_assets.domain.training import BoosterParams, log_loss, predict, train_booster


def test_quantile_points_are_evenly_spaced_order_statistics_without_missing_values() -> None:
    column = np.array([5.0, 1.0, np.nan, 3.0, 2.0, 4.0])
    points = quantile_points(np.column_stack([column, np.full(6, np.nan)]), 3)
    assert points[:, 0].tolist() == [1.0, 3.0, 5.0]
    assert np.isnan(points[:, 1]).all()


def _rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(8)
    features = random.normal(size=(count, 4))
    return features, (features[:, 0] + random.normal(size=count) > 0).astype(np.int8)


def test_quantise_sampled_cuts_lie_within_half_a_bin_of_the_quantiles() -> None:
    features, target = _rows(20_000)
    matrix = quantise(features, target, max_bin=16, cut_rows=4_000)
    pointers, cuts = matrix.get_quantile_cut()
    inner = cuts[pointers[0] : pointers[1]][1:-1]
    shares = np.searchsorted(np.sort(features[:, 0]), inner) / len(features)
    assert len(inner) >= 13
    assert np.abs(shares * 16 - np.rint(shares * 16)).max() < 0.5


def test_quantise_sampled_booster_is_as_good_outside_as_one_on_all_rows() -> None:
    features, target = _rows(30_000)
    losses = []
    for cut_rows in (4_000, 30_000):
        booster = train_booster(quantise(features[:20_000], target[:20_000], max_bin=64, cut_rows=cut_rows), BoosterParams(rounds=30))
        probability = predict(bytes(booster.save_raw("json")), features[20_000:])
        losses.append(log_loss(probability, target[20_000:], np.ones(10_000, np.bool_)))
    assert losses[0] < 0.58
    assert abs(losses[0] - losses[1]) < 0.002


def test_quantise_keeps_feature_names_and_weights() -> None:
    features, target = _rows(500)
    weight = np.linspace(0.5, 1.5, 500)
    matrix = quantise(features, target, weight, max_bin=16, feature_names=("a", "b", "c", "d"), cut_rows=100)
    assert matrix.feature_names == ["a", "b", "c", "d"]
    np.testing.assert_allclose(matrix.get_weight(), weight.astype(np.float32))
