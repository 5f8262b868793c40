"""Import a file or folder of ticks into the raw store.

What belongs here: finding the files and the order of work. What must not: formats, clocks, what an hour without rows means (`spill`,
`hour_files`).

All files are read before anything is recorded, so an import that is refused leaves the raw store as it was. Rows are spilled to a
temporary folder by date, so memory is bounded by the largest file.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Instrument
from tick_assets.domain.market_calendar import open_hours
from tick_assets.lakehouse.importers import hour_files
from tick_assets.lakehouse.importers.clock_inference import infer_clock
from tick_assets.lakehouse.importers.clocks import parse_clock
from tick_assets.lakehouse.importers.containers import Member, is_text_name, texts_of
from tick_assets.lakehouse.importers.detection import AUTO, Detection, detect_format
from tick_assets.lakehouse.importers.hour_files import HOUR_NOT_DELIVERED
from tick_assets.lakehouse.importers.parsing import PROBLEMS, covered_us, first_lines, latest_stamp, local_stamps, parse_text
from tick_assets.lakehouse.importers.spill import Delivery, Spill
from tick_assets.lakehouse.importers.text_formats import (
    AUTO_CLOCK,
    BI5_FORMAT,
    FORMAT_NAMES,
    JSON_FORMAT,
    UNKNOWN_CLOCK,
    WIRE_FORMAT_NAMES,
    ImportRefusedError,
)
from tick_assets.lakehouse.ingestion import IMPORT_PREFIX
from tick_assets.lakehouse.raw_store import HourOutcome, RawStore
from tick_assets.lakehouse.vendors.synthetic import SYMBOL_PREFIX
from tick_assets.lakehouse.vendors.twin import SYNTHETIC_MARKER

WIRE_SOURCE = "dukascopy"
SYNTHETIC_SOURCE = "synthetic-twin"
_CURRENCY_CODES = "AUDBRLCADCHFCNHCZKDKKEURGBPHKDHUFILSJPYMXNNOKNZDPLNRONRUBSEKSGDTRYUSDXAGXAUZAR"
_CURRENCIES = frozenset(_CURRENCY_CODES[place : place + 3] for place in range(0, len(_CURRENCY_CODES), 3))
__all__ = ["AUTO", "ImportRefusedError", "ImportReport", "ImportedDate", "find_files", "import_path"]


@dataclass(frozen=True)
class ImportedDate:
    """What one date came to."""

    date: date
    rows: int
    states: dict[str, int]
    new_revision: int | None
    unusable: tuple[str, ...] = ()
    """What was delivered and is no hour of ticks, in words; its bytes are in quarantine."""
    rows_while_closed: int = 0
    """Rows of hours in which the calendar has the market closed; many of them mean another clock."""

    @property
    def described(self) -> str:
        return " ".join(f"{state}={count}" for state, count in self.states.items() if count)


@dataclass(frozen=True)
class ImportReport:
    """What an import did, and why it read the files as it did. `malformed` counts quarantined rows by problem (`parsing.PROBLEMS`)."""

    source: str
    format: str
    reason: str
    dates: tuple[ImportedDate, ...]
    malformed: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(day.rows for day in self.dates)

    @property
    def rows_while_closed(self) -> int:
        return sum(day.rows_while_closed for day in self.dates)

    @property
    def unusable(self) -> tuple[str, ...]:
        """Every delivered hour that could not be used."""
        return tuple(text for day in self.dates for text in day.unusable)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of the rows, in sentences."""
        found = [f"{count} rows kept as malformed: {PROBLEMS[problem]}" for problem, count in self.malformed.items()]
        if self.rows_while_closed:
            found.append(f"{self.rows_while_closed} rows lie in hours in which the market is closed: check the clock")
        return tuple(found)

    def to_document(self) -> dict[str, Any]:
        days = [{"date": day.date.isoformat(), "rows": day.rows, "states": day.states, "revision": day.new_revision} for day in self.dates]
        return {
            "source": self.source,
            "format": self.format,
            "reason": self.reason,
            "rows": self.rows,
            "rows_while_closed": self.rows_while_closed,
            "malformed": self.malformed,
            "unusable": self.unusable,
            "dates": days,
        }


@dataclass(frozen=True)
class _Request:
    """What a person asked for; the dates are both inclusive, none is open-ended."""

    instrument: Instrument
    now: datetime
    format_name: str
    clock: str | None
    first: date | None
    last: date | None

    @property
    def is_bounded(self) -> bool:
        return self.first is not None and self.last is not None

    def has(self, day: date) -> bool:
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)


@dataclass(frozen=True)
class _Batch:
    """What is to be recorded, date by date."""

    source: str
    format: str
    reason: str
    outcomes: Iterator[tuple[date, list[HourOutcome]]]
    malformed: dict[str, int] = field(default_factory=dict)


def import_path(
    path: Path,
    store: RawStore,
    instrument: Instrument,
    *,
    now: datetime,
    format_name: str = AUTO,
    utc_offset: str | None = None,
    first: date | None = None,
    last: date | None = None,
    progress: Callable[[ImportedDate], None] | None = None,
) -> ImportReport:
    """Import a file, the symbol's folder or its parent; unreadable or ambiguous input is an `ImportRefusedError`.

    `utc_offset` is a name of `clocks`, or `auto`, which finds a broker's clock by its weekly opens.
    """
    if format_name not in (AUTO, *FORMAT_NAMES):
        raise ImportRefusedError(f"Expected a format of auto, {', '.join(FORMAT_NAMES)}, was {format_name!r}. Choose one.")
    if utc_offset not in (None, AUTO_CLOCK):
        parse_clock(str(utc_offset))
    request = _Request(instrument, now, format_name, utc_offset, first, last)
    files = find_files(path, instrument)
    source = SYNTHETIC_SOURCE if _is_synthetic(files[0], instrument) else ""
    if hour_files.is_hour_file(files[0]):
        return _record_all(store, request, _wire_batch(files, request, source or WIRE_SOURCE), progress)
    with tempfile.TemporaryDirectory(prefix="tick-import-") as folder:
        batch = _text_batch(files, request, source, Spill(Path(folder)), store)
        return _record_all(store, request, batch, progress)


# Finding files.


def find_files(path: Path, instrument: Instrument) -> list[Path]:
    """Return the tick files of a path that is a file, the symbol's folder or its parent; files of one kind only."""
    if path.is_file():
        _require_symbol(path, instrument)
        return [path]
    if not path.is_dir():
        raise ImportRefusedError(f"Expected a file or folder at {path}, was none. Correct the path.")
    folder = next((child for child in sorted(path.iterdir()) if child.is_dir() and child.name.upper() == instrument.symbol), path)
    hours, texts, others = _sorted_files(folder)
    if folder == path:
        _require_own_folder(path, hours + texts, instrument)
    hours = [file for file in hours if not hour_files.names_other_symbol(file, instrument)]
    if others or (hours and texts):
        strange = [str(file.relative_to(folder)) for file in (others or texts)]
        raise ImportRefusedError(
            f"Expected one kind of tick files in {folder}, was {len(hours)} wire hours, {len(texts)} texts and {len(others)} others "
            f"({', '.join(strange[:5])}). Import them apart."
        )
    if not hours and not texts:
        raise ImportRefusedError(f"Expected files of ticks of {instrument.symbol} in {folder}, was none. Correct the path.")
    for file in texts:
        _require_symbol(file, instrument)
    return hours or texts


def _sorted_files(folder: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Return wire hours, texts and files that are neither; hidden files and the twin's marker are no ticks."""
    found: tuple[list[Path], list[Path], list[Path]] = ([], [], [])
    for file in sorted(folder.rglob("*")):
        is_hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.is_file() and not is_hidden and file.name != SYNTHETIC_MARKER:
            found[0 if hour_files.is_hour_file(file) else 1 if is_text_name(file.name) else 2].append(file)
    return found


def _require_own_folder(path: Path, files: Sequence[Path], instrument: Instrument) -> None:
    folders = {file.relative_to(path).parts[0] for file in files if len(file.relative_to(path).parts) > 1}
    strangers = sorted(name for name in folders if name.isalpha() and len(name) >= 6 and name.upper() != instrument.symbol)
    if strangers:
        raise ImportRefusedError(
            f"Expected a folder {instrument.symbol} in {path}, was {', '.join(strangers)}. Give the symbol's own folder."
        )


def _require_symbol(file: Path, instrument: Instrument) -> None:
    """Refuse a file whose name is that of another currency pair."""
    words = [word.upper() for word in re.split(r"[^A-Za-z]+", file.name)]
    pairs = {word for word in words if len(word) == 6 and {word[:3], word[3:]} <= _CURRENCIES}
    if pairs and instrument.symbol not in pairs:
        raise ImportRefusedError(f"Expected a file of {instrument.symbol}, was {file.name}. Correct --symbol, or rename the file.")


def _is_synthetic(file: Path, instrument: Instrument) -> bool:
    """Tell whether ticks are generated: by their symbol, or by the marker in a folder above them."""
    return instrument.symbol.startswith(SYMBOL_PREFIX) or any((folder / SYNTHETIC_MARKER).is_file() for folder in file.absolute().parents)


# Wire hours.


def _wire_batch(files: Sequence[Path], request: _Request, source: str) -> _Batch:
    dates = hour_files.hours_by_date(files, request.instrument)
    formats = sorted({file.wire_format for hours in dates.values() for file in hours.values()})
    form = BI5_FORMAT if formats == [BI5_FORMAT] else JSON_FORMAT
    if len(formats) != 1 or request.format_name not in (AUTO, form):
        raise ImportRefusedError(
            f"Expected {request.format_name} files, was {' and '.join(formats)}. Correct --format, or import them apart."
        )
    if request.clock is not None:
        raise ImportRefusedError(f"Expected no --utc-offset for {form}, whose hours are UTC, was {request.clock!r}. Leave it out.")
    reason = "files named HHh_ticks.bi5" if form == BI5_FORMAT else "JSON hours with `timestamp` and `multiplier`"
    outcomes = (
        (day, hour_files.read_date(request.instrument, day, hours, request.now)) for day, hours in dates.items() if request.has(day)
    )
    return _Batch(source, form, reason, outcomes)


# Texts.


def _text_batch(files: Sequence[Path], request: _Request, source: str, spill: Spill, store: RawStore) -> _Batch:
    if request.format_name in WIRE_FORMAT_NAMES:
        raise ImportRefusedError(f"Expected {request.format_name} files as --format says, was {files[0].name}. Leave --format out.")
    detection = _detect(files, request)
    source = source or f"{IMPORT_PREFIX}{detection.format.name}"
    malformed: Counter[str] = Counter()
    kept: dict[str, Path] = {}
    for file in files:
        content = file.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 not in kept:  # the same bytes again are one delivery
            kept[sha256] = file
            malformed.update(_spill_file(file, content, sha256, detection, request, spill))
    for sha256, file in kept.items():
        if store.keep_delivered(source, request.instrument.symbol, file.read_bytes()) != sha256:
            raise ImportRefusedError(f"Expected {file} to stay as it was during the import, was changed. Import it again.")
    again = len(files) - len(kept)
    reason = detection.reason + (f"; {again} of {len(files)} files are copies of others and were read once" if again else "")
    outcomes = spill.outcomes(request.instrument, request.now, request.first, request.last)
    return _Batch(source, detection.format.name, reason, outcomes, dict(malformed))


def _spill_file(file: Path, content: bytes, sha256: str, detection: Detection, request: _Request, spill: Spill) -> Counter[str]:
    """Parse the texts of one file into the spill and return how many rows have which problem."""
    problems: Counter[str] = Counter()
    for member in _tick_members(file, content):
        found = _detect_member(member, request, detection)
        parsed = parse_text(member.text, found.format, request.instrument.price_factor, member.name, latest_stamp(request.now))
        url = file.absolute().as_uri() + (f"#{member.path}" if member.path else "")
        delivery = Delivery(url, sha256, found.format.name, found.reason)
        spill.add(parsed, delivery, covered_us(parsed, found.format, member.name), is_bounded=request.is_bounded)
        problems.update(parsed.problems)
    return problems


def _tick_members(file: Path, content: bytes) -> Iterator[Member]:
    """Yield the texts of a file; a text beside the csv files of a zip is a report, and refused when it holds ticks."""
    for member in texts_of(file.name, content):
        if not member.is_beside_csv:
            yield member
        elif _is_ticks(member):
            raise ImportRefusedError(f"Expected the ticks of {file.name} in its csv files, was some in {member.path}. Unpack it.")


def _is_ticks(member: Member) -> bool:
    try:
        detect_format(first_lines(member.text), member.name)
    except ImportRefusedError:
        return False
    return True


def _detect(files: Sequence[Path], request: _Request) -> Detection:
    """Detect every text; all must agree. The first one's reading and its clock stand for the import."""
    found: dict[str, Detection] = {}
    stamps: list[pl.Series] = []
    for file in files:
        for member in _tick_members(file, file.read_bytes()):
            detection = detect_format(first_lines(member.text), member.name, request.format_name, has_clock=request.clock is not None)
            _require_pair(member, detection, request.instrument)
            found.setdefault(detection.format.name, detection)
            if request.clock == AUTO_CLOCK and not detection.format.says_utc_itself:
                stamps.append(local_stamps(member.text, detection.format, member.name))
    if len(found) != 1:
        raise ImportRefusedError(f"Expected files of one format, was {', '.join(sorted(found))}. Import them apart, or give --format.")
    detection = next(iter(found.values()))
    if request.clock == AUTO_CLOCK and not detection.format.says_utc_itself:
        clock, because = infer_clock(pl.concat(stamps).to_numpy().astype(np.int64), request.instrument.asset_class, files[0].name)
        return Detection(detection.format.on_clock(clock), f"{detection.reason}; {because}")
    return _on_clock(detection, request.clock, files[0].name)


def _on_clock(detection: Detection, clock: str | None, name: str) -> Detection:
    if clock is not None:
        return Detection(detection.format.on_clock(clock), f"{detection.reason}; --utc-offset {clock}")
    if detection.format.clock == UNKNOWN_CLOCK:
        raise ImportRefusedError(
            f"Expected the clock of {name}, was none: its stamps are the broker's. "
            "Give --utc-offset: hours ahead of UTC, eet, ny+7, or auto to find it by the weekly opens."
        )
    return detection


def _detect_member(member: Member, request: _Request, chosen: Detection) -> Detection:
    """Return this text's own columns, header and delimiter on the clock that stands for the import."""
    own = detect_format(first_lines(member.text), member.name, request.format_name, has_clock=request.clock is not None)
    if own.format.says_utc_itself or request.clock is None:
        return own
    return Detection(replace(own.format, clock=chosen.format.clock), chosen.reason)


def _require_pair(member: Member, detection: Detection, instrument: Instrument) -> None:
    """Refuse rows that name another pair than the symbol."""
    if "pair" not in detection.format.columns:
        return
    pairs = {
        line.split(detection.format.delimiter)[0].strip().replace("/", "").upper() for line in first_lines(member.text) if line.strip()
    }
    if instrument.symbol not in pairs or len(pairs) > 1:
        raise ImportRefusedError(
            f"Expected rows of {instrument.symbol} in {member.name}, was {', '.join(sorted(pairs)[:5])}. Correct --symbol."
        )


# Recording.


def _record_all(store: RawStore, request: _Request, batch: _Batch, progress: Callable[[ImportedDate], None] | None) -> ImportReport:
    imported = []
    for day, hours in batch.outcomes:
        imported.append(_record(store, request.instrument, batch.source, day, hours, request.now))
        if progress is not None:
            progress(imported[-1])
    if not imported:
        raise ImportRefusedError("Expected dates between --from and --to in the files, was none. Widen the range.")
    return ImportReport(batch.source, batch.format, batch.reason, tuple(imported), batch.malformed)


def _record(store: RawStore, instrument: Instrument, source: str, day: date, hours: Sequence[HourOutcome], now: datetime) -> ImportedDate:
    said = _with_news(store, source, instrument.symbol, day, hours)
    report = store.record(source, instrument.symbol, day, instrument.price_factor, said, now=now, origin="import")
    entries = report.manifest.hours
    is_open = open_hours(instrument.asset_class, day)
    failed = [entry for entry in entries if entry.state is HourState.FAILED and entry.reason != HOUR_NOT_DELIVERED]
    return ImportedDate(
        date=day,
        rows=sum(entry.rows for entry in entries),
        states={str(state): sum(entry.state is state for entry in entries) for state in HourState},
        new_revision=report.new_revision,
        unusable=tuple(f"{day} {entry.hour:02d}h: {entry.reason}" for entry in failed),
        rows_while_closed=sum(entry.rows for entry in entries if not is_open[entry.hour]),
    )


def _with_news(store: RawStore, source: str, symbol: str, day: date, hours: Sequence[HourOutcome]) -> list[HourOutcome]:
    """Leave out hours that were not delivered now and are known: an import of one hour says nothing about the others."""
    manifest = store.manifest(source, symbol, day)
    known = {entry.hour for entry in manifest.hours if entry.state is not HourState.PENDING} if manifest else set()
    return [outcome for outcome in hours if not (outcome.reason == HOUR_NOT_DELIVERED and outcome.hour in known)]
