"""The one kernel: cleaning, sampling clock and features, run by Spark, by backtests and by the service.

What belongs here: the compiled step over one raw row and the two ways to drive it (a whole date, or tick by tick).
What must not: why a row is refused (`cleaning`), when an event is sampled (`clocks`), what is computed at it (`features`), labels, tables.

The state resets at 00:00 UTC of each date. Every feature is a function of the rows up to and including the sampled one. Batch and
online run the same compiled `_advance`, so their results are equal bit for bit. Nothing is sampled in the first WARM_UP_S seconds after
the date's first valid tick.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from tick_assets.domain import city_hours, cleaning, clocks, features, kernel_state, leaders
from tick_assets.domain.cleaning import REASONS, SPIKE, reason_against
from tick_assets.domain.clocks import SAMPLING_CLOCK, Clock, is_between, parse_clock, strikes
from tick_assets.domain.features import (
    ALL_FEATURE_NAMES,
    BASE_V1,
    EXTRAS_OF,
    FEATURE_NAMES,
    FEATURE_SET,
    FEATURE_SETS,
    HORIZON_S,
    LEAD_FEATURE_SET,
    MICRO_FEATURE_SET,
    SIGMA_INDEX,
    WARM_UP_S,
    feature_names,
    fill_base,
    fill_leader,
    fill_micro,
    observe,
)
from tick_assets.domain.kernel_state import (
    ACCEPTED,
    DAY,
    DUPLICATE_ROWS,
    EXTRAS,
    FIRST_TS,
    LAST_TS,
    SEQ,
    SPIKES,
    WITH_LEADER,
    WITH_MICRO,
    State,
    accept,
    new_state,
)
from tick_assets.domain.leaders import take_leader
from tick_assets.domain.ticks import DAY_US, MALFORMED_TS, Float64Array, Int64Array, Ticks, empty_ticks

__all__ = [
    "ALL_FEATURE_NAMES",
    "DUPLICATE_ROWS",
    "FEATURE_NAMES",
    "FEATURE_SET",
    "FEATURE_SETS",
    "HORIZON_S",
    "LEAD_FEATURE_SET",
    "MICRO_FEATURE_SET",
    "REASONS",
    "SAMPLING_CLOCK",
    "SIGMA_INDEX",
    "WARM_UP_S",
    "Kernel",
    "KernelBatch",
    "KernelStep",
    "OnlineKernel",
    "feature_names",
    "run_features",
    "run_kernel",
]

_WARM_UP_US = WARM_UP_S * 1_000_000
_N_BASE = len(BASE_V1)


@nb.njit(nogil=True)
def _sample(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size, out):  # type: ignore[no-untyped-def]  # numba infers
    """Write the features of the tick that was just accepted."""
    event = observe(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size)
    fill_base(event, out)
    if integers[EXTRAS] == WITH_LEADER:
        fill_leader(event, out[_N_BASE:])
    elif integers[EXTRAS] == WITH_MICRO:
        fill_micro(event, out[_N_BASE:])


@nb.njit(nogil=True)
def _advance_valid(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size, out):  # type: ignore[no-untyped-def]
    """Take one valid row; return -1 when it is sampled (then `out` holds its features), else 0."""
    move = accept(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size)
    if is_between(integers, ts_us):
        return 0
    if not strikes(integers, floats, ts_us, move, ts_us - integers[FIRST_TS] >= _WARM_UP_US):
        return 0
    _sample(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size, out)
    return -1


@nb.njit(nogil=True)
def _advance(integers, floats, grid, dup_prices, dup_sizes, ts_us, bid, ask, bid_size, ask_size, out):  # type: ignore[no-untyped-def]
    """Take one raw row; return its reason code, or -1 when it is valid and sampled (then `out` holds its features)."""
    integers[SEQ] += 1
    reason = reason_against(integers, floats, dup_prices, dup_sizes, ts_us, bid, ask, bid_size, ask_size)
    if reason != 0:
        if reason == SPIKE:
            integers[SPIKES] += 1
        return reason
    return _advance_valid(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size, out)


@nb.njit(nogil=True)
def _take_leader_until(integers, floats, grid, place, ts_us, leader):  # type: ignore[no-untyped-def]
    """Take the leader's quotes from `place` on that are not later than a stamp; return the place of the next one."""
    leader_ts_us, leader_bid, leader_ask = leader
    while place < len(leader_ts_us) and leader_ts_us[place] <= ts_us:
        take_leader(integers, floats, grid, leader_ts_us[place], leader_bid[place], leader_ask[place])
        place += 1
    return place


def _compile_steps(sources: int) -> tuple[Any, Any, Any]:
    """Return (begin a date, take one row, take one quote of the leader) as numba compiles and caches them.

    Numba compares a cached function with its own file only, and these hold code of six modules. `sources` names their text, and a
    value that a function closes over is a part of its key in the cache: when a feature changes, it is compiled anew.
    """

    @nb.njit(cache=True, nogil=True)
    def reset(integers, floats, grid, day):  # type: ignore[no-untyped-def]
        if sources:
            kernel_state.reset(integers, floats, grid, day)

    @nb.njit(cache=True, nogil=True)
    def advance(integers, floats, grid, dup_prices, dup_sizes, ts_us, bid, ask, bid_size, ask_size, out):  # type: ignore[no-untyped-def]
        if not sources:
            return 0
        return _advance(integers, floats, grid, dup_prices, dup_sizes, ts_us, bid, ask, bid_size, ask_size, out)

    @nb.njit(cache=True, nogil=True)
    def push_leader(integers, floats, grid, ts_us, bid, ask):  # type: ignore[no-untyped-def]
        if sources:
            take_leader(integers, floats, grid, ts_us, bid, ask)

    return reset, advance, push_leader


def _compile_dates(sources: int) -> tuple[Any, Any]:
    """Return (take the valid rows of a date, take its raw rows), cached as the steps are."""

    @nb.njit(cache=True, nogil=True)
    def advance_valid_many(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size, leader, rows, out):  # type: ignore[no-untyped-def]
        sampled, place, known = 0, 0, len(leader[0])
        for i in range(len(ts_us) if sources else 0):
            if place < known:
                place = _take_leader_until(integers, floats, grid, place, ts_us[i], leader)
            if _advance_valid(integers, floats, grid, ts_us[i], bid[i], ask[i], bid_size[i], ask_size[i], out[sampled]) < 0:
                rows[sampled] = i
                sampled += 1
        return sampled

    @nb.njit(cache=True, nogil=True)
    def advance_many(integers, floats, grid, prices, sizes, ts_us, bid, ask, bid_size, ask_size, leader, reason, rows, out):  # type: ignore[no-untyped-def]
        sampled, place, known = 0, 0, len(leader[0])
        for i in range(len(ts_us) if sources else 0):
            if place < known:
                place = _take_leader_until(integers, floats, grid, place, ts_us[i], leader)
            code = _advance(integers, floats, grid, prices, sizes, ts_us[i], bid[i], ask[i], bid_size[i], ask_size[i], out[sampled])
            reason[i] = max(code, 0)
            if code < 0:
                rows[sampled] = i
                sampled += 1
        return sampled

    return advance_valid_many, advance_many


def _text_of(*modules: ModuleType) -> int:
    """Return a number above zero that names the source text of modules."""
    text = "".join(inspect.getsource(module) for module in modules)
    return int(hashlib.sha256(text.encode()).hexdigest()[:15], 16) + 1


_SOURCES = _text_of(kernel_state, cleaning, clocks, leaders, city_hours, features)
_reset, _advance_one, _push_leader = _compile_steps(_SOURCES)
_advance_valid_many, _advance_many = _compile_dates(_SOURCES)


@dataclass(frozen=True)
class KernelBatch:
    """What the kernel made of n rows: `reason[n]` indexes REASONS, and m sampled events.

    `event_row[m]` are rows of the input, `features[m, k]` follow the names of the feature set, `sigma_points[m]` is one of them: the
    expected standard deviation of the mid price over HORIZON_S, in points.
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
    """The kernel over a live stream of one symbol; it resets itself at each new UTC date.

    With LEAD_FEATURE_SET `push_leader` takes the leader's valid quotes.
    """

    def __init__(self, symbol: str, price_factor: int, clock: str = SAMPLING_CLOCK, feature_set: str = FEATURE_SET) -> None:
        self.symbol = symbol
        self.price_factor = price_factor
        self.clock = parse_clock(clock)
        self.feature_names = feature_names(feature_set)
        self.has_leader = feature_set == LEAD_FEATURE_SET
        self._state = _state_of(self.clock, feature_set)
        self._out = np.empty(len(self.feature_names))

    @property
    def seq(self) -> int:
        """Rows taken on the current date: the `seq` of the next one."""
        return max(int(self._state[0][SEQ]), 0)

    @property
    def is_warm(self) -> bool:
        """Tell whether a sample may be taken at the last valid tick's time."""
        integers = self._state[0]
        return bool(integers[ACCEPTED] > 0 and integers[LAST_TS] - integers[FIRST_TS] >= _WARM_UP_US)

    def push(self, ts_us: int, bid_points: int, ask_points: int, bid_size: float, ask_size: float) -> KernelStep:
        """Take one raw row; its date is the file's date."""
        self._open_date(ts_us // DAY_US)
        seq = self.seq
        code = _advance_one(*self._state, ts_us, bid_points, ask_points, bid_size, ask_size, self._out)
        return KernelStep(seq, max(code, 0), code < 0, self._out.copy() if code < 0 else None)

    def push_many(self, ticks: Ticks) -> KernelBatch:
        """Take rows that all lie in one UTC date, as `push` would one after the other."""
        if len(ticks) == 0:
            return _run(self._state, ticks, self.clock, None)
        days = {int(ticks.ts_us[0]) // DAY_US, int(ticks.ts_us[-1]) // DAY_US}
        if len(days) > 1:
            raise ValueError(f"Expected ticks of one UTC date, was days {sorted(days)} since 1970. Split the batch at midnight.")
        self._open_date(days.pop())
        return _run(self._state, ticks, self.clock, None)

    def push_leader(self, ts_us: int, bid_points: int, ask_points: int) -> None:
        """Take one valid quote of the leader, in its own points."""
        if not self.has_leader:
            raise ValueError(f"Expected a kernel with a leader, was {self.symbol} without. Name it in [symbols.{self.symbol}].")
        _push_leader(*self._state[:3], ts_us, bid_points, ask_points)

    def _open_date(self, day: int) -> None:
        if self._state[0][DAY] != day:
            _reset(*self._state[:3], day)


def run_kernel(
    ticks: Ticks,
    price_factor: int,
    day: int | None = None,
    clock: str = SAMPLING_CLOCK,
    leader: Ticks | None = None,
    feature_set: str = FEATURE_SET,
) -> KernelBatch:
    """Run the kernel over all raw rows of one symbol and date.

    `day` is the file's date in days since 1970; without it the first parsed stamp's. `price_factor` is taken so that every caller names
    the grid its points are on; the features are ratios and points, so no value depends on it. `leader` are the clean ticks of the
    symbol's leader on the same date, in time order; then the features are those of LEAD_FEATURE_SET.
    """
    chosen = parse_clock(clock)
    state = _state_of(chosen, _set_beside(leader, feature_set))
    if day is None:
        parsed = ticks.ts_us[ticks.ts_us != MALFORMED_TS]
        day = int(parsed[0]) // DAY_US if len(parsed) else 0
    _reset(*state[:3], day)
    return _run(state, ticks, chosen, leader)


def run_features(ticks: Ticks, clock: str = SAMPLING_CLOCK, leader: Ticks | None = None, feature_set: str = FEATURE_SET) -> KernelBatch:
    """Run sampling and features over the rows of one date that cleaning kept; equal to `run_kernel` over all of its raw rows.

    Refused rows touch no state that features read, so the two agree bit for bit.
    """
    chosen = parse_clock(clock)
    state = _state_of(chosen, _set_beside(leader, feature_set))
    _reset(*state[:3], int(ticks.ts_us[0]) // DAY_US if len(ticks) else 0)
    rows, out = _event_space(len(ticks), chosen, _width(state))
    sampled = _advance_valid_many(*state[:3], *ticks.columns, _columns_of(leader), rows, out)
    return KernelBatch(np.zeros(len(ticks), np.int8), rows[:sampled].copy(), out[:sampled].copy())


def _set_beside(leader: Ticks | None, feature_set: str) -> str:
    """Return the feature set to compute: a leader's ticks make the first one LEAD_FEATURE_SET, which can't do without them."""
    chosen = LEAD_FEATURE_SET if leader is not None and feature_set == FEATURE_SET else feature_set
    if (chosen == LEAD_FEATURE_SET) != (leader is not None):
        raise ValueError(f"Expected a leader's ticks for {LEAD_FEATURE_SET} alone, was {feature_set} with {leader is not None}.")
    return chosen


def _state_of(clock: Clock, feature_set: str) -> State:
    state = new_state()
    clock.set_into(state)
    state[0][EXTRAS] = EXTRAS_OF[feature_set]
    return state


def _width(state: State) -> int:
    return next(len(FEATURE_SETS[name]) for name, extras in EXTRAS_OF.items() if extras == state[0][EXTRAS])


def _columns_of(leader: Ticks | None) -> tuple[Int64Array, Int64Array, Int64Array]:
    known = leader if leader is not None else empty_ticks()
    return known.ts_us, known.bid_points, known.ask_points


def _event_space(n: int, clock: Clock, width: int) -> tuple[Int64Array, Float64Array]:
    """Return room for the most events that n rows can have, and one row to write into beyond the last.

    A CUSUM clock may strike at every row; memory that is never written to is never taken.
    """
    capacity = clock.most_events(n) + 1
    return np.empty(capacity, np.int64), np.empty((capacity, width))


def _run(state: State, ticks: Ticks, clock: Clock, leader: Ticks | None) -> KernelBatch:
    n = len(ticks)
    reason = np.empty(n, np.int8)
    rows, out = _event_space(n, clock, _width(state))
    sampled = _advance_many(*state, *ticks.columns, _columns_of(leader), reason, rows, out)
    return KernelBatch(reason, rows[:sampled].copy(), out[:sampled].copy())


Kernel = Callable[[Ticks, int], KernelBatch]
