"""Sampling clocks: at which valid ticks an event is sampled.

What belongs here: the clocks' names, their parsing and the compiled step that all of them share. What must not: features, ids, labels.

    time_<n>s   the first valid tick of each n seconds of the UTC date (n at most a day): `time_60s` is one a minute
    ticks_<n>   every n-th valid tick of the date, counted from its first
    cusum_<x>   the symmetric CUSUM filter (AFML 2.5.2.1) on the mid price, dy = (mid - previous mid) / max(mean spread, 1 point):
                S+ = max(0, S+ + dy), S- = min(0, S- + dy); an event when S+ > x or S- < -x, and the sum that crossed begins again at 0

The unit of CUSUM is the mean spread (the kernel's running mean over about 64 valid ticks, known at the tick): x is then the number of
spreads that the price must have gone one way, which is what a trade has to earn, and it follows the hour of the day by itself.

No clock samples before the kernel is warm. A time clock then strikes at once; ticks and CUSUM have counted since the date's first tick.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numba as nb

from tick_assets.domain.kernel_state import (
    ACCEPTED,
    CLOCK_KIND,
    CLOCK_NEXT,
    CLOCK_STEP,
    CLOCK_THRESHOLD,
    CUSUM_DOWN,
    CUSUM_UP,
    SPREAD,
    State,
)
from tick_assets.domain.ticks import DAY_US

SAMPLING_CLOCK = "time_60s"
TIME, TICK_COUNT, CUSUM = range(3)
_NAME = re.compile(r"time_([1-9]\d*)s|ticks_([1-9]\d*)|cusum_(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Clock:
    """A parsed clock. `step` is microseconds (TIME) or ticks (TICK_COUNT), `threshold` mean spreads (CUSUM)."""

    name: str
    kind: int
    step: int = 1
    threshold: float = 0.0

    def most_events(self, rows: int) -> int:
        """Return how many events so many rows of one date can have at most."""
        if self.kind == CUSUM:
            return rows
        return min(rows, DAY_US // self.step + 1 if self.kind == TIME else rows // self.step + 1)

    def set_into(self, state: State) -> None:
        """Make a new state follow this clock."""
        integers, floats = state[:2]
        integers[CLOCK_KIND], integers[CLOCK_STEP], floats[CLOCK_THRESHOLD] = self.kind, self.step, self.threshold


def parse_clock(name: str) -> Clock:
    """Return the clock of a name; one that is none of the three forms is a `ValueError`."""
    found = _NAME.fullmatch(name)
    if not found:
        raise ValueError(f"Expected a sampling clock time_<n>s, ticks_<n> or cusum_<x>, was {name!r}. Write for example time_60s.")
    seconds, ticks, spreads = found.groups()
    if seconds and int(seconds) * 1_000_000 > DAY_US:
        raise ValueError(f"Expected a time clock of at most a day, was {name!r}. Write at most time_86400s.")
    if spreads and float(spreads) == 0.0:
        raise ValueError(f"Expected a CUSUM threshold above zero, was {name!r}. Write for example cusum_3.")
    if seconds:
        return Clock(name, TIME, int(seconds) * 1_000_000)
    return Clock(name, TICK_COUNT, int(ticks)) if ticks else Clock(name, CUSUM, threshold=float(spreads))


@nb.njit(nogil=True)
def is_between(integers, ts_us):  # type: ignore[no-untyped-def]  # numba infers
    """Tell that a time clock does not strike: what holds for nearly all ticks, so that the step asks it first."""
    return integers[CLOCK_KIND] == TIME and ts_us < integers[CLOCK_NEXT]


@nb.njit(nogil=True)
def strikes(integers, floats, ts_us, move, is_warm):  # type: ignore[no-untyped-def]
    """Tell whether the valid tick that was just accepted is sampled. `move` is the mid's move by it, in points."""
    kind = integers[CLOCK_KIND]
    if kind == TIME:
        return is_warm and _time_strikes(integers, ts_us)
    if kind == TICK_COUNT:
        return _tick_strikes(integers) and is_warm
    return _cusum_strikes(floats, move) and is_warm


@nb.njit(nogil=True)
def _time_strikes(integers, ts_us):  # type: ignore[no-untyped-def]
    if ts_us < integers[CLOCK_NEXT]:
        return False
    midnight = ts_us - ts_us % DAY_US
    step = integers[CLOCK_STEP]
    integers[CLOCK_NEXT] = midnight + ((ts_us - midnight) // step + 1) * step
    return True


@nb.njit(nogil=True)
def _tick_strikes(integers):  # type: ignore[no-untyped-def]
    if integers[CLOCK_NEXT] < 0:
        integers[CLOCK_NEXT] = integers[CLOCK_STEP]
    if integers[ACCEPTED] < integers[CLOCK_NEXT]:
        return False
    integers[CLOCK_NEXT] += integers[CLOCK_STEP]
    return True


@nb.njit(nogil=True)
def _cusum_strikes(floats, move):  # type: ignore[no-untyped-def]
    change = move / max(floats[SPREAD], 1.0)
    floats[CUSUM_UP] = max(0.0, floats[CUSUM_UP] + change)
    floats[CUSUM_DOWN] = min(0.0, floats[CUSUM_DOWN] + change)
    if floats[CUSUM_UP] > floats[CLOCK_THRESHOLD]:
        floats[CUSUM_UP] = 0.0
        return True
    if floats[CUSUM_DOWN] < -floats[CLOCK_THRESHOLD]:
        floats[CUSUM_DOWN] = 0.0
        return True
    return False
