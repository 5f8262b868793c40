"""Import a file or folder of ticks into the raw store.

What belongs here: finding the files, the order of work, what hours without rows mean. What must not: formats.

An hour without rows inside the delivered span is `closed` or `vendor_empty`; one outside of it is `closed` or `failed` with
HOUR_NOT_DELIVERED, as nobody knows what it held. Rows are spilled to a temporary folder by date, so memory is bounded by the largest file.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Instrument
from tick_assets.domain.market_calendar import open_hours
from tick_assets.lakehouse import raw_csv
from tick_assets.lakehouse.importers import bi5_folder
from tick_assets.lakehouse.importers.detection import Detection, detect_format
from tick_assets.lakehouse.importers.parsing import first_lines, parse_text
from tick_assets.lakehouse.importers.text_formats import BI5_FOLDER, FORMAT_NAMES, FORMATS, UNKNOWN_CLOCK, ImportRefusedError, TextFormat
from tick_assets.lakehouse.ingestion import IMPORT_PREFIX
from tick_assets.lakehouse.raw_store import HOUR_US, HOURS, HourOutcome, RawStore
from tick_assets.lakehouse.vendors.synthetic import SYMBOL_PREFIX
from tick_assets.lakehouse.vendors.twin import SYNTHETIC_MARKER

AUTO = "auto"
BI5_SOURCE = "dukascopy"
SYNTHETIC_SOURCE = "synthetic-twin"
_TEXT_SUFFIXES = (".csv", ".txt", ".json", ".zip")
_DAY_US = HOUR_US * HOURS
__all__ = ["AUTO", "ImportRefusedError", "ImportReport", "ImportedDate", "import_path"]


@dataclass(frozen=True)
class ImportedDate:
    """What one date came to."""

    date: date
    rows: int
    states: dict[str, int]
    new_revision: int | None
    unusable: tuple[str, ...] = ()
    """What was delivered and is no hour of ticks, in words; its bytes are in quarantine."""

    @property
    def described(self) -> str:
        return " ".join(f"{state}={count}" for state, count in self.states.items() if count)


@dataclass(frozen=True)
class ImportReport:
    """What an import did, and why it read the files as it did."""

    source: str
    format: str
    reason: str
    dates: tuple[ImportedDate, ...]

    @property
    def rows(self) -> int:
        return sum(day.rows for day in self.dates)

    @property
    def unusable(self) -> tuple[str, ...]:
        """Every delivered hour that could not be used."""
        return tuple(text for day in self.dates for text in day.unusable)

    def to_document(self) -> dict[str, Any]:
        days = [{"date": day.date.isoformat(), "rows": day.rows, "states": day.states, "revision": day.new_revision} for day in self.dates]
        return {
            "source": self.source,
            "format": self.format,
            "reason": self.reason,
            "rows": self.rows,
            "unusable": self.unusable,
            "dates": days,
        }


@dataclass(frozen=True)
class _Span:
    """Which dates to import, both inclusive; none is open-ended."""

    first: date | None
    last: date | None

    def has(self, day: date) -> bool:
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)


def import_path(
    path: Path,
    store: RawStore,
    instrument: Instrument,
    *,
    now: datetime,
    format_name: str = AUTO,
    utc_offset_hours: float | None = None,
    first: date | None = None,
    last: date | None = None,
    progress: Callable[[ImportedDate], None] | None = None,
) -> ImportReport:
    """Import a file, the symbol's folder or its parent; unreadable or ambiguous input is an `ImportRefusedError`."""
    if format_name not in (AUTO, *FORMAT_NAMES):
        raise ImportRefusedError(f"Expected a format of auto, {', '.join(FORMAT_NAMES)}, was {format_name!r}. Choose one.")
    files = find_files(path, instrument.symbol)
    span = _Span(first, last)
    if format_name == BI5_FOLDER or (format_name == AUTO and files[0].suffix == ".bi5"):
        source, form = SYNTHETIC_SOURCE if _is_synthetic(files[0], instrument) else BI5_SOURCE, BI5_FOLDER
        reason = "files named HHh_ticks.bi5" if format_name == AUTO else "--format"
        outcomes = _bi5_outcomes(files, instrument, span, now)
        return _record_all(store, instrument, source, form, reason, outcomes, now, progress)
    detection = _detect(files, format_name, utc_offset_hours)
    source = SYNTHETIC_SOURCE if _is_synthetic(files[0], instrument) else f"{IMPORT_PREFIX}{detection.format.name}"
    with tempfile.TemporaryDirectory(prefix="tick-import-") as folder:
        spill = _Spill(Path(folder))
        for file in files:
            sha256 = store.keep_delivered(source, instrument.symbol, file.read_bytes())
            for name, text in _texts(file):
                spill.add(parse_text(text, detection.format, instrument.price_factor, name), file.absolute().as_uri(), sha256)
        outcomes = spill.outcomes(instrument, span, now)
        return _record_all(store, instrument, source, detection.format.name, detection.reason, outcomes, now, progress)


def find_files(path: Path, symbol: str) -> list[Path]:
    """Return the tick files of a path that is a file, the symbol's folder or its parent; files of one kind only."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ImportRefusedError(f"Expected a file or folder at {path}, was none. Correct the path.")
    folder = next((child for child in sorted(path.iterdir()) if child.is_dir() and child.name.upper() == symbol), path)
    hours = sorted(folder.rglob("*h_ticks.bi5"))
    texts = sorted(
        file for file in folder.rglob("*") if file.is_file() and file.suffix.lower() in _TEXT_SUFFIXES and not file.name.startswith(".")
    )
    if hours and texts and folder == path:
        texts = [file for file in texts if file.name != SYNTHETIC_MARKER]
    if hours and texts:
        raise ImportRefusedError(
            f"Expected one kind of files in {folder}, was {len(hours)} bi5 hours and {len(texts)} others. Import them apart."
        )
    others = {file.relative_to(folder).parts[0] for file in hours + texts if len(file.relative_to(folder).parts) > 1}
    strangers = sorted(name for name in others if name.isalpha() and len(name) >= 6 and name.upper() != symbol)
    if strangers and folder == path:
        raise ImportRefusedError(f"Expected a folder {symbol} in {path}, was {', '.join(strangers)}. Give the symbol's own folder.")
    if not hours and not texts:
        raise ImportRefusedError(f"Expected files that end with .bi5, {', '.join(_TEXT_SUFFIXES)} in {folder}, was none. Correct the path.")
    return hours or texts


def _is_synthetic(file: Path, instrument: Instrument) -> bool:
    """Tell whether ticks are generated: by their symbol, or by the marker in a folder above them."""
    return instrument.symbol.startswith(SYMBOL_PREFIX) or any((folder / SYNTHETIC_MARKER).is_file() for folder in file.absolute().parents)


def _detect(files: Sequence[Path], format_name: str, utc_offset_hours: float | None) -> Detection:
    """Detect each file; all must agree. A named format keeps what the file itself says of delimiter and header, if it says so."""
    found: dict[str, Detection] = {}
    for file in files:
        for name, text in _texts(file):
            detection = _named(first_lines(text), name, format_name) if format_name != AUTO else detect_format(first_lines(text), name)
            found.setdefault(detection.format.name, detection)
    if len(found) != 1:
        raise ImportRefusedError(f"Expected files of one format, was {', '.join(sorted(found))}. Import them apart, or give --format.")
    detection = next(iter(found.values()))
    form = detection.format if utc_offset_hours is None else detection.format.with_offset(utc_offset_hours)
    if form.clock == UNKNOWN_CLOCK:
        raise ImportRefusedError(
            f"Expected the clock of {files[0].name}, was none: its stamps are the broker's. Give --utc-offset (hours ahead of UTC)."
        )
    return Detection(form, detection.reason)


def _named(lines: Sequence[str], name: str, format_name: str) -> Detection:
    try:
        detected = detect_format(lines, name)
    except ImportRefusedError:
        detected = None
    if detected is not None and detected.format.name == format_name:
        return Detection(detected.format, "--format")
    form: TextFormat = FORMATS[format_name]
    return Detection(form, "--format")


def _texts(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the texts of a file: itself, or the members of a zip, named after the file that carries the date."""
    content = file.read_bytes()
    if file.suffix.lower() != ".zip":
        yield file.name, content.decode("utf-8", errors="replace")
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [member for member in archive.namelist() if member.lower().endswith((".csv", ".txt"))]
            for member in members:
                yield Path(member).name, archive.read(member).decode("utf-8", errors="replace")
    except zipfile.BadZipFile as error:
        raise ImportRefusedError(f"Expected a zip archive at {file}, was something else ({error}). Download it again.") from error
    if not members:
        raise ImportRefusedError(f"Expected a csv inside {file}, was none. Download it again.")


class _Spill:
    """Parsed rows on disk by date, and which file each part came from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: dict[date, list[tuple[Path, str, str]]] = {}
        self._first_us: int | None = None
        self._last_us: int | None = None

    def add(self, rows: pl.DataFrame, url: str, sha256: str) -> None:
        """Take one file's rows; a file in which no row parses has no place in time and is refused."""
        if rows.is_empty():
            return
        low, high = rows["ts_us"].min(), rows["ts_us"].max()
        if not isinstance(low, int) or not isinstance(high, int):
            raise ImportRefusedError(f"Expected ticks in {url}, was no row that parses. Check --format.")
        self._first_us = low if self._first_us is None else min(self._first_us, low)
        self._last_us = high if self._last_us is None else max(self._last_us, high)
        for (number,), part in rows.group_by(pl.col("ts_us") // _DAY_US, maintain_order=True):
            day = date(1970, 1, 1) + timedelta(days=int(str(number)))
            parts = self._parts.setdefault(day, [])
            path = self._folder / f"{day.isoformat()}.{len(parts):04d}.parquet"
            part.write_parquet(path)
            parts.append((path, url, sha256))

    def outcomes(self, instrument: Instrument, span: _Span, now: datetime) -> Iterator[tuple[date, list[HourOutcome]]]:
        """Yield each date from the first to the last row, also those without rows."""
        if self._first_us is None or self._last_us is None:
            raise ImportRefusedError("Expected ticks in the files, was none. Check the path.")
        first, last = (datetime.fromtimestamp(us // 1_000_000, UTC).date() for us in (self._first_us, self._last_us))
        for offset in range((last - first).days + 1):
            day = first + timedelta(days=offset)
            if span.has(day):
                yield day, self._date_outcomes(instrument, day, now)

    def _date_outcomes(self, instrument: Instrument, day: date, now: datetime) -> list[HourOutcome]:
        parts = [(pl.read_parquet(path), url, sha256) for path, url, sha256 in self._parts.get(day, [])]
        midnight_us = raw_csv.midnight_us(day.isoformat())
        is_open = open_hours(instrument.asset_class, day)
        outcomes = []
        for hour in range(HOURS):
            start_us = midnight_us + hour * HOUR_US
            held = [(frame.filter(pl.col("ts_us") // HOUR_US == start_us // HOUR_US), url, sha256) for frame, url, sha256 in parts]
            held = [part for part in held if len(part[0])]
            if held:
                rows = raw_csv.sort_rows(pl.concat([frame for frame, _, _ in held]))
                outcomes.append(HourOutcome(hour, HourState.OK, now, held[0][1], "import", b"", rows, "", held[0][2]))
            elif self._is_delivered(start_us):
                outcomes.append(HourOutcome(hour, HourState.VENDOR_EMPTY if is_open[hour] else HourState.CLOSED, now))
            else:
                outcomes.append(bi5_folder.not_delivered(hour, now, is_open=is_open[hour]))
        return outcomes

    def _is_delivered(self, start_us: int) -> bool:
        return (
            self._first_us is not None and self._last_us is not None and self._first_us < start_us + HOUR_US and start_us <= self._last_us
        )


def _bi5_outcomes(files: Sequence[Path], instrument: Instrument, span: _Span, now: datetime) -> Iterator[tuple[date, list[HourOutcome]]]:
    dates: Mapping[date, Mapping[int, Path]] = bi5_folder.hours_by_date(files)
    for day, hours in dates.items():
        if span.has(day):
            yield day, bi5_folder.read_date(instrument, day, hours, now)


def _record_all(
    store: RawStore,
    instrument: Instrument,
    source: str,
    form: str,
    reason: str,
    outcomes: Iterator[tuple[date, list[HourOutcome]]],
    now: datetime,
    progress: Callable[[ImportedDate], None] | None,
) -> ImportReport:
    imported = []
    for day, hours in outcomes:
        report = store.record(source, instrument.symbol, day, instrument.price_factor, hours, now=now, origin="import")
        entries = report.manifest.hours
        states = {str(state): sum(entry.state is state for entry in entries) for state in HourState}
        failed = [entry for entry in entries if entry.state is HourState.FAILED and entry.reason != bi5_folder.HOUR_NOT_DELIVERED]
        unusable = tuple(f"{day} {entry.hour:02d}h: {entry.reason}" for entry in failed)
        imported.append(ImportedDate(day, sum(entry.rows for entry in entries), states, report.new_revision, unusable))
        if progress is not None:
            progress(imported[-1])
    if not imported:
        raise ImportRefusedError("Expected dates between --from and --to in the files, was none. Widen the range.")
    return ImportReport(source, form, reason, tuple(imported))
