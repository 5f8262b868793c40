"""When a broker charges swap: the midnights of its server clock, and how many nights each of them counts.

What belongs here: UTC moments and nights. What must not: what a night costs (`costs`).
`execution.adapters.mt5.server_clock` reads the same section of the market file, because execution installs alone; a parity test compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from tick_assets.domain.instruments import WEEKDAYS
from tick_assets.domain.ticks import DAY_US, Int64Array

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SATURDAY = 5
TRIPLE = 3


@dataclass(frozen=True)
class Rollovers:
    """Server midnights in time order, as UTC microseconds, and the weekday that each ends (0 is Monday)."""

    ts_us: Int64Array
    weekday: npt.NDArray[np.int8]

    def nights(self, triple_weekday: str) -> Int64Array:
        """Return how many nights each midnight counts: three on the triple weekday, none at weekends; with `none` every one once."""
        if triple_weekday == "none":
            return np.ones(len(self.ts_us), np.int64)
        counted = np.where(self.weekday < _SATURDAY, 1, 0)
        return np.where(self.weekday == WEEKDAYS.index(triple_weekday), TRIPLE, counted).astype(np.int64)

    def nights_before(self, triple_weekday: str) -> Int64Array:
        """Return the nights counted before each midnight, one more than there are midnights."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.nights(triple_weekday))])

    def nights_held(self, triple_weekday: str, opened_us: npt.ArrayLike, closed_us: npt.ArrayLike) -> Int64Array:
        """Return the nights of positions: midnights after the opening, up to and on the close."""
        before = self.nights_before(triple_weekday)
        opened, closed = (np.searchsorted(self.ts_us, np.asarray(stamp, np.int64), side="right") for stamp in (opened_us, closed_us))
        return np.asarray(before[closed] - before[opened], np.int64)


def rollovers(server_clock: Mapping[str, Any], first_us: int, last_us: int) -> Rollovers:
    """Return the server midnights from a day before `first_us` to a day after `last_us`. `server_clock` is the market file's section."""
    first, last = (date(1970, 1, 1) + timedelta(days=stamp // DAY_US) for stamp in (first_us, last_us))
    days = [first + timedelta(days=i) for i in range(-1, (last - first).days + 3)]
    stamps = np.array([_midnight_us(server_clock, day) for day in days], np.int64)
    return Rollovers(stamps, np.array([(day - timedelta(days=1)).weekday() for day in days], np.int8))


def _midnight_us(server_clock: Mapping[str, Any], day: date) -> int:
    """Return the UTC moment at which a date of the server's clock begins."""
    wall, kind = datetime(day.year, day.month, day.day, tzinfo=UTC), server_clock.get("kind")
    if kind == "fixed":
        moment = wall - timedelta(hours=float(server_clock["offset_hours"]))
    elif kind == "zoneinfo":
        moment = wall.replace(tzinfo=ZoneInfo(str(server_clock["zone"])))
    elif kind == "ny_plus_7":
        moment = (wall - timedelta(hours=7)).replace(tzinfo=ZoneInfo("America/New_York"))
    else:
        raise ValueError(f"Expected server_clock kind fixed, zoneinfo or ny_plus_7, was {kind!r}. Correct the market file.")
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
