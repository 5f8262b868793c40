"""Rows of every station, each counted by an engine that did not write it.

What belongs here: which engine counts what. What must not: printing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tick_assets.settings import Settings

STATIONS = (
    ("raw.ticks", "PyIceberg", "select count(*) from raw.ticks where {symbols}"),
    ("raw.ticks, current", "PyIceberg", "select count(*) from raw.ticks where is_current and {symbols}"),
    ("silver.ticks", "Spark", "select count(*) from silver.ticks where {symbols}"),
    ("silver.tick_rejects", "Spark", "select count(*) from silver.tick_rejects where {symbols}"),
    ("silver.features", "Spark", "select count(*) from silver.features where {symbols}"),
    ("silver.labels", "Spark", "select count(*) from silver.labels where {symbols}"),
    ("gold.bars_1m", "Spark", "select count(*) from gold.bars_1m where {symbols}"),
    ("gold.symbol_days", "dbt view", "select count(*) from gold.symbol_days where {symbols}"),
    ("gold.training_examples", "dbt view", "select count(*) from gold.training_examples where {symbols}"),
)


def count_stations(settings: Settings, symbols: Sequence[str]) -> list[dict[str, Any]]:
    """Return {station, writer, counted_by, rows, command} of every station, for some symbols."""
    from tick_assets.lakehouse.query import TrinoQuery

    condition = "symbol in ({})".format(", ".join(f"'{symbol}'" for symbol in symbols))
    query = TrinoQuery.from_settings(settings)
    rows = _raw_counts(settings, symbols)
    for station, writer, template in STATIONS:
        statement = template.format(symbols=condition)
        rows.append(_row(station, writer, "Trino", int(query.scalar(statement)), f'tick sql "{statement}"'))
    return [*rows, *_parquet_counts(settings, symbols)]


def _raw_counts(settings: Settings, symbols: Sequence[str]) -> list[dict[str, Any]]:
    """Count the lines of the raw files and of their replica, as bytes."""
    from tick_assets.lakehouse.object_store import ObjectStore

    files = [path for symbol in symbols for path in settings.raw_dir.glob(f"*/{symbol}/*.csv")]
    lines = sum(path.read_bytes().count(b"\n") - 1 for path in files)
    objects = ObjectStore.from_settings(settings)
    keys = [f"raw/{path.relative_to(settings.raw_dir).as_posix()}" for path in files]
    replica = sum(objects.get_bytes(key).count(b"\n") - 1 for key in keys)
    return [
        _row("raw/*.csv", "ingestion", "bytes on disk", lines, "lines of TICK_HOME/raw/*/<SYMBOL>/*.csv, headers off"),
        _row("S3 raw/*.csv", "replicator", "bytes from S3", replica, "the same keys through S3"),
    ]


def _parquet_counts(settings: Settings, symbols: Sequence[str]) -> list[dict[str, Any]]:
    """Count silver's rows by Polars on its Parquet files."""
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.lakehouse.row_filters import one_of

    frame = Lakehouse.from_settings(settings).frame("silver.ticks", one_of("symbol", symbols), columns=("symbol",))
    return [_row("silver.ticks, again", "Spark", "Polars on Parquet", len(frame), "Lakehouse.frame('silver.ticks')")]


def _row(station: str, writer: str, counted_by: str, rows: int, command: str) -> dict[str, Any]:
    return {"station": station, "writer": writer, "counted_by": counted_by, "rows": rows, "command": command}
