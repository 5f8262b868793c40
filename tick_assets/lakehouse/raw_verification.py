"""Prove that raw files are what was delivered: hashes against manifests, and every hour's rows derived again from its delivery.

What belongs here: the whole check, its figures, its work in parallel. What must not: what a manifest is (`raw_store`), decoders.

For each date of the asked symbols: the manifest against its own hash, every CSV file against the manifest (bytes, sha-256, rows and
canonical hash hour by hour), every kept response against its name, and the rows that the response gives against those that the manifest
names. Hours of an imported text are compared by canonical hash alone: one delivery holds many hours, and its clock is stated in words.
Without dates every other kept response of the symbol is compared with its name too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from tick_assets.domain.hour_states import HourState
from tick_assets.lakehouse import live_recordings, raw_csv
from tick_assets.lakehouse.raw_store import (
    DELIVERED,
    HOUR_US,
    MANIFEST_SUFFIX,
    QUARANTINE,
    HourEntry,
    Manifest,
    Mismatch,
    RawStore,
    RawStoreError,
    RevisionEntry,
    mismatch_of,
    response_problem,
)
from tick_assets.lakehouse.vendors.port import PayloadError
from tick_assets.lakehouse.vendors.wire_formats import WIRE_FORMATS, decode_hour

DATES_AT_A_TIME = 8
THREADS = 2
"""Hashing, decoding and parsing let other threads run for most of their time."""
DERIVABLE = frozenset({*WIRE_FORMATS, live_recordings.WIRE_FORMAT})


@dataclass(frozen=True)
class Verification:
    """What was compared, and every contradiction. The rows of `derived_hours` were derived again from their deliveries."""

    symbol_dates: int
    files: int
    deliveries: int
    rows: int
    derived_hours: int
    seconds: float
    mismatches: tuple[Mismatch, ...]

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds if self.seconds else 0.0

    def to_document(self) -> dict[str, object]:
        return vars(self) | {"rows_per_s": round(self.rows_per_s)}


@dataclass(frozen=True)
class _Place:
    source: str
    symbol: str
    dates: tuple[date, ...]


@dataclass(frozen=True)
class _Found:
    files: int = 0
    rows: int = 0
    derived_hours: int = 0
    mismatches: tuple[Mismatch, ...] = ()


def verify_raw(
    store: RawStore,
    symbols: Sequence[str] = (),
    first: date | None = None,
    last: date | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> Verification:
    """Compare what the raw folder holds of the symbols and dates, both inclusive (default: all)."""
    started = time.monotonic()
    problems: dict[Path, str] = {}

    def problem_of(path: Path) -> str:
        if path not in problems:
            problems[path] = response_problem(path)
        return problems[path]

    places = list(_places(store, symbols, first, last))
    found: list[_Found] = []
    with ThreadPoolExecutor(THREADS, thread_name_prefix="verify") as pool:
        for place, part in zip(places, pool.map(lambda place: _verify_place(store, place, problem_of), places), strict=True):
            found.append(part)
            if progress is not None:
                progress(_event(place, part))
    checked = set(problems)
    others = () if first or last else tuple(_verify_others(store, symbols, checked))
    return Verification(
        symbol_dates=sum(len(place.dates) for place in places),
        files=sum(part.files for part in found),
        deliveries=len(checked),
        rows=sum(part.rows for part in found),
        derived_hours=sum(part.derived_hours for part in found),
        seconds=round(time.monotonic() - started, 3),
        mismatches=(*(mismatch for part in found for mismatch in part.mismatches), *others),
    )


def _places(store: RawStore, symbols: Sequence[str], first: date | None, last: date | None) -> Iterator[_Place]:
    for source in store.sources():
        for symbol in store.symbols(source):
            if not symbols or symbol in symbols:
                dates = [day for day in store.dates(source, symbol) if (first or day) <= day <= (last or day)]
                for start in range(0, len(dates), DATES_AT_A_TIME):
                    yield _Place(source, symbol, tuple(dates[start : start + DATES_AT_A_TIME]))


def _event(place: _Place, found: _Found) -> str:
    span = f"{place.dates[0]}..{place.dates[-1]}"
    return (
        f"event=raw_verified source={place.source} symbol={place.symbol} dates={span} files={found.files} rows={found.rows} "
        f"mismatches={len(found.mismatches)}"
    )


def _verify_place(store: RawStore, place: _Place, problem_of: Callable[[Path], str]) -> _Found:
    parts = [_verify_date(store, place, day, problem_of) for day in place.dates]
    return _Found(
        files=sum(part.files for part in parts),
        rows=sum(part.rows for part in parts),
        derived_hours=sum(part.derived_hours for part in parts),
        mismatches=tuple(mismatch for part in parts for mismatch in part.mismatches),
    )


def _verify_date(store: RawStore, place: _Place, day: date, problem_of: Callable[[Path], str]) -> _Found:
    try:
        manifest = store.manifest(place.source, place.symbol, day)
    except RawStoreError as error:
        file = f"{day}{MANIFEST_SUFFIX}"
        return _Found(mismatches=(Mismatch(place.source, place.symbol, day.isoformat(), file, None, str(error)),))
    if manifest is None:
        return _Found()
    mismatches = list(store.verify_date(manifest, problem_of))
    whole = [hour for hour in manifest.hours if _is_derivable(hour) and not problem_of(_response(store, manifest, hour))]
    for hour in whole:
        mismatches.extend(_verify_derived(store, manifest, hour))
    for entry in manifest.revisions:
        named = {mismatch.hour for mismatch in mismatches if mismatch.file == entry.file}
        if named == {None}:
            mismatches.extend(_changed_hours(store, manifest, entry, [hour for hour in whole if hour.revision == entry.revision]))
    return _Found(len(manifest.revisions), sum(entry.rows for entry in manifest.revisions), len(whole), tuple(mismatches))


def _is_derivable(hour: HourEntry) -> bool:
    return hour.state is HourState.OK and hour.wire_format in DERIVABLE and bool(hour.response_sha256)


def _response(store: RawStore, manifest: Manifest, hour: HourEntry) -> Path:
    return store.response_path(manifest.source, manifest.symbol, hour)


def derive_rows(store: RawStore, manifest: Manifest, hour: HourEntry) -> pl.DataFrame:
    """Return the rows (`raw_csv.ROW_SCHEMA`) that an hour's delivery gives; bytes that are no hour of ticks are a `ValueError`."""
    payload = _response(store, manifest, hour).read_bytes()
    if hour.wire_format == live_recordings.WIRE_FORMAT:
        return live_recordings.rows_of_delivery(payload)
    at = datetime.fromisoformat(manifest.date).replace(hour=hour.hour, tzinfo=UTC)
    return raw_csv.rows_from_ticks(decode_hour(hour.wire_format, payload, at, manifest.price_factor))


def _verify_derived(store: RawStore, manifest: Manifest, hour: HourEntry) -> Iterator[Mismatch]:
    path = _response(store, manifest, hour)
    file = f"{path.parent.name}/{path.name}"
    try:
        rows = derive_rows(store, manifest, hour)
    except (PayloadError, raw_csv.RawHeaderError) as error:
        yield mismatch_of(manifest, file, hour.hour, f"Expected the hour's ticks, was bytes that give none: {error}")
        return
    if raw_csv.canonical_sha256(rows) != hour.canonical_sha256:
        problem = f"Expected the {hour.rows} rows that the manifest names, was {len(rows)} rows with another canonical sha-256."
        yield mismatch_of(manifest, file, hour.hour, problem)


def _changed_hours(store: RawStore, manifest: Manifest, entry: RevisionEntry, hours: Sequence[HourEntry]) -> Iterator[Mismatch]:
    """Name the hours of a changed CSV whose text is not what their deliveries give: a change too small for the canonical hash."""
    path = store.revision_path(manifest.source, manifest.symbol, entry)
    try:
        read = raw_csv.to_raw_rows(raw_csv.read_rows(path))
    except (FileNotFoundError, raw_csv.RawHeaderError):
        return  # said of the file already, and no hour of it can be told
    lines = path.read_text(errors="replace").removesuffix("\n").split("\n")[1:]
    at = ((read["ts_us"] - raw_csv.midnight_us(manifest.date)) // HOUR_US).to_list()
    for hour in hours:
        held = "".join(f"{line}\n" for line, place in zip(lines, at, strict=True) if place == hour.hour)
        if held != raw_csv.to_csv_lines(derive_rows(store, manifest, hour)):
            yield mismatch_of(manifest, entry.file, hour.hour, "Expected the text that the hour's delivery gives, was another.")


def _verify_others(store: RawStore, symbols: Sequence[str], known: set[Path]) -> Iterator[Mismatch]:
    """Compare kept responses that no hour names (any more) with their names."""
    for source in store.sources():
        for symbol in store.symbols(source):
            for kept in (DELIVERED, QUARANTINE) if not symbols or symbol in symbols else ():
                folder = store.folder(source, symbol) / kept
                others = sorted(path for path in folder.glob("[!.]*") if path not in known)
                known.update(others)
                for path in others:
                    if problem := response_problem(path):
                        yield Mismatch(source, symbol, "", f"{kept}/{path.name}", None, problem)
