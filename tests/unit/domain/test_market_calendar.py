"""The calendar at the edges of weeks and days, at both daylight-saving switches of New York and Europe, and on holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tick_assets.domain.market_calendar import ASSET_CLASSES, TRADING_WEEKS, easter_sunday, is_open, open_hours


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("asset_class", "hour", "expected"),
    [
        ("fx", "2024-01-12T21:00", True),  # Friday, winter: 16:00 in New York
        ("fx", "2024-01-12T22:00", False),
        ("fx", "2024-01-14T21:00", False),  # Sunday
        ("fx", "2024-01-14T22:00", True),
        ("fx", "2024-01-13T12:00", False),
        ("metal", "2024-01-10T22:00", False),
        ("metal", "2024-07-10T21:00", False),
        ("metal", "2024-07-10T22:00", True),
        ("metal", "2024-01-14T22:00", False),  # Sunday opens an hour later than fx
        ("index", "2024-01-14T23:00", True),
        ("index_europe", "2024-01-15T23:00", False),  # Monday midnight in Berlin
        ("index_australia", "2024-01-14T22:00", True),  # Monday 09:00 in Sydney
        ("index_australia", "2024-01-15T21:00", False),  # 08:00
        ("index_hong_kong", "2024-01-15T04:00", False),  # lunch
        ("index_hong_kong", "2024-01-19T18:00", True),  # the night after Friday, 02:00
        ("index_hong_kong", "2024-01-19T19:00", False),
        ("crypto", "2024-01-13T12:00", True),
        ("crypto", "2024-12-25T12:00", True),
    ],
)
def test_is_open_at_an_edge_follows_the_markets_own_clock(asset_class: str, hour: str, expected: bool) -> None:
    assert is_open(asset_class, utc(hour)) is expected


def week_edges(asset_class: str, sunday: date) -> tuple[str, str]:
    """Return the first open hour of a week and the hour at which it has closed, counted from Saturday noon."""
    noon = datetime(sunday.year, sunday.month, sunday.day, tzinfo=UTC) - timedelta(hours=12)
    hours = [noon + timedelta(hours=i) for i in range(7 * 24)]
    opened = [hour for hour in hours if is_open(asset_class, hour)]
    return f"{opened[0]:%a %H}", f"{opened[-1] + timedelta(hours=1):%a %H}"


@pytest.mark.parametrize(
    ("sunday", "fx", "metal", "europe"),
    [
        (date(2025, 3, 2), ("Sun 22", "Fri 22"), ("Sun 23", "Fri 22"), ("Mon 00", "Fri 21")),
        (date(2025, 3, 9), ("Sun 21", "Fri 21"), ("Sun 22", "Fri 21"), ("Mon 00", "Fri 21")),  # New York to summer time
        (date(2025, 3, 16), ("Sun 21", "Fri 21"), ("Sun 22", "Fri 21"), ("Mon 00", "Fri 21")),
        (date(2025, 3, 23), ("Sun 21", "Fri 21"), ("Sun 22", "Fri 21"), ("Mon 00", "Fri 21")),
        (date(2025, 3, 30), ("Sun 21", "Fri 21"), ("Sun 22", "Fri 21"), ("Sun 23", "Fri 20")),  # Europe to summer time
        (date(2025, 10, 19), ("Sun 21", "Fri 21"), ("Sun 22", "Fri 21"), ("Sun 23", "Fri 20")),
        (date(2025, 10, 26), ("Sun 21", "Fri 21"), ("Sun 22", "Fri 21"), ("Mon 00", "Fri 21")),  # Europe back
        (date(2025, 11, 2), ("Sun 22", "Fri 22"), ("Sun 23", "Fri 22"), ("Mon 00", "Fri 21")),  # New York back
    ],
)
def test_week_edges_move_with_the_markets_own_daylight_saving(
    sunday: date, fx: tuple[str, str], metal: tuple[str, str], europe: tuple[str, str]
) -> None:
    assert (week_edges("fx", sunday), week_edges("metal", sunday), week_edges("index_europe", sunday)) == (fx, metal, europe)


@pytest.mark.parametrize(
    ("day", "metal_break", "europe_closed"),
    [
        (date(2025, 3, 5), [22], [21, 22, 23]),
        (date(2025, 3, 12), [21], [21, 22, 23]),
        (date(2025, 3, 26), [21], [21, 22, 23]),
        (date(2025, 4, 2), [21], [20, 21, 22]),
        (date(2025, 10, 22), [21], [20, 21, 22]),
        (date(2025, 10, 29), [21], [21, 22, 23]),
        (date(2025, 11, 5), [22], [21, 22, 23]),
    ],
)
def test_daily_breaks_move_with_the_markets_own_daylight_saving(day: date, metal_break: list[int], europe_closed: list[int]) -> None:
    closed = [[hour for hour, is_it in enumerate(open_hours(name, day)) if not is_it] for name in ("metal", "index", "index_europe")]
    assert closed == [metal_break, metal_break, europe_closed]


@pytest.mark.parametrize(
    ("asset_class", "day", "open_utc"),
    [
        ("fx", date(2024, 12, 24), range(22)),  # Christmas Eve: until 17:00 in New York
        ("fx", date(2024, 12, 25), range(22, 24)),
        ("fx", date(2020, 1, 1), range(22, 24)),
        ("fx", date(2022, 12, 26), range(24)),  # Monday after Christmas Sunday
        ("fx", date(2025, 4, 18), range(21)),  # Good Friday
        ("metal", date(2024, 12, 25), range(23, 24)),
        ("metal", date(2022, 12, 26), range(23, 24)),
        ("metal", date(2023, 1, 2), range(23, 24)),
        ("metal", date(2016, 3, 25), range(0)),  # Good Friday, with the evening before it
        ("metal", date(2016, 3, 24), range(21)),
        ("metal", date(2016, 3, 28), [*range(21), 22, 23]),
        ("index_europe", date(2016, 3, 25), range(0)),
        ("index_europe", date(2016, 3, 28), range(23, 24)),
        ("index_europe", date(2024, 12, 26), range(0)),
        ("index_australia", date(2016, 3, 28), range(22, 24)),
    ],
)
def test_open_hours_of_a_holiday_follow_the_trading_date(asset_class: str, day: date, open_utc: range | list[int]) -> None:
    assert [hour for hour, is_it in enumerate(open_hours(asset_class, day)) if is_it] == list(open_utc)


@pytest.mark.parametrize(
    "sunday", [date(1961, 4, 2), date(2000, 4, 23), date(2008, 3, 23), date(2019, 4, 21), date(2024, 3, 31), date(2038, 4, 25)]
)
def test_easter_sunday_equals_the_churchs_tables(sunday: date) -> None:
    assert easter_sunday(sunday.year) == sunday


@pytest.mark.parametrize("asset_class", ASSET_CLASSES)
def test_offsets_of_a_trading_week_are_whole_hours(asset_class: str) -> None:
    """An hour of UTC is then an hour of the zone's clock, wholly on one side of every edge."""
    zone = TRADING_WEEKS[asset_class].zone
    offsets = [datetime(2025, month, 15, tzinfo=zone).utcoffset() or timedelta() for month in range(1, 13)]
    assert {offset.total_seconds() % 3600 for offset in offsets} == {0.0}


def test_open_hours_of_a_weekday_are_all_open() -> None:
    assert open_hours("fx", date(2024, 1, 10)) == (True,) * 24


def test_is_open_naive_hour_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        is_open("fx", datetime(2024, 1, 10))  # noqa: DTZ001


def test_is_open_unknown_asset_class_is_refused() -> None:
    with pytest.raises(ValueError, match="'bonds'"):
        is_open("bonds", datetime(2024, 1, 10, tzinfo=UTC))
