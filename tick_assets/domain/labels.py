"""Labels: what a trade decided at each event would have earned, long and short, at bid and ask with latency and costs.

What belongs here: the triple barrier over the clean ticks of one date (AFML 3.3 with MetaTrader's execution by bid and ask).
What must not: the fill rules (`fills`) or money (`costs`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from tick_assets.domain.costs import net_return_bps
from tick_assets.domain.fills import fill_trade
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.signals import Strategy, entry_allowed, exit_at_us, levels
from tick_assets.domain.ticks import Float64Array, Int64Array, Ticks

LABEL_SET = "triple_barrier_v1"
"""The labels of the default barriers; other ones have names of their own, see `label_set_of`."""


def label_set_of(strategy: Strategy) -> str:
    """Return the name of the labels that a strategy's horizon and barriers give."""
    rule, usual = ((each.horizon_s, each.stop_sigmas, each.target_sigmas) for each in (strategy, Strategy()))
    return LABEL_SET if rule == usual else f"{LABEL_SET}_h{rule[0]}_s{rule[1]:g}_t{rule[2]:g}"


@dataclass(frozen=True)
class LabelBatch:
    """Labels of those events that could be traded; `event[m]` indexes the events given.

    `label` is +1 when the long earned more than its costs, -1 when the short did (the better one if both), else 0;
    `net_return_bps` is the better side's. `ts_label_end_us` is the later of the two exits.
    """

    event: Int64Array
    ts_label_end_us: Int64Array
    label: npt.NDArray[np.int8]
    net_return_bps: Float64Array
    long_net_bps: Float64Array
    short_net_bps: Float64Array


@nb.njit(cache=True, nogil=True)
def _fill_all(ts_us, bid, ask, rows, side, stops, targets, exits_us, latency_us, quote_wait_us, filled):  # type: ignore[no-untyped-def]
    """Fill (entry_row, exit_row, entry_points, exit_points) of one side of every event."""
    for i in range(len(rows)):
        entry, leave, entry_points, exit_points, _ = fill_trade(
            ts_us, bid, ask, rows[i], side, stops[i], targets[i], exits_us[i], latency_us, latency_us, 0, 0, quote_wait_us
        )
        filled[i, 0], filled[i, 1], filled[i, 2], filled[i, 3] = entry, leave, entry_points, exit_points


def label_events(
    ticks: Ticks, event_row: Int64Array, sigma_points: Float64Array, instrument: Instrument, market: Market, strategy: Strategy
) -> LabelBatch:
    """Label events of one date. `ticks` are the clean ones, `event_row[m]` rows of them; latency is the market's median, slippage none.

    An event that can't be traded (too late in the date, no quote to fill at, stops crossed at the fill) gets no label.
    """
    tradable = np.array([entry_allowed(int(ticks.ts_us[row]), strategy) for row in event_row], bool)
    events = np.flatnonzero(tradable)
    rows = event_row[events]
    exits = np.array([exit_at_us(int(ticks.ts_us[row]), strategy) for row in rows], np.int64)
    long = _fill_side(1, ticks, rows, sigma_points[events], exits, market, strategy)
    short = _fill_side(-1, ticks, rows, sigma_points[events], exits, market, strategy)
    both = (long[:, 0] >= 0) & (short[:, 0] >= 0)
    long, short = long[both], short[both]
    long_bps = net_return_bps(instrument, market, 1, long[:, 2], long[:, 3])
    short_bps = net_return_bps(instrument, market, -1, short[:, 2], short[:, 3])
    better = np.maximum(long_bps, short_bps)
    label = np.where(better <= 0, 0, np.where(long_bps >= short_bps, 1, -1)).astype(np.int8)
    ends = ticks.ts_us[np.maximum(long[:, 1], short[:, 1])]
    return LabelBatch(events[both], ends, label, better, long_bps, short_bps)


def _fill_side(
    side: int, ticks: Ticks, rows: Int64Array, sigma_points: Float64Array, exits: Int64Array, market: Market, strategy: Strategy
) -> Int64Array:
    barriers = [
        levels(side, int(ticks.bid_points[row]), int(ticks.ask_points[row]), float(sigma), strategy)
        for row, sigma in zip(rows, sigma_points, strict=True)
    ]
    stops, targets = (np.array(column, np.int64) for column in zip(*barriers, strict=True)) if barriers else (rows, rows)
    filled = np.full((len(rows), 4), -1, np.int64)
    latency = round(market.latency_median_ms * 1000)
    _fill_all(*ticks.columns[:3], rows, side, stops, targets, exits, latency, market.quote_wait_ms * 1000, filled)
    return filled
