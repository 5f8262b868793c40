"""Recordings of the signal service into the raw store, each account as a vendor of its own: source `live-<account>`, origin `live`.

What belongs here: finding recordings, which of their hours are complete, what is delivered of them. What must not: the raw store's layout,
how a recording is written (`serving.recorder`), Dagster.

    recordings/live-<account>/<SYMBOL>/<date>.csv.part    grows; its columns, points and stamps are those of raw CSV files
    recordings/live-<account>/<SYMBOL>/<date>.csv         closed; takes no more

An hour is complete when its bytes can't grow any more: the recording is closed, or holds a whole line of a later hour (the service takes
ticks in order), or is of a past date and took nothing for IDLE (its service is gone). Other hours stay `pending`, so r000 is written
once the date is over. A complete hour is delivered as its lines, byte for byte and without the header: one range of the recording, named
in the ledger's address (`…/<date>.csv#bytes=<first>-<last>`). So the header and the deliveries in order of hours are the recording again,
and `rows_of_delivery` makes the raw CSV's rows of a delivery. What was ingested of an hour changes only with its bytes: then the raw store
makes a revision. A line that does not parse belongs to the hour of the line before it and is a malformed row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Instrument, Market, UnknownSymbolError
from tick_assets.domain.market_calendar import open_hours
from tick_assets.lakehouse import raw_csv
from tick_assets.lakehouse.raw_store import HOUR_US, HOURS, HourEntry, HourOutcome, Manifest, RawStore, RawStoreError

LIVE_PREFIX = "live-"
ORIGIN = "live"
WIRE_FORMAT = "live-csv"
IDLE = timedelta(minutes=10)
"""As long as the service itself waits before it closes a past date's recording."""
NOT_RECORDED = "NOT_RECORDED"
TORN_END = ",TORN"
"""How the service marks a line that a crash cut short."""
_CLOSED, _PART = ".csv", ".csv.part"
_HEADER = raw_csv.HEADER.encode()


class RecordingError(ValueError):
    """A file among the recordings is none."""


@dataclass(frozen=True)
class Recording:
    """One file of ticks that the service took."""

    path: Path
    source: str
    symbol: str
    date: date

    @property
    def is_closed(self) -> bool:
        return not self.path.name.endswith(_PART)

    @property
    def closed_path(self) -> Path:
        """Where the recording lies for good."""
        return self.path.with_name(f"{self.date.isoformat()}{_CLOSED}")

    def __str__(self) -> str:
        return f"{self.source}/{self.symbol}/{self.path.name}"


@dataclass(frozen=True)
class RecordedDate:
    """What one recording came to. `malformed` says of each row that did not parse where it lies and why."""

    source: str
    symbol: str
    date: date
    rows: int
    states: dict[str, int]
    new_revision: int | None
    is_complete: bool
    malformed: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    def to_event(self) -> str:
        """Return one line of key=value fields for a log."""
        states = " ".join(f"{state}={count}" for state, count in self.states.items() if count)
        return f"event=recording_ingested source={self.source} symbol={self.symbol} date={self.date} rows={self.rows} {states}"


@dataclass(frozen=True)
class LiveReport:
    """What ingestion did. `refused` says of each recording that could not be read why; the others went on."""

    dates: tuple[RecordedDate, ...]
    refused: tuple[str, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """Everything that a person has to look at."""
        return (*self.refused, *(text for day in self.dates for text in day.failures))


def find_recordings(root: Path, dates: Sequence[date], symbols: Sequence[str] = ()) -> list[Recording]:
    """Return the recordings of these dates, of all symbols or some, by source, symbol and date."""
    wanted = {day.isoformat(): day for day in dates}
    return [
        Recording(path, folder.parent.name, folder.name, wanted[path.name.partition(".")[0]])
        for folder in sorted(root.glob(f"{LIVE_PREFIX}*/*"))
        if folder.is_dir() and (not symbols or folder.name in symbols)
        for path in sorted(folder.iterdir())
        if path.name.endswith((_CLOSED, _PART)) and path.name.partition(".")[0] in wanted
    ]


def recorded_dates(root: Path) -> list[date]:
    """Return the dates that have a recording."""
    names = {path.name.partition(".")[0] for path in root.glob(f"{LIVE_PREFIX}*/*/????-??-??{_CLOSED}*")}
    return sorted(date.fromisoformat(name) for name in names)


def ingest_recordings(
    root: Path,
    store: RawStore,
    market: Market,
    dates: Sequence[date],
    *,
    now: datetime,
    symbols: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
) -> LiveReport:
    """Bring the complete hours of the recordings of these dates into the raw store; a repeat changes nothing."""
    done: list[RecordedDate] = []
    refused: list[str] = []
    for recording in find_recordings(root, dates, symbols):
        try:
            done.append(_ingest(recording, store, market.instrument(recording.symbol), now))
        except (UnknownSymbolError, RecordingError, RawStoreError) as error:
            refused.append(f"{recording}: {error}")
            continue
        if progress is not None:
            progress(done[-1].to_event())
    return LiveReport(tuple(done), tuple(refused))


def waiting_recordings(root: Path, store: RawStore, now: datetime) -> list[Recording]:
    """Return the recordings of past dates that nobody goes on with and that have no r000 yet, by date."""
    found = [recording for recording in find_recordings(root, recorded_dates(root)) if is_final(recording, now)]
    waiting = [each for each in found if not store.revisions(each.source, each.symbol, each.date)]
    return sorted(waiting, key=lambda each: (each.date, each.source, each.symbol))


def _ingest(recording: Recording, store: RawStore, instrument: Instrument, now: datetime) -> RecordedDate:
    recording = _settled(recording)
    ended = is_final(recording, now)
    content = read_lines(recording, ended=ended)
    lines = parse_lines(content, recording)
    outcomes = hour_outcomes(content, lines, recording, instrument, now, ended=ended)
    source, symbol, day = recording.source, recording.symbol, recording.date
    before = store.manifest(source, symbol, day) or Manifest(source, symbol, day.isoformat(), instrument.price_factor, ORIGIN)
    news = [outcome for outcome in outcomes if not _is_known(before.hours[outcome.hour], outcome)]
    manifest, new_revision = before, None
    if news:
        report = store.record(source, symbol, day, instrument.price_factor, news, now=now, origin=ORIGIN)
        manifest, new_revision = report.manifest, report.new_revision
    return RecordedDate(
        source,
        symbol,
        day,
        rows=sum(entry.rows for entry in manifest.hours),
        states={str(state): sum(entry.state is state for entry in manifest.hours) for state in HourState},
        new_revision=new_revision,
        is_complete=manifest.is_written,
        malformed=tuple(_malformed_texts(recording, lines)),
        failures=tuple(_failure_texts(recording, manifest, outcomes)),
    )


def _settled(recording: Recording) -> Recording:
    """Return where a recording lies now: the service may have closed it a moment ago."""
    part = recording.closed_path.with_name(f"{recording.date.isoformat()}{_PART}")
    if recording.closed_path.exists() and part.exists():
        raise RecordingError(f"Expected one file of {recording.date}, was a closed and a growing one. Move one of them away.")
    return replace(recording, path=part if part.exists() else recording.closed_path)


def is_final(recording: Recording, now: datetime) -> bool:
    """Tell whether nobody goes on with a recording."""
    if recording.is_closed:
        return True
    touched = datetime.fromtimestamp(recording.path.stat().st_mtime, UTC)
    return recording.date < now.astimezone(UTC).date() and now - touched >= IDLE


def read_lines(recording: Recording, *, ended: bool) -> bytes:
    """Return the whole lines of a recording, its header first.

    An unfinished last line is none yet; in a recording that is final it is ended as the service would end it.
    """
    content = recording.path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end == 0:
        content, end = _HEADER, len(_HEADER)
    if not content.startswith(_HEADER):
        header = content.partition(b"\n")[0].decode(errors="replace")
        raise RecordingError(f"Expected the columns {raw_csv.HEADER.rstrip()}, was {header!r}. Restore the file.")
    return content + f"{TORN_END}\n".encode() if ended and end < len(content) else content[:end]


def parse_lines(content: bytes, recording: Recording) -> pl.DataFrame:
    """Return a recording's rows (`raw_csv.READ_SCHEMA`) with `hour` and the bytes `start` to `end` that each lies at.

    `hour` is null where no line has a stamp of the date.
    """
    rows = raw_csv.parse_csv(content, recording.path.name)
    ends = np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n")) + 1
    since_midnight = pl.col("ts_event").dt.epoch("us") - raw_csv.midnight_us(recording.date.isoformat())
    hour = (since_midnight // HOUR_US).cast(pl.Int64)
    is_of_date = hour.is_between(0, HOURS - 1)
    return rows.with_columns(
        pl.when(is_of_date).then(hour).fill_null(strategy="forward").fill_null(strategy="backward").alias("hour"),
        (pl.col("ts_event").is_not_null() & ~is_of_date).alias("is_of_other_date"),
        pl.Series("start", ends[:-1], pl.Int64),
        pl.Series("end", ends[1:], pl.Int64),
    )


def hour_outcomes(
    content: bytes, lines: pl.DataFrame, recording: Recording, instrument: Instrument, now: datetime, *, ended: bool
) -> list[HourOutcome]:
    """Say what each complete hour of a recording is; an hour without ticks is `closed` by calendar, else `vendor_empty`."""
    if len(lines) and lines["hour"].null_count() == len(lines):
        if not ended:
            return []
        reason = f"RECORDING_UNPLACED: expected a stamp of {recording.date}, was none in {len(lines)} lines"
        return [HourOutcome(hour, HourState.FAILED, now, response=content if hour == 0 else b"", reason=reason) for hour in range(HOURS)]
    newest = lines["hour"].max()
    complete = range(HOURS) if ended else range(newest if isinstance(newest, int) else 0)
    is_open = open_hours(instrument.asset_class, recording.date)
    parts = {hour: part for (hour,), part in lines.group_by("hour", maintain_order=True)}
    return [
        _with_ticks(content, parts[hour], recording, hour, now) if hour in parts else _without_ticks(hour, now, is_open=is_open[hour])
        for hour in complete
    ]


def _without_ticks(hour: int, now: datetime, *, is_open: bool) -> HourOutcome:
    state = HourState.VENDOR_EMPTY if is_open else HourState.CLOSED
    return HourOutcome(hour, state, now, reason=NOT_RECORDED if is_open else "")


def _with_ticks(content: bytes, part: pl.DataFrame, recording: Recording, hour: int, now: datetime) -> HourOutcome:
    ranges = list(_ranges(part))
    delivery = b"".join(content[start:end] for start, end in ranges)
    url = f"{recording.closed_path.absolute().as_uri()}#bytes={','.join(f'{start}-{end - 1}' for start, end in ranges)}"
    strangers = int(part["is_of_other_date"].sum())
    if strangers:
        reason = f"TIMESTAMP_OUTSIDE_FILE: expected stamps of {recording.date}, was another date in {strangers} lines"
        return HourOutcome(hour, HourState.FAILED, now, url, WIRE_FORMAT, delivery, reason=reason)
    return HourOutcome(hour, HourState.OK, now, url, WIRE_FORMAT, delivery, rows_of_delivery(delivery))


def _ranges(part: pl.DataFrame) -> Iterator[tuple[int, int]]:
    """Yield where an hour's lines lie: one range, but for a recording that is out of order."""
    starts, ends = part["start"].to_list(), part["end"].to_list()
    first = 0
    for i in range(1, len(starts) + 1):
        if i == len(starts) or starts[i] != ends[i - 1]:
            yield starts[first], ends[i - 1]
            first = i


def rows_of_delivery(delivery: bytes) -> pl.DataFrame:
    """Return the rows (`raw_csv.ROW_SCHEMA`) of an hour's lines; a line that does not parse keeps its place and its text."""
    return raw_csv.sort_rows(raw_csv.to_raw_rows(raw_csv.parse_csv(_HEADER + delivery, WIRE_FORMAT)))


def _is_known(entry: HourEntry, outcome: HourOutcome) -> bool:
    """Tell whether the manifest says all of this already."""
    return entry.state is outcome.state and entry.response_sha256 == outcome.response_sha256


def _malformed_texts(recording: Recording, lines: pl.DataFrame) -> Iterator[str]:
    for number, line in lines.filter(pl.col("raw_line").is_not_null()).select("source_row", "raw_line").rows():
        yield f"{recording} line {number + 1}: {malformed_reason(line)}: {line[:80]!r}"


def malformed_reason(line: str) -> str:
    """Say why a line is no quote."""
    cells = line.split(",")
    if line.endswith(TORN_END):
        return "cut short when the service was killed"
    if len(cells) != len(raw_csv.COLUMNS):
        return f"expected {len(raw_csv.COLUMNS)} cells, was {len(cells)}"
    for name, cell in zip(raw_csv.COLUMNS[1:3], cells[1:3], strict=True):
        if not cell.lstrip("-").isdigit():
            return f"expected {name} as whole points, was {cell!r}"
    return "expected a UTC stamp and finite sizes"


def _failure_texts(recording: Recording, manifest: Manifest, outcomes: Sequence[HourOutcome]) -> Iterator[str]:
    for outcome in outcomes:
        entry = manifest.hours[outcome.hour]
        if outcome.state is HourState.FAILED:
            yield f"{recording} {outcome.hour:02d}h: {outcome.reason}"
        elif outcome.rows is None and entry.state is HourState.OK:
            yield f"{recording} {outcome.hour:02d}h: expected the {entry.rows} rows that were ingested, was none. Restore the recording."
