"""Roll-ups of counts: exact medians over any group, shares, completeness, what is not published."""

from __future__ import annotations

import math
import statistics as library
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.domain.tick_rows import BTCUSD, EURUSD, MONDAY, USDJPY, XAGUSD, full_days, ledger_rows, statistics_of, tick_rows
from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Instrument
from tick_assets.domain.tick_counting import REJECTS_SCHEMA
from tick_assets.domain.tick_statistics import (
    SymbolStatistics,
    by_date,
    by_date_and_session,
    by_hour,
    by_session,
    pip_points,
    quantile,
    spread_distribution,
    total,
)

TUESDAY = MONDAY + timedelta(days=1)
QUOTES = [
    ("10:00", 100_000, 100_010),
    ("10:30", 100_000, 100_020),
    ("14:00", 100_000, 100_000),
    ("14:00", 100_000, 100_030),
    ("22:30", 100_000, 100_100),
]


@pytest.fixture
def two_days() -> SymbolStatistics:
    """Five ticks on Monday and one on Tuesday; 00h is missing on both."""
    ticks = pl.concat([tick_rows(QUOTES), tick_rows([("10:15", 100_000, 100_012)], TUESDAY)])
    return statistics_of(EURUSD, ledger_rows(full_days([MONDAY, TUESDAY], h00="vendor_empty")), ticks)


def test_total_is_over_all_ticks(two_days: SymbolStatistics) -> None:
    figures = total(two_days)
    assert (figures.tick_count, figures.hours_with_ticks) == (6, 4)
    assert figures.spread_median_points == 16.0  # 0 10 12 | 20 30 100
    assert figures.spread_mean_points == pytest.approx(172 / 6)
    assert figures.spread_p95_points == 100.0
    assert figures.spread_median_bps == pytest.approx((1.2 + 2.0) / 2)
    assert figures.ticks_per_minute == pytest.approx(6 / 240)
    assert (figures.zero_spread_share, figures.equal_stamp_share) == (pytest.approx(1 / 6), pytest.approx(1 / 6))
    assert (figures.low, figures.high) == (pytest.approx(1.0), pytest.approx(1.0005))


def test_hours_dates_and_sessions_group_the_same_ticks(two_days: SymbolStatistics) -> None:
    assert {day: figures.tick_count for day, figures in by_date(two_days).items()} == {MONDAY: 5, TUESDAY: 1}
    assert {hour: figures.tick_count for hour, figures in by_hour(two_days).items() if figures.tick_count} == {10: 3, 14: 2, 22: 1}
    assert by_hour(two_days)[10].spread_median_points == 12.0  # 10 12 20: over both dates, not a mean of medians
    sessions = by_session(two_days)
    assert {name: figures.tick_count for name, figures in sessions.items()} == {"london": 5, "overlap": 2, "new_york": 2, "rollover": 1}
    assert sessions["rollover"].spread_median_points == 100.0
    assert by_date_and_session(two_days)[TUESDAY, "london"].tick_count == 1


def test_date_without_ticks_has_empty_figures() -> None:
    empty = statistics_of(EURUSD, ledger_rows(full_days([MONDAY])))
    figures = by_date(empty)[MONDAY]
    assert (figures.tick_count, figures.spread_median_points, figures.ticks_per_minute, figures.zero_spread_share) == (0, None, None, None)
    assert by_session(empty) == {}


def test_distribution_counts_every_spread(two_days: SymbolStatistics) -> None:
    assert spread_distribution(two_days) == [(0, 1), (10, 1), (12, 1), (20, 1), (30, 1), (100, 1)]


def test_completeness_counts_open_hours_that_are_ok(two_days: SymbolStatistics) -> None:
    assert [(cell.date, cell.hour) for cell in two_days.holes] == [(MONDAY, 0), (TUESDAY, 0)]
    assert two_days.completeness == pytest.approx(46 / 48)
    assert two_days.states()[HourState.VENDOR_EMPTY] == 2
    assert SymbolStatistics(EURUSD).completeness == 0.0


def test_dates_that_no_reader_sees_or_that_changed_meanwhile_are_named(two_days: SymbolStatistics) -> None:
    assert (two_days.dates_not_published, two_days.dates_torn) == ((), ())
    assert statistics_of(EURUSD, ledger_rows(full_days([MONDAY])), is_published=False).dates_not_published == (MONDAY,)
    first, second = two_days.publications
    assert replace(two_days, publications=(first, replace(second, silver_rows=7))).dates_torn == (TUESDAY,)


def test_reject_counts_are_by_reason_the_most_frequent_first() -> None:
    rows = [(MONDAY, 9, "ROW_DUPLICATED", 2), (MONDAY, 10, "QUOTE_CROSSED", 3), (TUESDAY, None, "ROW_DUPLICATED", 5)]
    rejects = pl.DataFrame(rows, schema=REJECTS_SCHEMA, orient="row")
    found = statistics_of(EURUSD, ledger_rows(full_days([MONDAY, TUESDAY])), rejects=rejects).reject_counts()
    assert list(found.items()) == [("ROW_DUPLICATED", 7), ("QUOTE_CROSSED", 3)]


@pytest.mark.parametrize(
    ("instrument", "points"), [(EURUSD, 10), (USDJPY, 10), (replace(EURUSD, digits=4), 1), (XAGUSD, None), (BTCUSD, None)]
)
def test_pip_is_a_unit_of_currency_pairs_only(instrument: Instrument, points: int | None) -> None:
    assert pip_points(instrument) == points


@pytest.mark.parametrize("source", ["synthetic-twin", "live-demo"])
def test_synthetic_is_said_by_source_or_symbol(source: str) -> None:
    symbol = "EURUSD" if source.startswith("synthetic") else "SYNEDGE"
    ledger = ledger_rows(full_days([MONDAY]), source)
    assert statistics_of(replace(EURUSD, symbol=symbol), ledger, is_published=False).is_synthetic
    assert not statistics_of(EURUSD, ledger_rows(full_days([MONDAY]))).is_synthetic


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200))
def test_quantiles_of_counts_are_those_of_the_ticks(spreads: list[int]) -> None:
    counted = pl.DataFrame(list(Counter(spreads).items()), schema={"spread": pl.Float64, "tick_count": pl.Int64}, orient="row")
    assert quantile(counted, 50) == library.median(spreads)
    assert quantile(counted, 95) == sorted(spreads)[math.ceil(len(spreads) * 95 / 100) - 1]
