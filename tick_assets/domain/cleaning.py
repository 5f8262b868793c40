"""Which rows count: the reason codes and the compiled rule over one raw row.

What belongs here: why a row is refused. What must not: sampling, features, or what is done with a refused row.

The first reason wins, in this order:
    ROW_MALFORMED           the row did not parse
    TIMESTAMP_OUTSIDE_FILE  its stamp is not in the file's UTC date
    ROW_DUPLICATED          equal to an earlier row of the date in every vendor field; such a row has the same stamp, so only rows of
                            the current stamp are kept to compare with (at most DUPLICATE_ROWS)
    QUOTE_NON_POSITIVE      a price of zero or less
    QUOTE_CROSSED           ask below bid (equal is valid)
    PRICE_SPIKE             the mid jumped by more than 100 times the mean absolute move plus 20 mean spreads from the last valid mid,
                            which was less than 5 minutes old, after 50 valid rows; the sixth such row in a row is believed
"""

from __future__ import annotations

import math

import numba as nb

from tick_assets.domain.kernel_state import ACCEPTED, DAY, DUP_COUNT, DUP_TS, DUPLICATE_ROWS, LAST_TS, MID, MOVE, SPIKES, SPREAD
from tick_assets.domain.ticks import DAY_US, MALFORMED_TS

REASONS = (
    "",
    "ROW_MALFORMED",
    "TIMESTAMP_OUTSIDE_FILE",
    "ROW_DUPLICATED",
    "QUOTE_NON_POSITIVE",
    "QUOTE_CROSSED",
    "PRICE_SPIKE",
)
SPIKE = REASONS.index("PRICE_SPIKE")

_SPIKE_MOVES, _SPIKE_SPREADS, _SPIKE_AFTER, _SPIKE_BELIEVED, _SPIKE_MEMORY_US = 100.0, 20.0, 50, 5, 300_000_000


@nb.njit(nogil=True)
def _is_duplicate(integers, dup_prices, dup_sizes, ts_us, bid, ask, bid_size, ask_size):  # type: ignore[no-untyped-def]  # numba infers
    if integers[DUP_TS] != ts_us:
        integers[DUP_TS] = ts_us
        integers[DUP_COUNT] = 0
    count = integers[DUP_COUNT]
    for i in range(count):
        same_bid_size = dup_sizes[i, 0] == bid_size or (math.isnan(dup_sizes[i, 0]) and math.isnan(bid_size))
        same_ask_size = dup_sizes[i, 1] == ask_size or (math.isnan(dup_sizes[i, 1]) and math.isnan(ask_size))
        if dup_prices[i, 0] == bid and dup_prices[i, 1] == ask and same_bid_size and same_ask_size:
            return True
    if count < DUPLICATE_ROWS:
        dup_prices[count, 0], dup_prices[count, 1] = bid, ask
        dup_sizes[count, 0], dup_sizes[count, 1] = bid_size, ask_size
        integers[DUP_COUNT] = count + 1
    return False


@nb.njit(nogil=True)
def _is_spike(integers, floats, ts_us, mid):  # type: ignore[no-untyped-def]
    if integers[ACCEPTED] < _SPIKE_AFTER or ts_us - integers[LAST_TS] > _SPIKE_MEMORY_US:
        return False
    if abs(mid - floats[MID]) <= _SPIKE_MOVES * max(floats[MOVE], 0.5) + _SPIKE_SPREADS * floats[SPREAD]:
        return False
    return integers[SPIKES] < _SPIKE_BELIEVED


@nb.njit(nogil=True)
def reason_against(integers, floats, dup_prices, dup_sizes, ts_us, bid, ask, bid_size, ask_size):  # type: ignore[no-untyped-def]
    """Return the index into REASONS of what speaks against a raw row; 0 is nothing."""
    if ts_us == MALFORMED_TS:
        return 1
    if ts_us // DAY_US != integers[DAY]:
        return 2
    if _is_duplicate(integers, dup_prices, dup_sizes, ts_us, bid, ask, bid_size, ask_size):
        return 3
    if bid <= 0 or ask <= 0:
        return 4
    if ask < bid:
        return 5
    if _is_spike(integers, floats, ts_us, 0.5 * (bid + ask)):
        return SPIKE
    return 0
