"""The features: one compiled function and one registry line each.

What belongs here: what is computed at a sampled event, with its unit, formula, memory and source. What must not: when an event is sampled
(`clocks`), or how the state came about (`kernel_state`).

To add a feature: write a function of an `Event` that returns a number, and a line in a registry. Its name is the function's name. The
names of a feature set never change their order or meaning: a model knows its features by both. A new set is a registry of its own.
Mid prices and moves are in points, so every window sum of squares, ticks or spreads is exact whatever its order.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba as nb

from tick_assets.domain.city_hours import in_london, in_new_york, weekday_of
from tick_assets.domain.kernel_state import (
    ACCEPTED,
    CLOSES,
    EWMA_10,
    EWMA_30,
    EWMA_90,
    LEADER_MID,
    LEADER_SECOND,
    MASK,
    NO_EXTRAS,
    RING_S,
    SECOND,
    SPREADS,
    TICK_MIDS,
    TICKS,
    WITH_LEADER,
    WITH_MICRO,
    imbalance_of,
)
from tick_assets.domain.leaders import CARRIED_S, SETTLED_S, settled_close
from tick_assets.domain.ticks import DAY_US, Float64Array

HORIZON_S = 300
"""The horizon of `sigma_horizon_points`; a strategy with another one scales it by the root of time (`signals.levels`)."""
_MIN_SIGMA_POINTS = 1.0


class Event(NamedTuple):
    """A sampled tick and the state after it. `second` counts within the date, `mid` and prices are in points.

    `moves_<window>` is the sum of squared one-second moves of the mid, `ticks_<window>` the number of valid ticks and `spreads_5m` the sum
    of their spreads: windows that several features share are summed once. `accepted` counts the date's valid ticks.
    """

    ts_us: int
    second: int
    bid: int
    ask: int
    bid_size: float
    ask_size: float
    mid: float
    moves_1m: float
    moves_5m: float
    moves_15m: float
    ticks_1m: float
    ticks_5m: float
    spreads_5m: float
    imbalance_10s: float
    imbalance_30s: float
    imbalance_90s: float
    leader_second: int
    leader_mid: float
    accepted: int
    grid: Float64Array


@nb.njit(nogil=True)
def observe(integers, floats, grid, ts_us, bid, ask, bid_size, ask_size):  # type: ignore[no-untyped-def]  # numba infers
    """Return the event of the tick that was just accepted."""
    second = integers[SECOND]
    moves_15m, moves_5m, moves_1m = _squared_moves(grid, second)
    ticks_1m, ticks_5m, spreads_5m = 0.0, 0.0, 0.0
    for q in range(second - 299, second + 1):
        ticks_5m += grid[TICKS, q & MASK]
        spreads_5m += grid[SPREADS, q & MASK]
    for q in range(second - 59, second + 1):
        ticks_1m += grid[TICKS, q & MASK]
    return Event(
        ts_us,
        second,
        bid,
        ask,
        bid_size,
        ask_size,
        0.5 * (bid + ask),
        moves_1m,
        moves_5m,
        moves_15m,
        ticks_1m,
        ticks_5m,
        spreads_5m,
        floats[EWMA_10],
        floats[EWMA_30],
        floats[EWMA_90],
        integers[LEADER_SECOND],
        floats[LEADER_MID],
        integers[ACCEPTED],
        grid,
    )


@nb.njit(nogil=True)
def _squared_moves(grid, second):  # type: ignore[no-untyped-def]
    """Return the sums of squared one-second moves over 900, 300 and 60 seconds, each from its oldest second on."""
    moves_15m, moves_5m, moves_1m = 0.0, 0.0, 0.0
    before = grid[CLOSES, (second - 900) & MASK]
    for q in range(second - 899, second + 1):
        close = grid[CLOSES, q & MASK]
        square = (close - before) * (close - before)
        moves_15m += square
        if q > second - 300:
            moves_5m += square
        if q > second - 60:
            moves_1m += square
        before = close
    return moves_15m, moves_5m, moves_1m


@nb.njit(nogil=True)
def _log_return_bps(event, seconds):  # type: ignore[no-untyped-def]
    return math.log(event.mid / event.grid[CLOSES, (event.second - seconds) & MASK]) * 1e4


@nb.njit(nogil=True)
def spread_bps(event: Event) -> float:
    return (event.ask - event.bid) * (1e4 / event.mid)


@nb.njit(nogil=True)
def spread_mean_5m_bps(event: Event) -> float:
    return event.spreads_5m / event.ticks_5m * (1e4 / event.mid)


@nb.njit(nogil=True)
def log_return_10s_bps(event: Event) -> float:
    return _log_return_bps(event, 10)  # type: ignore[no-any-return]


@nb.njit(nogil=True)
def log_return_30s_bps(event: Event) -> float:
    return _log_return_bps(event, 30)  # type: ignore[no-any-return]


@nb.njit(nogil=True)
def log_return_1m_bps(event: Event) -> float:
    return _log_return_bps(event, 60)  # type: ignore[no-any-return]


@nb.njit(nogil=True)
def log_return_5m_bps(event: Event) -> float:
    return _log_return_bps(event, 300)  # type: ignore[no-any-return]


@nb.njit(nogil=True)
def log_return_15m_bps(event: Event) -> float:
    return _log_return_bps(event, 900)  # type: ignore[no-any-return]


@nb.njit(nogil=True)
def realized_volatility_1m_bps(event: Event) -> float:
    return math.sqrt(event.moves_1m) * (1e4 / event.mid)


@nb.njit(nogil=True)
def realized_volatility_5m_bps(event: Event) -> float:
    return math.sqrt(event.moves_5m) * (1e4 / event.mid)


@nb.njit(nogil=True)
def realized_volatility_15m_bps(event: Event) -> float:
    return math.sqrt(event.moves_15m) * (1e4 / event.mid)


@nb.njit(nogil=True)
def sigma_horizon_points(event: Event) -> float:
    return max(math.sqrt(event.moves_15m * HORIZON_S / 900.0), _MIN_SIGMA_POINTS)


@nb.njit(nogil=True)
def quote_imbalance(event: Event) -> float:
    return imbalance_of(event.bid_size, event.ask_size)  # type: ignore[no-any-return]


@nb.njit(nogil=True)
def quote_imbalance_ewma_10s(event: Event) -> float:
    return event.imbalance_10s


@nb.njit(nogil=True)
def quote_imbalance_ewma_30s(event: Event) -> float:
    return event.imbalance_30s


@nb.njit(nogil=True)
def quote_imbalance_ewma_90s(event: Event) -> float:
    return event.imbalance_90s


@nb.njit(nogil=True)
def tick_intensity_1m(event: Event) -> float:
    return event.ticks_1m / 60.0


@nb.njit(nogil=True)
def tick_intensity_5m(event: Event) -> float:
    return event.ticks_5m / 300.0


@nb.njit(nogil=True)
def time_of_day_sin(event: Event) -> float:
    return math.sin(2.0 * math.pi * (event.ts_us % DAY_US) / DAY_US)


@nb.njit(nogil=True)
def time_of_day_cos(event: Event) -> float:
    return math.cos(2.0 * math.pi * (event.ts_us % DAY_US) / DAY_US)


@nb.njit(nogil=True)
def _leader_return_bps(event, seconds):  # type: ignore[no-untyped-def]
    newest = settled_close(event.leader_second, event.leader_mid, event.grid, event.ts_us, 0)
    oldest = settled_close(event.leader_second, event.leader_mid, event.grid, event.ts_us, seconds)
    return math.log(newest / oldest) * 1e4


@nb.njit(nogil=True)
def leader_log_return_10s_bps(event: Event) -> float:
    return _leader_return_bps(event, 10)  # type: ignore[no-any-return]


@nb.njit(nogil=True)
def leader_log_return_1m_bps(event: Event) -> float:
    return _leader_return_bps(event, 60)  # type: ignore[no-any-return]


@nb.njit(nogil=True)
def leader_gap_1m_bps(event: Event) -> float:
    return _leader_return_bps(event, 60) - _log_return_bps(event, 60)  # type: ignore[no-any-return]


@nb.njit(nogil=True)
def _tick_return_bps(event, ticks):  # type: ignore[no-untyped-def]
    if event.accepted <= ticks:
        return math.nan
    return math.log(event.mid / event.grid[TICK_MIDS, (event.accepted - 1 - ticks) & MASK]) * 1e4


@nb.njit(nogil=True)
def log_return_20_ticks_bps(event: Event) -> float:
    return _tick_return_bps(event, 20)  # type: ignore[no-any-return]


@nb.njit(nogil=True)
def log_return_100_ticks_bps(event: Event) -> float:
    return _tick_return_bps(event, 100)  # type: ignore[no-any-return]


@nb.njit(nogil=True)
def is_london(event: Event) -> float:
    return 1.0 if in_london(event.ts_us) else 0.0


@nb.njit(nogil=True)
def is_new_york(event: Event) -> float:
    return 1.0 if in_new_york(event.ts_us) else 0.0


@nb.njit(nogil=True)
def is_session_overlap(event: Event) -> float:
    return 1.0 if in_london(event.ts_us) and in_new_york(event.ts_us) else 0.0


@nb.njit(nogil=True)
def day_of_week_sin(event: Event) -> float:
    return math.sin(2.0 * math.pi * weekday_of(event.ts_us // DAY_US) / 7.0)


@nb.njit(nogil=True)
def day_of_week_cos(event: Event) -> float:
    return math.cos(2.0 * math.pi * weekday_of(event.ts_us // DAY_US) / 7.0)


@dataclass(frozen=True)
class Feature:
    """One registry line: the compiled function, the unit of its value, its formula, how far back it looks and where it is from.

    It looks back `memory_s` seconds, and over `memory_ticks` valid ticks of the date, before which it is unknown (NaN).
    """

    function: Callable[[Event], float]
    unit: str
    formula: str
    memory_s: int
    source: str
    memory_ticks: int = 0

    @property
    def name(self) -> str:
        return self.function.__name__


_RV = "realized volatility, Andersen & Bollerslev 1998"
_IMBALANCE = "queue imbalance, Cont, Kukanov & Stoikov 2014"
_INTENSITY = "quote intensity, Dacorogna et al. 2001, ch. 3"
_CLOCK = "cyclic coding of the time of day"
_WEEK = "cyclic coding of the day of the week"
_TICK_TIME = "tick time, Dacorogna et al. 2001, ch. 3"
_SESSIONS = "session windows of `domain.sessions`, daylight saving time of the city"
_LEAD_LAG = "lead-lag of quotes, Hayashi & Yoshida 2005; settled seconds are ours"
_EWMA_MEMORY = 10
"""An exponentially weighted mean counts as ten half-lives."""

BASE_V1: tuple[Feature, ...] = (
    Feature(spread_bps, "bps of mid", "(ask - bid) / mid * 1e4", 0, "quoted spread"),
    Feature(spread_mean_5m_bps, "bps of mid", "mean(ask - bid over the ticks of 300 s) / mid * 1e4", 300, "quoted spread"),
    Feature(log_return_10s_bps, "bps", "ln(mid / close 10 s ago) * 1e4", 10, "log return"),
    Feature(log_return_30s_bps, "bps", "ln(mid / close 30 s ago) * 1e4", 30, "log return"),
    Feature(log_return_1m_bps, "bps", "ln(mid / close 60 s ago) * 1e4", 60, "log return"),
    Feature(log_return_5m_bps, "bps", "ln(mid / close 300 s ago) * 1e4", 300, "log return"),
    Feature(log_return_15m_bps, "bps", "ln(mid / close 900 s ago) * 1e4", 900, "log return"),
    Feature(realized_volatility_1m_bps, "bps of mid", "sqrt(sum of squared 1 s moves over 60 s) / mid * 1e4", 60, _RV),
    Feature(realized_volatility_5m_bps, "bps of mid", "sqrt(sum of squared 1 s moves over 300 s) / mid * 1e4", 300, _RV),
    Feature(realized_volatility_15m_bps, "bps of mid", "sqrt(sum of squared 1 s moves over 900 s) / mid * 1e4", 900, _RV),
    Feature(sigma_horizon_points, "points", "max(sqrt(sum of squared 1 s moves over 900 s * 300 / 900), 1)", 900, f"{_RV}; root of time"),
    Feature(quote_imbalance, "-1 to 1", "(bid size - ask size) / (bid size + ask size); 0 without sizes", 0, _IMBALANCE),
    Feature(quote_imbalance_ewma_10s, "-1 to 1", "mean of quote_imbalance, half-life 10 s", 10 * _EWMA_MEMORY, _IMBALANCE),
    Feature(quote_imbalance_ewma_30s, "-1 to 1", "mean of quote_imbalance, half-life 30 s", 30 * _EWMA_MEMORY, _IMBALANCE),
    Feature(quote_imbalance_ewma_90s, "-1 to 1", "mean of quote_imbalance, half-life 90 s", 90 * _EWMA_MEMORY, _IMBALANCE),
    Feature(tick_intensity_1m, "ticks per s", "valid ticks of 60 s / 60", 60, _INTENSITY),
    Feature(tick_intensity_5m, "ticks per s", "valid ticks of 300 s / 300", 300, _INTENSITY),
    Feature(time_of_day_sin, "-1 to 1", "sin(2 pi * seconds of the UTC date / 86400)", 0, _CLOCK),
    Feature(time_of_day_cos, "-1 to 1", "cos(2 pi * seconds of the UTC date / 86400)", 0, _CLOCK),
)

_SETTLED = f"the last second that ended {SETTLED_S} s before the event's second"
LEADER: tuple[Feature, ...] = (
    Feature(leader_log_return_10s_bps, "bps", f"ln(leader's close of {_SETTLED} / 10 s before) * 1e4", 13 + CARRIED_S, _LEAD_LAG),
    Feature(leader_log_return_1m_bps, "bps", f"ln(leader's close of {_SETTLED} / 60 s before) * 1e4", 63 + CARRIED_S, _LEAD_LAG),
    Feature(leader_gap_1m_bps, "bps", "leader_log_return_1m_bps - log_return_1m_bps", 63 + CARRIED_S, _LEAD_LAG),
)

MICRO: tuple[Feature, ...] = (
    Feature(log_return_20_ticks_bps, "bps", "ln(mid / mid 20 valid ticks ago) * 1e4", 0, _TICK_TIME, 20),
    Feature(log_return_100_ticks_bps, "bps", "ln(mid / mid 100 valid ticks ago) * 1e4", 0, _TICK_TIME, 100),
    Feature(is_london, "0 or 1", "1 on a working day of London from 08:00 to 17:00 there", 0, _SESSIONS),
    Feature(is_new_york, "0 or 1", "1 on a working day of New York from 08:00 to 17:00 there", 0, _SESSIONS),
    Feature(is_session_overlap, "0 or 1", "is_london * is_new_york", 0, _SESSIONS),
    Feature(day_of_week_sin, "-1 to 1", "sin(2 pi * weekday of the UTC date / 7), Monday 0", 0, _WEEK),
    Feature(day_of_week_cos, "-1 to 1", "cos(2 pi * weekday of the UTC date / 7), Monday 0", 0, _WEEK),
)

FEATURE_SET, LEAD_FEATURE_SET, MICRO_FEATURE_SET = "base_v1", "lead_v1", "micro_v1"
FEATURE_SETS: dict[str, tuple[Feature, ...]] = {
    FEATURE_SET: BASE_V1,
    LEAD_FEATURE_SET: (*BASE_V1, *LEADER),
    MICRO_FEATURE_SET: (*BASE_V1, *MICRO),
}
"""A new set goes to the end: `silver.features` has its columns in this order, and adds none in between."""
EXTRAS_OF = {FEATURE_SET: NO_EXTRAS, LEAD_FEATURE_SET: WITH_LEADER, MICRO_FEATURE_SET: WITH_MICRO}


def names_of(features: Sequence[Feature]) -> tuple[str, ...]:
    """Return the features' names, in order; one that occurs twice is a `ValueError`."""
    names = tuple(feature.name for feature in features)
    if len(set(names)) < len(names):
        raise ValueError(f"Expected each feature once, was {sorted(names)}. Give a new feature a name of its own.")
    return names


def feature_names(feature_set: str) -> tuple[str, ...]:
    """Return the names of a feature set, in order; an unknown one is a `ValueError`."""
    if feature_set not in FEATURE_SETS:
        raise ValueError(f"Expected a feature set of {', '.join(FEATURE_SETS)}, was {feature_set!r}. See `tick features`.")
    return names_of(FEATURE_SETS[feature_set])


def to_rows() -> list[dict[str, str | int]]:
    """Return each feature once, with the sets that hold it."""
    rows: dict[str, dict[str, str | int]] = {}
    for name, features in FEATURE_SETS.items():
        for feature in features:
            row = rows.setdefault(feature.name, {"name": feature.name, "sets": ""})
            row["sets"] = f"{row['sets']} {name}".strip()
            row |= {"unit": feature.unit, "formula": feature.formula, "memory_s": feature.memory_s}
            row |= {"memory_ticks": feature.memory_ticks, "source": feature.source}
    return list(rows.values())


def to_markdown() -> str:
    """Return the registry as a table."""
    rows = to_rows()
    head, *lines = (f"| {' | '.join(map(str, cells))} |" for cells in (list(rows[0]), *(row.values() for row in rows)))
    return "\n".join((head, f"|{'---|' * len(rows[0])}", *lines))


def longest_memory_s(features: Sequence[Feature]) -> int:
    """Return how long a kernel must have run before all features mean what they say."""
    longest = max(features, key=lambda feature: feature.memory_s)
    if longest.memory_s >= RING_S:
        raise ValueError(
            f"Expected a memory below {RING_S} s, was {longest.memory_s} of {longest.name}. Raise RING_S to a power of two above."
        )
    return longest.memory_s


def compile_row(features: Sequence[Feature], place: int = 0) -> Any:
    """Return the compiled function (event, out) that writes the features' values into `out` from `place` on.

    Each function calls the next: numba can't loop over functions of its own without a warning. Four at a time compile in half the time.
    """
    return _compile_four([feature.function for feature in features], place)


def _compile_one(values: Sequence[Any], place: int) -> Any:
    if not values:
        return _fill_nothing
    value, fill_others = values[0], _compile_one(values[1:], place + 1)

    def fill(event, out):  # type: ignore[no-untyped-def]
        out[place] = value(event)
        fill_others(event, out)

    return _compiled(fill, values, place)


def _compile_four(values: Sequence[Any], place: int) -> Any:
    if len(values) < 4:
        return _compile_one(values, place)
    first, second, third, fourth = values[:4]
    fill_others = _compile_four(values[4:], place + 4)

    def fill(event, out):  # type: ignore[no-untyped-def]
        out[place] = first(event)
        out[place + 1] = second(event)
        out[place + 2] = third(event)
        out[place + 3] = fourth(event)
        fill_others(event, out)

    return _compiled(fill, values, place)


def _compiled(fill: Any, values: Sequence[Any], place: int) -> Any:
    """Compile a part of a row under a name that no other part has.

    Numba tells functions of one name and of equal arguments apart by a number that counts up in each process. Two processes may cache the
    kernel for different kinds of arrays, and where a third one loads both, the first `fill` of a number stands for every other of it:
    features then are written to wrong places, or not at all (seen).
    """
    names = "|".join(value.__name__ for value in values)
    fill.__qualname__ = f"fill_{place}_{hashlib.sha256(names.encode()).hexdigest()[:16]}"
    return nb.njit(nogil=True)(fill)


@nb.njit(nogil=True)
def _fill_nothing(event, out):  # type: ignore[no-untyped-def]
    pass


FEATURE_NAMES = names_of(BASE_V1)
SIGMA_INDEX = FEATURE_NAMES.index("sigma_horizon_points")
WARM_UP_S = longest_memory_s((*BASE_V1, *LEADER, *MICRO))
"""The longest feature memory in seconds."""
ALL_FEATURE_NAMES = tuple(dict.fromkeys(feature.name for features in FEATURE_SETS.values() for feature in features))
"""The names of all sets, each once; those of the first set come first."""
fill_base, fill_leader, fill_micro = compile_row(BASE_V1), compile_row(LEADER), compile_row(MICRO)
