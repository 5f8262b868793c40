"""What a task makes of a symbol-day: the same rows in any order come to the same. Spark itself: `tests/faults`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tick_assets.domain.instruments import Market
from tick_assets.domain.kernel import feature_names
from tick_assets.domain.sampling import Sampling
from tick_assets.domain.signals import Strategy, event_id
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.lakehouse.raw_ticks import in_vendor_order
from tick_assets.lakehouse.silver import FEATURES, LABELS, REJECTS, TICKS, clean_day, sample_day

SYMBOL, DAY = "SYNEDGE", date(2024, 1, 9)
KEY = (SYMBOL, DAY)
PUBLICATIONS = {KEY: "p1", (SYMBOL, DAY + timedelta(days=1)): "p2"}
MIDNIGHT = datetime(2024, 1, 9, tzinfo=UTC)


def raw(*rows: tuple[int | None, int, int, int, int], source: str = "vendor", day: date = DAY) -> pl.DataFrame:
    """Return current raw rows of (seconds after midnight or None for malformed, bid, ask, revision, source row)."""
    return pl.DataFrame(
        {
            "symbol": [SYMBOL] * len(rows),
            "date": [day] * len(rows),
            "ts_event": pl.Series(
                [None if row[0] is None else MIDNIGHT + timedelta(seconds=row[0]) for row in rows], dtype=pl.Datetime("us", "UTC")
            ),
            "bid_points": pl.Series([None if row[0] is None else row[1] for row in rows], dtype=pl.Int64),
            "ask_points": pl.Series([None if row[0] is None else row[2] for row in rows], dtype=pl.Int64),
            "bid_size": pl.Series([None] * len(rows), dtype=pl.Float64),
            "ask_size": pl.Series([None] * len(rows), dtype=pl.Float64),
            "source": [source] * len(rows),
            "source_file": [f"{source}/{SYMBOL}/{day}.r{row[3]:03d}.csv" for row in rows],
            "source_row": pl.Series([row[4] for row in rows], dtype=pl.Int64),
            "revision": pl.Series([row[3] for row in rows], dtype=pl.Int32),
            "is_current": [True] * len(rows),
            "known_at": [MIDNIGHT] * len(rows),
            "raw_line": [None if row[0] is not None else "garbage" for row in rows],
        }
    )


# A stamp shared by three quotes, a malformed row first, one inside and one after, an hour of a later revision, crossed and repeated rows.
ODD = raw(
    (None, 0, 0, 0, 1),
    (10, 100_000, 100_004, 0, 2),
    (10, 100_002, 100_006, 0, 3),
    (10, 100_001, 100_005, 0, 4),
    (None, 0, 0, 0, 5),
    (11, 100_001, 100_000, 0, 6),
    (12, 100_001, 100_005, 0, 7),
    (12, 100_001, 100_005, 0, 8),
    (7300, 100_001, 100_005, 0, 9),
    (3700, 100_003, 100_007, 1, 1),
    (None, 0, 0, 1, 2),
    (3701, 100_004, 100_008, 1, 3),
)


@settings(deadline=None)
@given(st.permutations(range(len(ODD))))
def test_vendor_order_follows_from_the_columns_alone(order: Sequence[int]) -> None:
    expected = [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (0, 6), (0, 7), (0, 8), (1, 1), (1, 2), (1, 3), (0, 9)]
    assert in_vendor_order(ODD[order]).select("revision", "source_row").rows() == expected


@pytest.mark.parametrize("table", [TICKS, REJECTS])
@settings(deadline=None)
@given(order=st.permutations(range(len(ODD))))
def test_cleaning_any_order_of_rows_gives_the_same(table: str, order: Sequence[int]) -> None:
    assert clean_day(KEY, ODD[order], PUBLICATIONS)[table].equals(clean_day(KEY, ODD, PUBLICATIONS)[table])


def test_ranks_of_kept_and_refused_rows_are_those_of_the_vendor() -> None:
    made = clean_day(KEY, ODD[::-1], PUBLICATIONS)
    kept, refused = made[TICKS], made[REJECTS]
    assert kept["seq"].to_list() == [1, 2, 3, 6, 8, 10, 11]
    assert dict(zip(refused["seq"], refused["reason_code"], strict=True)) == {
        0: "ROW_MALFORMED",
        4: "ROW_MALFORMED",
        5: "QUOTE_CROSSED",
        7: "ROW_DUPLICATED",
        9: "ROW_MALFORMED",
    }


def test_rows_of_other_sources_come_after_the_current_ones() -> None:
    others = raw((5, 100_000, 100_004, 0, 1), source="another").with_columns(is_current=pl.lit(False))
    ordered = in_vendor_order(pl.concat([others, ODD], how="vertical_relaxed"))
    assert ordered["source"].to_list() == ["vendor"] * len(ODD) + ["another"]


@pytest.fixture(scope="module")
def clean_ticks() -> pl.DataFrame:
    """A clean synthetic day of some thousand ticks."""
    ticks = generate_day(SyntheticMarket(k=2.0, mean_gap_s=20.0), 5, SYMBOL, DAY).ticks
    rows = range(len(ticks))
    return pl.DataFrame(
        {
            "symbol": [SYMBOL] * len(ticks),
            "date": [DAY] * len(ticks),
            "ts_event": pl.Series(ticks.ts_us).cast(pl.Datetime("us", "UTC")),
            "seq": pl.Series(rows, dtype=pl.Int64),
            "bid_points": ticks.bid_points,
            "ask_points": ticks.ask_points,
            "bid_size": ticks.bid_size,
            "ask_size": ticks.ask_size,
            "publication_id": ["p1"] * len(ticks),
        }
    )


@pytest.mark.parametrize("table", [FEATURES, LABELS])
def test_sampling_any_order_of_rows_gives_the_same(market: Market, clean_ticks: pl.DataFrame, table: str) -> None:
    in_order = sample_day(KEY, clean_ticks, market, Strategy())[table]
    assert len(in_order) > 500
    for seed in range(3):
        shuffled = clean_ticks.sample(fraction=1.0, shuffle=True, seed=seed)
        assert sample_day(KEY, shuffled, market, Strategy())[table].equals(in_order)


def test_sampling_follows_the_symbol_s_clock_and_barriers(market: Market, clean_ticks: pl.DataFrame) -> None:
    instrument = replace(market.instrument(SYMBOL), sampling=Sampling("ticks_40", 600, 2.0, 3.0))
    own = replace(market, instruments={**market.instruments, SYMBOL: instrument})
    tables = sample_day(KEY, clean_ticks, own)
    seq = tables[FEATURES]["seq"].to_list()
    assert {later - earlier for earlier, later in pairwise(seq)} == {40}
    assert tables[FEATURES]["event_id"][0] == event_id(SYMBOL, DAY.isoformat(), seq[0], "ticks_40")
    assert tables[LABELS]["label_set"].unique().to_list() == ["triple_barrier_v1_h600_s2_t3"]


def test_sampling_makes_the_symbol_s_own_features(market: Market, clean_ticks: pl.DataFrame) -> None:
    instrument = replace(market.instrument(SYMBOL), sampling=Sampling(features="micro_v1"))
    own = replace(market, instruments={**market.instruments, SYMBOL: instrument})
    made, usual = (sample_day(KEY, clean_ticks, each)[FEATURES] for each in (own, market))
    assert made["feature_set"].unique().to_list() == ["micro_v1"]
    assert [name for name in made.columns if name not in usual.columns] == list(feature_names("micro_v1")[19:])
    assert made.select(feature_names("base_v1")).equals(usual.select(feature_names("base_v1")))
    empty = sample_day(KEY, clean_ticks[:0], own)[FEATURES]
    assert (len(empty), empty.schema) == (0, made.schema)
