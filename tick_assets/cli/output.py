"""What commands print: one JSON document with `--json`, otherwise plain lines and tables.

What belongs here: printing. What must not: deciding what to print.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


def say(line: str = "") -> None:
    """Print one line of progress or result at once."""
    print(line, flush=True)


def note(line: str) -> None:
    """Print one line of progress to standard error, so that standard output stays one JSON document."""
    print(line, file=sys.stderr, flush=True)


def reporter(as_json: bool) -> Any:
    """Return where progress lines go."""
    return note if as_json else say


def print_json(value: Any) -> None:
    """Print one JSON document; dataclasses, dates, paths and enumerations are understood, NaN becomes null."""
    print(json.dumps(_plain(value), indent=2, allow_nan=False), flush=True)


def print_table(rows: Sequence[Mapping[str, Any]], columns: Iterable[str] = ()) -> None:
    """Print rows as aligned columns; numbers to the right."""
    names = list(columns) or (list(rows[0]) if rows else [])
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max([len(name), *(len(line[index]) for line in cells)]) for index, name in enumerate(names)]
    rights = [bool(rows) and all(isinstance(row.get(name), (int, float)) or row.get(name) is None for row in rows) for name in names]
    for line in [names, *cells]:
        aligned = (text.rjust(width) if right else text.ljust(width) for text, width, right in zip(line, widths, rights, strict=True))
        say("  ".join(aligned).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(_plain(value))


def _plain(value: Any) -> Any:
    """Reduce a value to what JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(part) for part in value]
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, (date, Path)):
        return str(value)
    if hasattr(value, "item") and callable(value.item):  # numpy scalars
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
