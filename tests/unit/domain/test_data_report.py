"""The page: what is missing comes first, nothing is fetched, everything has words beside its picture."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from tests.unit.domain.pages import Page, drawings
from tests.unit.domain.tick_rows import EURUSD, LEDGER, MONDAY, XAGUSD, at, full_days, ledger_rows, statistics_of, tick_rows
from tick_assets.domain.data_calendar import MAXIMUM_COLUMNS, calendar, columns_of
from tick_assets.domain.data_figures import pooled
from tick_assets.domain.data_report import DataReport, in_code, render_data_report
from tick_assets.domain.quantities import duration, number, percent
from tick_assets.domain.tick_counting import REJECTS_SCHEMA
from tick_assets.domain.tick_statistics import SymbolStatistics

MADE_AT = datetime(2024, 1, 20, 12, tzinfo=UTC)
WEEK = [MONDAY + timedelta(days=i) for i in range(5)]
QUOTES = [("10:00", 100_000, 100_010), ("10:30", 100_000, 100_020), ("14:00", 100_000, 100_000), ("21:59", 100_002, 100_012)]


@pytest.fixture
def euro() -> SymbolStatistics:
    """A week without its first hours, with ticks on two dates, refused rows and a revision."""
    ticks = pl.concat([tick_rows(QUOTES), tick_rows(QUOTES[:2], WEEK[3])])
    refused = pl.DataFrame([(MONDAY, 9, "QUOTE_CROSSED", 3), (MONDAY, 9, "ROW_DUPLICATED", 1)], schema=REJECTS_SCHEMA, orient="row")
    late = pl.DataFrame([(WEEK[3], hour, "ok", "dukascopy", 2, at(WEEK[3], "23:00")) for hour in (8, 9)], schema=LEDGER, orient="row")
    states = full_days(WEEK, h00="vendor_empty", h05="failed")
    friday_evening = {(WEEK[4], 22): "closed", (WEEK[4], 23): "closed"}
    ledger = ledger_rows(states | friday_evening)
    newer = pl.concat([ledger.filter(~((pl.col("date") == WEEK[3]) & pl.col("hour").is_in([8, 9]))), late])
    return statistics_of(EURUSD, newer, ticks, refused)


def render(*symbols: SymbolStatistics, unknown: tuple[str, ...] = ()) -> str:
    return render_data_report(DataReport(symbols, MADE_AT, "abc123", unknown))


def test_page_is_well_nested_and_begins_with_what_is_missing(euro: SymbolStatistics) -> None:
    page = Page(render(euro))
    assert page.open == []
    assert page.text[0] == "10 of 118 open hours are missing. 5 of them can still be had."
    assert "10 hours missing: 05h UTC on every weekday (5 failed); 00h UTC on every weekday (5 vendor_empty)" in page.text


def test_page_shows_holes_rejects_and_states_before_any_chart_of_ticks(euro: SymbolStatistics) -> None:
    text = " ".join(Page(render(euro)).text)
    order = [text.index(words) for words in ("Every hour by state", "Largest holes", "QUOTE_CROSSED", "Ticks by date", "Longest silences")]
    assert order == sorted(order)
    assert "tick backfill --symbols EURUSD --from 2024-01-08 --to 2024-01-12" in text


def test_page_names_sources_revisions_and_what_quotes_are(euro: SymbolStatistics) -> None:
    text = " ".join(Page(render(euro)).text)
    assert "EURUSD from dukascopy" in text
    assert "r002 08h to 09h UTC 2024-01-11 23:00:00 UTC" in text
    assert "indicative quotes of one venue" in text
    assert "synthetic" not in text


def test_silences_of_the_page_are_those_that_no_hole_explains(euro: SymbolStatistics) -> None:
    text = " ".join(Page(render(euro)).text)
    shown = text[text.index("Longest silences") : text.index("Revisions")]
    assert "2024-01-08 14:00:00 21:59:00 7 h 59 min" in shown
    assert "2024-01-08 00:00:00" not in shown  # before the first tick, with 00h and 05h missing


def test_page_needs_no_network_no_script_and_fits_a_phone(euro: SymbolStatistics) -> None:
    page = render(euro)
    assert "<script" not in page
    assert not [value for _, name, value in Page(page).attributes if name in ("src", "srcset", "action")]
    assert {value[0] for tag, name, value in Page(page).attributes if name == "href" and tag == "a"} == {"#"}
    assert page.count("http") == page.count('xmlns="http://www.w3.org/2000/svg"')
    assert ("meta", "content", "width=device-width,initial-scale=1") in Page(page).attributes


def test_every_chart_has_a_name_and_a_description(euro: SymbolStatistics) -> None:
    named = [each for each in drawings(render(euro)) if each.get("aria-hidden") != "true"]
    assert len(named) == 5
    for drawing in named:
        assert drawing.get("role") == "img"
        assert drawing.get("aria-label")
        assert drawing.findtext("{http://www.w3.org/2000/svg}desc")


def test_calendar_has_a_table_beside_it(euro: SymbolStatistics) -> None:
    text = " ".join(Page(render(euro)).text)
    assert "All 5 dates of EURUSD as a table" in text
    assert "05h UTC failed" in text


def test_empty_lake_says_what_to_run() -> None:
    page = Page(render())
    assert page.open == []
    assert page.text[0] == "Nothing has been ingested yet."
    assert "tick backfill --symbols EURUSD --from 2024-01-08 --to 2024-01-12" in page.text


def test_symbol_without_data_and_symbol_without_ticks_are_lines_of_the_page(euro: SymbolStatistics) -> None:
    silver = statistics_of(XAGUSD, ledger_rows(full_days([MONDAY])))
    page = Page(render(euro, silver, SymbolStatistics(replace(EURUSD, symbol="GBPUSD"))))
    assert page.open == []
    assert {"GBPUSD", "No published tick in this range."} <= set(page.text)


def test_synthetic_market_and_unknown_symbol_are_said_on_top(euro: SymbolStatistics) -> None:
    made_up = statistics_of(replace(EURUSD, symbol="SYNEDGE"), ledger_rows(full_days([MONDAY]), "synthetic-twin"))
    page = render(euro, made_up, unknown=("A<b>C",))
    assert "<b>SYNEDGE</b>: synthetic" in page
    assert "A&lt;b&gt;C" in page
    assert page.index(": synthetic") < page.index("Every hour by state")


def test_long_ranges_are_folded_and_no_hole_is_hidden() -> None:
    dates = [MONDAY + timedelta(days=i) for i in range(400)]
    ticks = tick_rows([("10:00", 1, 2)])
    states = full_days(dates) | {(dates[200], 13): "failed"}
    found = statistics_of(EURUSD, ledger_rows(states), ticks)
    assert len(columns_of(dates)) == 58
    notes = [each.text or "" for drawing in [calendar(found)] for each in drawings(drawing)[0].iter("{http://www.w3.org/2000/svg}title")]
    assert [note for note in notes if "failed" in note] == ["2024-07-22 to 2024-07-28 13h UTC: 1 failed"]


@pytest.mark.parametrize(("days", "columns"), [(1, 1), (MAXIMUM_COLUMNS, MAXIMUM_COLUMNS), (131, 19), (3650, 121)])
def test_calendar_is_never_wider_than_it_can_be(days: int, columns: int) -> None:
    assert len(columns_of([MONDAY + timedelta(days=i) for i in range(days)])) == columns


def test_calendar_has_a_break_where_nobody_asked() -> None:
    found = columns_of([MONDAY, MONDAY + timedelta(days=30)])
    assert [(column.label, column.dates) for column in found] == [
        ("8 Jan 2024", (MONDAY,)),
        ("", ()),
        ("7 Feb 2024", (date(2024, 2, 7),)),
    ]


def test_last_bar_of_the_distribution_holds_the_tail() -> None:
    counts = [(0, 500), (1, 300), (2, 199), (90, 1)]
    assert pooled(counts) == [(0, 0, 500), (1, 1, 300), (2, 2, 199), (3, 90, 1)]
    assert sum(ticks for _, _, ticks in pooled([(i, 1) for i in range(1000)])) == 1000


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (number(None), "\N{EN DASH}"),
        (number(0.0), "0"),
        (number(1.2345), "1.23"),
        (number(12345.6), "12,346"),
        (percent(1.0), "100 %"),
        (percent(0.99999), "99.99 %"),
        (percent(0.00001), "under 0.01 %"),
        (percent(0.9583), "95.83 %"),
        (duration(0.41), "0.4 s"),
        (duration(76.1), "76 s"),
        (duration(725), "12 min 5 s"),
        (duration(14_397), "3 h 59 min"),
    ],
)
def test_quantities_as_text(shown: str, text: str) -> None:
    assert shown == text


def test_backticks_become_code_and_markup_is_escaped() -> None:
    assert in_code("run `tick up` & <wait>") == "run <code>tick up</code> &amp; &lt;wait&gt;"
