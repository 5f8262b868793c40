"""Decide which format a text file is, and say why.

What belongs here: looking at the first lines. What must not: parsing rows, files.
Input that fits two readings is refused with the choices: a wrong clock or a swapped side would go unnoticed for years.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tick_assets.lakehouse.importers import text_formats
from tick_assets.lakehouse.importers.text_formats import FORMATS, ImportRefusedError, TextFormat

_NUMBER = r"[0-9]+(?:[.,][0-9]+)?"
_STAMPS = (
    ("histdata", re.compile(r"^\d{8} \d{9}$")),
    ("truefx", re.compile(r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[+-]\d{2}:\d{2}|Z)$")),
    ("jforex-csv-local", re.compile(r"^\d{2}\.\d{2}\.\d{4} \d{2}:\d{2}:\d{2}(?:[.,]\d+)? GMT[+-]\d{4}$")),
    ("jforex-csv", re.compile(r"^\d{2}\.\d{2}\.\d{4} \d{2}:\d{2}:\d{2}(?:[.,]\d+)?$")),
    ("y-m-d", re.compile(r"^\d{4}\.\d{2}\.\d{2} \d{2}:\d{2}:\d{2}(?:[.,]\d+)?$")),
    ("fxcm-quotes", re.compile(r"^\d{1,8}$")),
    ("dukascopy-node-csv", re.compile(r"^\d{12,13}$")),
)
_MT5_HEADER = ("<DATE>", "<TIME>", "<BID>", "<ASK>", "<LAST>", "<VOLUME>", "<FLAGS>")
_HEADER_NAMES = {
    "timestamp": "stamp",
    "time": "stamp",
    "gmttime": "stamp",
    "localtime": "stamp",
    "time(eet)": "stamp",
    "time(utc)": "stamp",
    "ask": "ask",
    "askprice": "ask",
    "bid": "bid",
    "bidprice": "bid",
    "askvolume": "ask_size",
    "bidvolume": "bid_size",
}
_SAMPLE = 200


@dataclass(frozen=True)
class Detection:
    """A format and the sentence that justifies it."""

    format: TextFormat
    reason: str


def detect_format(lines: Sequence[str], name: str) -> Detection:
    """Return the one format that the first lines of a file fit; none or several are an `ImportRefusedError`."""
    sample = [line.rstrip("\r\n") for line in lines[:_SAMPLE] if line.strip()]
    if not sample:
        raise ImportRefusedError(f"Expected ticks in {name}, was an empty file. Remove it.")
    if sample[0].lstrip()[:1] in "[{":
        return Detection(FORMATS["dukascopy-node-json"], "a JSON array")
    if tuple(sample[0].split("\t"))[:4] == _MT5_HEADER[:4]:
        return _detect_mt5(sample[0], name)
    delimiter = _delimiter(sample)
    header = sample[0].split(delimiter)
    if _is_header(header[0]):
        return _detect_by_header(header, sample[1:], delimiter, name)
    return _detect_by_shape(sample, delimiter, name)


def _delimiter(sample: Sequence[str]) -> str:
    return next((mark for mark in (";", "\t") if all(mark in line for line in sample)), ",")


def _is_header(cell: str) -> bool:
    return cell[:1].isalpha() and "/" not in cell


def _detect_mt5(header: str, name: str) -> Detection:
    columns = header.split("\t")
    unknown = [column for column in columns if column not in _MT5_HEADER]
    missing = [column for column in _MT5_HEADER if column not in columns]
    if unknown or missing:
        raise ImportRefusedError(f"Expected the columns {_MT5_HEADER} in {name}, was missing {missing}, unknown {unknown}. Export again.")
    order = tuple(column.strip("<>").lower() for column in columns)
    return Detection(replace(FORMATS["mt5-export"], columns=order), "the header of a MetaTrader 5 export")


def _detect_by_header(header: Sequence[str], rows: Sequence[str], delimiter: str, name: str) -> Detection:
    keys = [cell.strip().lower().replace(" ", "") for cell in header]
    unknown = [cell for cell, key in zip(header, keys, strict=True) if key not in _HEADER_NAMES]
    columns = tuple(_HEADER_NAMES.get(key, "") for key in keys)
    sizes = ("bid_size", "ask_size") if {"bid_size", "ask_size"} & set(columns) else ()  # both sizes or none
    missing = [column for column in ("stamp", "bid", "ask", *sizes) if column not in columns]
    if unknown or missing or len(set(columns)) != len(columns):
        raise ImportRefusedError(
            f"Expected columns for stamp, bid, ask and both sizes or none in {name}, was missing {missing}, unknown {unknown}. "
            "Correct the header."
        )
    if not rows:
        raise ImportRefusedError(f"Expected ticks in {name}, was a header only. Remove the file.")
    form = _format_of_stamp(rows[0].split(delimiter)[columns.index("stamp")], name)
    if form == "y-m-d":
        form = _clock_from_header(header[columns.index("stamp")], name)
    chosen = replace(
        FORMATS[form], columns=columns, has_header=True, delimiter=delimiter, is_comma_decimal=_is_comma_decimal(rows, delimiter)
    )
    if form == "fx-data-csv":
        chosen = replace(chosen, name="jforex-csv", clock=text_formats.UTC_CLOCK)
    return Detection(chosen, f"the header {delimiter.join(header)!r} and the stamp {rows[0].split(delimiter)[columns.index('stamp')]!r}")


def _clock_from_header(cell: str, name: str) -> str:
    text = cell.lower()
    if "eet" in text:
        return "jforex-csv-eet"
    if "gmt" in text or "utc" in text:
        return "fx-data-csv"
    raise ImportRefusedError(
        f"Expected a header that names the clock of {name}, was {cell!r}. "
        "Give --format jforex-csv-eet, or rename the column to `Time (UTC)`."
    )


def _detect_by_shape(sample: Sequence[str], delimiter: str, name: str) -> Detection:
    cells = [line.split(delimiter) for line in sample]
    width = max(set(map(len, cells)), key=[len(row) for row in cells].count)
    if "/" in cells[0][0] and width == 4:
        return Detection(replace(FORMATS["truefx-native"], delimiter=delimiter), "a pair with a slash, then stamp, bid, ask")
    form = _format_of_stamp(cells[0][0], name)
    if form == "y-m-d":
        form = _order_of_sides(cells, delimiter, width, name)
    chosen = FORMATS[form]
    minimum = 3
    if not minimum <= width <= len(chosen.columns):
        choices = "a comma is both delimiter and decimal mark" if width > len(chosen.columns) else "columns are missing"
        raise ImportRefusedError(
            f"Expected {minimum} to {len(chosen.columns)} columns in {name}, was {width}: {choices}. Export with another delimiter."
        )
    if form == "fxcm-quotes" and not re.match(r"^\d{8}_", name):
        raise ImportRefusedError(f"Expected a file name that begins with the date, as 20140507_quote.zip, was {name}. Rename it.")
    chosen = replace(chosen, columns=chosen.columns[:width], delimiter=delimiter, is_comma_decimal=_is_comma_decimal(sample, delimiter))
    return Detection(chosen, f"{width} columns and the stamp {cells[0][0]!r}")


def _format_of_stamp(cell: str, name: str) -> str:
    for form, pattern in _STAMPS:
        if pattern.match(cell.strip()):
            return form
    raise ImportRefusedError(
        f"Expected one of the formats {', '.join(text_formats.FORMAT_NAMES)} in {name}, was a first cell {cell!r}. Give --format."
    )


def _order_of_sides(cells: Sequence[Sequence[str]], delimiter: str, width: int, name: str) -> str:
    """fx-data files and JForex exports share the stamp and differ in order and clock; only the sides tell them apart."""
    if width < 3:
        raise ImportRefusedError(f"Expected at least 3 columns in {name}, was {width}. Give --format.")
    pairs = [(_to_float(row[1]), _to_float(row[2])) for row in cells if len(row) == width]
    ascending = sum(first < second for first, second in pairs)
    descending = sum(first > second for first, second in pairs)
    if ascending > 10 * descending:
        return "fx-data-csv"
    raise ImportRefusedError(
        f"Expected the bid before the ask in {name}, was the ask first in {descending} of {len(pairs)} rows: "
        "a JForex export whose clock is not named. "
        "Give --format jforex-csv-eet, or --format fx-data-csv if the bid is first and the clock is UTC."
    )


def _to_float(cell: str) -> float:
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return float("nan")


def _is_comma_decimal(rows: Sequence[str], delimiter: str) -> bool:
    return delimiter != "," and any(re.search(r"\d,\d", line) for line in rows)
