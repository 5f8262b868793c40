"""Missing hours in words: the pattern is named, and every hole by exactly one pattern."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tick_assets.domain.hole_patterns import Hole, Hour, describe_holes, find_patterns, hour_range, stretches, weekday_words

MONDAY = date(2024, 1, 8)


def weekdays(count: int) -> list[date]:
    """Return so many working days from Monday, 8 January 2024."""
    days = (MONDAY + timedelta(days=i) for i in range(2 * count + 2))
    return [day for day in days if day.weekday() < 5][:count]


def opened(days: Iterable[date]) -> set[Hour]:
    return {(day, hour) for day in days for hour in range(24)}


def holes(state: str, hours: Iterable[Hour]) -> list[Hole]:
    return [Hole(day, hour, state) for day, hour in sorted(hours)]


TWO_WEEKS = weekdays(10)
TUESDAY = date(2024, 1, 9)
EVERY_MIDNIGHT = holes("vendor_empty", [(day, 0) for day in TWO_WEEKS])
CASES = {
    "nothing": ([], "240 of 240 open hours present"),
    "one hour": (holes("failed", [(TUESDAY, 5)]), "1 hour missing: 2024-01-09 05h UTC (failed)"),
    "a stretch": (holes("pending", [(TUESDAY, h) for h in (5, 6, 7)]), "3 hours missing: 2024-01-09 05h to 07h UTC (pending)"),
    "every weekday": (EVERY_MIDNIGHT, "10 hours missing: 00h UTC on every weekday (vendor_empty)"),
    "several hours every weekday": (
        holes("vendor_empty", [(day, h) for day in TWO_WEEKS for h in (0, 1, 22)]),
        "30 hours missing: 00h to 01h UTC on every weekday (20 vendor_empty); 22h UTC on every weekday (10 vendor_empty)",
    ),
    "two states": (
        EVERY_MIDNIGHT + holes("failed", [(TUESDAY, 5), (TUESDAY, 6)]),
        "12 hours missing: 00h UTC on every weekday (10 vendor_empty); 2024-01-09 05h to 06h UTC (2 failed)",
    ),
    "a whole date": (holes("failed", opened([TUESDAY])), "24 hours missing: all 24 hours of 2024-01-09 (failed)"),
    "whole dates over a weekend": (
        holes("pending", opened(TWO_WEEKS[4:6])),
        "48 hours missing: all 48 hours of 2024-01-12 to 2024-01-15 (pending)",
    ),
    "a whole date does not hide that the others lack an hour": (
        EVERY_MIDNIGHT + holes("vendor_empty", [(TUESDAY, h) for h in range(1, 24)]),
        "33 hours missing: all 24 hours of 2024-01-09 (24 vendor_empty); 00h UTC on every weekday (9 vendor_empty)",
    ),
    "scattered": (
        holes("failed", [(TWO_WEEKS[0], 3), (TWO_WEEKS[1], 9), (TWO_WEEKS[1], 15), (TWO_WEEKS[7], 20), (TWO_WEEKS[9], 11)]),
        "5 hours missing: 5 scattered hours on 4 dates, 2024-01-08 to 2024-01-19, most on 2024-01-09 (failed)",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_two_weeks_of_holes_in_words(case: str) -> None:
    given_holes, words = CASES[case]
    assert describe_holes(given_holes, opened(TWO_WEEKS)) == words


def test_one_weekday_and_most_dates_in_words() -> None:
    days = weekdays(20)
    fridays = holes("vendor_empty", [(day, 21) for day in days if day.weekday() == 4])
    assert describe_holes(fridays, opened(days)) == "4 hours missing: 21h UTC on every Friday (vendor_empty)"
    most = holes("failed", [(day, 3) for week in range(4) for place, day in enumerate(days[week * 5 : week * 5 + 5]) if place != week])
    spared = [day for day in days if (day, 3) not in {(hole.date, hole.hour) for hole in most}]
    assert [day.weekday() for day in spared] == [0, 1, 2, 3]
    assert describe_holes([hole for hole in most if hole.date.weekday() != 4], opened(days)) == (
        "12 hours missing: 03h UTC on 12 of 20 dates (failed)"
    )


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ((0,), "every Monday"),
        ((0, 1), "every Monday and Tuesday"),
        ((6, 0), "every Sunday and Monday"),
        ((0, 2, 4), "every Monday, Wednesday and Friday"),
        ((2, 3, 4), "every Wednesday to Friday"),
        ((6, 0, 1, 2, 3), "every Sunday to Thursday"),
        ((0, 1, 2, 3, 4), "every weekday"),
        (range(7), "every day"),
    ],
)
def test_weekday_words(chosen: Iterable[int], words: str) -> None:
    assert weekday_words(tuple(chosen)) == words


def test_hours_in_a_row_are_one_stretch() -> None:
    assert stretches([3, 1, 2, 7]) == [(1, 3), (7, 7)]
    assert (hour_range(1, 3), hour_range(7, 7)) == ("01h to 03h UTC", "07h UTC")


HOURS = st.tuples(st.sampled_from(weekdays(15)), st.integers(0, 23))


@given(st.dictionaries(HOURS, st.sampled_from(["failed", "pending", "vendor_empty"]), max_size=150))
def test_patterns_name_every_hole_exactly_once(states: dict[Hour, str]) -> None:
    missing = [Hole(day, hour, state) for (day, hour), state in states.items()]
    patterns = find_patterns(missing, opened(weekdays(15)))
    for state in ("failed", "pending", "vendor_empty"):
        assert sum(each.hours for each in patterns if each.state == state) == sum(hole.state == state for hole in missing)
