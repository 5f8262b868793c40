"""The calendar, at the edges of weeks, days and daylight saving."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tick_assets.domain.market_calendar import is_open, open_hours


@pytest.mark.parametrize(
    ("asset_class", "hour", "expected"),
    [
        ("fx", "2024-01-12T21:00", True),  # Friday, winter: 16:00 in New York
        ("fx", "2024-01-12T22:00", False),
        ("fx", "2024-01-14T21:00", False),  # Sunday
        ("fx", "2024-01-14T22:00", True),
        ("fx", "2024-03-08T21:00", True),  # the Friday before New York changes its clocks
        ("fx", "2024-03-08T22:00", False),
        ("fx", "2024-03-10T20:00", False),  # the Sunday on which it does
        ("fx", "2024-03-10T21:00", True),
        ("fx", "2024-03-15T20:00", True),
        ("fx", "2024-03-15T21:00", False),
        ("fx", "2024-11-03T21:00", False),  # the Sunday on which it changes back
        ("fx", "2024-11-03T22:00", True),
        ("fx", "2024-01-13T12:00", False),
        ("metal", "2024-01-10T22:00", False),
        ("metal", "2024-07-10T21:00", False),
        ("metal", "2024-07-10T22:00", True),
        ("metal", "2024-01-14T22:00", False),  # Sunday opens an hour later than fx
        ("crypto", "2024-01-13T12:00", True),
    ],
)
def test_is_open_at_an_edge_follows_new_york(asset_class: str, hour: str, expected: bool) -> None:
    assert is_open(asset_class, datetime.fromisoformat(hour).replace(tzinfo=UTC)) is expected


def test_open_hours_of_a_weekday_are_all_open() -> None:
    assert open_hours("fx", date(2024, 1, 10)) == (True,) * 24


def test_is_open_naive_hour_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        is_open("fx", datetime(2024, 1, 10))  # noqa: DTZ001


def test_is_open_unknown_asset_class_is_refused() -> None:
    with pytest.raises(ValueError, match="'bonds'"):
        is_open("bonds", datetime(2024, 1, 10, tzinfo=UTC))
