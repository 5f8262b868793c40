"""The data files of `raw.ticks`: one a symbol-day, in vendor order, with statistics that prune.

What belongs here: files and commits in one folder. What must not: crash points (`tests/faults`), the raw store's own tests.
"""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.unit.lakehouse.local_catalog import local_lakehouse
from tick_assets.domain.hour_states import HourState
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse import day_parquet, raw_ticks
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.raw_csv import midnight_us, rows_from_ticks
from tick_assets.lakehouse.raw_store import HourOutcome, RawStore, RawStoreError
from tick_assets.lakehouse.raw_ticks import in_vendor_order, write_day_files, write_days

SOURCE, NOW = "dukascopy", datetime(2026, 1, 2, tzinfo=UTC)
DAYS = [date(2024, 1, 8) + timedelta(days=i) for i in range(3)]
SYMBOLS = ["EURUSD", "USDSGD"]


def record(store: RawStore, symbol: str, day: date, rows: int, price: int = 100) -> None:
    """Record a date with all rows in its tenth hour, two on each stamp."""
    stamps = midnight_us(day.isoformat()) + 10 * 3_600_000_000 + np.arange(rows) // 2 * 1000
    prices = price + np.arange(rows) % 7
    ticks = Ticks(stamps, prices, prices + 8, np.full(rows, 1e6), np.full(rows, np.nan))
    outcomes = [HourOutcome(hour, HourState.CLOSED, NOW) for hour in range(24) if hour != 10]
    ok = HourOutcome(10, HourState.OK, NOW, "fake://10", "bi5", f"{symbol}{day}{price}".encode(), rows_from_ticks(ticks))
    store.record(SOURCE, symbol, day, 100_000, [*outcomes, ok], now=NOW)


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    return local_lakehouse(tmp_path)


@pytest.fixture
def filled(store: RawStore) -> RawStore:
    """Both symbols on the first two days; nothing on the third."""
    for day in DAYS[:2]:
        for symbol in SYMBOLS:
            record(store, symbol, day, 400)
    return store


def test_write_day_files_gives_one_file_a_symbol_day_in_the_order_asked(lakehouse: Lakehouse, filled: RawStore) -> None:
    asked = [(symbol, day) for day in DAYS for symbol in SYMBOLS]
    made = list(write_day_files(lakehouse, filled, asked, [SOURCE]))
    assert [(day.symbol, day.date) for day, _ in made] == asked
    assert [[file.record_count for file in files] for _, files in made] == [[400]] * 4 + [[]] * 2


def test_written_file_keeps_the_vendors_order_and_prunes_by_row_group(
    lakehouse: Lakehouse, store: RawStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_parquet, "ROWS_PER_GROUP", 100)
    record(store, "EURUSD", DAYS[0], 400)
    write_days(lakehouse, store, ["EURUSD"], DAYS[:1], [SOURCE], lambda _: None)
    (task,) = lakehouse.table("raw.ticks").scan().plan_files()
    footer = pq.read_metadata(task.file.file_path.removeprefix("file://"))
    at = footer.schema.to_arrow_schema().names.index("ts_event")
    groups = [footer.row_group(i).column(at).statistics for i in range(footer.num_row_groups)]
    assert len(groups) == 4
    assert all(before.max <= after.min for before, after in itertools.pairwise(groups))
    assert lakehouse.frame("raw.ticks")["source_row"].to_list() == list(range(1, 401))
    stamp = lakehouse.table("raw.ticks").schema().find_field("ts_event").field_id
    assert {stamp} <= task.file.lower_bounds.keys() & task.file.upper_bounds.keys()


def test_write_days_again_replaces_whole_partitions_and_an_empty_day_empties_its(lakehouse: Lakehouse, filled: RawStore) -> None:
    write_days(lakehouse, filled, SYMBOLS, DAYS, [SOURCE], lambda _: None)
    before = lakehouse.frame("raw.ticks").sort("symbol", "date", "source_row")
    write_days(lakehouse, filled, SYMBOLS, DAYS, [SOURCE], lambda _: None)
    assert lakehouse.frame("raw.ticks").sort("symbol", "date", "source_row").equals(before)
    empty = RawStore(filled.root.parent / "other")
    write_days(lakehouse, empty, ["EURUSD"], DAYS[:1], [SOURCE], lambda _: None)
    assert set(lakehouse.partition_rows("raw.ticks")) == {("USDSGD", DAYS[0]), ("EURUSD", DAYS[1]), ("USDSGD", DAYS[1])}


def test_write_days_commits_whole_dates(lakehouse: Lakehouse, filled: RawStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_ticks, "ROWS_PER_COMMIT", 500)
    said: list[str] = []
    write_days(lakehouse, filled, SYMBOLS, DAYS, [SOURCE], said.append)
    assert [line for line in said if "raw_ticks_written" in line] == [
        f"event=raw_ticks_written rows=800 from={DAYS[0]} to={DAYS[0]}",
        f"event=raw_ticks_written rows=800 from={DAYS[1]} to={DAYS[1]}",
        f"event=raw_ticks_written rows=0 from={DAYS[2]} to={DAYS[2]}",
    ]
    assert sum(lakehouse.partition_rows("raw.ticks").values()) == 1600


def test_write_days_changed_file_commits_nothing(lakehouse: Lakehouse, filled: RawStore) -> None:
    path = filled.folder(SOURCE, "USDSGD") / f"{DAYS[1]}.r000.csv"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(RawStoreError, match="was changed"):
        write_days(lakehouse, filled, SYMBOLS, DAYS, [SOURCE], lambda _: None)
    assert lakehouse.snapshot_id("raw.ticks") is None


def test_in_vendor_order_of_a_shuffled_day_is_the_order_as_read(filled: RawStore) -> None:
    record(filled, "EURUSD", DAYS[0], 380, price=101)
    _, rows = raw_ticks.read_day(filled, "EURUSD", DAYS[0], [SOURCE])
    assert in_vendor_order(rows.sample(fraction=1.0, shuffle=True, seed=1)).equals(rows)
    current = rows.filter(pl.col("is_current"))
    assert in_vendor_order(current.sample(fraction=1.0, shuffle=True, seed=2)).equals(current)
    assert in_vendor_order(current) is current
