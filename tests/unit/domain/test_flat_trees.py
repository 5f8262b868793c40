"""The compiled walk says what the Booster says, missing values included, and refuses what it does not know."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from tick_assets.domain.flat_trees import FlatTrees, UnknownModelError, flat_trees, probes

FEATURES = 7


def rows_with_gaps(count: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return rows of which a tenth of the values are missing."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, FEATURES))
    rows[random.random(rows.shape) < 0.1] = np.nan
    return rows


def trained(rounds: int = 40, **params: Any) -> xgb.Booster:
    rows = rows_with_gaps(600, 1)
    target = (np.nan_to_num(rows[:, 0]) * np.nan_to_num(rows[:, 1], nan=1.0) + np.isnan(rows[:, 2]) > 0.2).astype(int)
    asked = {"objective": "binary:logistic", "max_depth": 5, "nthread": 1, "seed": 0, **params}
    return xgb.train(asked, xgb.DMatrix(rows, target), rounds)


def of(booster: xgb.Booster) -> FlatTrees:
    return flat_trees(bytes(booster.save_raw("json")))


PARAMS: tuple[dict[str, Any], ...] = (
    {},
    {"base_score": 0.13},
    {"grow_policy": "lossguide", "max_leaves": 11, "max_depth": 0, "tree_method": "hist"},
    {"num_parallel_tree": 3, "subsample": 0.5},
    {"gamma": 2.0, "tree_method": "exact"},
    {"eta": 4.0, "min_child_weight": 0.0, "reg_lambda": 0.0},
)


@pytest.mark.parametrize("params", PARAMS)
def test_walk_of_rows_with_missing_values_agrees_with_the_booster(params: dict[str, Any]) -> None:
    booster, rows = trained(**params), rows_with_gaps(2000, 2)
    expected = booster.inplace_predict(rows.astype(np.float32), validate_features=False)
    assert np.abs(of(booster).predict(rows) - expected).max() <= 1e-6


def test_walk_of_rows_on_the_thresholds_agrees_with_the_booster() -> None:
    booster = trained()
    rows = probes(of(booster), 500)
    assert np.abs(of(booster).predict(rows) - booster.inplace_predict(rows.astype(np.float32), validate_features=False)).max() <= 1e-6
    assert np.isnan(rows).any()


def test_value_on_a_threshold_goes_to_the_second_child_and_a_missing_one_to_the_default() -> None:
    booster = xgb.train(
        {"objective": "binary:logistic", "max_depth": 1, "base_score": 0.5, "eta": 1.0, "reg_lambda": 0.0, "min_child_weight": 0.0},
        xgb.DMatrix(np.array([[1.0], [1.0], [3.0], [3.0], [np.nan], [np.nan]]), np.array([0, 0, 1, 0, 1, 0])),
        1,
    )
    (root, *_) = of(booster).nodes
    below, on, missing = of(booster).predict(np.array([[np.nextafter(root["threshold"], np.float32(-9))], [root["threshold"]], [np.nan]]))
    assert below < on == missing


def test_missing_values_change_the_probability() -> None:
    trees, row = of(trained()), np.zeros((1, FEATURES))
    gap = row.copy()
    gap[0, 2] = np.nan
    assert trees.predict(row) != trees.predict(gap)


def test_model_without_a_round_gives_its_base_score() -> None:
    assert of(trained(0, base_score=0.3)).predict(np.zeros((2, FEATURES))) == pytest.approx([0.3, 0.3], abs=1e-7)


def test_walk_of_no_rows_is_empty() -> None:
    assert of(trained(2)).predict(np.empty((0, FEATURES))).shape == (0,)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="Expected rows of 7 features, was shape"):
        of(trained(2)).predict(np.zeros((1, FEATURES + 1)))


@pytest.mark.parametrize(
    ("params", "rounds"),
    [({"booster": "dart"}, 2), ({"objective": "reg:squarederror"}, 2), ({"booster": "gblinear"}, 2), ({"objective": "binary:hinge"}, 2)],
)
def test_model_of_another_kind_is_refused(params: dict[str, Any], rounds: int) -> None:
    asked = params if params.get("booster") != "gblinear" else {**params, "max_depth": 0}
    with pytest.raises(UnknownModelError, match="Predict with the Booster"):
        of(trained(rounds, **asked))


def test_splits_by_category_are_refused() -> None:
    random = np.random.default_rng(3)
    rows = np.column_stack([random.integers(0, 4, 300), random.normal(size=300)]).astype(np.float64)
    matrix = xgb.DMatrix(rows, (rows[:, 0] == 2).astype(int), feature_types=["c", "q"], enable_categorical=True)
    booster = xgb.train({"objective": "binary:logistic", "tree_method": "hist", "max_cat_to_onehot": 1, "nthread": 1}, matrix, 2)
    with pytest.raises(UnknownModelError, match="was a split by category"):
        of(booster)


def test_binary_model_is_refused() -> None:
    with pytest.raises(UnknownModelError, match="Expected a model as JSON"):
        flat_trees(bytes(trained(2).save_raw("ubj")))


@pytest.mark.parametrize(("name", "value"), [("left_children", 0), ("split_indices", FEATURES)])
def test_tree_that_is_none_is_refused(name: str, value: int) -> None:
    document = json.loads(trained(1).save_raw("json"))
    document["learner"]["gradient_booster"]["model"]["trees"][0][name][0] = value
    with pytest.raises(UnknownModelError):
        flat_trees(json.dumps(document).encode())
