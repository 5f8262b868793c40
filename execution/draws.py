"""Latency and slippage draws: a counter-based hash of (seed, key), the same formulas as the pipeline's `domain.draws`.

Two copies exist because this package installs alone; a parity test compares them.
"""

from __future__ import annotations

import hashlib
import math
from statistics import NormalDist

from execution.market import ExecutionModel

_NORMAL = NormalDist()


def uniform(seed: int, key: str, purpose: str) -> float:
    """Return a number in [0, 1) that depends on the three arguments alone."""
    digest = hashlib.sha256(f"{seed}|{key}|{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def latency_us(model: ExecutionModel, key: str, purpose: str) -> int:
    """Return a lognormal latency in microseconds, at least one; `purpose` is `entry` or `exit`."""
    share = min(max(uniform(model.seed, key, purpose), 1e-12), 1 - 1e-12)
    return max(1, round(model.latency_median_ms * math.exp(model.latency_sigma * _NORMAL.inv_cdf(share)) * 1000))


def slippage_points(mean_points: float, seed: int, key: str, purpose: str) -> int:
    """Return an adverse slippage in whole points; `purpose` is `entry_slippage` or `exit_slippage`."""
    return math.floor(-math.log(1.0 - uniform(seed, key, purpose)) * mean_points)
