"""What the kernel remembers of one symbol: slots, a grid of one-second closes, and how a valid quote changes them.

What belongs here: the arrays, their reset at midnight and the compiled update by one valid quote. What must not: which rows are valid
(`cleaning`), when to sample (`clocks`), what is read from it (`features`).

Features read a grid of one-second closes (the last mid price of each second, carried forward), so memory is bounded and no running sum
drifts. The compiled parts of the kernel are compiled together by `kernel`, and cached there.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from tick_assets.domain.ticks import DAY_US, Float64Array, Int64Array

DUPLICATE_ROWS = 512
RING_S = 1024
"""Seconds of grid, a power of two above the longest feature memory."""
MASK = RING_S - 1

DAY, SEQ, SECOND, FIRST_TS, LAST_TS, SPIKES, DUP_COUNT, DUP_TS, ACCEPTED, CLOCK_NEXT = range(10)
"""Slots of the integer state that each date begins anew."""
CLOCK_KIND, CLOCK_STEP, EXTRAS, LEADER_SECOND = range(10, 14)
"""Slots of the integer state that stay."""
NO_EXTRAS, WITH_LEADER, WITH_MICRO = range(3)
"""What a feature set knows beyond the base: nothing, a leader, or ticks and sessions."""
MID, MOVE, SPREAD, EWMA_10, EWMA_30, EWMA_90, CUSUM_UP, CUSUM_DOWN = range(8)
"""Slots of the float state that each date begins anew."""
CLOCK_THRESHOLD, LEADER_MID = range(8, 10)
"""Slots of the float state that stay."""
CLOSES, TICKS, SPREADS, TICK_MIDS, LEADER_CLOSES = range(5)
"""Rows of the grid: by second but TICK_MIDS, which is by valid tick and kept for WITH_MICRO alone.

The leader's is the only one that stays at midnight, as leader and follower need not meet it together.
"""

State = tuple[Int64Array, Float64Array, Float64Array, Int64Array, Float64Array]
"""(integers, floats, grid[5, RING_S], prices and sizes of the rows of the current stamp)."""


def new_state() -> State:
    """Return a state that knows nothing."""
    return (
        np.full(14, -1, np.int64),
        np.zeros(10),
        np.full((5, RING_S), np.nan),
        np.zeros((DUPLICATE_ROWS, 2), np.int64),
        np.zeros((DUPLICATE_ROWS, 2)),
    )


@nb.njit(nogil=True)
def reset(integers, floats, grid, day):  # type: ignore[no-untyped-def]  # numba infers
    """Begin a date; clock, extras and leader stay."""
    integers[:CLOCK_KIND] = 0
    integers[DAY] = day
    integers[SECOND] = -1
    integers[DUP_TS] = -1
    integers[CLOCK_NEXT] = -1
    floats[:CLOCK_THRESHOLD] = 0.0
    grid[:LEADER_CLOSES] = 0.0


@nb.njit(nogil=True)
def imbalance_of(bid_size, ask_size):  # type: ignore[no-untyped-def]
    """Return (bid size - ask size) / their sum; missing sizes fail the comparison and count as no information."""
    total = bid_size + ask_size
    return (bid_size - ask_size) / total if total > 0.0 else 0.0


@nb.njit(nogil=True)
def _decay(previous, value, elapsed_s, half_life_s):  # type: ignore[no-untyped-def]
    weight = math.exp(-elapsed_s * math.log(2.0) / half_life_s)
    return weight * previous + (1.0 - weight) * value


@nb.njit(nogil=True)
def _roll_grid(integers, floats, grid, second):  # type: ignore[no-untyped-def]
    """Carry the last close forward to `second` and open its slot."""
    last = integers[SECOND]
    if second <= last:
        return
    start = max(last + 1, second - RING_S + 1) if last >= 0 else second
    for q in range(start, second + 1):
        slot = q & MASK
        grid[CLOSES, slot] = floats[MID]
        grid[TICKS, slot] = 0.0
        grid[SPREADS, slot] = 0.0
    integers[SECOND] = second


@nb.njit(nogil=True)
def accept(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size):  # type: ignore[no-untyped-def]
    """Take one valid quote into the state and return the move of the mid price since the one before, in points."""
    mid, spread, imbalance = 0.5 * (bid + ask), float(ask - bid), imbalance_of(bid_size, ask_size)
    second = (ts_us % DAY_US) // 1_000_000
    move = 0.0
    if integers[ACCEPTED] == 0:
        integers[FIRST_TS] = ts_us
        floats[MID], floats[SPREAD] = mid, spread
        floats[EWMA_10] = floats[EWMA_30] = floats[EWMA_90] = imbalance
    else:
        elapsed_s = (ts_us - integers[LAST_TS]) / 1e6
        floats[EWMA_10] = _decay(floats[EWMA_10], imbalance, elapsed_s, 10.0)
        floats[EWMA_30] = _decay(floats[EWMA_30], imbalance, elapsed_s, 30.0)
        floats[EWMA_90] = _decay(floats[EWMA_90], imbalance, elapsed_s, 90.0)
        move = mid - floats[MID]
        floats[MOVE] += (abs(move) - floats[MOVE]) / min(64.0, float(integers[ACCEPTED]))
        floats[SPREAD] += (spread - floats[SPREAD]) / 64.0
    _roll_grid(integers, floats, grid, second)
    slot = second & MASK
    grid[CLOSES, slot] = mid
    grid[TICKS, slot] += 1.0
    grid[SPREADS, slot] += spread
    if integers[EXTRAS] == WITH_MICRO:
        grid[TICK_MIDS, integers[ACCEPTED] & MASK] = mid
    floats[MID] = mid
    integers[LAST_TS] = ts_us
    integers[SPIKES] = 0
    integers[ACCEPTED] += 1
    return move
