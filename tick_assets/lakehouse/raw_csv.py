"""The text of raw CSV files, both ways, and the canonical hash of an hour.

What belongs here: rows to lines, lines to rows, hashes. What must not: paths, manifests, revisions.

A frame of raw rows has the columns of `ROW_SCHEMA`. `ts_us` of a malformed row is the place it keeps in the file (its predecessor's stamp);
its other typed columns are null and `raw_line` is its text. A missing size is a null, written as an empty cell.

Both ways have a fast road for what this project writes, Polars' own CSV reader and writer, and a careful one row by row for all else. The
fast ones give up on anything unusual; tests hold that what they do give is what the careful ones give.
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
_STAMP_FORMAT_MS = "%Y-%m-%dT%H:%M:%S.%3fZ"
"""What the careful format takes too, in the words for which Polars has a parser of its own (6 times as fast, measured)."""
_USUAL_BYTES = b"0123456789-:.,TZ\n"
"""No quote, sign, exponent, blank or carriage return, about which two parsers might disagree."""
_CELL_TYPES = {
    "ts_event": pl.String(),
    "ask_points": pl.Int64(),
    "bid_points": pl.Int64(),
    "ask_size": pl.Float64(),
    "bid_size": pl.Float64(),
}
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
    if rows["raw_line"].null_count() == len(rows) and bool((rows["ts_us"] % 1000 == 0).all()):
        return _usual_lines(rows)
    return _careful_lines(rows)


def _usual_lines(rows: pl.DataFrame) -> str:
    """Write rows that all parsed and whose stamps are whole milliseconds, as Polars writes CSV."""
    sizes = [rows[name].cast(pl.Int64) if _is_whole(rows[name]) else _size_text(name) for name in ("ask_size", "bid_size")]
    cells = rows.select(pl.from_epoch("ts_us", time_unit="us"), "ask_points", "bid_points", *sizes)
    return cells.write_csv(include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ", quote_style="never")


def _is_whole(size: pl.Series) -> bool:
    return bool(((size == size.round(0)) & (size.abs() < 2**53)).all())


def _careful_lines(rows: pl.DataFrame) -> str:
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
    usual = _parse_usual(content)
    return _parse_carefully(content, name) if usual is None else usual


def _parse_usual(content: bytes) -> pl.DataFrame | None:
    """Parse a file whose every row is as this project writes it; None where anything is not."""
    body = content[len(HEADER) :]
    if not content.startswith(HEADER.encode()) or not body or body.translate(None, _USUAL_BYTES):
        return None
    try:
        cells = pl.read_csv(body, has_header=False, schema=_CELL_TYPES, quote_char=None)
    except pl.exceptions.PolarsError:
        return None
    rows = body.count(b"\n") + (not body.endswith(b"\n"))
    return _usual_rows(cells) if len(cells) == rows and _has_whole_rows(cells, body) else None


def _has_whole_rows(cells: pl.DataFrame, body: bytes) -> bool:
    """Tell whether no row is short: Polars refuses rows that are long, and fills short ones with nulls."""
    return not cells["bid_size"].has_nulls() or body.count(b",") == (len(COLUMNS) - 1) * len(cells)


def _usual_rows(cells: pl.DataFrame) -> pl.DataFrame | None:
    stamps = pl.col("ts_event").str.to_datetime(_STAMP_FORMAT_MS, time_unit="us", strict=False, cache=False).dt.replace_time_zone("UTC")
    rows = cells.with_columns(
        stamps, pl.int_range(1, len(cells) + 1, dtype=pl.Int64).alias("source_row"), pl.lit(None, pl.String).alias("raw_line")
    )
    if any(rows[name].has_nulls() for name in ("ts_event", "ask_points", "bid_points")):
        return None
    return rows if all(rows[name].is_finite().all() for name in ("ask_size", "bid_size")) else None


def _parse_carefully(content: bytes, name: str) -> pl.DataFrame:
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
