"""The as-of join: what was known then, and nothing that came later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tick_assets.domain.asof import NOTHING, hindsight_rows, join_as_of, known_rows
from tick_assets.domain.ticks import Int64Array

ROWS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=14)
MOMENTS = st.lists(st.integers(-1, 14), max_size=8)


def column(values: list[int]) -> Int64Array:
    return np.array(values, np.int64)


def columns(rows: list[tuple[int, int]]) -> tuple[Int64Array, Int64Array]:
    return column([row[0] for row in rows]), column([row[1] for row in rows])


#      ts_event, known_at
TABLE = [(10, 11), (20, 21), (10, 25), (30, 5), (20, 21)]


@pytest.mark.parametrize(("at", "row"), [(4, NOTHING), (5, 3), (11, 3), (100, 3)])
def test_forecast_counts_from_when_it_is_known(at: int, row: int) -> None:
    assert known_rows(*columns(TABLE), column([at])).tolist() == [row]


@pytest.mark.parametrize(("at", "row"), [(10, NOTHING), (11, 0), (20, 0), (21, 3), (24, 3), (25, 3)])
def test_newest_event_known_in_time_counts_and_a_late_correction_of_an_older_one_does_not(at: int, row: int) -> None:
    without_forecast = [TABLE[0], TABLE[1], TABLE[2], TABLE[4]]
    assert known_rows(*columns(without_forecast), column([at])).tolist() == [row]


@pytest.mark.parametrize(("at", "row"), [(9, NOTHING), (10, 2), (20, 4), (29, 4), (30, 3)])
def test_hindsight_reads_the_last_correction_at_once(at: int, row: int) -> None:
    assert hindsight_rows(*columns(TABLE), column([at])).tolist() == [row]


@given(ROWS, MOMENTS)
def test_known_rows_equal_a_search_through_all_rows(rows: list[tuple[int, int]], moments: list[int]) -> None:
    def search(at: int) -> int:
        known = [(event, known_at, i) for i, (event, known_at) in enumerate(rows) if known_at <= at]
        return max(known)[2] if known else NOTHING

    assert known_rows(*columns(rows), column(moments)).tolist() == [search(at) for at in moments]


@given(ROWS, MOMENTS)
def test_hindsight_rows_equal_a_search_through_all_rows(rows: list[tuple[int, int]], moments: list[int]) -> None:
    def search(at: int) -> int:
        happened = [(event, known_at, i) for i, (event, known_at) in enumerate(rows) if event <= at]
        return max(happened)[2] if happened else NOTHING

    assert hindsight_rows(*columns(rows), column(moments)).tolist() == [search(at) for at in moments]


@given(ROWS, ROWS, MOMENTS)
def test_what_becomes_known_later_changes_nothing(rows: list[tuple[int, int]], garbage: list[tuple[int, int]], moments: list[int]) -> None:
    last = max(moments, default=0)
    later = [(event, last + 1 + known_at) for event, known_at in garbage]
    assert known_rows(*columns(rows + later), column(moments)).tolist() == known_rows(*columns(rows), column(moments)).tolist()


@given(ROWS, MOMENTS, st.randoms())
def test_order_of_distinct_rows_does_not_matter(rows: list[tuple[int, int]], moments: list[int], random: object) -> None:
    distinct = sorted(set(rows))
    shuffled = list(distinct)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    taken = [[each[i] if i != NOTHING else None for i in known_rows(*columns(each), column(moments))] for each in (distinct, shuffled)]
    assert taken[0] == taken[1]


NOON = datetime(2024, 1, 10, 12, tzinfo=UTC)
VALUES = pl.DataFrame(
    [
        ("calendar", "USD", "CPI.actual", NOON, NOON + timedelta(minutes=1), 3.1, None),
        ("calendar", "USD", "CPI.actual", NOON, NOON + timedelta(minutes=9), 3.2, None),
        ("calendar", "USD", "CPI.forecast", NOON, NOON - timedelta(days=1), 3.0, None),
        ("calendar", "EUR", "ZEW.mood", NOON, NOON, None, "bleak"),
    ],
    schema={
        "feed": pl.String,
        "key": pl.String,
        "name": pl.String,
        "ts_event": pl.Datetime("us", "UTC"),
        "known_at": pl.Datetime("us", "UTC"),
        "value": pl.Float64,
        "text": pl.String,
    },
    orient="row",
)


def events(*keys_and_minutes: tuple[str, int]) -> pl.DataFrame:
    return pl.DataFrame(
        {"key": [key for key, _ in keys_and_minutes], "ts_event": [NOON + timedelta(minutes=minute) for _, minute in keys_and_minutes]},
        schema={"key": pl.String, "ts_event": pl.Datetime("us", "UTC")},
    )


def test_join_gives_each_event_every_series_of_its_key_as_known_then() -> None:
    joined = join_as_of(events(("USD", 5), ("EUR", 0), ("USD", 9), ("USD", 0), ("JPY", 3)), VALUES)
    assert joined.select("key", "name", "value", "text").rows() == [
        ("USD", "CPI.actual", 3.1, None),
        ("USD", "CPI.forecast", 3.0, None),
        ("EUR", "ZEW.mood", None, "bleak"),
        ("USD", "CPI.actual", 3.2, None),
        ("USD", "CPI.forecast", 3.0, None),
        ("USD", "CPI.actual", None, None),
        ("USD", "CPI.forecast", 3.0, None),
    ]
    assert (joined.filter(pl.col("value_known_at") > pl.col("ts_event"))).is_empty()


def test_join_in_hindsight_knows_the_correction_at_once() -> None:
    joined = join_as_of(events(("USD", 0)), VALUES, is_hindsight=True)
    assert joined.select("name", "value").rows() == [("CPI.actual", 3.2), ("CPI.forecast", 3.0)]


def test_join_with_no_values_has_the_columns_and_no_rows() -> None:
    joined = join_as_of(events(("USD", 0)), VALUES.clear())
    assert (joined.columns, len(joined)) == (
        ["key", "ts_event", "feed", "name", "value", "text", "value_ts_event", "value_known_at"],
        0,
    )
