"""What a model's probability means: ids, view, protective levels and the life of a position.

What belongs here: rules that backtest and service share. What must not: prices of fills (`fills`) or sizes of orders (execution's).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tick_assets.domain.instruments import Instrument
from tick_assets.domain.kernel import HORIZON_S, SAMPLING_CLOCK
from tick_assets.domain.ticks import DAY_US

ENTRY_MARGIN_US = 60_000_000
"""An entry whose `exit_at` lies closer than this to the end of its date is refused: no position crosses a date."""


@dataclass(frozen=True)
class Strategy:
    """Parameters of one strategy; they travel in the model's passport."""

    name: str = "direction"
    horizon_s: int = 300
    stop_sigmas: float = 3.0
    target_sigmas: float = 3.0
    threshold: float = 0.55
    max_position: float = 0.10
    valid_ms: int = 5_000


def strategy_of(instrument: Instrument, name: str = "direction") -> Strategy:
    """Return the strategy of a symbol: its horizon and barriers are those of the market file."""
    rule = instrument.sampling
    return Strategy(name, rule.horizon_s, rule.stop_sigmas, rule.target_sigmas)


def event_id(symbol: str, date_iso: str, seq: int, clock: str = SAMPLING_CLOCK) -> str:
    """Return the id of a sampled event."""
    return hashlib.sha256(f"{symbol}|{date_iso}|{seq}|{clock}".encode()).hexdigest()


def signal_id(model_sha256: str, symbol: str, strategy: str, event: str, view: str) -> str:
    """Return the id of what one model says about one event; `view` is LONG, SHORT or FLAT (or names a close)."""
    return hashlib.sha256(f"{model_sha256}|{symbol}|{strategy}|{event}|{view}".encode()).hexdigest()


def features_sha256(features: npt.NDArray[np.float64]) -> str:
    """Return the hash of one feature row as little-endian float64."""
    return hashlib.sha256(np.ascontiguousarray(features, dtype="<f8").tobytes()).hexdigest()


def view_of(probability: float, threshold: float) -> int:
    """Return +1 (LONG) at or above the threshold, -1 (SHORT) at or below its mirror, else 0 (FLAT)."""
    if probability >= threshold:
        return 1
    return -1 if probability <= 1.0 - threshold else 0


def sigma_scale(strategy: Strategy) -> float:
    """Return what the kernel's sigma is multiplied with to be one over the strategy's own horizon: the root of time."""
    return math.sqrt(strategy.horizon_s / HORIZON_S)


def levels(view: int, bid_points: int, ask_points: int, sigma_points: float, strategy: Strategy) -> tuple[int, int]:
    """Return (stop, target) in points: a long measures from the bid, a short from the ask, at least one point away.

    `sigma_points` is the kernel's, over HORIZON_S.
    """
    scale = sigma_scale(strategy)
    stop = max(1, round(strategy.stop_sigmas * sigma_points * scale))
    target = max(1, round(strategy.target_sigmas * sigma_points * scale))
    anchor = bid_points if view > 0 else ask_points
    return int(anchor - view * stop), int(anchor + view * target)


def exit_at_us(ts_event_us: int, strategy: Strategy) -> int:
    """Return when a position opened on this event is closed, whatever the market does."""
    return ts_event_us + strategy.horizon_s * 1_000_000


def entry_allowed(ts_event_us: int, strategy: Strategy) -> bool:
    """Tell whether a position opened on this event ends well inside its UTC date."""
    return exit_at_us(ts_event_us, strategy) + ENTRY_MARGIN_US < (ts_event_us // DAY_US + 1) * DAY_US
