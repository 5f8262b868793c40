"""Bars of literal days: first and last by rank within a stamp, no bar without a tick, tick bars end with the date."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration import gold_from_raw
from tick_assets.domain.instruments import Market
from tick_assets.lakehouse.bars import GRAINS, bars_of_day, table_of
from tick_assets.lakehouse.importers.importing import import_path
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.raw_ticks import read_day
from tick_assets.lakehouse.silver import REJECTS, TICKS, clean_day
from tick_assets.lakehouse.tables import TABLES

DAY = date(2024, 1, 8)
MIDNIGHT = datetime(2024, 1, 8, tzinfo=UTC)
KEY = ("EURUSD", DAY)


def quotes(*rows: tuple[float, int, int, int]) -> pl.DataFrame:
    """Return a clean day of (seconds after midnight, seq, bid points, ask points) at 100,000 points a unit."""
    return pl.DataFrame(
        {
            "symbol": ["EURUSD"] * len(rows),
            "date": [DAY] * len(rows),
            "ts_event": pl.Series([MIDNIGHT + timedelta(seconds=row[0]) for row in rows], dtype=pl.Datetime("us", "UTC")),
            "seq": pl.Series([row[1] for row in rows], dtype=pl.Int64),
            "bid_points": pl.Series([row[2] for row in rows], dtype=pl.Int64),
            "ask_points": pl.Series([row[3] for row in rows], dtype=pl.Int64),
            "price_factor": pl.Series([100_000] * len(rows), dtype=pl.Int32),
            "publication_id": ["p1"] * len(rows),
        }
    )


def bars(grain: str, rows: pl.DataFrame, bar_ticks: int = 2) -> list[dict[str, object]]:
    return bars_of_day(KEY, rows, bar_ticks)[table_of(grain)].to_dicts()


@pytest.mark.parametrize("grain", ["1s", "1m", "1h"])
def test_bar_with_ties_within_a_stamp_opens_and_closes_by_rank(grain: str) -> None:
    (bar,) = bars(grain, quotes((0, 5, 100_000, 100_002), (0, 3, 100_010, 100_014), (0, 4, 100_020, 100_030)))
    assert (bar["open"], bar["close"], bar["bid_close"], bar["ask_close"]) == (1.00012, 1.00001, 1.0, 1.00002)


def test_bar_holds_extremes_count_and_mean_spread() -> None:
    (bar,) = bars("1m", quotes((1, 0, 100_000, 100_002), (2, 1, 100_010, 100_014), (59.999999, 2, 99_990, 99_993)))
    assert (bar["high"], bar["low"], bar["tick_count"], bar["spread_mean"]) == (1.00012, 0.999915, 3, 3e-5)
    assert bar["ts_event"] == MIDNIGHT


def test_hour_with_one_tick_is_a_bar_of_one_price() -> None:
    bar = bars("1h", quotes((10, 0, 100_000, 100_002), (3 * 3600 + 5, 1, 100_010, 100_014)))[1]
    assert bar["ts_event"] == MIDNIGHT + timedelta(hours=3)
    assert {bar[name] for name in ("open", "high", "low", "close")} == {1.00012}
    assert (bar["tick_count"], bar["spread_mean"]) == (1, 4e-5)


@pytest.mark.parametrize(("grain", "seconds"), [("1s", (0, 1, 180)), ("1m", (0, 180)), ("1h", (0,))])
def test_time_without_a_tick_has_no_bar(grain: str, seconds: tuple[int, ...]) -> None:
    found = bars(grain, quotes((0.5, 0, 100_000, 100_002), (1.5, 1, 100_000, 100_002), (180, 2, 100_000, 100_002)))
    assert [bar["ts_event"] for bar in found] == [MIDNIGHT + timedelta(seconds=start) for start in seconds]


def test_hour_weighs_the_spread_by_ticks() -> None:
    (bar,) = bars("1h", quotes((0, 0, 100_000, 100_010), (60, 1, 100_000, 100_001), (61, 2, 100_000, 100_001)))
    assert bar["spread_mean"] == 4e-5


def test_tick_bars_hold_equal_numbers_and_mark_what_is_left() -> None:
    found = bars("ticks", quotes(*((10.0 * i, 2 * i, 100_000 + i, 100_002 + i) for i in range(5))), bar_ticks=2)
    assert [(bar["first_seq"], bar["last_seq"], bar["tick_count"], bar["is_complete"]) for bar in found] == [
        (0, 2, 2, True),
        (4, 6, 2, True),
        (8, 8, 1, False),
    ]
    assert [(bar["ts_event"], bar["ts_last"]) for bar in found] == [
        (MIDNIGHT + timedelta(seconds=start), MIDNIGHT + timedelta(seconds=end)) for start, end in ((0, 10), (20, 30), (40, 40))
    ]


def test_tick_bar_that_ends_with_the_date_is_complete() -> None:
    found = bars("ticks", quotes((0, 0, 100_000, 100_002), (1, 1, 100_000, 100_002)), bar_ticks=2)
    assert [bar["is_complete"] for bar in found] == [True]


@pytest.mark.parametrize("grain", GRAINS)
def test_bars_have_the_columns_of_their_table(grain: str) -> None:
    made = bars_of_day(KEY, quotes((0, 0, 100_000, 100_002)), 2)
    assert set(TABLES[f"silver.bars_{grain}"].column_types) <= set(made[table_of(grain)].columns)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 86_399_999), st.integers(1, 10**6), st.integers(0, 500)), min_size=1, max_size=200))
def test_every_grain_holds_every_tick_once(found: list[tuple[int, int, int]]) -> None:
    rows = quotes(*((stamp / 1000, i, bid, bid + spread) for i, (stamp, bid, spread) in enumerate(found)))
    made = [
        bars.select(pl.col("tick_count").sum(), pl.col("high").max(), pl.col("low").min()) for bars in bars_of_day(KEY, rows, 7).values()
    ]
    mids = [(2 * bid + spread) / 200_000 for _, bid, spread in found]
    assert [bars.row(0) for bars in made] == [(len(found), max(mids), min(mids))] * len(GRAINS)


@pytest.mark.parametrize("grain", GRAINS)
def test_prices_are_points_divided_by_the_factor_once(grain: str) -> None:
    rows = quotes(*((3_600 * i, i, 109_990 + i, 110_003 + i) for i in range(24))).with_columns(
        pl.lit(100_000, pl.Int32).alias("price_factor")
    )
    made = bars_of_day(KEY, rows, 1)[table_of(grain)]
    assert made["open"].to_list() == [(219_993 + 2 * i) / 200_000 for i in range(24)]
    assert made["bid_close"].to_list() == [(109_990 + i) / 100_000 for i in range(24)]


@settings(deadline=None)
@given(st.permutations(range(12)))
def test_order_of_rows_changes_nothing(order: list[int]) -> None:
    rows = quotes(*((i // 3, i, 100_000 + 7 * i % 5, 100_003 + 7 * i % 5) for i in range(12)))
    made, expected = bars_of_day(KEY, rows[order], 5), bars_of_day(KEY, rows, 5)
    assert all(made[table].equals(expected[table]) for table in expected)


def test_bars_of_a_recorded_day_equal_those_of_a_second_reading(
    real_data: Path, store: RawStore, market: Market, now: datetime, tmp_path: Path
) -> None:
    day = date(2014, 5, 1)
    folder = tmp_path / "EURUSD"
    folder.mkdir()
    shutil.copy(real_data / "files" / "fxcm-quotes" / "eurusd" / "20140501_quote.zip", folder)
    import_path(folder, store, market.instrument("EURUSD"), now=now, first=day, last=day)
    _, rows = read_day(store, "EURUSD", day, ())
    cleaned = clean_day(("EURUSD", day), rows, {("EURUSD", day): "p1"})
    kept, refused = cleaned[TICKS], cleaned[REJECTS]
    again = gold_from_raw.read_raw_day(store.root, "EURUSD", str(day), 100_000)
    assert again.plainly_refused() == set(refused.select("seq", "reason_code").rows())
    made = bars_of_day(("EURUSD", day), kept, 1000)
    for grain in GRAINS:
        bars_made = made[table_of(grain)].to_dicts()
        assert gold_from_raw.differences(again.without(refused["seq"]).bars(grain, 1000), bars_made) == []
