"""The tick backtest: orders over clean ticks to trades, one position at a time.

What belongs here: the engine, stress of quotes and delays, trades and their hourly profit. What must not: which way to trade
(`orders`), fill rules (`fills`), contract arithmetic (`costs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from tick_assets.domain.costs import net_pnl_account, net_return_bps, notional_account, swap_account
from tick_assets.domain.fills import fill_trade, first_at_or_after
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.rollovers import rollovers
from tick_assets.domain.ticks import Float64Array, Int64Array, Ticks

HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Stress:
    """A harsher market: quotes widened about their mid, slower orders, worse fills, dearer commission."""

    spread_multiple: float = 1.0
    latency_multiple: float = 1.0
    extra_slippage_points: int = 0
    commission_multiple: float = 1.0


NO_STRESS = Stress()


@dataclass(frozen=True)
class Orders:
    """What a strategy would send, one row per event in time order; `side` 0 sends nothing. Levels are points of the stressed quotes."""

    date_index: npt.NDArray[np.int32]
    row: Int64Array
    side: npt.NDArray[np.int8]
    stop_points: npt.NDArray[np.int64] | Float64Array
    target_points: npt.NDArray[np.int64] | Float64Array
    exit_at_us: Int64Array
    entry_latency_us: Int64Array
    exit_latency_us: Int64Array
    entry_slippage_points: Int64Array
    exit_slippage_points: Int64Array

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Trades:
    """Filled trades in time order. `event_index` is the row of the order; `reason` indexes `fills.EXIT_REASONS`."""

    event_index: Int64Array
    date_index: npt.NDArray[np.int32]
    side: npt.NDArray[np.int8]
    entry_row: Int64Array
    exit_row: Int64Array
    entry_ts_us: Int64Array
    exit_ts_us: Int64Array
    entry_points: Float64Array
    exit_points: Float64Array
    reason: npt.NDArray[np.int8]
    net_pnl_account: Float64Array
    net_bps: Float64Array

    def __len__(self) -> int:
        return len(self.event_index)

    def take(self, rows: npt.NDArray[np.bool_] | Int64Array) -> Trades:
        """Return the chosen trades."""
        return Trades(*(getattr(self, field.name)[rows] for field in fields(self)))


@nb.njit(cache=True, nogil=True)
def run_orders(  # type: ignore[no-untyped-def]  # numba infers
    ts_us, bid, ask, row, side, stop, target, exit_at_us, entry_latency_us, exit_latency_us, entry_slip, exit_slip, quote_wait_us
):
    """Run the orders of one date. Returns order index, entry row, exit row, entry, exit (points) and reason per order that was sent;
    an order is skipped while an earlier one is in flight or its position is open. Unfilled ones have entry row -1."""
    m = len(row)
    index, entry_row, exit_row = np.empty(m, np.int64), np.empty(m, np.int64), np.empty(m, np.int64)
    entry_points, exit_points = np.empty(m, np.float64), np.empty(m, np.float64)
    reason = np.empty(m, np.int8)
    sent = 0
    free_row = 0
    for i in range(m):
        if side[i] == 0 or row[i] < free_row:
            continue
        entered, left, paid, received, why = fill_trade(
            ts_us, bid, ask, row[i], side[i], stop[i], target[i], exit_at_us[i],
            entry_latency_us[i], exit_latency_us[i], entry_slip[i], exit_slip[i], quote_wait_us,
        )  # fmt: skip
        index[sent], entry_row[sent], exit_row[sent], reason[sent] = i, entered, left, why
        entry_points[sent], exit_points[sent] = paid, received
        sent += 1
        free_row = left if entered >= 0 else first_at_or_after(ts_us, row[i], ts_us[row[i]] + entry_latency_us[i])
    return index[:sent], entry_row[:sent], exit_row[:sent], entry_points[:sent], exit_points[:sent], reason[:sent]


def stressed_quotes(ticks: Ticks, spread_multiple: float) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return bid and ask in points with the spread multiplied about the mid; integers when nothing changes."""
    if spread_multiple == 1.0:
        return ticks.bid_points, ticks.ask_points
    added = (spread_multiple - 1.0) * (ticks.ask_points - ticks.bid_points) / 2.0
    return ticks.bid_points - added, ticks.ask_points + added


def backtest(
    ticks: Sequence[Ticks], orders: Orders, instrument: Instrument, market: Market, lots: float, stress: Stress = NO_STRESS
) -> Trades:
    """Run orders over several dates of one symbol and value the trades in account currency for `lots`.

    Swap of a position over the broker's midnight is charged where the market file says so (`charges_swap`).
    """
    instrument = _charged(instrument, stress)
    bounds = np.searchsorted(orders.date_index, np.arange(len(ticks) + 1))
    days = [
        _run_date(ticks[d], orders, slice(int(bounds[d]), int(bounds[d + 1])), market, stress)
        for d in range(len(ticks))
        if bounds[d + 1] > bounds[d]
    ]
    index, entry_row, exit_row, entry, exit_, reason, entry_ts, exit_ts = _joined(days)
    side = orders.side[index]
    net, net_bps = net_pnl_account(instrument, market, side, entry, exit_, lots), net_return_bps(instrument, market, side, entry, exit_)
    if market.account.charges_swap and len(index):
        nights = _nights(instrument, market, entry_ts, exit_ts)
        net = net + swap_account(instrument, market, side, nights, exit_, lots)
        swap = swap_account(instrument, market, side, nights, exit_, 1.0)
        net_bps = net_bps + swap / notional_account(instrument, market, entry, 1.0) * 1e4
    return Trades(
        event_index=index,
        date_index=orders.date_index[index],
        side=side,
        entry_row=entry_row,
        exit_row=exit_row,
        entry_ts_us=entry_ts,
        exit_ts_us=exit_ts,
        entry_points=entry,
        exit_points=exit_,
        reason=reason,
        net_pnl_account=net,
        net_bps=net_bps,
    )


def _charged(instrument: Instrument, stress: Stress) -> Instrument:
    if stress.commission_multiple == 1.0:
        return instrument
    return replace(instrument, commission_per_lot_side=instrument.commission_per_lot_side * stress.commission_multiple)


def _nights(instrument: Instrument, market: Market, entry_ts_us: Int64Array, exit_ts_us: Int64Array) -> Int64Array:
    found = rollovers(market.server_clock, int(entry_ts_us.min()), int(exit_ts_us.max()))
    return found.nights_held(instrument.triple_swap_weekday, entry_ts_us, exit_ts_us)


def _run_date(ticks: Ticks, orders: Orders, rows: slice, market: Market, stress: Stress) -> tuple[npt.NDArray[Any], ...]:
    bid, ask = stressed_quotes(ticks, stress.spread_multiple)
    index, entry_row, exit_row, entry, exit_, reason = run_orders(
        ticks.ts_us,
        bid,
        ask,
        orders.row[rows],
        orders.side[rows],
        orders.stop_points[rows],
        orders.target_points[rows],
        orders.exit_at_us[rows],
        delayed(orders.entry_latency_us[rows], stress),
        delayed(orders.exit_latency_us[rows], stress),
        orders.entry_slippage_points[rows] + stress.extra_slippage_points,
        orders.exit_slippage_points[rows] + stress.extra_slippage_points,
        np.int64(market.quote_wait_ms * 1000),
    )
    filled = entry_row >= 0
    entry_row, exit_row = entry_row[filled], exit_row[filled]
    columns = (index[filled] + rows.start, entry_row, exit_row, entry[filled], exit_[filled], reason[filled])
    return (*columns, ticks.ts_us[entry_row], ticks.ts_us[exit_row])


def delayed(latency_us: Int64Array, stress: Stress) -> Int64Array:
    """Return latencies under a stress, in whole microseconds."""
    if stress.latency_multiple == 1.0:
        return latency_us
    return np.asarray(np.maximum(1, np.rint(latency_us * stress.latency_multiple)), np.int64)


def _joined(days: Sequence[tuple[npt.NDArray[Any], ...]]) -> tuple[npt.NDArray[Any], ...]:
    types = (np.int64, np.int64, np.int64, np.float64, np.float64, np.int8, np.int64, np.int64)
    return tuple(np.concatenate([np.empty(0, kind), *(day[i] for day in days)]).astype(kind) for i, kind in enumerate(types))


def open_hours(ticks: Sequence[Ticks]) -> Int64Array:
    """Return the hours that have ticks, as hours since 1970, in order: the market-open hours that a profit series counts."""
    hours = [day.ts_us // HOUR_US for day in ticks if len(day)]
    return np.unique(np.concatenate([h[np.flatnonzero(np.diff(h, prepend=-1))] for h in hours])) if hours else np.empty(0, np.int64)


def hourly_pnl(trades: Trades, hours: Int64Array) -> Float64Array:
    """Return net profit per open hour in account currency, booked where the position ended, zeros included."""
    place = np.searchsorted(hours, trades.exit_ts_us // HOUR_US)
    return np.bincount(place, weights=trades.net_pnl_account, minlength=len(hours)).astype(np.float64)
