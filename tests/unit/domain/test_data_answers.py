"""The first sentences of the data report, and what to do about holes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.unit.domain.tick_rows import EURUSD, MONDAY, USDJPY, full_days, ledger_rows, statistics_of, tick_rows
from tick_assets.domain.data_answers import (
    NOTHING,
    answer,
    headline,
    largest_holes,
    not_asked,
    remedy,
    repeated_holes,
    to_document,
)
from tick_assets.domain.tick_statistics import SymbolStatistics

WEEK = [MONDAY + timedelta(days=i) for i in range(5)]
TORN = "with other rows than were published: replaced while they were read, so make the report again"
FULL = statistics_of(EURUSD, ledger_rows(full_days(WEEK[:2])))
MIDNIGHTS = statistics_of(USDJPY, ledger_rows(full_days(WEEK[:4], h00="vendor_empty")))
FAILED = statistics_of(EURUSD, ledger_rows(full_days(WEEK[:2]) | {(WEEK[1], 7): "failed", (WEEK[1], 8): "pending"}))


@pytest.mark.parametrize(
    ("statistics", "words"),
    [
        (FULL, "48 of 48 open hours present"),
        (MIDNIGHTS, "4 hours missing: 00h UTC on every Monday to Thursday (vendor_empty)"),
        (SymbolStatistics(EURUSD), "nothing yet: `tick backfill --symbols EURUSD --from DATE --to DATE` asks for it"),
        (statistics_of(EURUSD, ledger_rows(full_days([date(2024, 1, 13)], h00="closed"))), "no hour in which the market is open"),
        (
            statistics_of(EURUSD, ledger_rows(full_days(WEEK[:2])), is_published=False),
            "48 of 48 open hours present; 2 dates (2024-01-08 to 2024-01-09) fetched and not published: no reader sees them",
        ),
        (
            replace(FULL, publications=(replace(FULL.publications[0], silver_rows=9), FULL.publications[1])),
            f"48 of 48 open hours present; 2024-01-08 {TORN}",
        ),
    ],
)
def test_answer_of_one_symbol(statistics: SymbolStatistics, words: str) -> None:
    assert answer(statistics) == words


@pytest.mark.parametrize(
    ("symbols", "words"),
    [
        ([], NOTHING),
        ([SymbolStatistics(EURUSD)], NOTHING),
        ([FULL], "No hour is missing: 48 of 48 open hours of 1 symbol are there."),
        ([FULL, MIDNIGHTS], "4 of 144 open hours are missing in 1 of 2 symbols. The vendor was asked for all of them."),
        ([FAILED], "2 of 48 open hours are missing. 2 of them can still be had."),
    ],
)
def test_headline(symbols: list[SymbolStatistics], words: str) -> None:
    assert headline(symbols) == words


def test_remedy_asks_for_what_was_not_answered_and_only_for_that() -> None:
    assert (remedy(FULL), remedy(MIDNIGHTS)) == ("", "")
    assert remedy(FAILED) == "`tick backfill --symbols EURUSD --from 2024-01-09 --to 2024-01-09`"


def test_remedy_of_imported_dates_is_a_file_because_no_vendor_is_asked_for_them() -> None:
    imported = statistics_of(EURUSD, ledger_rows(full_days(WEEK[:1], h05="failed"), "import-histdata"))
    assert remedy(imported) == "import files that hold the hours that import-histdata lacks: `tick import PATH --symbol EURUSD`"


def test_holes_are_stretches_of_one_state_the_longest_first() -> None:
    found = [(each.symbol, f"{each.start:%d %H}", f"{each.end:%d %H}", each.hours, each.state) for each in largest_holes([FAILED])]
    assert found == [("EURUSD", "09 07", "09 08", 1, "failed"), ("EURUSD", "09 08", "09 09", 1, "pending")]


def test_a_hole_before_and_after_the_weekend_is_one() -> None:
    friday, sunday = date(2024, 1, 12), date(2024, 1, 14)
    closed = {(friday, 22): "closed", (friday, 23): "closed"} | {(sunday, hour): "closed" for hour in range(22)}
    states = full_days([friday, sunday]) | closed | {(friday, 21): "failed", (sunday, 22): "failed"}
    saturday = {(date(2024, 1, 13), hour): "closed" for hour in range(24)}
    ((hole),) = largest_holes([statistics_of(EURUSD, ledger_rows(states | saturday))])
    assert (f"{hole.start:%a %H}", f"{hole.end:%a %H}", hole.hours) == ("Fri 21", "Sun 23", 2)


def test_repeated_holes_are_shown_once() -> None:
    ((group),) = repeated_holes(largest_holes([MIDNIGHTS]))
    assert [each.start.date() for each in group] == WEEK[:4]


def test_dates_between_two_ranges_were_not_asked_for_and_are_no_holes() -> None:
    later = MONDAY + timedelta(days=28)
    found = statistics_of(EURUSD, ledger_rows(full_days([MONDAY, later])))
    assert not_asked(found) == [(MONDAY + timedelta(days=1), later - timedelta(days=1))]
    assert answer(found) == "48 of 48 open hours present"


def test_document_holds_answer_hours_and_figures() -> None:
    ticks = tick_rows([("10:00", 100_000, 100_010), ("10:30", 100_000, 100_020)])
    found = to_document(statistics_of(EURUSD, ledger_rows(full_days([MONDAY], h00="vendor_empty")), ticks))
    assert (found["symbol"], found["hours_expected"], found["hours_missing"]) == ("EURUSD", 24, 1)
    assert found["hours_by_state"] == {"ok": 23, "closed": 0, "vendor_empty": 1, "failed": 0, "pending": 0}
    assert (found["total"]["tick_count"], found["sessions"]["london"]["spread_median_points"]) == (2, 15.0)
