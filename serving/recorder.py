"""The write-once recording of accepted live ticks, which the pipeline ingests like a vendor's file.

`recordings/live-<account>/<SYMBOL>/<date>.csv.part` grows by appends while its UTC date lasts; closed, it is `<date>.csv`, read-only, and
takes no more. Columns and number formats are those of raw CSV files. Rows that cleaning refuses are recorded too: `seq` counts them.

Nothing is ever taken out of a recording. A line that a crash cut short is ended with `,TORN`, so that it can't be read as a quote with
other figures: it is a malformed row, here and in the pipeline alike, and counts in `seq`. Its sender had no answer and may send again.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import IO

from serving.clock import date_of, iso_of, parse_stamp
from serving.symbol_feed import TickRow, to_ticks
from tick_assets.domain.ticks import DAY_US, Ticks, empty_ticks

HEADER = "ts_event,ask_points,bid_points,ask_size,bid_size"
IDLE_US = 600_000_000
"""A past date's file is closed when it took nothing for this long."""
TORN_END = b",TORN\n"
_PART, _DONE = ".csv.part", ".csv"
_CELLS = 5


@dataclass
class _OpenFile:
    day: int
    date_iso: str
    handle: IO[str]
    appended_at_us: int


@dataclass
class Recorder:
    """Appends ticks to one file per account, symbol and date."""

    root: Path
    _open: dict[tuple[str, str], _OpenFile] = field(default_factory=dict)

    def is_closed(self, account: str, symbol: str, date_iso: str) -> bool:
        """Tell whether a date's recording takes no more."""
        current = self._open.get((account, symbol))
        if current is not None and current.date_iso == date_iso:
            return False
        return self._path(account, symbol, date_iso, _DONE).exists()

    def append_rows(self, account: str, symbol: str, rows: Sequence[TickRow], now_us: int) -> None:
        """Append ticks in order, each to its date's file, and hand them to the operating system."""
        for day, dated in groupby(rows, key=lambda row: row[0] // DAY_US):
            file = self._file(account, symbol, day, now_us)
            file.handle.write("".join(map(to_csv_line, dated)))
            file.handle.flush()
            file.appended_at_us = now_us

    def close_past(self, now_us: int) -> None:
        """Close files of past dates that are idle, and those that an earlier process left."""
        today = date_of(now_us)
        for key, file in list(self._open.items()):
            if file.date_iso < today and now_us - file.appended_at_us >= IDLE_US:
                self._close(key)
        for path in self.root.glob(f"live-*/*/*{_PART}"):
            is_past = path.name.removesuffix(_PART) < today
            if is_past and not self._is_open(path) and now_us - path.stat().st_mtime_ns // 1000 >= IDLE_US:
                _repair_tail(path)
                _seal(path)

    def close(self) -> None:
        """Close the handles; today's files stay parts and are taken up again."""
        for file in self._open.values():
            file.handle.flush()
            os.fsync(file.handle.fileno())
            file.handle.close()
        self._open.clear()

    def read_date(self, date_iso: str) -> dict[tuple[str, str], Ticks]:
        """Return the recorded ticks of a date by (account, symbol), for the restart."""
        found: dict[tuple[str, str], Ticks] = {}
        for path in sorted([*self.root.glob(f"live-*/*/{date_iso}{_PART}"), *self.root.glob(f"live-*/*/{date_iso}{_DONE}")]):
            if path.name.endswith(_PART):
                _repair_tail(path)
            text = path.read_bytes().decode("ascii", errors="replace")
            found[path.parent.parent.name.removeprefix("live-"), path.parent.name] = parse_csv(text, date_iso)
        return found

    def _file(self, account: str, symbol: str, day: int, now_us: int) -> _OpenFile:
        key = (account, symbol)
        current = self._open.get(key)
        if current is not None and current.day == day:
            return current
        date_iso = date_of(day * DAY_US)
        if current is not None:
            self._close(key)
        path = self._path(account, symbol, date_iso, _PART)
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        if not is_new:
            _repair_tail(path)
        handle = path.open("a", encoding="ascii", newline="\n", buffering=io.DEFAULT_BUFFER_SIZE)
        if is_new or path.stat().st_size == 0:
            handle.write(HEADER + "\n")
        self._open[key] = _OpenFile(day, date_iso, handle, now_us)
        return self._open[key]

    def _close(self, key: tuple[str, str]) -> None:
        file = self._open.pop(key)
        file.handle.flush()
        os.fsync(file.handle.fileno())
        file.handle.close()
        _seal(self._path(*key, file.date_iso, _PART))

    def _is_open(self, path: Path) -> bool:
        return any(self._path(*key, file.date_iso, _PART) == path for key, file in self._open.items())

    def _path(self, account: str, symbol: str, date_iso: str, suffix: str) -> Path:
        return self.root / f"live-{account}" / symbol / f"{date_iso}{suffix}"


def to_csv_line(row: TickRow) -> str:
    """Return a tick as a line of a raw CSV file."""
    ts_us, bid, ask, bid_size, ask_size = row
    return f"{_stamp(ts_us)},{ask},{bid},{_size(ask_size)},{_size(bid_size)}\n"


def parse_csv(text: str, date_iso: str) -> Ticks:
    """Return the rows of a date's recording; one that does not parse keeps its place, as a quote at zero that the kernel refuses.

    Its stamp is that of the row before it, or of the first that parses, or the date's midnight.
    """
    rows = [_parse_line(line) for line in text.removesuffix("\n").split("\n")[1:]]
    if not rows:
        return empty_ticks()
    first_us = next((row[0] for row in rows if row is not None), parse_stamp(f"{date_iso}T00:00:00Z"))
    placed: list[TickRow] = []
    for row in rows:
        placed.append(row or (placed[-1][0] if placed else first_us, 0, 0, math.nan, math.nan))
    return to_ticks(placed)


def _parse_line(line: str) -> TickRow | None:
    """Return a tick, or None for a line that is none."""
    cells = line.split(",")
    if len(cells) != _CELLS:
        return None
    try:
        return parse_stamp(cells[0]), int(cells[2]), int(cells[1]), _to_size(cells[4]), _to_size(cells[3])
    except ValueError:
        return None


def _to_size(cell: str) -> float:
    return float(cell) if cell else math.nan


def _stamp(ts_us: int) -> str:
    """Milliseconds where they say it all, else microseconds."""
    text = iso_of(ts_us)
    return f"{text[:23]}Z" if ts_us % 1000 == 0 else text


def _size(size: float) -> str:
    if math.isnan(size):
        return ""
    return str(int(size)) if size == int(size) and abs(size) < 2**53 else repr(size)


def _repair_tail(path: Path) -> None:
    """End a last line that a crash left without its end, and mark it; a header that was cut short held no tick and is dropped."""
    content = path.read_bytes()
    if not content or content.endswith(b"\n"):
        return
    with path.open("r+b") as handle:
        if b"\n" in content:
            handle.seek(0, os.SEEK_END)
            handle.write(TORN_END)
        else:
            handle.truncate(0)
        handle.flush()
        os.fsync(handle.fileno())


def _seal(path: Path) -> None:
    done = path.with_name(path.name.removesuffix(_PART) + _DONE)
    path.chmod(0o444)
    path.rename(done)
