"""How far events have moved from those that a model was fitted on: PSI and Kolmogorov-Smirnov per feature.

What belongs here: figures of two samples, and the usual bounds. What must not: where the samples come from, or stopping a model.

    PSI  population stability index: sum over bins of (new - old) ln(new / old), where bins are the old sample's tenths (Siddiqi 2006).
         Below .1 stable, below .25 moderate, from there on strong: a convention of credit scoring, not a test.
    KS   largest distance of the two distribution functions (`scipy.stats.ks_2samp`). Its p-value supposes independent events; neighbours
         in time are not, so it is a figure here and never an alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import ks_2samp

from tick_assets.domain.ticks import Float64Array

BINS = 10
MODERATE_PSI, STRONG_PSI = 0.1, 0.25
CHANCE_PSI = MODERATE_PSI / 2
"""Two samples of one market differ by (bins - 1)(1/n + 1/m) on average; where that is more than this, PSI says nothing."""
LEAST_SHARE = 1e-4
"""A bin that one of the samples leaves empty counts as this share, so that its term stays finite."""
STABLE, MODERATE, STRONG, TOO_FEW = "stable", "moderate", "strong", "too few events"


@dataclass(frozen=True)
class FeatureDrift:
    """One feature: `word` is stable, moderate, strong, or says that there are too few events to tell."""

    feature: str
    psi: float
    ks: float
    ks_p_value: float
    reference_median: float
    new_median: float
    missing_share: float
    word: str


@dataclass(frozen=True)
class Drift:
    """All features, the largest PSI first, with the sizes of both samples and the PSI that chance alone is expected to show."""

    features: tuple[FeatureDrift, ...]
    reference_events: int
    new_events: int
    chance_psi: float

    @property
    def alarms(self) -> tuple[str, ...]:
        """The features that drifted strongly."""
        return tuple(row.feature for row in self.features if row.word == STRONG)

    @property
    def worst(self) -> str:
        """The strongest word of all features."""
        words = {row.word for row in self.features}
        return next((word for word in (STRONG, MODERATE, STABLE) if word in words), TOO_FEW)


def measure_drift(reference: Float64Array, new: Float64Array, names: Sequence[str]) -> Drift:
    """Compare features (float64[n, k]) of new events with those that the model was fitted on (float64[m, k])."""
    if reference.shape[1] != len(names) or new.shape[1] != len(names):
        raise ValueError(f"Expected {len(names)} features, was {reference.shape[1]} and {new.shape[1]}. Compare events of one feature set.")
    chance = expected_psi(len(reference), len(new))
    rows = [_feature_drift(name, reference[:, i], new[:, i], chance) for i, name in enumerate(names)]
    return Drift(tuple(sorted(rows, key=lambda row: (-row.psi, row.feature))), len(reference), len(new), chance)


def expected_psi(reference_events: int, new_events: int, bins: int = BINS) -> float:
    """Return the PSI that two samples of the same distribution show on average; infinite without events."""
    if not reference_events or not new_events:
        return float("inf")
    return (bins - 1) * (1.0 / reference_events + 1.0 / new_events)


def psi(reference: Float64Array, new: Float64Array, bins: int = BINS) -> float:
    """Return the population stability index of two samples; missing values (NaN) are one more bin."""
    known = reference[np.isfinite(reference)]
    if not len(known) or not len(new):
        return 0.0
    edges = np.unique(np.quantile(known, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    return psi_of_shares(_shares(reference, edges), _shares(new, edges))


def psi_of_shares(reference: Float64Array, new: Float64Array) -> float:
    """Return the index of the shares that two samples have in each bin."""
    old_share, new_share = np.maximum(reference, LEAST_SHARE), np.maximum(new, LEAST_SHARE)
    return float(np.sum((new_share - old_share) * np.log(new_share / old_share)))


def _shares(values: Float64Array, edges: Float64Array) -> Float64Array:
    """Return the share of values in each bin (edge belongs to the lower bin), that of the missing ones last."""
    known = np.isfinite(values)
    counts = np.bincount(np.searchsorted(edges, values[known], side="left"), minlength=len(edges) + 1)
    return np.append(counts, np.sum(~known)) / len(values)


def _feature_drift(name: str, reference: Float64Array, new: Float64Array, chance: float) -> FeatureDrift:
    old_known, new_known = reference[np.isfinite(reference)], new[np.isfinite(new)]
    distance, p_value = _distance(old_known, new_known)
    index = psi(reference, new)
    missing = 1.0 - len(new_known) / len(new) if len(new) else 0.0
    return FeatureDrift(name, index, distance, p_value, _median(old_known), _median(new_known), missing, word_of(index, chance))


def _median(values: Float64Array) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _distance(reference: Float64Array, new: Float64Array) -> tuple[float, float]:
    if not len(reference) or not len(new):
        return 0.0, 1.0
    found = ks_2samp(reference, new, method="asymp")
    return float(found.statistic), float(found.pvalue)


def word_of(index: float, chance: float = 0.0) -> str:
    """Return the word of a PSI by the usual bounds, unless chance alone could have made it."""
    if chance > CHANCE_PSI:
        return TOO_FEW
    return STABLE if index < MODERATE_PSI else MODERATE if index < STRONG_PSI else STRONG
