"""Counts per hour, spreads, silences and hours of small literal markets, computed by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from tests.unit.domain.tick_rows import EURUSD, LEDGER, MONDAY, XAGUSD, at, full_days, ledger_rows, tick_rows
from tick_assets.domain import tick_counting as counting
from tick_assets.domain.hour_states import HourState

QUOTES = [
    ("10:00:00", 100_000, 100_010),
    ("10:00:30", 100_000, 100_000),
    ("10:00:30", 100_002, 100_012),
    ("10:45:30", 100_000, 100_020),
    ("11:10:00", 99_990, 100_000),
]


def test_hours_hold_what_was_counted_by_hand() -> None:
    ten, eleven = counting.count_hours(tick_rows(QUOTES)).to_dicts()
    assert ten == {
        "date": MONDAY,
        "hour": 10,
        "tick_count": 4,
        "spread_points_sum": 40,
        "spread_bps_sum": pytest.approx((10 / 100_005 + 10 / 100_007 + 20 / 100_010) * 1e4),
        "zero_spreads": 1,
        "equal_stamps": 1,
        "low": pytest.approx(1.0),
        "high": pytest.approx(1.0001),
        "first_ts": at(MONDAY, "10:00:00"),
        "last_ts": at(MONDAY, "10:45:30"),
        "longest_silence_s": 2700.0,
    }
    assert (eleven["tick_count"], eleven["longest_silence_s"]) == (1, 3000.0)


def test_rows_in_any_order_count_the_same() -> None:
    rows = tick_rows(QUOTES)
    shuffled = counting.in_time_order(rows.sample(fraction=1.0, shuffle=True, seed=3))
    assert counting.count_hours(shuffled).equals(counting.count_hours(rows))
    assert counting.count_spreads(shuffled).equals(counting.count_spreads(rows))


def test_spreads_are_counted_by_value_in_points_and_bps() -> None:
    rows = counting.count_spreads(tick_rows(QUOTES)).filter(pl.col("hour") == 10)
    found = {unit: list(rows.filter(pl.col("unit") == unit).select("spread", "tick_count").iter_rows()) for unit in ("points", "bps")}
    assert found == {"points": [(0.0, 1), (10.0, 2), (20.0, 1)], "bps": [(0.0, 1), (1.0, 2), (2.0, 1)]}


def test_no_ticks_are_no_rows() -> None:
    nothing = tick_rows([])
    assert counting.count_hours(nothing).schema == counting.HOURS_SCHEMA
    assert (counting.count_hours(nothing).height, counting.count_spreads(nothing).height, counting.longest_gaps(nothing)) == (0, 0, [])


def test_rejects_without_a_stamp_have_no_hour() -> None:
    stamps = pl.Series([at(MONDAY, "09:30"), at(MONDAY, "09:31"), None], dtype=counting.UTC_STAMP)
    rows = pl.DataFrame({"date": [MONDAY] * 3, "ts_event": stamps, "reason_code": ["QUOTE_CROSSED", "QUOTE_CROSSED", "ROW_MALFORMED"]})
    counted = counting.count_rejects(rows).sort("row_count", descending=True).rows()
    assert counted == [(MONDAY, 9, "QUOTE_CROSSED", 2), (MONDAY, None, "ROW_MALFORMED", 1)]


# Hours.


def test_newest_revision_says_what_an_hour_is_and_unnamed_hours_are_pending() -> None:
    rows = [
        (MONDAY, 3, "failed", "dukascopy", None, at(MONDAY, "20:00")),
        (MONDAY, 3, "ok", "dukascopy", 1, at(MONDAY, "21:00")),
        (MONDAY, 4, "vendor_empty", "dukascopy", None, at(MONDAY, "21:00")),
        (MONDAY, 4, "failed", "dukascopy", None, at(MONDAY, "20:00")),
    ]
    cells = counting.hour_cells(EURUSD, pl.DataFrame(rows, schema=LEDGER, orient="row"), [(MONDAY, MONDAY)])
    assert [str(cell.state) for cell in cells[2:6]] == ["pending", "ok", "vendor_empty", "pending"]
    assert cells[3].revision == 1
    assert len(cells) == 24


def test_silver_is_closed_for_an_hour_and_that_is_no_hole() -> None:
    ledger = ledger_rows(full_days([MONDAY], h22="closed", h05="vendor_empty"))
    cells = counting.hour_cells(XAGUSD, ledger, [(MONDAY, MONDAY)])
    assert (cells[22].state, cells[22].expected, cells[22].is_hole) == (HourState.CLOSED, False, False)
    assert [cell.hour for cell in cells if cell.is_hole] == [5]


def test_dates_further_apart_than_a_long_weekend_are_two_ranges() -> None:
    days = [MONDAY, MONDAY + timedelta(days=4), MONDAY + timedelta(days=9)]
    assert counting.date_ranges(days) == [(days[0], days[1]), (days[2], days[2])]


# Silences.


def _silences(quotes: dict[date, list[str]], states: dict[tuple[date, int], str] | None = None) -> list[tuple[datetime, datetime, float]]:
    rows = pl.concat(tick_rows([(clock, 100_000, 100_010) for clock in clocks], day) for day, clocks in quotes.items())
    ledger = ledger_rows(states or full_days(list(quotes)))
    cells = counting.hour_cells(EURUSD, ledger, counting.date_ranges(quotes))
    edges = counting.date_edges(counting.count_hours(rows))
    found = counting.find_silences(counting.longest_gaps(rows), edges, cells)
    return [(each.start, each.end, each.seconds) for each in found]


def test_silences_end_where_the_market_closes() -> None:
    friday, sunday = date(2024, 1, 12), date(2024, 1, 14)  # closed from Friday 22:00 to Sunday 22:00 UTC
    found = _silences({friday: ["00:00", "12:00", "21:50"], sunday: ["22:05", "23:59"]})
    assert [(f"{start:%a %H:%M}", f"{end:%a %H:%M}", seconds) for start, end, seconds in found] == [
        ("Fri 00:00", "Fri 12:00", 43_200.0),
        ("Fri 12:00", "Fri 21:50", 35_400.0),
        ("Sun 22:05", "Sun 23:59", 6_840.0),
        ("Fri 21:50", "Fri 22:00", 600.0),
        ("Sun 22:00", "Sun 22:05", 300.0),
        ("Sun 23:59", "Mon 00:00", 60.0),
    ]


def test_silence_over_midnight_is_one() -> None:
    found = _silences({MONDAY: ["00:00", "23:00"], MONDAY + timedelta(days=1): ["02:00", "23:59:59"]})
    assert (at(MONDAY, "23:00"), at(MONDAY + timedelta(days=1), "02:00"), 10_800.0) in found


def test_dates_without_any_tick_are_silent_as_a_whole() -> None:
    ((_, _, seconds),) = counting_silence = _silences({MONDAY: []})
    assert (len(counting_silence), seconds) == (1, 86_400.0)


def test_silence_names_the_states_of_its_hours() -> None:
    ledger = ledger_rows(full_days([MONDAY], h03="vendor_empty"))
    rows = tick_rows([("00:00", 1, 2), ("02:59", 1, 2), ("04:00:01", 1, 2), ("23:59", 1, 2)])
    cells = counting.hour_cells(EURUSD, ledger, [(MONDAY, MONDAY)])
    found = counting.find_silences(counting.longest_gaps(rows), counting.date_edges(counting.count_hours(rows)), cells)
    assert {each.states for each in found if each.start.hour == 2} == {("ok", "vendor_empty")}


def test_long_holes_do_not_push_out_the_silences_between_ticks() -> None:
    ledger = ledger_rows(full_days([MONDAY], h03="failed"))
    rows = tick_rows([(clock, 1, 2) for clock in ("00:00", "02:59", "04:00:01", "04:30", "23:59:59")])
    cells = counting.hour_cells(EURUSD, ledger, [(MONDAY, MONDAY)])
    found = counting.find_silences(counting.longest_gaps(rows), counting.date_edges(counting.count_hours(rows)), cells, limit=1)
    assert [(f"{each.start:%H:%M}", each.has_hole) for each in found] == [("04:30", False), ("02:59", True)]


def test_no_silence_where_the_market_never_opens() -> None:
    saturday = date(2024, 1, 13)
    assert _silences({saturday: []}) == []


def test_of_many_gaps_the_longest_are_kept() -> None:
    rows = tick_rows([(clock, 1, 2) for clock in ("00:00", "00:01", "00:03", "00:06", "00:10")])
    assert sorted(end - start for start, end in counting.longest_gaps(rows, 2)) == [timedelta(minutes=3), timedelta(minutes=4)]
