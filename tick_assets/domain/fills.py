"""How one trade is filled over the ticks of one symbol and date: the single definition that labels and backtests run.

What belongs here: the fill rules below. What must not: which signals to trade, or what a fill is worth (`costs`).

Rules (the simulated terminal repeats them tick by tick; a parity test compares):
    entry    the order arrives `entry_latency_us` after the event and fills at the first tick then, if one comes within `quote_wait_us`;
             a long pays ask + slip, a short gets bid - slip; the stop and target must straddle the market at that tick
    barrier  on later ticks a long ends when bid <= stop (at that bid) or bid >= target (at the target); a short mirrors it on the ask
    time     the first tick at or after `exit_at_us` sends a close, which arrives `exit_latency_us` later and fills at the first tick then
             (bid - slip, ask + slip); barriers win on every tick up to and including that one
    end      without such a tick the position ends at the date's last tick
"""

from __future__ import annotations

import numba as nb
import numpy as np

NO_FILL, STOP, TARGET, TIME, END_OF_DATA, PRICE_OFF, INVALID_STOPS = range(7)
EXIT_REASONS = ("NO_FILL", "STOP", "TARGET", "TIME", "END_OF_DATA", "PRICE_OFF", "INVALID_STOPS")


@nb.njit(cache=True, nogil=True)
def first_at_or_after(ts_us, start, moment):  # type: ignore[no-untyped-def]  # numba infers
    """Return the first row >= start whose stamp is >= moment, or the length.

    It lies near: doubling steps find the stretch it is in, and a binary search over that alone stays in the processor's cache.
    """
    n = len(ts_us)
    low = high = start
    step = 1
    while high < n and ts_us[high] < moment:
        low = high + 1
        high += step
        step *= 2
    return low + np.searchsorted(ts_us[low : min(high, n)], moment)


@nb.njit(cache=True, nogil=True)
def fill_trade(  # type: ignore[no-untyped-def]  # numba infers
    ts_us, bid, ask, row, side, stop, target, exit_at_us, entry_latency_us, exit_latency_us, entry_slip, exit_slip, quote_wait_us
):
    """Return (entry_row, exit_row, entry_points, exit_points, reason) of a trade decided at `row`; rows are -1 without a fill."""
    n = len(ts_us)
    arrival = ts_us[row] + entry_latency_us
    entry = first_at_or_after(ts_us, row, arrival)
    if entry >= n or ts_us[entry] > arrival + quote_wait_us:
        return -1, -1, np.int64(0), np.int64(0), PRICE_OFF
    if side > 0:
        valid = stop < bid[entry] < target
        entry_points = ask[entry] + entry_slip
    else:
        valid = target < ask[entry] < stop
        entry_points = bid[entry] - entry_slip
    if not valid:
        return -1, -1, np.int64(0), np.int64(0), INVALID_STOPS
    close_sent = first_at_or_after(ts_us, entry, exit_at_us)
    closing = n
    if close_sent < n:
        closing = first_at_or_after(ts_us, close_sent, ts_us[close_sent] + exit_latency_us)
    last = min(closing, n - 1)
    for j in range(entry + 1, last + 1):
        if side > 0:
            if bid[j] <= stop:
                return entry, j, entry_points, bid[j], STOP
            if bid[j] >= target:
                return entry, j, entry_points, target, TARGET
        else:
            if ask[j] >= stop:
                return entry, j, entry_points, ask[j], STOP
            if ask[j] <= target:
                return entry, j, entry_points, target, TARGET
    if closing < n:
        exit_points = bid[closing] - exit_slip if side > 0 else ask[closing] + exit_slip
        return entry, closing, entry_points, exit_points, TIME
    exit_points = bid[n - 1] if side > 0 else ask[n - 1]
    return entry, n - 1, entry_points, exit_points, END_OF_DATA
