"""Session windows follow the clocks of their cities, also in the weeks when those have changed and others have not."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tick_assets.domain.sessions import CLOCKS, LABELS, day_sessions, sessions_at


def hours_of(day: date) -> dict[str, tuple[int, int]]:
    """Return the first and the last UTC hour of each window."""
    found = {name: [hour for hour, names in enumerate(day_sessions(day)) if name in names] for name in LABELS}
    return {name: (hours[0], hours[-1]) for name, hours in found.items() if hours and name != "other"}


@pytest.mark.parametrize(
    ("day", "london", "overlap", "new_york", "rollover"),
    [
        (date(2024, 3, 8), (8, 16), (13, 16), (13, 21), 22),  # both in winter
        (date(2024, 3, 11), (8, 16), (12, 16), (12, 20), 21),  # New York changed on 10 March
        (date(2024, 3, 29), (8, 16), (12, 16), (12, 20), 21),
        (date(2024, 4, 1), (7, 15), (12, 15), (12, 20), 21),  # London changed on 31 March
        (date(2024, 10, 25), (7, 15), (12, 15), (12, 20), 21),
        (date(2024, 10, 28), (8, 16), (12, 16), (12, 20), 21),  # London changed on 27 October
        (date(2024, 11, 1), (8, 16), (12, 16), (12, 20), 21),
        (date(2024, 11, 4), (8, 16), (13, 16), (13, 21), 22),  # New York changed on 3 November
    ],
)
def test_windows_move_with_each_citys_clock(
    day: date, london: tuple[int, int], overlap: tuple[int, int], new_york: tuple[int, int], rollover: int
) -> None:
    found = hours_of(day)
    assert found.pop("asia") == (0, 8)  # Tokyo has no daylight saving
    assert found == {"london": london, "overlap": overlap, "new_york": new_york, "rollover": (rollover, rollover)}


@pytest.mark.parametrize("day", [date(2024, 3, 10), date(2024, 3, 31), date(2024, 10, 27), date(2024, 11, 3)])
def test_daylight_saving_sundays_have_no_session(day: date) -> None:
    assert day_sessions(day) == (("other",),) * 24


def test_friday_evening_belongs_to_rollover_and_saturday_to_none() -> None:
    assert sessions_at(datetime(2024, 1, 12, 22, tzinfo=UTC)) == ("rollover",)
    assert sessions_at(datetime(2024, 1, 13, 10, tzinfo=UTC)) == ("other",)


def test_hour_in_two_cities_is_in_both_windows_and_the_overlap() -> None:
    assert sessions_at(datetime(2024, 1, 8, 14, tzinfo=UTC)) == ("london", "overlap", "new_york")
    assert sessions_at(datetime(2024, 1, 8, 8, tzinfo=UTC)) == ("asia", "london")


def test_naive_hour_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected an aware datetime"):
        sessions_at(datetime(2024, 1, 8, 14))  # noqa: DTZ001


def test_every_window_has_a_label_and_a_clock() -> None:
    assert set(LABELS) == set(CLOCKS)
