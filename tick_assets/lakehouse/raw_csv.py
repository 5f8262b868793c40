"""The text of raw CSV files, both ways, and the canonical hash of an hour.

What belongs here: rows to lines, lines to rows, hashes. What must not: paths, manifests, revisions.

A frame of raw rows has the columns of `ROW_SCHEMA`. `ts_us` of a malformed row is the place it keeps in the file (its predecessor's stamp);
its other typed columns are null and `raw_line` is its text. A missing size is a null, written as an empty cell.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from tick_assets.domain.ticks import Ticks

COLUMNS = ("ts_event", "ask_points", "bid_points", "ask_size", "bid_size")
HEADER = ",".join(COLUMNS) + "\n"
ROW_SCHEMA = pl.Schema(
    {
        "ts_us": pl.Int64(),
        "ask_points": pl.Int64(),
        "bid_points": pl.Int64(),
        "ask_size": pl.Float64(),
        "bid_size": pl.Float64(),
        "raw_line": pl.String(),
    }
)
READ_SCHEMA = pl.Schema(
    {
        "ts_event": pl.Datetime("us", "UTC"),
        "ask_points": pl.Int64(),
        "bid_points": pl.Int64(),
        "ask_size": pl.Float64(),
        "bid_size": pl.Float64(),
        "source_row": pl.Int64(),
        "raw_line": pl.String(),
    }
)
_STAMP_FORMAT = "%Y-%m-%dT%H:%M:%S%.fZ"
_NO_SIZE = -1
_LARGEST_SIZE = 2.0**62
"""A size beyond it hashes as it: its units fit no integer."""


class RawHeaderError(ValueError):
    """A raw file's header lacks a column or has an unknown one."""


def rows_from_ticks(ticks: Ticks) -> pl.DataFrame:
    """Return the rows of valid ticks, stably sorted by stamp; NaN sizes become null."""
    frame = pl.DataFrame(
        {
            "ts_us": ticks.ts_us,
            "ask_points": ticks.ask_points,
            "bid_points": ticks.bid_points,
            "ask_size": pl.Series(ticks.ask_size).fill_nan(None),
            "bid_size": pl.Series(ticks.bid_size).fill_nan(None),
            "raw_line": pl.Series([None] * len(ticks), dtype=pl.String),
        },
        schema=ROW_SCHEMA,
    )
    return sort_rows(frame)


def sort_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Sort by stamp and keep the vendor's order within a stamp."""
    return rows.sort("ts_us", maintain_order=True)


def to_csv_lines(rows: pl.DataFrame) -> str:
    """Return the rows as CSV text without the header; the text depends on the rows only."""
    if rows.is_empty():
        return ""
    cells = [
        _stamp_text(),
        pl.col("ask_points").cast(pl.String),
        pl.col("bid_points").cast(pl.String),
        _size_text("ask_size"),
        _size_text("bid_size"),
    ]
    line = pl.when(pl.col("raw_line").is_null()).then(pl.concat_str(cells, separator=",")).otherwise(pl.col("raw_line"))
    return "\n".join(rows.select(line.alias("line"))["line"].to_list()) + "\n"


def _stamp_text() -> pl.Expr:
    at = pl.from_epoch("ts_us", time_unit="us")
    has_only_ms = pl.col("ts_us") % 1000 == 0
    return pl.when(has_only_ms).then(at.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")).otherwise(at.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))


def _size_text(name: str) -> pl.Expr:
    """Shortest decimal: whole units without a fraction."""
    size = pl.col(name)
    is_whole = (size == size.round(0)) & (size.abs() < 2**53)
    return pl.when(is_whole).then(size.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(size.cast(pl.String)).fill_null("")


def canonical_sha256(rows: pl.DataFrame) -> str:
    """Hash what makes an hour itself: stamps and prices as integers, sizes in whole units, little-endian, in order.

    Whole units are the precision that both wire formats keep; so the same hour has the same hash in either.
    """
    digest = hashlib.sha256()
    malformed = rows["raw_line"].is_not_null()
    good = rows.filter(~malformed)
    for name in ("ts_us", "ask_points", "bid_points"):
        digest.update(good[name].to_numpy().astype("<i8").tobytes())
    for name in ("ask_size", "bid_size"):
        sizes = good[name].to_numpy().astype(np.float64)
        digest.update(
            np.where(np.isnan(sizes), _NO_SIZE, np.rint(np.clip(np.nan_to_num(sizes), -_LARGEST_SIZE, _LARGEST_SIZE)))
            .astype("<i8")
            .tobytes()
        )
    for line in rows.filter(malformed)["raw_line"]:
        digest.update(f"\n{line}".encode())
    return digest.hexdigest()


def parse_csv(content: bytes, name: str) -> pl.DataFrame:
    """Parse a raw file into `READ_SCHEMA`, columns matched by name, rows numbered from 1.

    A row that does not parse keeps null typed columns and its `raw_line`; a missing or unknown column is a `RawHeaderError` naming it.
    """
    text = content.decode("utf-8", errors="replace")
    header, _, body = text.partition("\n")
    order = _column_order(header.rstrip("\r"), name)
    if not body:
        return READ_SCHEMA.to_frame()
    lines = pl.Series("line", body.removesuffix("\n").split("\n"), dtype=pl.String)
    cells = pl.col("line").str.strip_suffix("\r").str.split(",")
    typed = lines.to_frame().with_columns(cells.alias("cells"), pl.int_range(1, len(lines) + 1, dtype=pl.Int64).alias("source_row"))
    typed = typed.with_columns(
        **{column: pl.col("cells").list.get(order[column], null_on_oob=True).alias(column) for column in COLUMNS},
        width=pl.col("cells").list.len(),
    )
    return _cast_rows(typed)


def _column_order(header: str, name: str) -> dict[str, int]:
    found = header.split(",")
    missing = [column for column in COLUMNS if column not in found]
    unknown = [column for column in found if column not in COLUMNS]
    if missing or unknown or len(found) != len(COLUMNS):
        raise RawHeaderError(
            f"Expected the columns {','.join(COLUMNS)} in {name}, was {header!r}: missing {missing}, unknown {unknown}. Restore the file."
        )
    return {column: found.index(column) for column in COLUMNS}


def _cast_rows(cells: pl.DataFrame) -> pl.DataFrame:
    stamps = pl.col("ts_event").str.to_datetime(_STAMP_FORMAT, time_unit="us", strict=False).dt.replace_time_zone("UTC")
    typed = cells.with_columns(
        stamps.alias("at"),
        pl.col("ask_points").cast(pl.Int64, strict=False).alias("ask"),
        pl.col("bid_points").cast(pl.Int64, strict=False).alias("bid"),
        *(pl.col(size).replace("", None).cast(pl.Float64, strict=False).alias(f"{size}_number") for size in ("ask_size", "bid_size")),
    )
    is_good = (pl.col("width") == len(COLUMNS)) & pl.all_horizontal(pl.col("at", "ask", "bid").is_not_null())
    for size in ("ask_size", "bid_size"):
        is_good &= (pl.col(size) == "") | pl.col(f"{size}_number").is_finite().fill_null(False)
    values = {"ts_event": "at", "ask_points": "ask", "bid_points": "bid", "ask_size": "ask_size_number", "bid_size": "bid_size_number"}
    return typed.with_columns(is_good.fill_null(False).alias("is_good")).select(
        *(pl.when(pl.col("is_good")).then(pl.col(source)).alias(column) for column, source in values.items()),
        pl.col("source_row"),
        pl.when(~pl.col("is_good")).then(pl.col("line").str.strip_suffix("\r")).alias("raw_line"),
    )


def read_rows(path: Path) -> pl.DataFrame:
    """Read a raw file; see `parse_csv`."""
    return parse_csv(path.read_bytes(), path.name)


def to_raw_rows(read: pl.DataFrame) -> pl.DataFrame:
    """Return read rows in `ROW_SCHEMA`: a malformed row takes the stamp before it, or the first one after."""
    stamp = pl.col("ts_event").dt.epoch("us").fill_null(strategy="forward").fill_null(strategy="backward")
    return read.select(stamp.alias("ts_us"), *COLUMNS[1:], "raw_line")


def midnight_us(day_iso: str) -> int:
    """Return the beginning of a UTC date in microseconds since 1970."""
    return int(datetime.fromisoformat(day_iso).replace(tzinfo=UTC).timestamp()) * 1_000_000
