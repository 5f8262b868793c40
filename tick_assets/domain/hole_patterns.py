"""Missing hours in words: what is missing, on which days, and what the vendor said.

What belongs here: finding the pattern of a list of holes and saying it. What must not: what makes an hour a hole (`tick_statistics`).

A pattern is looked for in this order: whole dates, hours that are missing on every date of some weekdays, hours that are missing on at
least half of their dates, single hours. Each hole is named by exactly one of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MINIMUM_REPEATS = 3
"""Fewer dates than this make no pattern: they are named."""
MOST = 0.5
NAMED_SINGLES = 3
"""So many stretches of single hours are named; the rest are counted."""

Hour = tuple[date, int]
Finding = tuple[str, set[Hour]]


@dataclass(frozen=True)
class Hole:
    """One hour in which the market was open and that is not `ok`."""

    date: date
    hour: int
    state: str


@dataclass(frozen=True)
class Pattern:
    """Some holes of one state, and the words for them."""

    text: str
    state: str
    hours: int


def find_patterns(holes: Sequence[Hole], expected: Collection[Hour]) -> list[Pattern]:
    """Return patterns that name every hole once, the largest first; `expected` are all hours in which the market was open."""
    left = {state: {(hole.date, hole.hour) for hole in holes if hole.state == state} for state in sorted({hole.state for hole in holes})}
    patterns: list[Pattern] = []

    def name(state: str, findings: Iterable[Finding]) -> None:
        for text, hours in findings:
            patterns.append(Pattern(text, state, len(hours)))
            left[state] -= hours

    opened = set(expected)
    for state, hours in left.items():
        whole = _whole_dates(hours, expected)
        name(state, whole)
        opened = opened.difference(*(found for _, found in whole))
    for state in left:
        for find in (_weekday_hours, _frequent_hours, _single_hours):
            name(state, find(left[state], opened))
    return sorted(patterns, key=lambda pattern: -pattern.hours)


def describe_holes(holes: Sequence[Hole], expected: Collection[Hour]) -> str:
    """Return one sentence part such as `65 hours missing: 00h UTC on every weekday (vendor_empty)`, or that nothing is missing."""
    if not holes:
        return f"{len(expected):,} of {len(expected):,} open hours present"
    patterns = find_patterns(holes, expected)
    if len(patterns) == 1:
        (only,) = patterns
        return f"{_hours(len(holes))} missing: {only.text} ({only.state})"
    parts = "; ".join(f"{pattern.text} ({pattern.hours:,} {pattern.state})" for pattern in patterns)
    return f"{_hours(len(holes))} missing: {parts}"


def _hours(count: int) -> str:
    return f"{count:,} hour" if count == 1 else f"{count:,} hours"


def hour_range(first: int, last: int) -> str:
    """Return `00h UTC` or `00h to 02h UTC`, both inclusive."""
    return f"{first:02d}h UTC" if first == last else f"{first:02d}h to {last:02d}h UTC"


def stretches(hours: Iterable[int]) -> list[tuple[int, int]]:
    """Return runs of consecutive hours as (first, last)."""
    found = []
    for _, run in groupby(enumerate(sorted(hours)), key=lambda pair: pair[1] - pair[0]):
        values = [hour for _, hour in run]
        found.append((values[0], values[-1]))
    return found


def _whole_dates(left: set[Hour], expected: Collection[Hour]) -> list[Finding]:
    """Name runs of dates of which no open hour is there; dates without open hours do not end a run."""
    by_date = _by_date(expected)
    order = sorted(by_date)
    empty = [place for place, day in enumerate(order) if all((day, hour) in left for hour in by_date[day])]
    found = []
    for first, last in stretches(empty):
        days = order[first : last + 1]
        hours = {(day, hour) for day in days for hour in by_date[day]}
        where = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
        found.append((f"all {_hours(len(hours))} of {where}", hours))
    return found


def _weekday_hours(left: set[Hour], expected: Collection[Hour]) -> list[Finding]:
    """Name hours that are missing on every date of some weekdays, hours with the same weekdays together."""
    groups: dict[tuple[int, ...], set[int]] = defaultdict(set)
    dates: dict[int, set[date]] = {}
    for hour in {hour for _, hour in left}:
        missing, opened = _dates_of(left, hour), _dates_of(expected, hour)
        full = tuple(day for day in range(7) if _is_full(missing, opened, day))
        covered = {day for day in missing if day.weekday() in full}
        if len(covered) >= MINIMUM_REPEATS:
            groups[full].add(hour)
            dates[hour] = covered
    return [
        (f"{hour_range(first, last)} on {weekday_words(weekdays)}", {(day, h) for h in range(first, last + 1) for day in dates[h]})
        for weekdays, hours in groups.items()
        for first, last in stretches(hours)
    ]


def _is_full(missing: set[date], opened: set[date], weekday: int) -> bool:
    dates = {day for day in opened if day.weekday() == weekday}
    return bool(dates) and dates <= missing and (len(dates) > 1 or missing == opened)


def _frequent_hours(left: set[Hour], expected: Collection[Hour]) -> list[Finding]:
    """Name hours that are missing on at least half of the dates on which the market is open then."""
    found = []
    for hour in sorted({hour for _, hour in left}):
        missing, opened = _dates_of(left, hour), _dates_of(expected, hour)
        if len(missing) >= MINIMUM_REPEATS and len(missing) >= MOST * len(opened):
            text = f"{hour_range(hour, hour)} on {len(missing):,} of {len(opened):,} dates"
            found.append((text, {(day, hour) for day in missing}))
    return found


def _single_hours(left: set[Hour], _: Collection[Hour]) -> list[Finding]:
    """Name stretches of hours of one date; where they are many, say how many and where most are."""
    parts = [
        (f"{day} {hour_range(first, last)}", {(day, hour) for hour in range(first, last + 1)})
        for day, hours in sorted(_by_date(left).items())
        for first, last in stretches(hours)
    ]
    if len(parts) <= NAMED_SINGLES:
        return parts
    by_date = _by_date(left)
    worst = max(sorted(by_date), key=lambda day: len(by_date[day]))
    most = f", most on {worst}" if len(by_date[worst]) > 1 else ""
    return [(f"{len(left):,} scattered hours on {len(by_date):,} dates, {min(by_date)} to {max(by_date)}{most}", set(left))]


def _by_date(hours: Iterable[Hour]) -> dict[date, set[int]]:
    found: dict[date, set[int]] = defaultdict(set)
    for day, hour in hours:
        found[day].add(hour)
    return found


def _dates_of(hours: Collection[Hour], hour: int) -> set[date]:
    return {day for day, each in hours if each == hour}


def weekday_words(weekdays: Sequence[int]) -> str:
    """Return `every weekday`, `every Sunday to Thursday`, `every Monday and Friday` …; 0 is Monday."""
    chosen = set(weekdays)
    if chosen == set(range(7)):
        return "every day"
    if chosen == set(range(5)):
        return "every weekday"
    run = _cyclic_run(chosen)
    if len(run) > 2:
        return f"every {WEEKDAYS[run[0]]} to {WEEKDAYS[run[-1]]}"
    names = [WEEKDAYS[day] for day in (run or sorted(chosen))]
    return "every " + (f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0])


def _cyclic_run(chosen: set[int]) -> list[int]:
    """Return the days in order from the first one of a single run over the week's end, or nothing when they are no single run."""
    starts = [day for day in chosen if (day - 1) % 7 not in chosen]
    return [(starts[0] + i) % 7 for i in range(len(chosen))] if len(starts) == 1 else []
