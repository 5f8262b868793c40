"""When a market is expected to be open, by asset class and UTC hour.

What belongs here: the weekly and daily closing times, in the market's own time zone. What must not: what a vendor answered.
Public holidays are not modelled: an empty hour of one is a `vendor_empty`, which overstates a hole and never hides one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
ASSET_CLASSES = ("fx", "metal", "index", "crypto")
CLOSE_HOUR = 17
"""Hour of the New York day at which the trading day, and on Friday the week, ends."""
_SUNDAY, _FRIDAY, _SATURDAY = 6, 4, 5


def is_open(asset_class: str, hour: datetime) -> bool:
    """Tell whether any part of the UTC hour that begins at `hour` lies in trading time."""
    if asset_class not in ASSET_CLASSES:
        raise ValueError(f"Expected an asset class of {', '.join(ASSET_CLASSES)}, was {asset_class!r}. Correct it in the market file.")
    if hour.tzinfo is None:
        raise ValueError(f"Expected an aware datetime, was {hour.isoformat()}. Attach a time zone.")
    if asset_class == "crypto":
        return True
    start = hour.astimezone(UTC).replace(minute=0, second=0, microsecond=0).astimezone(NEW_YORK)
    if _is_weekend(start):
        return False
    return asset_class == "fx" or start.hour != CLOSE_HOUR


def _is_weekend(start: datetime) -> bool:
    """New York's offset is a whole number of hours, so an hour lies wholly on one side of the closing time."""
    weekday = start.weekday()
    if weekday == _FRIDAY:
        return start.hour >= CLOSE_HOUR
    return weekday == _SATURDAY or (weekday == _SUNDAY and start.hour < CLOSE_HOUR)


@lru_cache(maxsize=4096)
def open_hours(asset_class: str, day: date) -> tuple[bool, ...]:
    """Return for each of the 24 hours of a UTC date whether it is expected open."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return tuple(is_open(asset_class, midnight + timedelta(hours=hour)) for hour in range(24))
