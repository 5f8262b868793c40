"""Which predictor a model gets, and that it is proven before it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xgboost as xgb

import serving.predictor
from serving.predictor import BoosterPredictor, FlatTreesPredictor, PredictorError, open_predictor
from serving.testing import train_tiny_model
from tick_assets.domain.flat_trees import FlatTrees, flat_trees
from tick_assets.domain.kernel import FEATURE_NAMES


def model_of(params: Mapping[str, Any]) -> bytes:
    rows = np.random.default_rng(0).normal(size=(200, len(FEATURE_NAMES)))
    return bytes(xgb.train({"nthread": 1, **params}, xgb.DMatrix(rows, rows[:, 0] > 0), 3).save_raw("json"))


def test_tree_model_is_walked_and_agrees_with_the_booster() -> None:
    model, rows = train_tiny_model(1), np.random.default_rng(1).normal(size=(50, len(FEATURE_NAMES)))
    predictor = open_predictor(model)
    assert isinstance(predictor, FlatTreesPredictor)
    assert np.abs(predictor.predict(rows) - BoosterPredictor(model).predict(rows)).max() <= 1e-6


def test_model_that_the_walk_does_not_know_is_predicted_by_the_booster() -> None:
    model = model_of({"objective": "binary:logistic", "booster": "dart"})
    assert isinstance(open_predictor(model), BoosterPredictor)


def test_walk_that_differs_from_the_booster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def off_by_a_little(model_json: bytes) -> FlatTrees:
        trees = flat_trees(model_json)
        return replace(trees, base_margin=np.float32(trees.base_margin + 1e-4))

    monkeypatch.setattr(serving.predictor, "flat_trees", off_by_a_little)
    with pytest.raises(PredictorError, match="Expected the probabilities of the Booster within 1e-06"):
        open_predictor(train_tiny_model(1))
