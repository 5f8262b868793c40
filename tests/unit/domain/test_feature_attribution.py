"""TreeSHAP of a whole model: known sizes on a stump, additivity, and a sample that stays the same."""

import numpy as np
import pytest
import xgboost as xgb

from tests.unit.domain.report_values import small_report
from tick_assets.domain.feature_attribution import attribute, rank_correlation, sample_rows


def stump(values: np.ndarray, target: np.ndarray) -> bytes:
    """Return one tree of depth one whose two leaves are -2 and +2 in log-odds, before any shrinking."""
    params = {"objective": "binary:logistic", "base_score": 0.5, "eta": 1.0, "max_depth": 1, "reg_lambda": 0.0, "min_child_weight": 0.0}
    matrix = xgb.DMatrix(values, label=target, feature_names=["signal", "noise"])
    return bytes(xgb.train({**params, "nthread": 1}, matrix, num_boost_round=1).save_raw("json"))


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    signal = np.repeat([-1.0, 1.0], 50)
    return np.column_stack([signal, np.tile([0.25, 0.75], 50)])


def test_attribute_stump_gives_its_leaves(features: np.ndarray) -> None:
    found = attribute(stump(features, (features[:, 0] > 0).astype(float)), features, ["signal", "noise"])
    first, second = found.features
    assert (first.feature, second.feature) == ("signal", "noise")
    assert first.mean_size == pytest.approx(2.0, abs=1e-6)
    assert (first.share, first.direction) == (1.0, pytest.approx(1.0))
    assert (second.mean_size, second.share, second.direction) == (0.0, 0.0, 0.0)
    assert found.bias == pytest.approx(0.0, abs=1e-6)


def test_attribute_falling_feature_has_direction_minus_one(features: np.ndarray) -> None:
    found = attribute(stump(features, (features[:, 0] < 0).astype(float)), features, ["signal", "noise"])
    assert found.features[0].direction == pytest.approx(-1.0)


def test_attribute_trained_model_adds_up_to_its_log_odds() -> None:
    found = small_report().attribution
    assert found is not None
    assert 0.0 <= found.additivity_error <= 1e-5
    assert found.is_additive
    assert sum(row.share for row in found.features) == pytest.approx(1.0)
    assert found.features[0].feature.startswith("quote_imbalance")


def test_attribute_without_events_is_empty(features: np.ndarray) -> None:
    found = attribute(stump(features, (features[:, 0] > 0).astype(float)), features[:0], ["signal", "noise"])
    assert (found.features, found.events) == ((), 0)


def test_sample_rows_are_evenly_spaced_and_keep_both_ends() -> None:
    assert sample_rows(10, 4).tolist() == [0, 3, 6, 9]
    assert sample_rows(3, 4).tolist() == [0, 1, 2]


def test_rank_correlation_leaves_missing_values_out() -> None:
    assert rank_correlation(np.array([1.0, np.nan, 3.0, 2.0]), np.array([10.0, 0.0, 30.0, 20.0])) == pytest.approx(1.0)
    assert rank_correlation(np.array([1.0, 1.0]), np.array([0.0, 1.0])) == 0.0
