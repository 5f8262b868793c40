"""Server midnights and the nights they count, by hand and against the terminal's own clock."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from tick_assets.domain.rollovers import rollovers

NY = {"kind": "ny_plus_7"}


def stamp(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def iso(ts_us: int) -> str:
    return datetime.fromtimestamp(ts_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.parametrize(
    ("clock", "day", "midnight"),
    [
        (NY, "2024-01-10", "2024-01-10T22:00:00"),
        (NY, "2024-07-10", "2024-07-10T21:00:00"),
        ({"kind": "fixed", "offset_hours": 2}, "2024-07-10", "2024-07-10T22:00:00"),
        ({"kind": "fixed", "offset_hours": 5.5}, "2024-07-10", "2024-07-10T18:30:00"),
        ({"kind": "zoneinfo", "zone": "Europe/Athens"}, "2024-01-10", "2024-01-10T22:00:00"),
        ({"kind": "zoneinfo", "zone": "Europe/Athens"}, "2024-07-10", "2024-07-10T21:00:00"),
    ],
)
def test_rollovers_midnight_of_the_server_in_utc(clock: dict[str, Any], day: str, midnight: str) -> None:
    found = rollovers(clock, stamp(f"{day}T12:00:00"), stamp(f"{day}T12:00:00"))
    assert midnight in [iso(int(ts)) for ts in found.ts_us]


@pytest.mark.parametrize(
    ("opened", "closed", "triple", "nights"),
    [
        ("2024-01-08T10:00:00", "2024-01-08T21:59:59", "wednesday", 0),
        ("2024-01-08T21:59:59", "2024-01-08T22:00:00", "wednesday", 1),
        ("2024-01-08T22:00:00", "2024-01-09T21:59:59", "wednesday", 0),
        ("2024-01-10T21:00:00", "2024-01-10T23:00:00", "wednesday", 3),
        ("2024-01-10T21:00:00", "2024-01-10T23:00:00", "friday", 1),
        ("2024-01-12T21:00:00", "2024-01-14T23:00:00", "wednesday", 1),
        ("2024-01-12T21:00:00", "2024-01-14T23:00:00", "friday", 3),
        ("2024-01-12T21:00:00", "2024-01-14T23:00:00", "none", 3),
        ("2024-01-08T12:00:00", "2024-01-15T12:00:00", "wednesday", 7),
        ("2024-01-08T12:00:00", "2024-01-15T12:00:00", "none", 7),
    ],
)
def test_rollovers_nights_held(opened: str, closed: str, triple: str, nights: int) -> None:
    found = rollovers(NY, stamp("2024-01-08T00:00:00"), stamp("2024-01-15T23:00:00"))
    assert found.nights_held(triple, stamp(opened), stamp(closed)) == nights


def test_rollovers_unknown_clock_names_the_remedy() -> None:
    with pytest.raises(ValueError, match="Expected server_clock kind fixed, zoneinfo or ny_plus_7, was 'lunar'"):
        rollovers({"kind": "lunar"}, 0, 0)


def test_rollovers_of_a_year_come_once_a_day() -> None:
    found = rollovers(NY, stamp("2024-01-01T00:00:00"), stamp("2024-12-31T23:00:00"))
    gaps = np.diff(found.ts_us) // 3_600_000_000
    assert sorted(set(gaps.tolist())) == [23, 24, 25]
    assert (np.diff(found.weekday.astype(np.int64)) % 7).tolist() == [1] * (len(found.weekday) - 1)
