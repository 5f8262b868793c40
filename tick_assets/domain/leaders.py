"""What a symbol knows of another one, its leader: closes of whole seconds that ended long enough ago to have arrived everywhere.

What belongs here: taking the leader's valid quotes into the state, and reading its closes. What must not: features, or which symbol leads.

Two streams have no common order: of two ticks in one millisecond either may come first, and one may arrive late. So a close is read only
when its second ended at least `SETTLED_S` before the event's own second began; batch and live then read the same as long as the leader's
ticks arrive less than `SETTLED_S` late. A close is carried forward for `CARRIED_S` within its date; before the leader's first quote of
the date, and after that, it is unknown: NaN.
"""

from __future__ import annotations

import math

import numba as nb

from tick_assets.domain.kernel_state import LEADER_CLOSES, LEADER_MID, LEADER_SECOND, MASK, RING_S

SETTLED_S = 2
CARRIED_S = 300
_SECONDS_OF_DAY = 86_400


@nb.njit(nogil=True)
def take_leader(integers, floats, grid, ts_us, bid, ask):  # type: ignore[no-untyped-def]  # numba infers
    """Take one valid quote of the leader; a quote of a second before its last one comes too late to count."""
    second, last = ts_us // 1_000_000, integers[LEADER_SECOND]
    if second < last:
        return
    for q in range(max(last + 1, second - RING_S + 1), second):
        grid[LEADER_CLOSES, q & MASK] = _carried(last, floats[LEADER_MID], q)
    floats[LEADER_MID] = 0.5 * (bid + ask)
    integers[LEADER_SECOND] = second
    grid[LEADER_CLOSES, second & MASK] = floats[LEADER_MID]


@nb.njit(nogil=True)
def _carried(last, mid, second):  # type: ignore[no-untyped-def]
    """Return the mid price of the last quote's second for a later one, NaN when that is too old or of another date."""
    if last < 0 or second - last > CARRIED_S or second // _SECONDS_OF_DAY != last // _SECONDS_OF_DAY:
        return math.nan
    return mid


@nb.njit(nogil=True)
def settled_close(last, mid, grid, ts_us, seconds_back):  # type: ignore[no-untyped-def]
    """Return the leader's close, in its points, so many seconds before the last one that is settled at `ts_us`; NaN when unknown.

    `last` and `mid` are the second and the mid price of the leader's last quote.
    """
    event_second = ts_us // 1_000_000
    second = event_second - SETTLED_S - 1 - seconds_back
    if second // _SECONDS_OF_DAY != event_second // _SECONDS_OF_DAY or second <= last - RING_S:
        return math.nan
    return _carried(last, mid, second) if second > last else grid[LEADER_CLOSES, second & MASK]
