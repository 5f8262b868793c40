"""A lakehouse in one folder (SQLite catalog, files), for tests that need no servers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import DataFile

from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.day_parquet import write_day

DAY = date(2024, 1, 8)


def local_lakehouse(folder: Path) -> Lakehouse:
    """Return an empty lakehouse with all tables."""
    catalog = SqlCatalog("lakehouse", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
    lakehouse = Lakehouse(catalog)
    lakehouse.ensure_tables()
    return lakehouse


def silver_rows(symbol: str = "SYNEDGE", day: date = DAY, count: int = 200, publication_id: str = "p1") -> pl.DataFrame:
    """Return valid quotes of one symbol-day; two of them share a stamp."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return pl.DataFrame(
        {
            "symbol": [symbol] * count,
            "date": [day] * count,
            "ts_event": [start + timedelta(seconds=max(i, 1)) for i in range(count)],
            "seq": list(range(count)),
            "bid_points": [100_000 + i % 7 for i in range(count)],
            "ask_points": [100_004 + i % 5 for i in range(count)],
            "price_factor": pl.Series([100_000] * count, dtype=pl.Int32),
            "bid_size": [1.5 if i % 3 else None for i in range(count)],
            "ask_size": [2.25] * count,
            "source": ["synthetic"] * count,
            "source_file": [f"{symbol}.csv"] * count,
            "source_row": list(range(1, count + 1)),
            "publication_id": [publication_id] * count,
        }
    ).with_columns(pl.col("ts_event").cast(pl.Datetime("us", "UTC")))


def data_files(lakehouse: Lakehouse, table: str, rows: pl.DataFrame) -> list[DataFile]:
    """Write rows as data files of a day table, one for each symbol and date; they are in no table yet."""
    target, io = lakehouse.table(table).metadata, lakehouse.table(table).io
    days = rows.partition_by("symbol", "date", as_dict=True, maintain_order=True)
    return [write_day(part, symbol, day, target, io) for (symbol, day), part in days.items()]
