"""What a model as a whole looks at: exact TreeSHAP over many events, put together per feature.

What belongs here: figures over rows. What must not: one row's explanation (`explanation`), words for people.
XGBoost computes the Shapley values of trees exactly (Lundberg et al. 2020); per event they and the bias sum to the log-odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xgboost as xgb
from scipy.stats import rankdata

from tick_assets.domain.ticks import Float64Array, Int64Array
from tick_assets.domain.training import load_booster

SAMPLED_EVENTS = 5_000
ADDITIVITY_TOLERANCE = 1e-5
"""XGBoost sums in float32; the contributions of an event differ from its log-odds by no more than this."""


@dataclass(frozen=True)
class FeatureAttribution:
    """What one feature adds: the mean size of its contribution to the log-odds that a long is the better side, its share of all
    features' sizes, and `direction`, the rank correlation of value and contribution (+1: higher values always favour LONG)."""

    feature: str
    mean_size: float
    share: float
    direction: float


@dataclass(frozen=True)
class Attribution:
    """All features, the largest first, over `events` sampled ones. `additivity_error` is the largest |bias + contributions - log-odds|."""

    features: tuple[FeatureAttribution, ...]
    events: int
    bias: float
    additivity_error: float

    @property
    def is_additive(self) -> bool:
        """Tell whether the contributions of every event sum to its log-odds."""
        return self.additivity_error <= ADDITIVITY_TOLERANCE


def attribute(model: bytes, features: Float64Array, names: Sequence[str], limit: int = SAMPLED_EVENTS) -> Attribution:
    """Attribute a model's log-odds on events (float64[n, k]); of more than `limit`, evenly spaced ones, the same ones each time."""
    sampled = features[sample_rows(len(features), limit)]
    if not len(sampled):
        return Attribution((), 0, 0.0, 0.0)
    booster, rows = load_booster(model), xgb.DMatrix(sampled, feature_names=list(names), nthread=1)
    parts = np.asarray(booster.predict(rows, pred_contribs=True), np.float64)
    margin = np.asarray(booster.predict(rows, output_margin=True), np.float64)
    sizes = np.abs(parts[:, :-1]).mean(axis=0)
    found = [_attribution(name, sampled[:, i], parts[:, i], float(sizes[i]), float(sizes.sum())) for i, name in enumerate(names)]
    ordered = tuple(sorted(found, key=lambda row: (-row.mean_size, row.feature)))
    return Attribution(ordered, len(sampled), float(parts[0, -1]), float(np.abs(parts.sum(axis=1) - margin).max()))


def sample_rows(count: int, limit: int) -> Int64Array:
    """Return at most `limit` of `count` row numbers, evenly spaced, first and last among them."""
    return np.unique(np.linspace(0, max(0, count - 1), min(count, limit)).astype(np.int64))


def _attribution(name: str, values: Float64Array, contributions: Float64Array, size: float, total: float) -> FeatureAttribution:
    return FeatureAttribution(name, size, size / total if total > 0 else 0.0, rank_correlation(values, contributions))


def rank_correlation(x: Float64Array, y: Float64Array) -> float:
    """Return Spearman's rank correlation of the pairs without NaN; zero where either is constant."""
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 2:
        return 0.0
    a, b = (np.asarray(rankdata(values[known]), np.float64) for values in (x, y))
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0
