"""Decide which format a text file is, and say what decided it.

What belongs here: looking at the first lines. What must not: parsing rows, files.
Input that fits two readings is refused with the choices: a wrong clock or a swapped side would go unnoticed for years. A format that was
named decides between readings that fit, never against what the file shows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tick_assets.lakehouse.importers.candles import are_candle_names, are_candle_rows
from tick_assets.lakehouse.importers.text_formats import (
    ASK_FIRST,
    BID_FIRST,
    D_M_Y,
    EET_CLOCK,
    FORMAT_NAMES,
    FORMATS,
    GMT_OFFSET,
    ISO,
    ISO_OFFSET,
    MT5_COLUMNS,
    UNKNOWN_CLOCK,
    UTC_CLOCK,
    Y_M_D,
    ImportRefusedError,
    TextFormat,
)

AUTO = "auto"
_CLOCK = r"\d{2}:\d{2}:\d{2}"
_STAMPS = tuple(
    (form, re.compile(pattern, re.ASCII))
    for form, pattern in (
        ("histdata", r"^\d{8} \d{9}$"),
        (ISO_OFFSET, rf"^\d{{4}}-\d{{2}}-\d{{2}}[ T]{_CLOCK}(?:[.,]\d+)?(?:[+-]\d{{2}}:\d{{2}}|Z)$"),
        (ISO, rf"^\d{{4}}-\d{{2}}-\d{{2}}[ T]{_CLOCK}(?:[.,]\d+)?$"),
        (GMT_OFFSET, rf"^\d{{2}}\.\d{{2}}\.\d{{4}} {_CLOCK}(?:[.,]\d+)? GMT[+-]\d{{4}}$"),
        (D_M_Y, rf"^\d{{2}}\.\d{{2}}\.\d{{4}} {_CLOCK}(?:[.,]\d+)?$"),
        (Y_M_D, rf"^\d{{4}}\.\d{{2}}\.\d{{2}} {_CLOCK}(?:[.,]\d+)?$"),
        ("fxcm-quotes", r"^\d{1,8}$"),
        ("dukascopy-node-csv", r"^\d{12,13}$"),
    )
)
_DAY_OR_MONTH = re.compile(r"^(?:\d{1,2}[/-]\d{1,2}[/-]\d{4})", re.ASCII)
_NAMED_DATE = re.compile(r"^\d{8}_", re.ASCII)
_HEADER_NAMES = {
    "timestamp": "stamp",
    "time": "stamp",
    "date": "stamp",
    "datetime": "stamp",
    "gmttime": "stamp",
    "localtime": "stamp",
    "time(eet)": "stamp",
    "time(utc)": "stamp",
    "time(gmt)": "stamp",
    "ask": "ask",
    "askprice": "ask",
    "bid": "bid",
    "bidprice": "bid",
    "askvolume": "ask_size",
    "bidvolume": "bid_size",
}
_SAMPLE = 2000
_ENOUGH_ROWS = 5
_FAR_APART = 0.2
"""Sides that differ by more than this share of the price are no quote: a decimal comma was taken for a delimiter."""


@dataclass(frozen=True)
class Detection:
    """A format and what was seen that decided it."""

    format: TextFormat
    reason: str


@dataclass(frozen=True)
class _Table:
    """The first rows of a file in cells, and what a person stated."""

    name: str
    delimiter: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    stated: str
    has_clock: bool

    @cached_property
    def width(self) -> int:
        """The usual number of cells."""
        widths = [len(row) for row in self.rows]
        return max(set(widths), key=widths.count)

    def sides(self, columns: Sequence[str]) -> tuple[int, int, int]:
        """Return how many rows have the bid below the ask, how many above, and how many sides are too far apart to be a quote."""
        bid_place, ask_place = columns.index("bid"), columns.index("ask")
        pairs = [(_to_float(row[bid_place]), _to_float(row[ask_place])) for row in self.rows if len(row) == self.width]
        below = sum(bid < ask for bid, ask in pairs)
        above = sum(bid > ask for bid, ask in pairs)
        return below, above, sum(abs(ask - bid) > _FAR_APART * max(abs(ask), abs(bid)) for bid, ask in pairs)


def detect_format(lines: Sequence[str], name: str, stated: str = AUTO, *, has_clock: bool = False) -> Detection:
    """Return the one format that the first lines of a file fit; none or several are an `ImportRefusedError`.

    `stated` is a format's name that a person gave, `has_clock` that a clock was given too.
    """
    sample = [line.rstrip("\r\n") for line in lines[:_SAMPLE] if line.strip()]
    if not sample:
        raise ImportRefusedError(f"Expected ticks in {name}, was an empty file. Remove it.")
    found = _detect(sample, name, stated, has_clock)
    if stated not in (AUTO, found.format.name):
        raise ImportRefusedError(
            f"Expected {stated} in {name} as --format says, was {found.format.name}: {found.reason}. Leave --format out, or correct it."
        )
    return found


def _detect(sample: Sequence[str], name: str, stated: str, has_clock: bool) -> Detection:
    mark = sample[0].lstrip()[:1]
    if mark == "[":
        return Detection(FORMATS["dukascopy-node-json"], "a JSON array")
    if mark == "{":
        raise ImportRefusedError(f"Expected a JSON array, or one hour of Dukascopy's feed, in {name}, was another object. Check the file.")
    if mark == "<" and "\t" not in sample[0]:
        raise ImportRefusedError(f"Expected ticks in {name}, was a web page. Download it again.")
    delimiter = _delimiter(sample)
    cells = tuple(tuple(line.split(delimiter)) for line in sample)
    has_header = _is_header(cells[0][0])
    rows = cells[1:] if has_header else cells
    _require_no_candles(cells[0] if has_header else (), rows, name)
    table = _Table(name, delimiter, cells[0] if has_header else (), rows, stated, has_clock)
    if not has_header:
        return _checked(_detect_by_shape(table), table)
    return _checked(_detect_mt5(table) if cells[0][0].startswith("<") else _detect_by_header(table), table)


def _delimiter(sample: Sequence[str]) -> str:
    return next((mark for mark in (";", "\t") if sum(mark in line for line in sample) * 2 > len(sample)), ",")


def _is_header(cell: str) -> bool:
    return cell.lstrip('"')[:1] == "<" or (cell.strip('" ')[:1].isalpha() and "/" not in cell)


def _require_no_candles(header: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> None:
    if are_candle_names(header) if header else are_candle_rows([[_to_float(cell) for cell in row[1:]] for row in rows]):
        raise ImportRefusedError(f"Expected ticks in {name}, was candles (open, high, low, close). Download ticks of the symbol.")


def _checked(found: Detection, table: _Table) -> Detection:
    """Refuse a reading that the prices contradict: sides that are swapped, or no quote at all."""
    below, above, far = table.sides(found.format.columns)
    if far * 2 > len(table.rows):
        raise ImportRefusedError(
            f"Expected bid and ask near each other in {table.name}, was not so in {far} of {len(table.rows)} rows: a comma is both "
            "delimiter and decimal mark, or columns are others. Export with another delimiter."
        )
    if above >= _ENOUGH_ROWS and above >= 2 * below:
        raise ImportRefusedError(
            f"Expected the ask above the bid in {table.name} as {found.format.name} has them, was below in {above} of {len(table.rows)} "
            "rows: the sides are swapped. Correct --format or the header."
        )
    clock = f"clock {found.format.clock}" if found.format.clock and not found.format.says_utc_itself else "stamps that name their offset"
    clock = clock if found.format.clock else "a clock that it does not name"
    return Detection(found.format, f"{found.reason}; bid below ask in {below} of {len(table.rows)} rows; {clock}")


# Files with a header.


def _detect_mt5(table: _Table) -> Detection:
    columns = tuple(cell.strip().strip("<>").lower() for cell in table.header)
    unknown = [column for column in columns if column not in MT5_COLUMNS]
    missing = [column for column in MT5_COLUMNS if column not in columns]
    if unknown or missing or len(columns) != len(MT5_COLUMNS):
        wanted = " ".join(f"<{column.upper()}>" for column in MT5_COLUMNS)
        raise ImportRefusedError(f"Expected the columns {wanted} in {table.name}, was missing {missing}, unknown {unknown}. Export again.")
    _require_rows(table)
    form = replace(FORMATS["mt5-export"], columns=columns, delimiter=table.delimiter, is_comma_decimal=_is_comma_decimal(table, columns))
    return Detection(form, "the header of a MetaTrader 5 export")


def _require_rows(table: _Table) -> None:
    if not table.rows:
        raise ImportRefusedError(f"Expected ticks in {table.name}, was a header only. Remove the file.")


def _detect_by_header(table: _Table) -> Detection:
    keys = [cell.strip().strip('"').lower().replace(" ", "") for cell in table.header]
    columns = _columns_of(keys, table)
    _require_rows(table)
    place = columns.index("stamp")
    first = next((row for row in table.rows if len(row) == len(columns)), ())
    if not first:
        raise ImportRefusedError(
            f"Expected {len(columns)} columns in {table.name} as its header has, was {table.width}. Correct the header."
        )
    form = _form_of_header(keys, place, _stamp_of(first[place], table.name), table)
    chosen = replace(form, columns=columns, has_header=True, delimiter=table.delimiter, is_comma_decimal=_is_comma_decimal(table, columns))
    return Detection(chosen, f"the header {table.delimiter.join(table.header)!r} and the stamp {first[place]!r}")


def _columns_of(keys: Sequence[str], table: _Table) -> tuple[str, ...]:
    columns = tuple(_HEADER_NAMES.get(key, "") for key in keys)
    unknown = [cell for cell, key in zip(table.header, keys, strict=True) if key not in _HEADER_NAMES]
    sizes = ("bid_size", "ask_size") if {"bid_size", "ask_size"} & set(columns) else ()  # both sizes or none
    missing = [column for column in ("stamp", "bid", "ask", *sizes) if column not in columns]
    repeated = sorted({column for column in columns if column and columns.count(column) > 1})
    if unknown or missing or repeated:
        raise ImportRefusedError(
            f"Expected columns for stamp, bid, ask and both sizes or none in {table.name}, was missing {missing}, unknown {unknown}, "
            f"twice {repeated}. Correct the header."
        )
    return columns


def _form_of_header(keys: Sequence[str], place: int, stamp: str, table: _Table) -> TextFormat:
    """Return the format that header names and stamp make; a stamp without an offset needs a clock from the header or a person."""
    if stamp in FORMATS:
        return FORMATS[stamp]
    if stamp == GMT_OFFSET:
        return FORMATS["jforex-csv-local"]
    family = "dukascopy-node-csv" if {"askprice", "bidprice"} & set(keys) else "truefx" if stamp in (ISO, ISO_OFFSET) else "jforex-csv"
    form = replace(FORMATS[family], stamp=stamp)
    if stamp == ISO_OFFSET:
        return form
    clock = next(
        (clock for word, clock in (("eet", EET_CLOCK), ("gmt", UTC_CLOCK), ("utc", UTC_CLOCK)) if word in keys[place]), UNKNOWN_CLOCK
    )
    if not clock and table.stated == "jforex-csv-eet":
        clock = EET_CLOCK
    if clock == EET_CLOCK and family == "jforex-csv":
        return replace(FORMATS["jforex-csv-eet"], stamp=stamp)
    if not clock and not table.has_clock:
        raise ImportRefusedError(
            f"Expected a header that names the clock of {table.name}, was {table.header[place]!r}. "
            "Give --utc-offset, or --format jforex-csv-eet, or rename the column to `Time (UTC)`."
        )
    return replace(form, clock=clock)


# Files without one.


def _detect_by_shape(table: _Table) -> Detection:
    first = table.rows[0]
    if "/" in first[0] and not _DAY_OR_MONTH.match(first[0]):
        return _detect_truefx(table)
    stamp = _stamp_of(first[0], table.name)
    form = FORMATS[stamp] if stamp in FORMATS else _form_of_stamp(stamp, table)
    if not 3 <= table.width <= len(form.columns):
        choices = "a comma is both delimiter and decimal mark" if table.width > len(form.columns) else "columns are missing"
        raise ImportRefusedError(
            f"Expected 3 to {len(form.columns)} columns in {table.name}, was {table.width}: {choices}. Export with another delimiter."
        )
    if form.name == "fxcm-quotes" and not _NAMED_DATE.match(table.name):
        raise ImportRefusedError(f"Expected a file name that begins with the date, as 20140507_quote.zip, was {table.name}. Rename it.")
    columns = form.columns[: table.width]
    chosen = replace(form, columns=columns, has_header=False, delimiter=table.delimiter, is_comma_decimal=_is_comma_decimal(table, columns))
    if "size" in "".join(form.columns) and table.stated == AUTO and not any(table.sides(columns)[:2]):
        raise ImportRefusedError(
            f"Expected a row of {table.name} in which bid and ask differ, was none: which side comes first can't be told. "
            "Give --format fx-data-csv (bid first), jforex-csv, jforex-csv-eet or dukascopy-node-csv (ask first)."
        )
    return Detection(chosen, f"{table.width} columns without a header and the stamp {first[0]!r}")


def _detect_truefx(table: _Table) -> Detection:
    if table.width != 4:
        raise ImportRefusedError(f"Expected the columns pair, stamp, bid, ask in {table.name}, was {table.width}. Check the file.")
    form = FORMATS["truefx-native"]
    chosen = replace(form, delimiter=table.delimiter, is_comma_decimal=_is_comma_decimal(table, form.columns))
    return Detection(chosen, f"the pair {table.rows[0][0]!r} before a stamp")


def _form_of_stamp(stamp: str, table: _Table) -> TextFormat:
    """Return the format of a dotted or ISO stamp; only the order of the sides tells fx-data files and JForex exports apart."""
    if stamp == GMT_OFFSET:
        return FORMATS["jforex-csv-local"]
    if stamp == D_M_Y:
        _require_day_first(table)
        return replace(FORMATS["jforex-csv-eet"], stamp=stamp) if table.stated == "jforex-csv-eet" else FORMATS["jforex-csv"]
    if stamp in (ISO, ISO_OFFSET):
        if stamp == ISO and not table.has_clock:
            raise ImportRefusedError(f"Expected stamps with an offset in {table.name}, was {table.rows[0][0]!r}. Give --utc-offset.")
        return replace(FORMATS["truefx"], stamp=stamp, has_header=False, clock=UTC_CLOCK if stamp == ISO_OFFSET else UNKNOWN_CLOCK)
    return _form_of_sides(table)


def _form_of_sides(table: _Table) -> TextFormat:
    if table.width < 3:
        raise ImportRefusedError(f"Expected at least 3 columns in {table.name}, was {table.width}: columns are missing. Check the file.")
    if table.stated in ("fx-data-csv", "jforex-csv-eet"):
        return FORMATS[table.stated]
    ascending, descending, _ = table.sides(BID_FIRST)
    if ascending > 10 * descending:
        return FORMATS["fx-data-csv"]
    if descending > 10 * ascending and table.has_clock:
        return replace(FORMATS["jforex-csv"], columns=ASK_FIRST, stamp=Y_M_D, clock=UNKNOWN_CLOCK)
    raise ImportRefusedError(
        f"Expected the bid before the ask in {table.name}, was the ask first in {descending} of {len(table.rows)} rows: "
        "a JForex export whose clock is not named. "
        "Give --format jforex-csv-eet, --utc-offset with its clock, or --format fx-data-csv if the bid is first and the clock is UTC."
    )


def _require_day_first(table: _Table) -> None:
    months = [row[0][3:5] for row in table.rows if re.match(r"^\d{2}\.\d{2}\.\d{4} ", row[0], re.ASCII)]
    if any(int(month) > 12 for month in months):
        raise ImportRefusedError(
            f"Expected the day before the month in {table.name}, was {max(months)} in the month's place. Export the dates as YYYY.MM.DD."
        )


# Cells.


def _stamp_of(cell: str, name: str) -> str:
    text = cell.strip().strip('"')
    for form, pattern in _STAMPS:
        if pattern.match(text):
            return form
    if _DAY_OR_MONTH.match(text):
        raise ImportRefusedError(
            f"Expected dates that say which part is the month in {name}, was {text!r}: day or month first. Export them as YYYY.MM.DD."
        )
    raise ImportRefusedError(
        f"Expected one of the formats {', '.join(FORMAT_NAMES)} in {name}, was a first cell {cell[:80]!r}. Give one of them."
    )


def _to_float(cell: str) -> float:
    try:
        return float(cell.strip().strip('"').replace(",", "."))
    except ValueError:
        return float("nan")


def _is_comma_decimal(table: _Table, columns: Sequence[str]) -> bool:
    """Tell whether prices are written with a comma; commas and dots in one file are refused."""
    if table.delimiter == ",":
        return False
    places = [columns.index("bid"), columns.index("ask")]
    texts = [row[place] for row in table.rows for place in places if place < len(row)]
    has_comma, has_dot = any("," in text for text in texts), any("." in text for text in texts)
    if has_comma and has_dot:
        raise ImportRefusedError(f"Expected one decimal mark in {table.name}, was comma and dot. Export with one of them.")
    return has_comma
