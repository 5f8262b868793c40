"""The text of side-table files: what a delivered CSV says, row by row, and why a row is refused.

What belongs here: header, cells, values. What must not: folders, tables.

A file is UTF-8, comma-separated, with a header; columns are found by name, in any order:

    ts_event                    when what the row says happened or is due; ISO-8601 with an offset or Z
    known_at                    from when on one could know it; another column by `--known-at-column`, or `ts_event` + `--delay`
    symbol, currency or key     what it is about; a file without such a column is about everything: `*`
    name                        what the row's values are called; optional
    all others                  values: numbers, but for the text columns (`text`, and those that are named); an empty cell says nothing

A row becomes one value for each filled cell, called `<name>.<column>`, and the column alone in a file without names; the columns `value`
and `text` of a name are one value, called `<name>`. So an economic calendar is
`ts_event,known_at,currency,name,actual,forecast,previous`, and minutes of another venue are `ts_event,symbol,mid_close,spread_mean` with
`--delay 1m`. A correction is another row with a later `known_at`.
Expectations (`forecast`, `previous`) may be known before `ts_event`; anything else known before it happened is refused.
A row is taken or refused as a whole.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

KEY_COLUMNS = ("symbol", "currency", "key")
EVERYTHING = "*"
TS_EVENT, KNOWN_AT, NAME = "ts_event", "known_at", "name"
EXPECTATIONS = frozenset({"forecast", "previous"})
TEXT = "text"
PLAIN = frozenset({"value", TEXT})
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DELAY = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_MAXIMUM_DELAY_S = 366 * 86400.0
_DELAY_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class SideFileError(ValueError):
    """A file that can't be a side table's; nothing of it is taken."""


@dataclass(frozen=True)
class Reading:
    """How a file is read: the column of `known_at`, or the delay of it after `ts_event`, and which values are texts."""

    known_at_column: str | None = None
    delay_s: float | None = None
    text_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class SideValue:
    """One value of one delivered row. `source_row` is 1-based, without the header."""

    key: str
    name: str
    ts_event: datetime
    known_at: datetime
    value: float | None
    text: str | None
    source_row: int

    @property
    def identity(self) -> tuple[str, str, datetime, datetime]:
        """What can have one value only."""
        return self.key, self.name, self.ts_event, self.known_at


@dataclass(frozen=True)
class RefusedRow:
    """One row that was not taken."""

    source_row: int
    reason_code: str
    detail: str


@dataclass(frozen=True)
class SideFile:
    """What a file says."""

    header: tuple[str, ...]
    records: tuple[tuple[str, ...], ...]
    values: tuple[SideValue, ...]
    refused: tuple[RefusedRow, ...]


class _RowError(ValueError):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True)
class _Columns:
    """Where things are in a row."""

    width: int
    ts_event: int
    known_at: int | None
    delay: timedelta
    key: int | None
    name: int | None
    values: Mapping[str, int]
    texts: frozenset[str]


def parse_delay(text: str) -> float:
    """Return seconds of a delay such as `5m`, `30s`, `1h` or `1d`, a year at most; anything else is a `SideFileError`."""
    match = _DELAY.fullmatch(text.strip())
    delay_s = float(match[1]) * _DELAY_UNITS[match[2]] if match else math.inf
    if delay_s > _MAXIMUM_DELAY_S:
        raise SideFileError(f"Expected a delay such as 30s, 5m, 1h or 1d, a year at most, was {text!r}. Give a number and a unit.")
    return delay_s


def parse_side_file(content: bytes, name: str, reading: Reading) -> SideFile:
    """Parse a delivered file; a header that can't be read, or a text that is no CSV, is a `SideFileError`."""
    records = _records(content, name)
    if not records:
        raise SideFileError(f"Expected a header and rows in {name}, was an empty file. Export it again.")
    header = tuple(cell.strip() for cell in records[0])
    columns = _columns(header, name, reading)
    values: list[SideValue] = []
    refused: list[RefusedRow] = []
    for number, cells in enumerate(records[1:], start=1):
        try:
            values.extend(_row_values(cells, number, columns))
        except _RowError as error:
            refused.append(RefusedRow(number, error.code, str(error)))
    return SideFile(header, tuple(map(tuple, records[1:])), tuple(values), tuple(refused))


def _records(content: bytes, name: str) -> list[list[str]]:
    try:
        text = content.decode("utf-8-sig")
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SideFileError(f"Expected CSV in UTF-8 in {name}, was something else ({error}). Export it again.") from error
    while records and not records[-1]:
        records.pop()
    return records


def _columns(header: Sequence[str], name: str, reading: Reading) -> _Columns:
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated or "" in header:
        raise SideFileError(f"Expected a name of its own for each column of {name}, was {','.join(header)!r}. Correct the header.")
    known_at = _known_at_column(header, name, reading)
    keys = [column for column in KEY_COLUMNS if column in header]
    if TS_EVENT not in header or len(keys) > 1:
        raise SideFileError(
            f"Expected ts_event and at most one of {', '.join(KEY_COLUMNS)} in {name}, was {','.join(header)!r}. Correct the header."
        )
    strangers = sorted(set(reading.text_columns) - set(header))
    values = {column: i for i, column in enumerate(header) if column not in {TS_EVENT, known_at, NAME, *keys}}
    if strangers or not values:
        problem = f"no column {', '.join(strangers)}" if strangers else "no column of values"
        raise SideFileError(f"Expected the values' columns in {name}, was {','.join(header)!r}: {problem}. Correct the header.")
    return _Columns(
        len(header),
        header.index(TS_EVENT),
        header.index(known_at) if known_at else None,
        timedelta(seconds=reading.delay_s or 0.0),
        header.index(keys[0]) if keys else None,
        header.index(NAME) if NAME in header else None,
        values,
        frozenset({TEXT, *reading.text_columns}),
    )


def _known_at_column(header: Sequence[str], name: str, reading: Reading) -> str | None:
    """Return the column that says when a row was known, or None where a delay says it; anything unclear is refused with the choices."""
    stated = reading.known_at_column or (KNOWN_AT if KNOWN_AT in header else None)
    if stated is not None and stated not in header:
        raise SideFileError(f"Expected a column {stated} in {name}, was {','.join(header)!r}. Correct --known-at-column.")
    if (stated is None) == (reading.delay_s is None):
        was = "neither" if stated is None else f"both the column {stated} and --delay"
        raise SideFileError(
            f"Expected when the rows of {name} were known, once, was {was}. "
            "Name the column (known_at, or --known-at-column), or state how long after ts_event they are known (--delay 5m)."
        )
    if stated not in (None, KNOWN_AT) and KNOWN_AT in header:
        raise SideFileError(f"Expected one column that says when {name} was known, was known_at and {stated}. Drop one of them.")
    return stated


def _row_values(cells: Sequence[str], number: int, columns: _Columns) -> Iterator[SideValue]:
    if len(cells) != columns.width:
        raise _RowError("ROW_MALFORMED", f"expected {columns.width} cells, was {len(cells)}")
    cells = [cell.strip() for cell in cells]
    ts_event = _stamp(cells[columns.ts_event], TS_EVENT)
    known_at = ts_event + columns.delay if columns.known_at is None else _known_at(cells[columns.known_at])
    key = EVERYTHING if columns.key is None else _filled(cells[columns.key], "KEY_MISSING", "what the row is about")
    name = "" if columns.name is None else _filled(cells[columns.name], "NAME_MISSING", "a name")
    filled = {column: cells[i] for column, i in columns.values.items() if cells[i]}
    if not filled:
        raise _RowError("VALUE_MISSING", "expected at least one value, was none")
    early = sorted(filled.keys() - EXPECTATIONS) if known_at < ts_event else []
    if early:
        raise _RowError("KNOWN_BEFORE_PUBLICATION", f"expected known_at at ts_event or later, was {ts_event - known_at} before it: {early}")
    numbers, texts = _named(filled, name, columns.texts)
    for called in dict.fromkeys((*numbers, *texts)):
        yield SideValue(key, called, ts_event, known_at, numbers.get(called), texts.get(called), number)


def _named(filled: Mapping[str, str], name: str, text_columns: frozenset[str]) -> tuple[dict[str, float], dict[str, str]]:
    """Return a row's numbers and texts by the name of their value."""
    numbers = {_value_name(name, column): _number(cell, column) for column, cell in filled.items() if column not in text_columns}
    texts = {_value_name(name, column): cell for column, cell in filled.items() if column in text_columns}
    return numbers, texts


def _value_name(name: str, column: str) -> str:
    if not name:
        return column
    return name if column in PLAIN else f"{name}.{column}"


def _known_at(cell: str) -> datetime:
    return _stamp(_filled(cell, "KNOWN_AT_MISSING", "when the row was known"), KNOWN_AT)


def _filled(cell: str, code: str, meaning: str) -> str:
    if not cell:
        raise _RowError(code, f"expected {meaning}, was an empty cell")
    return cell


def _stamp(cell: str, column: str) -> datetime:
    try:
        at = datetime.fromisoformat(cell)
    except ValueError:
        raise _RowError("TIMESTAMP_MALFORMED", f"expected {column} as ISO-8601, was {cell!r}") from None
    if at.tzinfo is None:
        raise _RowError("TIMESTAMP_NAIVE", f"expected {column} with an offset or Z, was {cell!r}")
    if not _EARLIEST <= at < _LATEST:
        raise _RowError("TIMESTAMP_MALFORMED", f"expected {column} between 1970 and 2100, was {cell!r}")
    return at.astimezone(UTC)


def _number(cell: str, column: str) -> float:
    value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
    if not math.isfinite(value):
        raise _RowError("VALUE_MALFORMED", f"expected a number in {column}, was {cell!r}; texts need --text-column {column}")
    return value
