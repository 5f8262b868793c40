"""Why a model said what it said of one event: what each feature contributed, and what each guard found.

What belongs here: pure figures of one row. What must not: finding the row, words for people.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xgboost as xgb

from tick_assets.domain.signals import Strategy, entry_allowed, view_of
from tick_assets.domain.ticks import Float64Array
from tick_assets.domain.training import is_in_range, load_booster, predict


@dataclass(frozen=True)
class Contribution:
    """What one feature added to the log-odds that a long is the better side."""

    feature: str
    value: float
    contribution: float


@dataclass(frozen=True)
class Guard:
    """One rule that can turn a view into FLAT. `reason` is the code that a signal carries when it does not hold."""

    name: str
    holds: bool
    reason: str
    detail: str


@dataclass(frozen=True)
class Explanation:
    """The parts of one probability: bias and contributions sum to its log-odds. `view` is what all guards together leave."""

    probability: float
    bias: float
    contributions: tuple[Contribution, ...]
    guards: tuple[Guard, ...]
    view: int


def explain(
    model: bytes, features: Float64Array, names: Sequence[str], ranges: Mapping[str, Sequence[float]], strategy: Strategy, ts_event_us: int
) -> Explanation:
    """Explain one row of features (float64[k]), the largest contributions first."""
    probability = float(predict(model, features[None])[0])
    parts = load_booster(model).predict(xgb.DMatrix(features[None], feature_names=list(names), nthread=1), pred_contribs=True)[0]
    rows = (Contribution(name, float(features[i]), float(parts[i])) for i, name in enumerate(names))
    guards = _guards(probability, features, names, ranges, strategy, ts_event_us)
    view = view_of(probability, strategy.threshold) if all(guard.holds for guard in guards) else 0
    ordered = tuple(sorted(rows, key=lambda row: (-abs(row.contribution), row.feature)))
    return Explanation(probability, float(parts[-1]), ordered, guards, view)


def _guards(
    probability: float,
    features: Float64Array,
    names: Sequence[str],
    ranges: Mapping[str, Sequence[float]],
    strategy: Strategy,
    ts_event_us: int,
) -> tuple[Guard, ...]:
    outside = [name for i, name in enumerate(names) if not ranges[name][0] <= features[i] <= ranges[name][1]]
    band = f"{probability:.4f} against {strategy.threshold:g} and {1 - strategy.threshold:g}"
    is_inside = bool(is_in_range(features[None], ranges, names)[0])
    return (
        Guard("view", bool(view_of(probability, strategy.threshold)), "PROBABILITY_INSIDE_BAND", band),
        Guard("feature ranges", is_inside, "FEATURE_OUT_OF_RANGE", ", ".join(outside) or f"all {len(names)} inside"),
        Guard("end of date", entry_allowed(ts_event_us, strategy), "ENTRY_TOO_LATE", f"{strategy.horizon_s} s to live"),
    )


def log_odds(explanation: Explanation) -> float:
    """Return the sum of bias and contributions."""
    return explanation.bias + math.fsum(row.contribution for row in explanation.contributions)


def probability_of(odds: float) -> float:
    """Return the probability of log-odds."""
    return float(1.0 / (1.0 + np.exp(-odds)))
