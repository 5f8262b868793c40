"""The clocks that files keep: what a stamp of theirs is in UTC.

What belongs here: naming a clock, local to UTC at daylight-saving switches. What must not: finding out which clock a file keeps
(`clock_inference`), text.

Names: hours ahead of UTC (`2`, `-5`, `5.5`), `utc`, `eet` (Europe's switches), `ny+7` (New York plus seven hours, the server clock of
many brokers: midnight is the close in New York, so it switches with New York), any zone as `Europe/Berlin`.

The hour that a clock repeats in autumn is told apart by the order of the rows: when the file steps back once within it, the rows before
the step are the first pass. Otherwise nobody can tell, and such rows are `repeated`. The hour that a clock skips in spring holds no row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from tick_assets.domain.ticks import Int64Array
from tick_assets.lakehouse.importers.text_formats import ImportRefusedError

CHOICES = "hours ahead of UTC (2, -5, 5.5), utc, eet, ny+7, a zone such as Europe/Berlin"
_ZONES = {"eet": "Europe/Helsinki", "ny": "America/New_York"}
_FIXED = re.compile(r"^[+-]?\d{1,2}(?:\.\d{1,2})?$", re.ASCII)
_SHIFTED = re.compile(r"^(?P<zone>eet|ny)(?P<hours>[+-]\d{1,2})?$", re.ASCII)
_MAXIMUM_HOURS = 14
_HOUR_US = 3_600_000_000
_STEP_BACK_US = 60_000_000
"""A step back of less than this within the repeated hour is disorder, not the switch."""
_FIRST_YEAR, _LAST_YEAR = 1985, 2100


@dataclass(frozen=True)
class ClockReading:
    """UTC of n local stamps. Where `skipped` or `repeated`, `utc_us` is no answer; `uncertain_hours` are UTC hours since 1970 that
    repeated rows may belong to.
    """

    utc_us: Int64Array
    skipped: npt.NDArray[np.bool_]
    repeated: npt.NDArray[np.bool_]
    uncertain_hours: frozenset[int]


@dataclass(frozen=True)
class Clock:
    """A zone, or UTC where it is empty, and a fixed shift ahead of it."""

    name: str
    zone: str
    shift_us: int

    def to_utc(self, local_us: Int64Array) -> ClockReading:
        """Return UTC of local stamps given in file order."""
        nothing = np.zeros(len(local_us), bool)
        if not self.zone:
            return ClockReading(local_us - self.shift_us, nothing, nothing, frozenset())
        starts, offsets = _periods(self.zone)
        shown = local_us - self.shift_us
        period = np.maximum(np.searchsorted(starts + offsets, shown, side="right") - 1, 0)
        late = shown - offsets[period]
        ends = np.append(starts[1:], np.iinfo(np.int64).max)
        early = shown - offsets[np.maximum(period - 1, 0)]
        is_twice = (period > 0) & (early < starts[period])
        utc, repeated = _resolved(shown, early, late, is_twice, period)
        hours = np.concatenate([early[repeated], late[repeated]]) // _HOUR_US
        return ClockReading(utc, late >= ends[period], repeated, frozenset(hours.tolist()))


def _resolved(
    local: Int64Array, early: Int64Array, late: Int64Array, is_twice: npt.NDArray[np.bool_], period: Int64Array
) -> tuple[Int64Array, npt.NDArray[np.bool_]]:
    """Return UTC and which rows of repeated hours stay unresolved, one switch at a time."""
    utc, repeated = late.copy(), np.zeros(len(local), bool)
    for switch in np.unique(period[is_twice]):
        rows = np.flatnonzero(is_twice & (period == switch))
        steps_back = np.flatnonzero(np.diff(local[rows]) <= -_STEP_BACK_US)
        if len(steps_back) == 1:
            first_pass = rows[: steps_back[0] + 1]
            utc[first_pass] = early[first_pass]
        else:
            repeated[rows] = True
    return utc, repeated


def parse_clock(text: str) -> Clock:
    """Return the clock of a name; an unknown one is an `ImportRefusedError` with the choices."""
    name = text.strip().lower()
    if name in ("utc", "gmt"):
        return Clock("utc", "", 0)
    if _FIXED.match(name) and abs(float(name)) <= _MAXIMUM_HOURS and (float(name) * 4).is_integer():
        return Clock(name, "", round(float(name) * _HOUR_US))
    if match := _SHIFTED.match(name):
        return Clock(name, _ZONES[match["zone"]], int(match["hours"] or 0) * _HOUR_US)
    if "/" in name and _is_zone(text.strip()):
        return Clock(text.strip(), text.strip(), 0)
    raise ImportRefusedError(f"Expected a clock of {CHOICES}, was {text!r}. Correct --utc-offset.")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


@lru_cache(maxsize=32)
def _periods(zone: str) -> tuple[Int64Array, Int64Array]:
    """Return (UTC starts, offsets) of a zone's periods of one offset, in microseconds; the first one has no beginning."""
    found = list(_switches(ZoneInfo(zone)))
    starts = np.array([at for at, _ in found], np.int64)
    return starts, np.array([offset for _, offset in found], np.int64)


def _switches(zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    at = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    offset = at.astimezone(zone).utcoffset()
    yield -(2**61), _to_us(offset)
    while at.year < _LAST_YEAR:
        later = at + timedelta(days=1)
        if later.astimezone(zone).utcoffset() != offset:
            switch = _first_second(zone, at, later, offset)
            offset = later.astimezone(zone).utcoffset()
            yield int(switch.timestamp()) * 1_000_000, _to_us(offset)
        at = later


def _first_second(zone: ZoneInfo, low: datetime, high: datetime, offset: timedelta | None) -> datetime:
    """Return the first second of `low`..`high` at which the offset is another."""
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == offset else (low, middle)
    return high


def _to_us(offset: timedelta | None) -> int:
    return round((offset or timedelta()).total_seconds()) * 1_000_000
