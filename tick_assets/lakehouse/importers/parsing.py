"""Turn the lines of a detected format into raw rows.

What belongs here: text to `raw_csv.ROW_SCHEMA`. What must not: detection, files, the raw store.
A line that does not parse is kept as a malformed row in its place; prices off the symbol's grid are malformed, and many of them
refuse the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import polars as pl

from tick_assets.lakehouse import raw_csv
from tick_assets.lakehouse.importers import text_formats
from tick_assets.lakehouse.importers.text_formats import ImportRefusedError, TextFormat

_GRID_TOLERANCE = 1e-3
_MAXIMUM_MALFORMED_SHARE = 0.05
_UNITS_FROM = 1000.0
"""A median size from here on can't be in millions."""


def parse_text(text: str, form: TextFormat, price_factor: int, name: str) -> pl.DataFrame:
    """Return the rows of one file in file order; too many malformed ones are an `ImportRefusedError`."""
    cells = _json_cells(text, name) if form.name == "dukascopy-node-json" else _line_cells(text, form)
    rows = _typed_rows(cells, form, price_factor, name)
    malformed = int(rows["raw_line"].is_not_null().sum())
    if malformed > max(1.0, _MAXIMUM_MALFORMED_SHARE * len(rows)):
        first = rows.filter(pl.col("raw_line").is_not_null())["raw_line"][0]
        raise ImportRefusedError(
            f"Expected rows of {form.name} in steps of 1/{price_factor} in {name}, was {malformed} of {len(rows)} others. "
            f"The first is {first!r}. "
            "Check --format and the symbol's price_factor."
        )
    return rows


def _line_cells(text: str, form: TextFormat) -> pl.DataFrame:
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    lines = [line for line in lines[1 if form.has_header else 0 :] if line]
    frame = pl.DataFrame({"line": pl.Series(lines, dtype=pl.String)})
    split = pl.col("line").str.split(form.delimiter)
    frame = frame.with_columns(split.alias("cells")).with_columns(pl.col("cells").list.len().alias("width"))
    return frame.with_columns(
        **{column: pl.col("cells").list.get(place, null_on_oob=True) for place, column in enumerate(form.columns)},
        has_width=pl.col("width") == len(form.columns),
    )


def _json_cells(text: str, name: str) -> pl.DataFrame:
    try:
        document: Any = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ImportRefusedError(f"Expected a JSON array in {name}, was text that does not parse ({error}). Download it again.") from error
    if not isinstance(document, list) or not document:
        raise ImportRefusedError(f"Expected a JSON array of ticks in {name}, was none. Remove the file.")
    keys = ("timestamp", "askPrice", "bidPrice", "askVolume", "bidVolume")
    records = [[row.get(key) for key in keys] if isinstance(row, dict) else list(row) for row in document if isinstance(row, dict | list)]
    texts = [["" if value is None else str(value) for value in (row + [None] * 5)[:5]] for row in records]
    columns = dict(zip(("stamp", "ask", "bid", "ask_size", "bid_size"), map(list, zip(*texts, strict=True)), strict=True))
    frame = pl.DataFrame({**columns, "line": [",".join(row) for row in texts]}, schema_overrides=dict.fromkeys(columns, pl.String))
    return frame.with_columns(has_width=pl.lit(True))


def _typed_rows(cells: pl.DataFrame, form: TextFormat, price_factor: int, name: str) -> pl.DataFrame:
    frame = cells.with_columns(_stamp(form, name).alias("ts_us"), **{side: _number(form, side) for side in ("bid", "ask")})
    if form.keeps_unchanged:
        is_kept = pl.col("line").str.split(form.delimiter)
        frame = frame.with_columns(
            **{
                side: pl.when(is_kept.list.get(form.columns.index(side), null_on_oob=True) == "")
                .then(pl.col(side).forward_fill())
                .otherwise(pl.col(side))
                for side in ("bid", "ask")
            }
        )
    sizes = {column: _size(form, column) for column in ("ask_size", "bid_size")}
    frame = frame.with_columns(**{f"{side}_points": _points(side, price_factor) for side in ("bid", "ask")}, **sizes)
    is_good = pl.col("has_width") & pl.all_horizontal(pl.col("ts_us", "ask_points", "bid_points").is_not_null())
    frame = frame.with_columns(is_good.alias("is_good"))
    stamp = pl.when("is_good").then(pl.col("ts_us")).otherwise(None).fill_null(strategy="forward").fill_null(strategy="backward")
    typed = [pl.when("is_good").then(pl.col(column)).otherwise(None).alias(column) for column in raw_csv.COLUMNS[1:]]
    rows = frame.select(stamp.alias("ts_us"), *typed, pl.when(~pl.col("is_good")).then(pl.col("line")).alias("raw_line"))
    return _in_units(rows, form).cast(raw_csv.ROW_SCHEMA)


def _number(form: TextFormat, column: str) -> pl.Expr:
    text = pl.col(column).str.strip_chars()
    if form.is_comma_decimal:
        text = text.str.replace(",", ".", literal=True)
    number = text.cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number).otherwise(None)


def _points(side: str, price_factor: int) -> pl.Expr:
    scaled = pl.col(side) * price_factor
    return pl.when((scaled - scaled.round(0)).abs() <= _GRID_TOLERANCE).then(scaled.round(0).cast(pl.Int64, strict=False)).otherwise(None)


def _size(form: TextFormat, column: str) -> pl.Expr:
    return _number(form, column) if column in form.columns else pl.lit(None, dtype=pl.Float64)


def _in_units(rows: pl.DataFrame, form: TextFormat) -> pl.DataFrame:
    """Scale sizes to whole units where they come in millions; a program that was told to write units shows by their magnitude."""
    if form.size_scale == text_formats.UNITS:
        return rows
    median = rows["ask_size"].median()
    if isinstance(median, float) and median >= _UNITS_FROM:
        return rows
    # Six decimals of a million are whole units; the product of two floats is not.
    return rows.with_columns((pl.col("ask_size", "bid_size") * form.size_scale).round(3))


def _stamp(form: TextFormat, name: str) -> pl.Expr:
    """Microseconds since 1970 UTC; null where the stamp does not parse."""
    if form.stamp == text_formats.EPOCH_MS:
        return pl.col("stamp").cast(pl.Int64, strict=False) * 1000
    if form.stamp == text_formats.MS_OF_DAY:
        offset = pl.col("stamp").cast(pl.Int64, strict=False)
        local = pl.from_epoch(pl.when(offset < 86_400_000).then(offset * 1000 + _day_us(name)).otherwise(None), time_unit="us")
        return _to_utc_us(local, form)
    text = pl.concat_str("date", "time", separator=" ") if "date" in form.columns else pl.col("stamp")
    if form.is_comma_decimal:
        text = text.str.replace(",", ".", literal=True)
    if form.has_stamp_offset:
        parts = text.str.extract_groups(r"^(?P<local>.*) GMT(?P<sign>[+-])(?P<hours>\d{2})(?P<minutes>\d{2})$")
        minutes = parts.struct["hours"].cast(pl.Int64) * 60 + parts.struct["minutes"].cast(pl.Int64)
        sign = pl.when(parts.struct["sign"] == "-").then(-1).otherwise(1)
        local_us = parts.struct["local"].str.to_datetime(form.stamp, time_unit="us", strict=False).dt.epoch("us")
        return local_us - sign * minutes * 60_000_000
    if form.stamp.endswith("%:z"):
        return (
            text.str.replace(r"Z$", "+00:00").str.replace("T", " ").str.to_datetime(form.stamp, time_unit="us", strict=False).dt.epoch("us")
        )
    return _to_utc_us(text.str.to_datetime(form.stamp, time_unit="us", strict=False), form)


def _to_utc_us(local: pl.Expr, form: TextFormat) -> pl.Expr:
    if form.clock.startswith(text_formats.OFFSET_PREFIX):
        hours = float(form.clock.removeprefix(text_formats.OFFSET_PREFIX))
        return local.dt.epoch("us") - round(hours * 3_600_000_000)
    if form.clock == text_formats.UTC_CLOCK:
        return local.dt.epoch("us")
    return local.dt.replace_time_zone(form.clock, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC").dt.epoch("us")


def _day_us(name: str) -> int:
    match = re.match(r"^(\d{4})(\d{2})(\d{2})", name)
    if match is None:
        raise ImportRefusedError(f"Expected a file name that begins with the date, as 20140507_quote.zip, was {name}. Rename it.")
    return int(datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=UTC).timestamp()) * 1_000_000


def first_lines(text: str, count: int = 200) -> Sequence[str]:
    """Return the first lines of a text without splitting all of it."""
    return text[: count * 400].removeprefix("\ufeff").split("\n")[:count]
