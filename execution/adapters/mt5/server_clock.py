"""The broker's wall clock: MetaTrader writes server wall time into its stamps as if it were UTC.

What belongs here: UTC <-> server seconds for the configured schedule. There is no API for the offset, so it is configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

_QUARTER_S = 900
_HOUR_S = 3_600
_DAY_S = 86_400
_STEP_BACK_US = 60_000_000
"""A step back of less than this between two rows is disorder, not a clock change."""


class ServerClock(Protocol):
    """Offsets of server wall time from UTC, in seconds."""

    def offset_s(self, utc_s: int) -> int: ...


class FixedClock:
    """A server that keeps one offset all year."""

    def __init__(self, offset_hours: float) -> None:
        self._offset_s = round(offset_hours * 3600)

    def offset_s(self, utc_s: int) -> int:
        return self._offset_s


class ZoneClock:
    """A server on the wall clock of a zone, `plus_hours` ahead (New York + 7 keeps five daily bars a week)."""

    def __init__(self, zone: str, plus_hours: int = 0) -> None:
        self._zone = ZoneInfo(zone)
        self._plus_s = plus_hours * 3600
        self._offset_of_quarter = lru_cache(maxsize=4096)(self._offset_at)

    def _offset_at(self, quarter: int) -> int:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=quarter * _QUARTER_S)
        offset = moment.astimezone(self._zone).utcoffset()
        assert offset is not None
        return int(offset.total_seconds()) + self._plus_s

    def offset_s(self, utc_s: int) -> int:
        return self._offset_of_quarter(utc_s // _QUARTER_S)


def server_clock_from(section: Mapping[str, Any]) -> ServerClock:
    """Build the clock of a `[server_clock]` section: `fixed`, `zoneinfo` or `ny_plus_7`."""
    kind = section.get("kind")
    if kind == "fixed":
        return FixedClock(float(section["offset_hours"]))
    if kind == "zoneinfo":
        return ZoneClock(str(section["zone"]))
    if kind == "ny_plus_7":
        return ZoneClock("America/New_York", 7)
    raise ValueError(f"Expected server_clock kind fixed, zoneinfo or ny_plus_7, was {kind!r}. Correct the market file.")


def to_server_us(clock: ServerClock, utc_us: int) -> int:
    """Return server-encoded microseconds of a UTC moment."""
    return utc_us + clock.offset_s(utc_us // 1_000_000) * 1_000_000


def to_utc_us(clock: ServerClock, server_us: int) -> int:
    """Return the UTC moment of a server stamp; in the hour that a clock change repeats, the earlier of the two."""
    earlier = server_us - clock.offset_s(server_us // 1_000_000 - 86_400) * 1_000_000
    later = server_us - clock.offset_s(server_us // 1_000_000 + 86_400) * 1_000_000
    fitting = [moment for moment in (earlier, later) if to_server_us(clock, moment) == server_us]
    return min(fitting) if fitting else earlier


def to_server_us_array(clock: ServerClock, utc_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return server stamps of ascending UTC moments."""
    return _shift(utc_us, lambda moment: to_server_us(clock, moment))


def to_utc_us_array(clock: ServerClock, server_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return UTC moments of server stamps; see `to_utc_us` for the repeated hour."""
    return _shift(server_us, lambda moment: to_utc_us(clock, moment))


def to_utc_us_in_order(clock: ServerClock, server_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return UTC moments of server stamps that stand in the order in which they were recorded.

    In the hour that a clock change repeats, the rows after the step back are its second pass. Where no row steps back nobody can tell,
    and the earlier pass is taken.
    """
    earlier = to_utc_us_array(clock, server_us)
    if len(server_us) == 0:
        return earlier
    later = _shift(server_us, lambda moment: _second_pass(clock, moment))
    is_twice = later != earlier
    steps = np.cumsum(np.diff(server_us, prepend=server_us[0]) < -_STEP_BACK_US)
    begins = is_twice & ~np.concatenate([[False], is_twice[:-1]])
    begin = np.maximum.accumulate(np.where(begins, np.arange(len(server_us)), 0))
    return np.where(is_twice & (steps > steps[begin]), later, earlier)


def _second_pass(clock: ServerClock, server_us: int) -> int:
    """Return the later UTC moment of a server stamp that was shown twice, else its only one."""
    later = server_us - clock.offset_s(server_us // 1_000_000 + _DAY_S) * 1_000_000
    return later if to_server_us(clock, later) == server_us else to_utc_us(clock, server_us)


def server_range(clock: ServerClock, start_us: int, end_us: int) -> tuple[int, int]:
    """Return the server seconds, both inclusive, that hold every stamp of a UTC range; it may hold more, never less.

    Beside a clock change one server second stands for two moments, so that an hour is added there.
    """
    first, last = start_us // 1_000_000, -(-end_us // 1_000_000)
    return (
        first + clock.offset_s(first) - _margin_s(clock, first),
        last + clock.offset_s(last) + _margin_s(clock, last),
    )


def _margin_s(clock: ServerClock, utc_s: int) -> int:
    return 0 if clock.offset_s(utc_s - 2 * _HOUR_S) == clock.offset_s(utc_s + 2 * _HOUR_S) else _HOUR_S


def _shift(stamps: npt.NDArray[np.int64], convert: Any) -> npt.NDArray[np.int64]:
    if len(stamps) == 0:
        return stamps
    quarters = stamps // (_QUARTER_S * 1_000_000)
    unique, places = np.unique(quarters, return_inverse=True)
    starts = unique * _QUARTER_S * 1_000_000
    offsets = np.array([convert(int(start)) - int(start) for start in starts], np.int64)
    return stamps + offsets[places]
