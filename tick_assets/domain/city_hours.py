"""The working hours of London and New York by a UTC stamp, compiled, for features.

What belongs here: the hours of `sessions.LONDON` and `sessions.NEW_YORK` without a time zone database, which compiled code can't read; a
unit test holds them equal. What must not: names and labels of windows (`sessions`), features.

Daylight saving time: Europe from the last Sunday of March to that of October at 01:00 UTC (since 1996, directive 2000/84/EC); the US from
the second Sunday of March to the first of November at 02:00 local time (since 2007, Energy Policy Act of 2005), before that from the
first Sunday of April to the last of October.
"""

from __future__ import annotations

import numba as nb

from tick_assets.domain.ticks import DAY_US

HOUR_US = 3_600_000_000
OPENS, CLOSES = 8, 17
"""Hours of the city's clock."""
_SATURDAY, _SUNDAY = 5, 6


@nb.njit(nogil=True)
def weekday_of(day):  # type: ignore[no-untyped-def]  # numba infers
    """Return the weekday of a day since 1970, Monday 0."""
    return (day + 3) % 7


@nb.njit(nogil=True)
def _year_of(day):  # type: ignore[no-untyped-def]
    """Return the Gregorian year of a day since 1970 (Hinnant, civil_from_days)."""
    shifted = day + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    return year_of_era + era * 400 + (1 if of_year >= 306 else 0)


@nb.njit(nogil=True)
def _day_of(year, month, day):  # type: ignore[no-untyped-def]
    """Return the days since 1970 of a date from March on (Hinnant, days_from_civil)."""
    era = year // 400
    year_of_era = year - era * 400
    of_year = (153 * (month - 3) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + of_year - 719_468


@nb.njit(nogil=True)
def _sunday_from(year, month, day):  # type: ignore[no-untyped-def]
    """Return the first Sunday on or after a date, in days since 1970."""
    first = _day_of(year, month, day)
    return first + (_SUNDAY - weekday_of(first)) % 7


@nb.njit(nogil=True)
def _london_offset_hours(ts_us):  # type: ignore[no-untyped-def]
    year = _year_of(ts_us // DAY_US)
    begins = _sunday_from(year, 3, 25) * DAY_US + HOUR_US
    ends = _sunday_from(year, 10, 25) * DAY_US + HOUR_US
    return 1 if begins <= ts_us < ends else 0


@nb.njit(nogil=True)
def _new_york_offset_hours(ts_us):  # type: ignore[no-untyped-def]
    year = _year_of(ts_us // DAY_US)
    if year >= 2007:
        first, last = _sunday_from(year, 3, 8), _sunday_from(year, 11, 1)
    else:
        first, last = _sunday_from(year, 4, 1), _sunday_from(year, 10, 25)
    return -4 if first * DAY_US + 7 * HOUR_US <= ts_us < last * DAY_US + 6 * HOUR_US else -5


@nb.njit(nogil=True)
def _is_at_work(ts_us, offset_hours):  # type: ignore[no-untyped-def]
    local_us = ts_us + offset_hours * HOUR_US
    hour = local_us % DAY_US // HOUR_US
    return weekday_of(local_us // DAY_US) < _SATURDAY and OPENS <= hour < CLOSES


@nb.njit(nogil=True)
def in_london(ts_us):  # type: ignore[no-untyped-def]
    """Tell whether a stamp lies in the working hours of London."""
    return _is_at_work(ts_us, _london_offset_hours(ts_us))


@nb.njit(nogil=True)
def in_new_york(ts_us):  # type: ignore[no-untyped-def]
    """Tell whether a stamp lies in the working hours of New York."""
    return _is_at_work(ts_us, _new_york_offset_hours(ts_us))
