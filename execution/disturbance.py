"""The same signals in a rougher market: other delays and slippage, wider spreads, refused, requoted and lost orders, all from one seed.

What belongs here: which signal and which minute meets what, by the counter-based hash of (seed, key). What must not: what the
difference is worth (the pipeline's `domain.attribution`), fill rules (`adapters/mt5/simulator/server`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from execution.adapters.mt5.simulator.faults import Fault, FaultKind
from execution.adapters.mt5.simulator.history import TickHistory
from execution.draws import uniform
from execution.market import MarketFile
from execution.simulate import SimulatedRun, SimulatedSignal, TickColumns, simulate_symbol

LOST = "LOST_ON_THE_WAY"
_MINUTE_US = 60_000_000
_REQUOTES_MAX = 4
"""As many as the desk sends one entry: an order that is requoted so often is given up."""


@dataclass(frozen=True)
class Disturbance:
    """How rough the market is; shares are probabilities. `seed` replaces the market file's in every draw."""

    seed: int
    wide_minute_share: float = 0.10
    wide_multiple: float = 2.0
    reject_share: float = 0.03
    requote_share: float = 0.05
    lost_share: float = 0.02


@dataclass(frozen=True)
class DisturbedRun:
    """A disturbed date: the quotes that it was traded on, and what it came to; lost signals are among `run.denied`."""

    ticks: TickHistory
    run: SimulatedRun


def simulate_disturbed(
    market: MarketFile, symbol: str, ticks: TickColumns, signals: Sequence[SimulatedSignal], disturbance: Disturbance,
    strategy: str = "direction",
) -> DisturbedRun:  # fmt: skip
    """Trade one date's signals of one symbol on the simulated terminal under a disturbance."""
    wide = widened(ticks, disturbance)
    lost = {signal.signal_id for signal in signals if _meets(disturbance, signal.signal_id, "lost", disturbance.lost_share)}
    arrived = [signal for signal in signals if signal.signal_id not in lost]
    run = simulate_symbol(disturbed_market(market, disturbance), symbol, wide, arrived, strategy, entry_faults(arrived, disturbance))
    return DisturbedRun(wide, replace(run, denied={**run.denied, **dict.fromkeys(sorted(lost), LOST)}))


def disturbed_market(market: MarketFile, disturbance: Disturbance) -> MarketFile:
    """Return the market file with the disturbance's seed, so that latency and slippage are drawn anew."""
    return replace(market, execution=replace(market.execution, seed=disturbance.seed))


def widened(ticks: TickColumns, disturbance: Disturbance) -> TickHistory:
    """Return the quotes with the spread multiplied about the mid in the minutes that the seed chooses; an odd point goes to the ask."""
    minutes, places = np.unique(ticks.ts_us // _MINUTE_US, return_inverse=True)
    chosen = np.array([_meets(disturbance, str(minute), "wide", disturbance.wide_minute_share) for minute in minutes], np.bool_)
    spread = ticks.ask_points - ticks.bid_points
    added = np.where(chosen[places], np.rint((disturbance.wide_multiple - 1.0) * spread), 0).astype(np.int64)
    below = added // 2
    return TickHistory(ticks.ts_us, ticks.bid_points - below, ticks.ask_points + added - below, ticks.bid_size, ticks.ask_size)


def entry_faults(signals: Sequence[SimulatedSignal], disturbance: Disturbance) -> Mapping[str, Sequence[Fault]]:
    """Return what the venue answers to the first sends of the entries that the seed chooses: one rejection, or one to four requotes."""
    found: dict[str, Sequence[Fault]] = {}
    for signal in signals:
        key = signal.signal_id
        if _meets(disturbance, key, "reject", disturbance.reject_share):
            found[key] = (Fault(FaultKind.REJECT),)
        elif _meets(disturbance, key, "requote", disturbance.requote_share):
            found[key] = (Fault(FaultKind.REQUOTE),) * (1 + int(uniform(disturbance.seed, key, "requotes") * _REQUOTES_MAX))
    return found


def _meets(disturbance: Disturbance, key: str, purpose: str, share: float) -> bool:
    return uniform(disturbance.seed, key, purpose) < share
