"""Fractional differences of fixed width: a series made stationary with as much of its memory kept as possible.

What belongs here: the weights and their application. Source: Lopez de Prado, Advances in Financial Machine Learning, 5.5: the binomial
series of (1 - L)^d, cut where a weight falls below a tolerance.
"""

from __future__ import annotations

import numpy as np

from tick_assets.domain.ticks import Float64Array

TOLERANCE = 1e-4
MAX_WIDTH = 10_000


def ffd_weights(order: float, tolerance: float = TOLERANCE, max_width: int = MAX_WIDTH) -> Float64Array:
    """Return w_0 = 1, w_k = -w_(k-1) (d - k + 1) / k, newest first, as long as |w_k| >= tolerance (at most `max_width`)."""
    weights = [1.0]
    while len(weights) < max_width:
        k = len(weights)
        following = -weights[-1] * (order - k + 1) / k
        if abs(following) < tolerance:
            break
        weights.append(following)
    return np.array(weights)


def fractionally_differenced(series: Float64Array, order: float, tolerance: float = TOLERANCE) -> Float64Array:
    """Return the differences; NaN where fewer values lie behind than there are weights, so that no row has a shorter memory."""
    weights = ffd_weights(order, tolerance)
    result = np.full(len(series), np.nan)
    if len(series) >= len(weights):
        result[len(weights) - 1 :] = np.convolve(series, weights, mode="valid")
    return result
