"""A model that passed every check of `model_bundle`, as the service uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.predictor import Predictor
from tick_assets.domain.signals import Strategy

LIVE, SHADOW, REPLAY = "live", "shadow", "replay"


@dataclass(frozen=True)
class ServedModel:
    """One model and its passport; `low` and `high` are each feature's range in training."""

    symbol: str
    strategy: Strategy
    version: str
    model_id: str
    sha256: str
    passport_id: str
    is_synthetic: bool
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    predictor: Predictor
    passport: Mapping[str, Any]
    loaded_at_us: int

    @property
    def verdict(self) -> Mapping[str, Any]:
        verdict = self.passport["payload"]["verdict"]
        return verdict if isinstance(verdict, Mapping) else {}

    def is_in_range(self, features: npt.NDArray[np.float64]) -> bool:
        """Tell whether every feature is finite and lies within its training range."""
        return bool(np.all((features >= self.low) & (features <= self.high)))


@dataclass(frozen=True)
class ModelSlot:
    """A model and the mode in which it speaks."""

    mode: str
    model: ServedModel
