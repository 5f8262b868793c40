"""The one kernel: cleaning, sampling clock and features, run by Spark, by backtests and by the service.

What belongs here: the compiled step over one raw row and the two ways to drive it (a whole date, or tick by tick).
What must not: labels, models, tables, clocks.

The state resets at 00:00 UTC of each date. Every feature is a function of the rows up to and including the sampled one. Batch and
online run the same compiled `_advance`, so their results are equal bit for bit. Features read a grid of one-second closes (the last
mid price of each second, carried forward), so memory is bounded and no running sum drifts.

Cleaning, in this order (the first reason wins):
    ROW_MALFORMED           the row did not parse
    TIMESTAMP_OUTSIDE_FILE  its stamp is not in the file's UTC date
    ROW_DUPLICATED          equal to an earlier row of the date in every vendor field; such a row has the same stamp, so only rows of
                            the current stamp are kept to compare with (at most DUPLICATE_ROWS)
    QUOTE_NON_POSITIVE      a price of zero or less
    QUOTE_CROSSED           ask below bid (equal is valid)
    PRICE_SPIKE             the mid jumped by more than 100 times the mean absolute move plus 20 mean spreads from the last valid mid,
                            which was less than 5 minutes old, after 50 valid rows; the sixth such row in a row is believed

Sampling clock `time_60s`: the first valid tick of each UTC minute, from WARM_UP_S seconds after the date's first valid tick on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from tick_assets.domain.ticks import DAY_US, MALFORMED_TS, Float64Array, Int64Array, Ticks

FEATURE_SET = "base_v1"
SAMPLING_CLOCK = "time_60s"
WARM_UP_S = 900
"""The longest feature memory in seconds: a 15 minute window, and ten half-lives of the slowest EWMA (90 s)."""

REASONS = (
    "",
    "ROW_MALFORMED",
    "TIMESTAMP_OUTSIDE_FILE",
    "ROW_DUPLICATED",
    "QUOTE_NON_POSITIVE",
    "QUOTE_CROSSED",
    "PRICE_SPIKE",
)

DUPLICATE_ROWS = 512
HORIZON_S = 300

FEATURE_NAMES: tuple[str, ...] = (
    "spread_bps",
    "spread_mean_5m_bps",
    "log_return_10s_bps",
    "log_return_30s_bps",
    "log_return_1m_bps",
    "log_return_5m_bps",
    "log_return_15m_bps",
    "realized_volatility_1m_bps",
    "realized_volatility_5m_bps",
    "realized_volatility_15m_bps",
    "sigma_horizon_points",
    "quote_imbalance",
    "quote_imbalance_ewma_10s",
    "quote_imbalance_ewma_30s",
    "quote_imbalance_ewma_90s",
    "tick_intensity_1m",
    "tick_intensity_5m",
    "time_of_day_sin",
    "time_of_day_cos",
)
SIGMA_INDEX = FEATURE_NAMES.index("sigma_horizon_points")

_RING = 1024  # seconds of grid, a power of two above WARM_UP_S
_MASK = _RING - 1
_MIN_SIGMA_POINTS = 1.0
_SPIKE_MOVES, _SPIKE_SPREADS, _SPIKE_AFTER, _SPIKE_BELIEVED, _SPIKE_MEMORY_US = 100.0, 20.0, 50, 5, 300_000_000

# Slots of the integer state.
_DAY, _SEQ, _SECOND, _FIRST_TS, _LAST_TS, _MINUTE, _SPIKES, _DUP_COUNT, _DUP_TS, _ACCEPTED = range(10)
# Slots of the float state.
_MID, _MOVE, _SPREAD, _EWMA_10, _EWMA_30, _EWMA_90 = range(6)


def _new_state() -> tuple[Int64Array, Float64Array, Float64Array, Int64Array, Float64Array]:
    """Return (integers, floats, grid[3, ring]: close, ticks, spread sum; duplicate prices, duplicate sizes)."""
    return (
        np.full(10, -1, np.int64),
        np.zeros(6),
        np.zeros((3, _RING)),
        np.zeros((DUPLICATE_ROWS, 2), np.int64),
        np.zeros((DUPLICATE_ROWS, 2)),
    )


@nb.njit(cache=True, nogil=True)
def _reset(integers, floats, grid, day):  # type: ignore[no-untyped-def]  # numba infers
    integers[:] = 0
    integers[_DAY] = day
    integers[_SECOND] = -1
    integers[_MINUTE] = -1
    integers[_DUP_TS] = -1
    floats[:] = 0.0
    grid[:] = 0.0


@nb.njit(cache=True, nogil=True)
def _is_duplicate(integers, dup_prices, dup_sizes, ts_us, bid, ask, bid_size, ask_size):  # type: ignore[no-untyped-def]
    if integers[_DUP_TS] != ts_us:
        integers[_DUP_TS] = ts_us
        integers[_DUP_COUNT] = 0
    count = integers[_DUP_COUNT]
    for i in range(count):
        same_bid_size = dup_sizes[i, 0] == bid_size or (math.isnan(dup_sizes[i, 0]) and math.isnan(bid_size))
        same_ask_size = dup_sizes[i, 1] == ask_size or (math.isnan(dup_sizes[i, 1]) and math.isnan(ask_size))
        if dup_prices[i, 0] == bid and dup_prices[i, 1] == ask and same_bid_size and same_ask_size:
            return True
    if count < DUPLICATE_ROWS:
        dup_prices[count, 0], dup_prices[count, 1] = bid, ask
        dup_sizes[count, 0], dup_sizes[count, 1] = bid_size, ask_size
        integers[_DUP_COUNT] = count + 1
    return False


@nb.njit(cache=True, nogil=True)
def _is_spike(integers, floats, ts_us, mid):  # type: ignore[no-untyped-def]
    if integers[_ACCEPTED] < _SPIKE_AFTER or ts_us - integers[_LAST_TS] > _SPIKE_MEMORY_US:
        return False
    if abs(mid - floats[_MID]) <= _SPIKE_MOVES * max(floats[_MOVE], 0.5) + _SPIKE_SPREADS * floats[_SPREAD]:
        return False
    return integers[_SPIKES] < _SPIKE_BELIEVED


@nb.njit(cache=True, nogil=True)
def _reason(integers, floats, dup_prices, dup_sizes, ts_us, bid, ask, bid_size, ask_size):  # type: ignore[no-untyped-def]
    if ts_us == MALFORMED_TS:
        return 1
    if ts_us // DAY_US != integers[_DAY]:
        return 2
    if _is_duplicate(integers, dup_prices, dup_sizes, ts_us, bid, ask, bid_size, ask_size):
        return 3
    if bid <= 0 or ask <= 0:
        return 4
    if ask < bid:
        return 5
    if _is_spike(integers, floats, ts_us, 0.5 * (bid + ask)):
        return 6
    return 0


@nb.njit(cache=True, nogil=True)
def _roll_grid(integers, floats, grid, second):  # type: ignore[no-untyped-def]
    """Carry the last close forward to `second` and open its slot."""
    last = integers[_SECOND]
    if second <= last:
        return
    start = max(last + 1, second - _RING + 1) if last >= 0 else second
    for q in range(start, second + 1):
        slot = q & _MASK
        grid[0, slot] = floats[_MID]
        grid[1, slot] = 0.0
        grid[2, slot] = 0.0
    integers[_SECOND] = second


@nb.njit(cache=True, nogil=True)
def _decay(previous, value, elapsed_s, half_life_s):  # type: ignore[no-untyped-def]
    weight = math.exp(-elapsed_s * math.log(2.0) / half_life_s)
    return weight * previous + (1.0 - weight) * value


@nb.njit(cache=True, nogil=True)
def _imbalance(bid_size, ask_size):  # type: ignore[no-untyped-def]
    total = bid_size + ask_size
    return (bid_size - ask_size) / total if total > 0.0 else 0.0  # NaN sizes fail the comparison and count as no information


@nb.njit(cache=True, nogil=True)
def _accept(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size):  # type: ignore[no-untyped-def]
    mid, spread, imbalance = 0.5 * (bid + ask), float(ask - bid), _imbalance(bid_size, ask_size)
    second = (ts_us % DAY_US) // 1_000_000
    if integers[_ACCEPTED] == 0:
        integers[_FIRST_TS] = ts_us
        floats[_MID], floats[_SPREAD] = mid, spread
        floats[_EWMA_10] = floats[_EWMA_30] = floats[_EWMA_90] = imbalance
    else:
        elapsed_s = (ts_us - integers[_LAST_TS]) / 1e6
        floats[_EWMA_10] = _decay(floats[_EWMA_10], imbalance, elapsed_s, 10.0)
        floats[_EWMA_30] = _decay(floats[_EWMA_30], imbalance, elapsed_s, 30.0)
        floats[_EWMA_90] = _decay(floats[_EWMA_90], imbalance, elapsed_s, 90.0)
        floats[_MOVE] += (abs(mid - floats[_MID]) - floats[_MOVE]) / min(64.0, float(integers[_ACCEPTED]))
        floats[_SPREAD] += (spread - floats[_SPREAD]) / 64.0
    _roll_grid(integers, floats, grid, second)
    slot = second & _MASK
    grid[0, slot] = mid
    grid[1, slot] += 1.0
    grid[2, slot] += spread
    floats[_MID] = mid
    integers[_LAST_TS] = ts_us
    integers[_SPIKES] = 0
    integers[_ACCEPTED] += 1


@nb.njit(cache=True, nogil=True)
def _squared_moves(grid, second, window_s):  # type: ignore[no-untyped-def]
    total = 0.0
    for q in range(second - window_s + 1, second + 1):
        move = grid[0, q & _MASK] - grid[0, (q - 1) & _MASK]
        total += move * move
    return total


@nb.njit(cache=True, nogil=True)
def _window_sum(grid, row, second, window_s):  # type: ignore[no-untyped-def]
    total = 0.0
    for q in range(second - window_s + 1, second + 1):
        total += grid[row, q & _MASK]
    return total


@nb.njit(cache=True, nogil=True)
def _features(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size, out):  # type: ignore[no-untyped-def]
    second = integers[_SECOND]
    mid = 0.5 * (bid + ask)
    to_bps = 1e4 / mid
    ticks_5m = _window_sum(grid, 1, second, 300)
    moves_1m, moves_5m, moves_15m = _squared_moves(grid, second, 60), _squared_moves(grid, second, 300), _squared_moves(grid, second, 900)
    angle = 2.0 * math.pi * (ts_us % DAY_US) / DAY_US
    out[0] = (ask - bid) * to_bps
    out[1] = _window_sum(grid, 2, second, 300) / ticks_5m * to_bps
    out[2] = math.log(mid / grid[0, (second - 10) & _MASK]) * 1e4
    out[3] = math.log(mid / grid[0, (second - 30) & _MASK]) * 1e4
    out[4] = math.log(mid / grid[0, (second - 60) & _MASK]) * 1e4
    out[5] = math.log(mid / grid[0, (second - 300) & _MASK]) * 1e4
    out[6] = math.log(mid / grid[0, (second - 900) & _MASK]) * 1e4
    out[7] = math.sqrt(moves_1m) * to_bps
    out[8] = math.sqrt(moves_5m) * to_bps
    out[9] = math.sqrt(moves_15m) * to_bps
    out[10] = max(math.sqrt(moves_15m * HORIZON_S / 900.0), _MIN_SIGMA_POINTS)
    out[11] = _imbalance(bid_size, ask_size)
    out[12] = floats[_EWMA_10]
    out[13] = floats[_EWMA_30]
    out[14] = floats[_EWMA_90]
    out[15] = _window_sum(grid, 1, second, 60) / 60.0
    out[16] = ticks_5m / 300.0
    out[17] = math.sin(angle)
    out[18] = math.cos(angle)


@nb.njit(cache=True, nogil=True)
def _advance_valid(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size, out):  # type: ignore[no-untyped-def]
    """Take one valid row; return -1 when it is sampled (then `out` holds its features), else 0."""
    _accept(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size)
    minute = ts_us // 60_000_000
    if minute <= integers[_MINUTE] or ts_us - integers[_FIRST_TS] < WARM_UP_S * 1_000_000:
        return 0
    integers[_MINUTE] = minute
    _features(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size, out)
    return -1


@nb.njit(cache=True, nogil=True)
def _advance_valid_many(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size, rows, features):  # type: ignore[no-untyped-def]
    sampled = 0
    for i in range(len(ts_us)):
        if _advance_valid(integers, floats, grid, ts_us[i], bid[i], ask[i], bid_size[i], ask_size[i], features[sampled]) < 0:
            rows[sampled] = i
            sampled += 1
    return sampled


@nb.njit(cache=True, nogil=True)
def _advance(integers, floats, grid, dup_prices, dup_sizes, ts_us, bid, ask, bid_size, ask_size, out):  # type: ignore[no-untyped-def]
    """Take one raw row; return its reason code, or -1 when it is valid and sampled (then `out` holds its features)."""
    integers[_SEQ] += 1
    reason = _reason(integers, floats, dup_prices, dup_sizes, ts_us, bid, ask, bid_size, ask_size)
    if reason != 0:
        if reason == 6:
            integers[_SPIKES] += 1
        return reason
    return _advance_valid(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size, out)


@nb.njit(cache=True, nogil=True)
def _advance_many(integers, floats, grid, dup_prices, dup_sizes, ts_us, bid, ask, bid_size, ask_size, reason, rows, features):  # type: ignore[no-untyped-def]
    sampled = 0
    for i in range(len(ts_us)):
        code = _advance(
            integers, floats, grid, dup_prices, dup_sizes, ts_us[i], bid[i], ask[i], bid_size[i], ask_size[i], features[sampled]
        )
        reason[i] = max(code, 0)
        if code < 0:
            rows[sampled] = i
            sampled += 1
    return sampled


@dataclass(frozen=True)
class KernelBatch:
    """What the kernel made of n rows: `reason[n]` indexes REASONS, and m sampled events.

    `event_row[m]` are rows of the input, `features[m, k]` follow FEATURE_NAMES, `sigma_points[m]` is one of them: the expected standard
    deviation of the mid price over the horizon, in points.
    """

    reason: npt.NDArray[np.int8]
    event_row: Int64Array
    features: Float64Array

    @property
    def sigma_points(self) -> Float64Array:
        return np.asarray(self.features[:, SIGMA_INDEX])


@dataclass(frozen=True)
class KernelStep:
    """What the kernel made of one row; `features` is set when the row was sampled."""

    seq: int
    reason: int
    sampled: bool
    features: Float64Array | None

    @property
    def sigma_points(self) -> float:
        return float(self.features[SIGMA_INDEX]) if self.features is not None else math.nan


class OnlineKernel:
    """The kernel over a live stream of one symbol; it resets itself at each new UTC date."""

    def __init__(self, symbol: str, price_factor: int) -> None:
        self.symbol = symbol
        self.price_factor = price_factor
        self._state = _new_state()
        self._out = np.empty(len(FEATURE_NAMES))

    @property
    def seq(self) -> int:
        """Rows taken on the current date: the `seq` of the next one."""
        return max(int(self._state[0][_SEQ]), 0)

    @property
    def is_warm(self) -> bool:
        """Tell whether a sample may be taken at the last valid tick's time."""
        integers = self._state[0]
        return bool(integers[_ACCEPTED] > 0 and integers[_LAST_TS] - integers[_FIRST_TS] >= WARM_UP_S * 1_000_000)

    def push(self, ts_us: int, bid_points: int, ask_points: int, bid_size: float, ask_size: float) -> KernelStep:
        """Take one raw row; its date is the file's date."""
        self._open_date(ts_us // DAY_US)
        seq = self.seq
        code = _advance(*self._state, ts_us, bid_points, ask_points, bid_size, ask_size, self._out)
        return KernelStep(seq, max(code, 0), code < 0, self._out.copy() if code < 0 else None)

    def push_many(self, ticks: Ticks) -> KernelBatch:
        """Take rows that all lie in one UTC date, as `push` would one after the other."""
        if len(ticks) == 0:
            return _run(self._state, ticks)
        days = {int(ticks.ts_us[0]) // DAY_US, int(ticks.ts_us[-1]) // DAY_US}
        if len(days) > 1:
            raise ValueError(f"Expected ticks of one UTC date, was days {sorted(days)} since 1970. Split the batch at midnight.")
        self._open_date(days.pop())
        return _run(self._state, ticks)

    def _open_date(self, day: int) -> None:
        if self._state[0][_DAY] != day:
            _reset(*self._state[:3], day)


def run_kernel(ticks: Ticks, price_factor: int, day: int | None = None) -> KernelBatch:
    """Run the kernel over all raw rows of one symbol and date.

    `day` is the file's date in days since 1970; without it the first parsed stamp's. `price_factor` is taken so that every caller names
    the grid its points are on; the features are ratios and points, so no value depends on it.
    """
    state = _new_state()
    if day is None:
        parsed = ticks.ts_us[ticks.ts_us != MALFORMED_TS]
        day = int(parsed[0]) // DAY_US if len(parsed) else 0
    _reset(*state[:3], day)
    return _run(state, ticks)


def run_features(ticks: Ticks) -> KernelBatch:
    """Run sampling and features over the rows of one date that cleaning kept; equal to `run_kernel` over all of its raw rows.

    Refused rows touch no state that features read, so the two agree bit for bit.
    """
    state = _new_state()
    _reset(*state[:3], int(ticks.ts_us[0]) // DAY_US if len(ticks) else 0)
    rows, features = _event_space(len(ticks))
    sampled = _advance_valid_many(*state[:3], *ticks.columns, rows, features)
    return KernelBatch(np.zeros(len(ticks), np.int8), rows[:sampled].copy(), features[:sampled].copy())


def _event_space(n: int) -> tuple[Int64Array, Float64Array]:
    """Return room for the events of n rows: one a minute at most, and one row to write into beyond the last."""
    capacity = min(n, 1440) + 1
    return np.empty(capacity, np.int64), np.empty((capacity, len(FEATURE_NAMES)))


def _run(state: tuple[Int64Array, Float64Array, Float64Array, Int64Array, Float64Array], ticks: Ticks) -> KernelBatch:
    n = len(ticks)
    reason = np.empty(n, np.int8)
    rows, features = _event_space(n)
    sampled = _advance_many(*state, *ticks.columns, reason, rows, features)
    return KernelBatch(reason, rows[:sampled].copy(), features[:sampled].copy())


Kernel = Callable[[Ticks, int], KernelBatch]
