"""Content hashes see rows, not files, batches, orders or engines."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse, silver_rows
from tick_assets.lakehouse.catalog import day_filter
from tick_assets.lakehouse.content_hash import combine, content_hash, content_hashes, differing_partitions, frame_hashes, partition_hashes
from tick_assets.lakehouse.tables import definition_of

SILVER = definition_of("silver.ticks")


@given(st.permutations(range(40)))
def test_frame_hashes_any_order_of_rows_is_the_same(order: list[int]) -> None:
    rows = silver_rows(count=40)
    assert frame_hashes(SILVER, rows[order]) == frame_hashes(SILVER, rows)


def test_frame_hashes_ids_of_runs_and_file_names_do_not_count() -> None:
    rows = silver_rows()
    renamed = rows.with_columns(pl.lit("other.csv").alias("source_file"), pl.lit("p2").alias("publication_id"))
    assert frame_hashes(SILVER, renamed) == frame_hashes(SILVER, rows)


@pytest.mark.parametrize(
    "change",
    [
        pl.col("bid_points") + 1,
        pl.col("ask_size").replace(2.25, 2.5),
        pl.col("seq") + 1,
        pl.col("bid_size").fill_null(0.0),
        pl.lit("dukascopy").alias("source"),
    ],
)
def test_frame_hashes_any_changed_value_is_another(change: pl.Expr) -> None:
    rows = silver_rows()
    assert frame_hashes(SILVER, rows.with_columns(change)) != frame_hashes(SILVER, rows)


def test_frame_hashes_text_moved_between_rows_is_another() -> None:
    rows = silver_rows(count=2)
    left, right = (rows.with_columns(pl.Series("source", names)) for names in (["ab", "c"], ["a", "bc"]))
    assert frame_hashes(SILVER, left) != frame_hashes(SILVER, right)


def test_frame_hashes_integer_width_negative_zero_and_empty_column_do_not_count() -> None:
    rows = silver_rows().with_columns(pl.lit(0.0).alias("ask_size"), pl.lit(None, pl.Float64).alias("bid_size"))
    other = rows.with_columns(pl.lit(-0.0).alias("ask_size"), pl.col("price_factor").cast(pl.Int64)).drop("bid_size")
    assert frame_hashes(SILVER, other) == frame_hashes(SILVER, rows)


def test_content_hash_other_file_layout_is_the_same(tmp_path: Path) -> None:
    rows = silver_rows()
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = local_lakehouse(tmp_path / "one"), local_lakehouse(tmp_path / "two")
    one.append("silver.ticks", rows)
    for part in (rows[150:], rows[:50], rows[50:150]):
        two.append("silver.ticks", part)
    assert content_hash(one, "silver.ticks") == content_hash(two, "silver.ticks") == combine("silver.ticks", frame_hashes(SILVER, rows))


def test_content_hashes_each_partition_is_hashed_alone(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    lakehouse.append("silver.ticks", pl.concat([silver_rows("SYNEDGE"), silver_rows("SYNNULL")]))
    next_day = DAY + timedelta(days=1)
    hashes = content_hashes(lakehouse, "silver.ticks", ["SYNEDGE", "SYNNULL"], [DAY, next_day])
    assert hashes["SYNEDGE", DAY] == content_hash(lakehouse, "silver.ticks", day_filter("SYNEDGE", DAY))
    assert hashes["SYNEDGE", next_day] == hashes["SYNNULL", next_day] == combine("silver.ticks", [])
    assert len(set(hashes.values())) == 3


def test_differing_partitions_names_what_changed(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    lakehouse.append("silver.ticks", silver_rows())
    before = partition_hashes(lakehouse, "silver.ticks")
    lakehouse.append("silver.ticks", silver_rows("SYNNULL", count=3))
    after = partition_hashes(lakehouse, "silver.ticks")
    assert differing_partitions(before, after) == [{"date": "2024-01-08", "symbol": "SYNNULL", "rows_before": 0, "rows_after": 3}]
