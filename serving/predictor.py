"""The probability of one event from one XGBoost model.

The service holds features as float64; XGBoost compares them as float32. The conversion happens here, once and explicitly, so that
the value compared is the same whichever call predicts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
import xgboost as xgb


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
