"""The raw store: write-once CSV revisions per source, symbol and UTC date, their manifest and the hour ledger.

What belongs here: the layout, the order of writes, reading back and verifying. The manifest as a value is in `raw_manifests`.
What must not: asking vendors, decoding their formats, S3.

    raw/<source>/<SYMBOL>/<date>.r<NNN>.csv        a revision; never overwritten once the manifest lists it
    raw/<source>/<SYMBOL>/<date>.r<NNN>.diff.json  what it changed, after r000 (`revision_diffs.py`); derived, so no manifest lists it
    raw/<source>/<SYMBOL>/<date>.manifest.json     per hour its state and hashes, per revision its file; written last
    raw/<source>/<SYMBOL>/delivered/<sha-256>      what was delivered, byte for byte, read-only
    raw/<source>/<SYMBOL>/quarantine/<sha-256>     deliveries that could not be used, read-only

A file that no manifest lists does not exist for any reader: a crash leaves at most such files, and the next write replaces them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from tick_assets.domain.hour_states import HourState
from tick_assets.lakehouse import raw_csv
from tick_assets.lakehouse.durable_files import locked, remove_leftovers, write_file
from tick_assets.lakehouse.raw_manifests import (
    HOURS,
    HourEntry,
    HourOutcome,
    Manifest,
    RawStoreError,
    RevisionEntry,
    merge_outcomes,
    to_iso,
)

HOUR_US = 3_600_000_000
DELIVERED = "delivered"
QUARANTINE = "quarantine"
MANIFEST_SUFFIX = ".manifest.json"
_PART = ".part"
READ_COLUMNS = (*raw_csv.READ_SCHEMA, "source", "source_file", "revision", "is_current", "known_at", "price_factor")


@dataclass(frozen=True)
class RecordReport:
    """What one `record` call did."""

    manifest: Manifest
    new_revision: int | None
    changed_hours: tuple[int, ...]


@dataclass(frozen=True)
class Mismatch:
    """One contradiction between a manifest and the files; `hour` is null where a whole file is meant."""

    source: str
    symbol: str
    date: str
    file: str
    hour: int | None
    problem: str

    def __str__(self) -> str:
        at = "" if self.hour is None else f" hour {self.hour:02d}"
        return f"{self.source}/{self.symbol}/{self.file}{at}: {self.problem}"


class RawStore:
    """The raw folder of one state folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._swept: set[Path] = set()

    # Where things are.
    def folder(self, source: str, symbol: str) -> Path:
        return self.root / source / symbol

    def manifest_path(self, source: str, symbol: str, day: date) -> Path:
        return self.folder(source, symbol) / f"{day.isoformat()}{MANIFEST_SUFFIX}"

    def revision_path(self, source: str, symbol: str, entry: RevisionEntry) -> Path:
        return self.folder(source, symbol) / entry.file

    def delivered_path(self, source: str, symbol: str, sha256: str) -> Path:
        return self.folder(source, symbol) / DELIVERED / sha256

    def response_path(self, source: str, symbol: str, entry: HourEntry) -> Path:
        """Return where an hour's response is kept; what could not be used lies in quarantine."""
        kept = QUARANTINE if entry.state is HourState.FAILED else DELIVERED
        return self.folder(source, symbol) / kept / entry.response_sha256

    # What is there.
    def sources(self) -> tuple[str, ...]:
        return _folder_names(self.root)

    def symbols(self, source: str) -> tuple[str, ...]:
        return _folder_names(self.root / source)

    def dates(self, source: str, symbol: str) -> tuple[date, ...]:
        paths = self.folder(source, symbol).glob(f"*{MANIFEST_SUFFIX}")
        return tuple(sorted(date.fromisoformat(path.name.removesuffix(MANIFEST_SUFFIX)) for path in paths))

    def manifest(self, source: str, symbol: str, day: date) -> Manifest | None:
        """Return the manifest of one date, or none where nothing was ever recorded."""
        path = self.manifest_path(source, symbol, day)
        if not path.is_file():
            return None
        try:
            return Manifest.from_json(path.read_bytes())
        except RawStoreError as error:
            raise RawStoreError(f"{source}/{symbol}/{path.name}: {error} Move it away, then `tick raw restore --from-replica`.") from error

    def manifest_sha256(self, source: str, symbol: str, day: date) -> str:
        """Return the hash of the manifest file as it stands."""
        return hashlib.sha256(self.manifest_path(source, symbol, day).read_bytes()).hexdigest()

    def manifests(self) -> Iterator[Manifest]:
        """Yield every manifest, ordered by source, symbol and date."""
        for source in self.sources():
            for symbol in self.symbols(source):
                for day in self.dates(source, symbol):
                    manifest = self.manifest(source, symbol, day)
                    if manifest is not None:
                        yield manifest

    def revisions(self, source: str, symbol: str, day: date) -> tuple[RevisionEntry, ...]:
        manifest = self.manifest(source, symbol, day)
        return manifest.revisions if manifest else ()

    def current_source(self, symbol: str, day: date, order: Sequence[str]) -> str | None:
        """Return the current source of a date: the first that has rows, else the first with r000; `order` first, then by name."""
        files = {source: self.revisions(source, symbol, day) for source in self.sources()}
        ranked = [source for source in (*order, *sorted(set(files) - set(order))) if files.get(source)]
        with_rows = [source for source in ranked if any(entry.rows for entry in files[source])]
        return next(iter(with_rows or ranked), None)

    # Writing.
    def record(
        self,
        source: str,
        symbol: str,
        day: date,
        price_factor: int,
        outcomes: Sequence[HourOutcome],
        *,
        now: datetime,
        origin: str = "vendor",
    ) -> RecordReport:
        """Keep outcomes of hours of one date: deliveries first, then a revision if rows changed, the manifest last.

        r000 is written once no hour is pending. A later answer with another canonical hash makes the next revision, holding only
        the hours that changed. An answer without rows never replaces rows: such an hour stays `ok` and its `reason` says what was seen.
        """
        with self._locked(source, symbol):
            before = self.manifest(source, symbol, day) or Manifest(source, symbol, day.isoformat(), price_factor, origin)
            if before.price_factor != price_factor:
                raise RawStoreError(
                    f"Expected price factor {before.price_factor} for {source}/{symbol}/{day}, was {price_factor}. "
                    "Restore it in the market file."
                )
            for outcome in outcomes:
                self._keep_delivery(source, symbol, outcome)
            manifest, rows = merge_outcomes(before, outcomes)
            report = self._write_revision(manifest, rows, now)
            write_file(self.manifest_path(source, symbol, day), report.manifest.to_json())
            if report.manifest.is_written:
                self._unstage(manifest)
            return report

    def keep_delivered(self, source: str, symbol: str, content: bytes, *, is_usable: bool = True) -> str:
        """Keep delivered bytes under their sha-256 and return it; bytes that could not be used go to quarantine.

        A kept file that was changed since is written again.
        """
        with self._locked(source, symbol):
            return self._keep(source, symbol, content, is_usable=is_usable)

    def _keep(self, source: str, symbol: str, content: bytes, *, is_usable: bool) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        path = self.folder(source, symbol) / (DELIVERED if is_usable else QUARANTINE) / sha256
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            write_file(path, content, is_read_only=True)
        return sha256

    def _keep_delivery(self, source: str, symbol: str, outcome: HourOutcome) -> None:
        if outcome.response:
            self._keep(source, symbol, outcome.response, is_usable=outcome.state is not HourState.FAILED)

    def put_back(self, source: str, symbol: str, path: Path, content: bytes) -> bool:
        """Write a file of the symbol's folder that is missing, and tell whether it was; one that is there stays as it is."""
        with self._locked(source, symbol):
            if path.exists():
                return False
            write_file(path, content, is_read_only=not path.name.endswith(MANIFEST_SUFFIX))
            return True

    @contextmanager
    def _locked(self, source: str, symbol: str) -> Iterator[None]:
        """Hold the symbol's lock; whoever comes first in a process sweeps what killed writers left."""
        folder = self.folder(source, symbol)
        with locked(folder / ".lock"):
            if folder not in self._swept:
                for part in (folder, folder / DELIVERED, folder / QUARANTINE):
                    remove_leftovers(part)
                self._swept.add(folder)
            yield

    def _write_revision(self, manifest: Manifest, rows: dict[int, pl.DataFrame], now: datetime) -> RecordReport:
        if any(entry.state is HourState.PENDING for entry in manifest.hours):
            self._stage(manifest, rows)
            return RecordReport(manifest, None, ())
        rows = {**self._staged_rows(manifest, rows), **rows}
        if manifest.is_written and not rows:
            return RecordReport(manifest, None, ())
        number = len(manifest.revisions)
        hours = tuple(sorted(rows)) if manifest.is_written else tuple(range(HOURS))
        lines = raw_csv.to_csv_lines(pl.concat([rows[hour] for hour in sorted(rows)])) if rows else ""
        content = (raw_csv.HEADER + lines).encode()
        entry = RevisionEntry(
            revision=number,
            file=f"{manifest.date}.r{number:03d}.csv",
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            rows=sum(len(frame) for frame in rows.values()),
            hours=hours,
            written_at=to_iso(now),
        )
        write_file(self.folder(manifest.source, manifest.symbol) / entry.file, content, is_read_only=True)
        holding = tuple(replace(hour, revision=number) if hour.hour in hours else hour for hour in manifest.hours)
        return RecordReport(replace(manifest, hours=holding, revisions=(*manifest.revisions, entry)), number, tuple(sorted(rows)))

    # Rows of a date that still has pending hours wait in parts, one an hour, named by their hash: the manifest says which counts.
    def _part_path(self, manifest: Manifest, entry: HourEntry) -> Path:
        return self.folder(manifest.source, manifest.symbol) / f".{manifest.date}.{entry.hour:02d}.{entry.canonical_sha256[:16]}{_PART}"

    def _stage(self, manifest: Manifest, rows: dict[int, pl.DataFrame]) -> None:
        for hour, frame in rows.items():
            write_file(self._part_path(manifest, manifest.hours[hour]), (raw_csv.HEADER + raw_csv.to_csv_lines(frame)).encode())

    def _staged_rows(self, manifest: Manifest, rows: dict[int, pl.DataFrame]) -> dict[int, pl.DataFrame]:
        if manifest.is_written:
            return {}
        waiting = [entry for entry in manifest.hours if entry.state is HourState.OK and entry.hour not in rows]
        return {entry.hour: self._staged(manifest, entry) for entry in waiting}

    def _staged(self, manifest: Manifest, entry: HourEntry) -> pl.DataFrame:
        path = self._part_path(manifest, entry)
        rows = raw_csv.to_raw_rows(raw_csv.read_rows(path)) if path.is_file() else None
        if rows is None or raw_csv.canonical_sha256(rows) != entry.canonical_sha256:
            raise RawStoreError(
                f"Expected the rows of hour {entry.hour} of {manifest.symbol} {manifest.date} to wait in {path.name}, "
                f"was {'missing' if rows is None else 'changed'}. Run `tick backfill --refetch` for the date."
            )
        return rows

    def _unstage(self, manifest: Manifest) -> None:
        for path in self.folder(manifest.source, manifest.symbol).glob(f".{manifest.date}.*{_PART}"):
            path.unlink(missing_ok=True)

    # Reading.
    def read_rows(self, path: Path) -> pl.DataFrame:
        """Read one revision file: `raw_csv.READ_SCHEMA`."""
        return raw_csv.read_rows(path)

    def read_date(self, source: str, symbol: str, day: date) -> pl.DataFrame:
        """Return the rows of all revisions of a date, with `source_file`, `revision`, `is_current` within this source, and `known_at`."""
        manifest = self.manifest(source, symbol, day)
        if manifest is None or not manifest.revisions:
            return _with_provenance(raw_csv.READ_SCHEMA.to_frame(), None, source, 1)
        current = {entry.hour: entry.revision for entry in manifest.hours}
        frames = []
        for entry in manifest.revisions:
            path = self.revision_path(source, symbol, entry)
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != entry.sha256:
                raise RawStoreError(
                    f"Expected {path.name} with sha-256 {entry.sha256}, was changed. Restore it; `tick raw verify` lists all."
                )
            rows = _with_provenance(raw_csv.parse_csv(content, path.name), entry, source, manifest.price_factor)
            hour = (raw_csv.to_raw_rows(rows)["ts_us"] - raw_csv.midnight_us(manifest.date)) // HOUR_US
            frames.append(rows.with_columns(is_current=_is_current(hour, current, entry)))
        return pl.concat(frames)

    def ledger_rows(self, source: str, symbol: str, day: date) -> list[dict[str, Any]]:
        """Return one row per hour as `evidence.hour_ledger` has them; a date that was never recorded is 24 times pending."""
        manifest = self.manifest(source, symbol, day) or Manifest(source, symbol, day.isoformat(), 1)
        return [
            {
                "symbol": symbol,
                "date": day,
                "hour": entry.hour,
                "source": source,
                "state": str(entry.state),
                "revision": entry.revision,
                "rows": entry.rows,
                "url": entry.url,
                "response_sha256": entry.response_sha256,
                "canonical_sha256": entry.canonical_sha256,
                "checked_at": datetime.fromisoformat(entry.checked_at) if entry.checked_at else None,
            }
            for entry in manifest.hours
        ]

    def verify(self) -> list[Mismatch]:
        """Compare every file that a manifest lists with it: bytes, rows, hashes, hour by hour, and every delivery with its name."""
        problem_of = cache(response_problem)
        return [mismatch for manifest in self.manifests() for mismatch in self.verify_date(manifest, problem_of)]

    def verify_date(self, manifest: Manifest, problem_of: Callable[[Path], str]) -> Iterator[Mismatch]:
        """Compare the files of one date with its manifest; `problem_of` is `response_problem`, remembered for deliveries of many hours."""
        for entry in manifest.revisions:
            yield from self._verify_revision(manifest, entry)
        for hour in manifest.hours:
            if hour.state is HourState.OK and manifest.is_written and hour.revision not in range(len(manifest.revisions)):
                yield mismatch_of(manifest, "", hour.hour, f"Expected a revision that holds the hour, was {hour.revision}.")
            if hour.response_sha256:
                path = self.response_path(manifest.source, manifest.symbol, hour)
                if problem := problem_of(path):
                    yield mismatch_of(manifest, f"{path.parent.name}/{path.name}", hour.hour, problem)

    def _verify_revision(self, manifest: Manifest, entry: RevisionEntry) -> Iterator[Mismatch]:
        path = self.revision_path(manifest.source, manifest.symbol, entry)
        if not path.is_file():
            yield mismatch_of(manifest, entry.file, None, "Expected the file, was missing.")
            return
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != entry.sha256:
            problem = f"Expected {entry.bytes} bytes with sha-256 {entry.sha256}, was {len(content)} bytes with {digest}."
            yield mismatch_of(manifest, entry.file, None, problem)
        try:
            rows = raw_csv.to_raw_rows(raw_csv.parse_csv(content, entry.file))
        except raw_csv.RawHeaderError as error:
            yield mismatch_of(manifest, entry.file, None, str(error))
            return
        yield from _verify_hours(manifest, entry, rows)


def response_problem(path: Path) -> str:
    """Say what is wrong with a kept delivery, whose name is its sha-256; nothing where it is whole."""
    if not path.is_file():
        return "Expected the delivery, was missing."
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return "" if digest == path.name else f"Expected the delivery as named, was changed: its sha-256 is {digest}."


def mismatch_of(manifest: Manifest, file: str, hour: int | None, problem: str) -> Mismatch:
    """Return a contradiction on one date; without a file the manifest itself is meant."""
    return Mismatch(manifest.source, manifest.symbol, manifest.date, file or f"{manifest.date}{MANIFEST_SUFFIX}", hour, problem)


def _verify_hours(manifest: Manifest, entry: RevisionEntry, rows: pl.DataFrame) -> Iterator[Mismatch]:
    hours = (rows["ts_us"] - raw_csv.midnight_us(manifest.date)) // HOUR_US
    for hour in manifest.hours:
        if hour.revision != entry.revision:
            continue
        held = rows.filter(hours == hour.hour)
        if len(held) != hour.rows:
            yield mismatch_of(manifest, entry.file, hour.hour, f"Expected {hour.rows} rows, was {len(held)}.")
        elif hour.rows and raw_csv.canonical_sha256(held) != hour.canonical_sha256:
            yield mismatch_of(manifest, entry.file, hour.hour, f"Expected canonical sha-256 {hour.canonical_sha256}, was another.")


def _with_provenance(rows: pl.DataFrame, entry: RevisionEntry | None, source: str, price_factor: int) -> pl.DataFrame:
    known_at = datetime.fromisoformat(entry.written_at) if entry else None
    return rows.with_columns(
        source=pl.lit(source, dtype=pl.String),
        source_file=pl.lit(entry.file if entry else None, dtype=pl.String),
        revision=pl.lit(entry.revision if entry else None, dtype=pl.Int32),
        is_current=pl.lit(False, dtype=pl.Boolean),
        known_at=pl.lit(known_at, dtype=pl.Datetime("us", "UTC")),
        price_factor=pl.lit(price_factor, dtype=pl.Int32),
    )


def _is_current(hour: pl.Series, current: dict[int, int | None], entry: RevisionEntry) -> pl.Series:
    """A row of an hour of its date is current in that hour's revision; a row outside the date goes with r000."""
    is_current = {value: revision == entry.revision for value, revision in current.items()}
    return hour.replace_strict(is_current, default=entry.revision == 0, return_dtype=pl.Boolean).alias("is_current")


def _folder_names(path: Path) -> tuple[str, ...]:
    if not path.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")))
