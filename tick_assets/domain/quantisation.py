"""Rows as the bins that a histogram booster learns from, and where the cuts between bins come from.

What belongs here: quantising. What must not: which rows (`splits`, `walk_forward`), parameters of boosters (`training`).

XGBoost spends more on finding the cuts of a large matrix than on a small booster: it sketches the quantiles of every row. The quantiles of
a sample are as good: with 32,768 rows a cut is off by less than a third of a bin of 64. The sample is drawn from the very rows that are
fitted, so a cut knows nothing that the booster may not know, and is as recent as they are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from tick_assets.domain.dataset import Int8Array

CUT_ROWS = 32_768
"""Rows that cuts are taken from. Fewer than these are all sketched by XGBoost, and give the very trees that a plain matrix gives."""
POINTS_PER_BIN = 4


def quantise(
    features: npt.NDArray[np.floating],
    target: Int8Array,
    weight: npt.NDArray[np.floating] | None = None,
    *,
    max_bin: int,
    feature_names: tuple[str, ...] | None = None,
    cut_rows: int = CUT_ROWS,
) -> xgb.QuantileDMatrix:
    """Return rows with target and weight as bins; above `cut_rows` rows the cuts are quantiles of so many, drawn by a fixed seed."""
    names = None if feature_names is None else list(feature_names)
    reference = None
    if len(features) > cut_rows:
        # Drawn, not every k-th: one event a minute meets the same minutes of the day again.
        chosen = np.sort(np.random.default_rng(0).choice(len(features), cut_rows, replace=False))
        points = quantile_points(features[chosen], max_bin * POINTS_PER_BIN)
        reference = xgb.QuantileDMatrix(points, np.zeros(len(points)), max_bin=max_bin, nthread=1, feature_names=names)
    return xgb.QuantileDMatrix(features, target, weight=weight, max_bin=max_bin, nthread=1, ref=reference, feature_names=names)


def quantile_points(features: npt.NDArray[np.floating], points: int) -> npt.NDArray[np.floating]:
    """Return each column's evenly spaced order statistics from its smallest to its largest value; missing values are left out."""
    ordered = np.sort(features, axis=0)
    present = np.maximum(1, np.count_nonzero(~np.isnan(ordered), axis=0))
    places = np.rint(np.linspace(0.0, 1.0, points)[:, None] * (present - 1)).astype(np.int64)
    return np.take_along_axis(ordered, places, axis=0)
