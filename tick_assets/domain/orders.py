"""From a model's probabilities to the orders of a backtest: views, levels, times and draws, as arrays.

What belongs here: the array form of `signals` and `draws`; tests hold both forms together. What must not: fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tick_assets.domain.backtest import NO_STRESS, Orders, Stress
from tick_assets.domain.dataset import BoolArray, TrainingSet
from tick_assets.domain.draws import latency_us, slippage_points
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.signals import ENTRY_MARGIN_US, Strategy, sigma_scale, signal_id
from tick_assets.domain.ticks import DAY_US, Float64Array, Int64Array

Views = npt.NDArray[np.int8]
VIEW_NAMES = {1: "LONG", -1: "SHORT", 0: "FLAT"}


@dataclass(frozen=True)
class FillDraws:
    """Latency and slippage per event, drawn before any model is chosen or by signal id once there is one."""

    entry_latency_us: Int64Array
    exit_latency_us: Int64Array
    entry_slippage_points: Int64Array
    exit_slippage_points: Int64Array


def views_of(probability: npt.NDArray[np.floating], threshold: float) -> Views:
    """Return `signals.view_of` of each probability; NaN (an event nobody predicted) is FLAT."""
    exact = np.asarray(probability, np.float64)  # a float32 probability must meet the same float64 threshold as a single one does
    long, short = exact >= threshold, exact <= 1.0 - threshold
    return (long.astype(np.int8) - (short & ~long).astype(np.int8)).astype(np.int8)


def entries_allowed(ts_event_us: Int64Array, strategy: Strategy) -> BoolArray:
    """Return `signals.entry_allowed` of each event."""
    next_midnight = (ts_event_us // DAY_US + 1) * DAY_US
    return np.asarray(ts_event_us + strategy.horizon_s * 1_000_000 + ENTRY_MARGIN_US < next_midnight)


def draw_fills(keys: Sequence[str], instrument: Instrument, market: Market) -> FillDraws:
    """Draw delays and slippage for each key."""
    mean, seed = instrument.slippage_mean_points, market.seed
    return FillDraws(
        np.array([latency_us(market, key, "entry") for key in keys], np.int64),
        np.array([latency_us(market, key, "exit") for key in keys], np.int64),
        np.array([slippage_points(mean, seed, key, "entry_slippage") for key in keys], np.int64),
        np.array([slippage_points(mean, seed, key, "exit_slippage") for key in keys], np.int64),
    )


def signal_keys(events: TrainingSet, views: Views, model_sha256: str, strategy: Strategy) -> list[str]:
    """Return the draw key of each event under a registered model: its signal id."""
    pairs = zip(events.event_id, views, strict=True)
    return [signal_id(model_sha256, events.symbol, strategy.name, event, VIEW_NAMES[int(view)]) for event, view in pairs]


def orders_from_views(events: TrainingSet, views: Views, draws: FillDraws, strategy: Strategy, stress: Stress = NO_STRESS) -> Orders:
    """Return the orders that a strategy sends for its views; levels stand on the quotes it would see under the stress."""
    stop, target = _levels(events, views, strategy, stress)
    return Orders(
        date_index=events.date_index,
        row=events.event_row,
        side=np.where(entries_allowed(events.ts_event_us, strategy), views, 0).astype(np.int8),
        stop_points=stop,
        target_points=target,
        exit_at_us=events.ts_event_us + strategy.horizon_s * 1_000_000,
        entry_latency_us=draws.entry_latency_us,
        exit_latency_us=draws.exit_latency_us,
        entry_slippage_points=draws.entry_slippage_points,
        exit_slippage_points=draws.exit_slippage_points,
    )


def _levels(
    events: TrainingSet, views: Views, strategy: Strategy, stress: Stress
) -> tuple[Int64Array | Float64Array, Int64Array | Float64Array]:
    bid = np.concatenate([day.bid_points[_rows_on(events, d)] for d, day in enumerate(events.ticks)])
    ask = np.concatenate([day.ask_points[_rows_on(events, d)] for d, day in enumerate(events.ticks)])
    anchor: Int64Array | Float64Array = np.where(views > 0, bid, ask)
    if stress.spread_multiple != 1.0:
        anchor = anchor - np.where(views > 0, 1, -1) * (stress.spread_multiple - 1.0) * (ask - bid) / 2.0
    scale = sigma_scale(strategy)
    stop = np.maximum(1, np.rint(strategy.stop_sigmas * events.sigma_points * scale)).astype(np.int64)
    target = np.maximum(1, np.rint(strategy.target_sigmas * events.sigma_points * scale)).astype(np.int64)
    side = views.astype(np.int64)
    return anchor - side * stop, anchor + side * target


def _rows_on(events: TrainingSet, date_place: int) -> Int64Array:
    first, last = np.searchsorted(events.date_index, [date_place, date_place + 1])
    return events.event_row[first:last]
