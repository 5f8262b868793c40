"""The probability of one event from one XGBoost model.

The service holds features as float64; XGBoost compares them as float32. The conversion happens here, once and explicitly, so that
the value compared is the same whichever call predicts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from tick_assets.domain.flat_trees import FlatTrees, UnknownModelError, flat_trees, probes

TOLERANCE = 1e-6
"""The largest difference between the probabilities of two ways to predict the same row."""


class PredictorError(ValueError):
    """Two ways to predict the same rows do not agree; neither is trusted."""


class Predictor(ABC):
    """Turns feature rows into probabilities that the long side is the better one."""

    @abstractmethod
    def predict(self, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return m probabilities of m rows (float64[m, k])."""


class BoosterPredictor(Predictor):
    """The Booster itself, by `inplace_predict`."""

    def __init__(self, model_json: bytes) -> None:
        self._booster = xgb.Booster({"nthread": 1})
        self._booster.load_model(bytearray(model_json))

    def predict(self, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        rows = np.ascontiguousarray(features, dtype=np.float32)
        return np.asarray(self._booster.inplace_predict(rows, validate_features=False), dtype=np.float64)


class FlatTreesPredictor(Predictor):
    """The model's own trees in compiled code: for one row some twenty times faster than the Booster."""

    def __init__(self, trees: FlatTrees) -> None:
        self._trees = trees

    def predict(self, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return self._trees.predict(features)


def open_predictor(model_json: bytes) -> Predictor:
    """Return the fastest predictor that knows the model in full, proven against the Booster on rows at its own thresholds.

    A model that the compiled walk does not know is predicted by the Booster; a difference beyond TOLERANCE is a `PredictorError`.
    """
    booster = BoosterPredictor(model_json)
    try:
        trees = flat_trees(model_json)
    except UnknownModelError:
        return booster
    rows = probes(trees)
    difference = float(np.max(np.abs(trees.predict(rows) - booster.predict(rows))))
    if not difference <= TOLERANCE:
        raise PredictorError(f"Expected the probabilities of the Booster within {TOLERANCE}, was {difference:g} off. Report this model.")
    return FlatTreesPredictor(trees)
