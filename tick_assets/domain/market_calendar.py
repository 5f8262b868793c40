"""When a market is expected to be open, by asset class and UTC hour.

What belongs here: trading weeks, daily breaks and full-day holidays, in the market's own time zone. What must not: what a vendor answered.

The table holds the widest hours that are usual at CFD brokers, so that a doubt shows as a hole (`vendor_empty`) and hides none. An hour
that is closed here and has ticks is `ok` all the same. Days on which a market only closes early, holidays of one country, and the hours
when a vendor maintains its crypto servers are not modelled: they show as `vendor_empty`.

Where the table comes from: Dukascopy ends its trading day at 17:00 in New York, and quotes metals and the indices of the US and Japan in
New York's summer time; its silver breaks from 17:00 to 18:00 there. Other indices keep the clock of their exchange. On Good Friday it shuts
metals and all indices, on Easter Monday those of Europe, Australia and Hong Kong; currencies trade on. Crypto is quoted at all hours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
BERLIN = ZoneInfo("Europe/Berlin")
SYDNEY = ZoneInfo("Australia/Sydney")
HONG_KONG = ZoneInfo("Asia/Hong_Kong")
CLOSE_HOUR = 17
"""Hour of the New York day at which the trading day, and on Friday the week, ends."""
_MONDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 4, 5, 6
_HOURS_OF_WEEK = 7 * 24

Holiday = Callable[[int], date]
"""The date of a holiday in a year."""


def easter_sunday(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar, 1583 and later (the anonymous algorithm, Nature 1876)."""
    century, of_century = divmod(year, 100)
    moon = (19 * (year % 19) + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - moon - of_century % 4) % 7
    late = (year % 19 + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def new_year(year: int) -> date:
    return date(year, 1, 1)


def good_friday(year: int) -> date:
    return easter_sunday(year) - timedelta(days=2)


def easter_monday(year: int) -> date:
    return easter_sunday(year) + timedelta(days=1)


def christmas(year: int) -> date:
    return date(year, 12, 25)


def boxing_day(year: int) -> date:
    return date(year, 12, 26)


def on_monday_after_sunday(holiday: Holiday) -> Holiday:
    """Return a holiday that is kept on Monday when it falls on a Sunday, as US exchanges do."""

    def observed(year: int) -> date:
        day = holiday(year)
        return day + timedelta(days=1) if day.weekday() == _SUNDAY else day

    return observed


@dataclass(frozen=True)
class TradingWeek:
    """Trading hours on the wall clock of one zone; `opens` and `closes` are (weekday, hour), equal for a market that never closes.

    `breaks` are hours of every day in which nothing trades. A wall clock moved on by `date_offset_hours` shows the trading date, whose
    holidays shut the market.
    """

    zone: ZoneInfo
    opens: tuple[int, int]
    closes: tuple[int, int]
    breaks: frozenset[int] = frozenset()
    date_offset_hours: int = 0
    holidays: tuple[Holiday, ...] = ()

    def has(self, start: datetime) -> bool:
        """Tell whether the hour that begins at `start`, on the zone's clock, is trading time. Offsets of the zones are whole hours."""
        return self._is_in_week(start) and start.hour not in self.breaks and not self._is_holiday(start)

    def _is_in_week(self, start: datetime) -> bool:
        opens, closes = (weekday * 24 + hour for weekday, hour in (self.opens, self.closes))
        length = (closes - opens) % _HOURS_OF_WEEK or _HOURS_OF_WEEK
        return (start.weekday() * 24 + start.hour - opens) % _HOURS_OF_WEEK < length

    def _is_holiday(self, start: datetime) -> bool:
        trading_date = (start.replace(tzinfo=None) + timedelta(hours=self.date_offset_hours)).date()
        return any(holiday(trading_date.year) == trading_date for holiday in self.holidays)


_US_HOLIDAYS = (on_monday_after_sunday(new_year), good_friday, on_monday_after_sunday(christmas))
_OTHER_HOLIDAYS = (new_year, good_friday, easter_monday, christmas, boxing_day)
_NEW_YORK_WEEK = TradingWeek(
    NEW_YORK, (_SUNDAY, CLOSE_HOUR + 1), (_FRIDAY, CLOSE_HOUR), frozenset({CLOSE_HOUR}), 24 - CLOSE_HOUR, _US_HOLIDAYS
)
TRADING_WEEKS = {
    "fx": TradingWeek(NEW_YORK, (_SUNDAY, CLOSE_HOUR), (_FRIDAY, CLOSE_HOUR), frozenset(), 24 - CLOSE_HOUR, (new_year, christmas)),
    "metal": _NEW_YORK_WEEK,
    "index": _NEW_YORK_WEEK,
    "index_europe": TradingWeek(BERLIN, (_MONDAY, 1), (_FRIDAY, 22), frozenset({22, 23, 0}), 0, _OTHER_HOLIDAYS),
    "index_australia": TradingWeek(SYDNEY, (_MONDAY, 9), (_SATURDAY, 8), frozenset({8}), -9, _OTHER_HOLIDAYS),
    "index_hong_kong": TradingWeek(HONG_KONG, (_MONDAY, 9), (_SATURDAY, 3), frozenset({3, 4, 5, 6, 7, 8, 12}), -9, _OTHER_HOLIDAYS),
    "crypto": TradingWeek(NEW_YORK, (_SUNDAY, CLOSE_HOUR), (_SUNDAY, CLOSE_HOUR)),
}
"""`index` is of the US and Japan."""
ASSET_CLASSES = tuple(TRADING_WEEKS)


def is_open(asset_class: str, hour: datetime) -> bool:
    """Tell whether any part of the UTC hour in which `hour` lies is trading time."""
    week = TRADING_WEEKS.get(asset_class)
    if week is None:
        raise ValueError(f"Expected an asset class of {', '.join(ASSET_CLASSES)}, was {asset_class!r}. Correct it in the market file.")
    if hour.tzinfo is None:
        raise ValueError(f"Expected an aware datetime, was {hour.isoformat()}. Attach a time zone.")
    return week.has(hour.astimezone(UTC).replace(minute=0, second=0, microsecond=0).astimezone(week.zone))


@lru_cache(maxsize=4096)
def open_hours(asset_class: str, day: date) -> tuple[bool, ...]:
    """Return for each of the 24 hours of a UTC date whether it is expected open."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return tuple(is_open(asset_class, midnight + timedelta(hours=hour)) for hour in range(24))
