"""Find out which clock a broker's file keeps, from the hours at which its weeks open.

What belongs here: comparing stamps with the market's week. What must not: text, files.
FX and metals open on Sunday at 17:00 in New York, whatever the season. A clock fits when every week of the file opens within the hour
after that. Several clocks that give the same UTC for every row are one answer; several answers, or no weekend to judge by, are refused.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from tick_assets.domain.market_calendar import CLOSE_HOUR, NEW_YORK
from tick_assets.domain.ticks import Int64Array
from tick_assets.lakehouse.importers.clocks import parse_clock
from tick_assets.lakehouse.importers.text_formats import ImportRefusedError

_CANDIDATES = ("ny+7", "eet", *(str(hours) for hours in range(-12, 15)))
_HOUR_US = 3_600_000_000
_WEEKEND_US = (36 * _HOUR_US, 80 * _HOUR_US)
_LATE_MINUTES = 55
_SUNDAY = 6


def infer_clock(local_us: Int64Array, asset_class: str, name: str) -> tuple[str, str]:
    """Return a clock's name and the sentence that justifies it; an undecided file is an `ImportRefusedError` with the choices."""
    stamps = np.unique(local_us)
    opens = _weekly_opens(stamps)
    if asset_class not in ("fx", "metal") or not len(opens):
        raise ImportRefusedError(
            f"Expected a weekend of an FX or metal market in {name} to find its clock by, was none. Give --utc-offset 2, eet or ny+7."
        )
    fitting = {clock: parse_clock(clock).to_utc(stamps) for clock in _CANDIDATES if _fits(clock, opens)}
    readings = {clock: reading.utc_us for clock, reading in fitting.items() if not reading.skipped.any()}
    distinct = {utc_us.tobytes() for utc_us in readings.values()}
    if len(distinct) != 1:
        raise ImportRefusedError(
            f"Expected one clock to fit the {len(opens)} weekly opens of {name}, was {', '.join(readings) or 'none'}. Give --utc-offset."
        )
    clock = next(iter(readings))
    return clock, f"{len(opens)} weeks open on Sunday at {CLOSE_HOUR}:00 in New York on the clock {clock}"


def _weekly_opens(local_us: Int64Array) -> Int64Array:
    gaps = np.diff(local_us)
    return local_us[1:][(gaps >= _WEEKEND_US[0]) & (gaps <= _WEEKEND_US[1])]


def _fits(clock: str, opens: Int64Array) -> bool:
    reading = parse_clock(clock).to_utc(opens)
    if reading.skipped.any() or reading.repeated.any():
        return False
    return all(_is_weekly_open(int(at)) for at in reading.utc_us)


def _is_weekly_open(utc_us: int) -> bool:
    at = datetime.fromtimestamp(utc_us // 1_000_000, UTC).astimezone(NEW_YORK)
    return at.weekday() == _SUNDAY and at.hour == CLOSE_HOUR and at.minute <= _LATE_MINUTES
