"""Content hashes: whether two states of a table hold the same rows, whatever files, batches and engines wrote them.

What belongs here: the canonical encoding and its hashing. What must not: choosing what to compare.

Canonical encoding, version `content_v1`. Rows are grouped into partitions by (date, symbol) and ordered within one by the table's key,
then by all remaining columns (nulls first). Only `content_columns` count: `known_at`, ids of runs and publications, and names of files
don't. A partition's digest is the sha-256 of, for each column in name order:

    name "|" kind "|" number of rows "\\n"         kind is i, f or s
    one byte per row: 0 for null, else 1
    the values:  i  int64 little-endian, null as 0   (all integers; bool as 0 and 1; date as days, timestamp as microseconds since 1970)
                 f  float64 little-endian, null as 0, -0.0 as 0.0, every NaN as the one quiet NaN
                 s  UTF-8 lengths as int64 little-endian (null as 0), then the bytes of all values

A column that is null throughout a partition is left out, so a column added later changes no hash; integer widths don't count either.
The hash of a table is the sha-256 of "content_v1|<table>\\n" and "<date>|<symbol>|<rows>|<digest>\\n" for each partition with rows, in
order of date and symbol; so it can be put together from the hashes of partitions. One partition at a time is in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow

from tick_assets.lakehouse.catalog import MAIN, Filter, whole_partitions
from tick_assets.lakehouse.tables import BY_SYMBOL_AND_DATE, TableDefinition, definition_of

if TYPE_CHECKING:
    from pyiceberg.table import FileScanTask, Table

    from tick_assets.lakehouse.catalog import Lakehouse

VERSION = "content_v1"
DayKey = tuple[str, date]


@dataclass(frozen=True, order=True)
class PartitionHash:
    """The digest of the rows of one (date, symbol); both are empty where the table lacks the column or the value."""

    date: str
    symbol: str
    rows: int
    sha256: str

    def line(self) -> str:
        """Return this partition's line in the hash of the table."""
        return f"{self.date}|{self.symbol}|{self.rows}|{self.sha256}\n"


def content_hash(lakehouse: Lakehouse, table: str, row_filter: Filter = AlwaysTrue(), ref: str = MAIN) -> str:  # noqa: B008
    """Return the content hash of the rows that the filter names, at a branch, tag or snapshot id (digits)."""
    return combine(table, partition_hashes(lakehouse, table, row_filter, ref))


def content_hashes(lakehouse: Lakehouse, table: str, symbols: Sequence[str], dates: Sequence[date], ref: str = MAIN) -> dict[DayKey, str]:
    """Return the content hash of each (symbol, date) on its own, empty partitions included."""
    condition = whole_partitions(symbols, dates)
    found = {(part.symbol, part.date): part for part in partition_hashes(lakehouse, table, condition, ref)}
    parts = {(symbol, day): found.get((symbol, day.isoformat())) for symbol in symbols for day in dates}
    return {key: combine(table, [part] if part else []) for key, part in parts.items()}


def content_hash_of_rows(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return the content hash of rows that another engine has read: equal to the table's where it read the same ones."""
    definition = definition_of(table)
    types = pl.DataFrame(schema_to_pyarrow(definition.schema).empty_table()).schema
    frame = pl.DataFrame(list(rows), schema={name: types[name] for name in columns}, orient="row")
    return combine(table, frame_hashes(definition, frame))


def combine(table: str, parts: Iterable[PartitionHash]) -> str:
    """Return the hash of a table from those of its partitions."""
    lines = "".join(part.line() for part in sorted(parts))
    return hashlib.sha256(f"{VERSION}|{table}\n{lines}".encode()).hexdigest()


def partition_hashes(lakehouse: Lakehouse, table: str, row_filter: Filter = AlwaysTrue(), ref: str = MAIN) -> list[PartitionHash]:  # noqa: B008
    """Return the digest of each (date, symbol) among the rows that the filter names, in order."""
    definition = definition_of(table)
    parts = (part for rows in _partitions(lakehouse, definition, row_filter, ref) for part in frame_hashes(definition, rows))
    return sorted(parts)


def frame_hashes(definition: TableDefinition, rows: pl.DataFrame) -> list[PartitionHash]:
    """Hash the rows of a frame by (date, symbol), as if they were the table."""
    if not len(rows):
        return []
    groups = rows.partition_by([name for name in BY_SYMBOL_AND_DATE if name in rows.columns], as_dict=True)
    hashes = []
    for values, part in groups.items():
        key = dict(zip((name for name in BY_SYMBOL_AND_DATE if name in rows.columns), values, strict=True))
        hashes.append(PartitionHash(_text(key.get("date")), _text(key.get("symbol")), len(part), hash_rows(definition, part)))
    return hashes


def hash_rows(definition: TableDefinition, rows: pl.DataFrame) -> str:
    """Return the digest of one partition's rows in the canonical encoding; their order does not matter."""
    columns = [name for name in definition.content_columns if name in rows.columns]
    ordered = _in_order(rows.select(columns), definition.key)
    digest = hashlib.sha256()
    for name in sorted(columns):
        column = ordered[name]
        if column.null_count() < len(column):
            for chunk in _encode(column):
                digest.update(chunk)
    return digest.hexdigest()


def _in_order(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Sort by the key, and by every column where the key does not decide; rows that rise already are not copied."""
    order = [name for name in key if name in rows.columns]
    if _rises(rows.select(order)):
        return rows
    if not order or rows.select(order).is_duplicated().any():
        order += [name for name in sorted(rows.columns) if name not in order]
    return rows.sort(order, nulls_last=False)


def _rises(keys: pl.DataFrame) -> bool:
    """Tell whether each key is greater than the one before it: so are those of a file of ticks or bars, as this project writes it."""
    if not keys.columns or any(keys.null_count().row(0)):
        return False
    greater = pl.lit(False)
    for name in reversed(keys.columns):
        now, before = pl.col(name), pl.col(name).shift(1)
        greater = (now > before) | ((now == before) & greater)
    return bool(keys.select(greater.slice(1).all()).item())


def _encode(column: pl.Series) -> Iterator[bytes | memoryview]:
    """Yield the canonical bytes of one column."""
    kind = _kind(column.dtype)
    yield f"{column.name}|{kind}|{len(column)}\n".encode()
    yield column.is_not_null().cast(pl.UInt8).to_numpy().data
    if kind == "s":
        yield column.str.len_bytes().fill_null(0).cast(pl.Int64).to_numpy().astype("<i8", copy=False).data
        # Arrow keeps nothing between the values of a freshly made array; nulls have no bytes after the fill.
        yield _text_bytes(column)
    elif kind == "f":
        values = column.cast(pl.Float64).fill_null(0.0).to_numpy() + 0.0
        values[np.isnan(values)] = np.nan
        yield values.astype("<f8", copy=False).data
    else:
        yield _integers(column).fill_null(0).to_numpy().astype("<i8", copy=False).data


def _kind(dtype: pl.DataType) -> str:
    if dtype in (pl.String, pl.Categorical):
        return "s"
    return "f" if dtype.is_float() else "i"


def _integers(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.epoch("us")
    return column.cast(pl.Int32).cast(pl.Int64) if column.dtype == pl.Date else column.cast(pl.Int64)


def _text_bytes(column: pl.Series) -> bytes:
    joined = column.cast(pl.String).fill_null("").str.join("").item()
    return str(joined).encode()


def _partitions(lakehouse: Lakehouse, definition: TableDefinition, row_filter: Filter, ref: str) -> Iterator[pl.DataFrame]:
    """Yield the rows partition by partition where the table has partitions of (symbol, date), else all at once."""
    snapshot = lakehouse.resolve(definition.name, ref)
    if definition.partitions != BY_SYMBOL_AND_DATE or snapshot is None:
        yield lakehouse.frame(definition.name, row_filter, ref)
        return
    # Loaded after the snapshot was chosen: a scan of one that the metadata does not know yet would find no rows and say nothing (tried).
    table = lakehouse.table(definition.name)
    columns = tuple(name for name in definition.content_columns if name in lakehouse.columns_at(definition.name, snapshot))
    scan = table.scan(row_filter=row_filter, selected_fields=columns, snapshot_id=snapshot)
    groups: dict[tuple[Any, ...], list[FileScanTask]] = {}
    for task in scan.plan_files():
        groups.setdefault((task.file.partition[1], task.file.partition[0]), []).append(task)
    for key in sorted(groups, key=str):
        yield _read(table, scan.projection(), scan.row_filter, groups[key])


def _read(table: Table, projection: Any, row_filter: Any, tasks: Sequence[FileScanTask]) -> pl.DataFrame:
    arrow: pa.Table = ArrowScan(table.metadata, table.io, projection, row_filter).to_table(tasks)
    frame = pl.from_arrow(arrow)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value)


def differing_partitions(before: Iterable[PartitionHash], after: Iterable[PartitionHash]) -> list[Mapping[str, Any]]:
    """Return the partitions whose rows differ, with both row counts: what `tick drill` prints."""
    old = {(part.date, part.symbol): part for part in before}
    new = {(part.date, part.symbol): part for part in after}
    keys = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return [
        {
            "date": day,
            "symbol": symbol,
            "rows_before": getattr(old.get((day, symbol)), "rows", 0),
            "rows_after": getattr(new.get((day, symbol)), "rows", 0),
        }
        for day, symbol in keys
    ]
