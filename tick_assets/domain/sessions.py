"""Session windows of the trading day, each in the clock of its own city.

What belongs here: the windows, and which of them a UTC hour lies in. What must not: when a market is open (`market_calendar`).

All windows begin and end on whole hours and all their zones are whole hours away from UTC, so a UTC hour lies wholly inside a window or
wholly outside. Windows overlap: an hour may lie in several, and figures of several windows must not be added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

SATURDAY = 5


@dataclass(frozen=True)
class Session:
    """A window on the working days of a city, from `start_hour` to before `end_hour` of its clock."""

    name: str
    label: str
    zone: str
    start_hour: int
    end_hour: int

    def has(self, hour: datetime) -> bool:
        """Tell whether the UTC hour that begins at `hour` lies in the window."""
        local = hour.astimezone(ZoneInfo(self.zone))
        return local.weekday() < SATURDAY and self.start_hour <= local.hour < self.end_hour

    @property
    def clock(self) -> str:
        return f"{self.start_hour:02d}:00\N{EN DASH}{self.end_hour:02d}:00 {self.zone}"


ASIA = Session("asia", "Asia", "Asia/Tokyo", 9, 18)
LONDON = Session("london", "London", "Europe/London", 8, 17)
NEW_YORK = Session("new_york", "New York", "America/New_York", 8, 17)
ROLLOVER = Session("rollover", "Rollover", "America/New_York", 17, 18)
OVERLAP, OTHER = "overlap", "other"
CITIES = (ASIA, LONDON, NEW_YORK, ROLLOVER)

LABELS = {
    "asia": "Asia",
    "london": "London",
    OVERLAP: "London and New York",
    "new_york": "New York",
    "rollover": "Rollover",
    OTHER: "Other hours",
}
"""Every window with its name for people, in the order of the day."""

CLOCKS = {
    "asia": ASIA.clock,
    "london": LONDON.clock,
    OVERLAP: "while both are at work",
    "new_york": NEW_YORK.clock,
    "rollover": ROLLOVER.clock,
    OTHER: "in none of them",
}


def sessions_at(hour: datetime) -> tuple[str, ...]:
    """Return the names of the windows in which a UTC hour lies, in the order of `LABELS`; `other` when in none."""
    if hour.tzinfo is None:
        raise ValueError(f"Expected an aware datetime, was {hour.isoformat()}. Attach a time zone.")
    found = {session.name for session in CITIES if session.has(hour)}
    if {LONDON.name, NEW_YORK.name} <= found:
        found.add(OVERLAP)
    return tuple(name for name in LABELS if name in found) or (OTHER,)


@lru_cache(maxsize=4096)
def day_sessions(day: date) -> tuple[tuple[str, ...], ...]:
    """Return for each of the 24 hours of a UTC date the windows in which it lies."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return tuple(sessions_at(midnight + timedelta(hours=hour)) for hour in range(24))
