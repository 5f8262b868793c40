"""Copy raw files to S3 and prove that the copy is whole.

What belongs here: which files go under which keys, reconciling, bringing back. What must not: how files come to be, or how they are sent
(`built_in_replicator`, `nifi_replication`).

    raw/<source>/<SYMBOL>/<date>.r<NNN>.csv        the revisions: what `raw.ticks` is made of
    raw/<source>/<SYMBOL>/<date>.manifest.json     beside them, sent last
    delivered/<source>/<SYMBOL>/<sha-256>          what was delivered, and `quarantine/…` what could not be used

Only files that a manifest lists are sent, so a half-written one never is. The key is a function of the file and the object carries the
sha-256, so sending again changes nothing. Any replicator may send the revisions: reconciliation judges bytes, not who sent them.
Manifests and deliveries (`provenance`) are always sent by the built-in one; with them S3 alone gives the raw folder again (`restore`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.raw_store import MANIFEST_SUFFIX, Manifest, RawStore, RawStoreError, RevisionEntry
from tick_assets.lakehouse.replicator import SHA256, ReplicaFile, Replicator, SendReport

PREFIX = "raw"
_THREADS = 8
_ASKED_ONE_BY_ONE = 240
"""Ten dates of a symbol; for more objects a listing of the whole prefix is cheaper."""
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Difference:
    """One key that is not what the raw store says."""

    key: str
    problem: str


@dataclass(frozen=True)
class Reconciliation:
    """What the raw store expects and how the replica differs."""

    files: int
    bytes: int
    differences: tuple[Difference, ...]


def replica_files(store: RawStore, symbols: Sequence[str], dates: Sequence[date]) -> Iterator[ReplicaFile]:
    """Yield every listed revision of the symbols and dates, of all sources."""
    for source in store.sources():
        for symbol in symbols:
            for day in dates:
                for entry in store.revisions(source, symbol, day):
                    yield _revision_file(store, source, symbol, entry)


def _revision_file(store: RawStore, source: str, symbol: str, entry: RevisionEntry) -> ReplicaFile:
    return ReplicaFile(store.revision_path(source, symbol, entry), f"{PREFIX}/{source}/{symbol}/{entry.file}", entry.bytes, entry.sha256)


def response_files(store: RawStore, manifest: Manifest) -> Iterator[ReplicaFile]:
    """Yield what was delivered for the hours of a date, each once; `bytes` is 0 where the file is not there."""
    source, symbol = manifest.source, manifest.symbol
    paths = {store.response_path(source, symbol, hour) for hour in manifest.hours if hour.response_sha256}
    for path in sorted(paths):
        size = path.stat().st_size if path.is_file() else 0
        yield ReplicaFile(path, f"{path.parent.name}/{source}/{symbol}/{path.name}", size, path.name)


def manifest_file(store: RawStore, manifest: Manifest) -> ReplicaFile:
    """Return a date's manifest as its file stands."""
    source, symbol = manifest.source, manifest.symbol
    path = store.manifest_path(source, symbol, date.fromisoformat(manifest.date))
    content = path.read_bytes()
    return ReplicaFile(path, f"{PREFIX}/{source}/{symbol}/{path.name}", len(content), hashlib.sha256(content).hexdigest())


def replicate(store: RawStore, replicator: Replicator, symbols: Sequence[str], dates: Sequence[date]) -> SendReport:
    """Let a replicator send the revisions that the replica lacks or has with other bytes."""
    return replicator.send(replica_files(store, symbols, dates))


def replicate_provenance(
    store: RawStore, objects: ObjectStore, replicator: Replicator, symbols: Sequence[str], dates: Sequence[date], lost: Iterable[str] = ()
) -> SendReport:
    """Send what was delivered for the dates and is not there yet, then their manifests: one that is there names nothing that is missing.

    The manifest of a date is held back while a delivery of it can't be sent, or a revision of it is among the `lost` keys.
    """
    done = replicator.send(())
    for source, symbol in _folders(store, symbols):
        manifests = [found for day in dates if (found := store.manifest(source, symbol, day)) is not None]
        responses = _responses(store, manifests)
        there = _sizes(objects, responses)
        deliveries = replicator.send(file for file in responses if there.get(file.key) != file.bytes)
        missing = {*lost, *(letter.key for letter in deliveries.dead_letters)}
        whole = (each for each in manifests if missing.isdisjoint(_keys_of(store, each)))
        done = done.plus(deliveries).plus(replicator.send(manifest_file(store, each) for each in whole))
    return done


def _keys_of(store: RawStore, manifest: Manifest) -> Iterator[str]:
    """Yield the keys of what a manifest names."""
    yield from (_revision_file(store, manifest.source, manifest.symbol, entry).key for entry in manifest.revisions)
    yield from (file.key for file in response_files(store, manifest))


def _folders(store: RawStore, symbols: Sequence[str]) -> list[tuple[str, str]]:
    return [(source, symbol) for source in store.sources() for symbol in symbols if store.folder(source, symbol).is_dir()]


def _responses(store: RawStore, manifests: Sequence[Manifest]) -> list[ReplicaFile]:
    """Return the deliveries of the dates, each once: an imported file may be of many."""
    return list({file.key: file for manifest in manifests for file in response_files(store, manifest)}.values())


def _sizes(objects: ObjectStore, files: Sequence[ReplicaFile]) -> dict[str, int]:
    """Return the sizes of those objects that are there; their keys name their content."""
    if len(files) > _ASKED_ONE_BY_ONE:
        prefixes = sorted({file.key.rpartition("/")[0] + "/" for file in files})
        return {head.key: head.bytes for prefix in prefixes for head in objects.list(prefix)}
    heads = _in_parallel(lambda file: objects.head(file.key), files)
    return {head.key: head.bytes for head in heads if head is not None}


def _in_parallel(work: Callable[[ReplicaFile], _Answer], files: Iterable[ReplicaFile]) -> list[_Answer]:
    with ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="replica") as pool:
        return list(pool.map(work, files))


def reconcile(
    store: RawStore, objects: ObjectStore, symbols: Sequence[str], dates: Sequence[date], *, is_deep: bool = False
) -> Reconciliation:
    """Compare the replica with the raw store: every key, its bytes and sha-256, and no key that the raw store lacks.

    The sha-256 is the object's metadata; where another sender left none, or `is_deep`, the object is read and hashed.
    """
    expected = {file.key: file for file in replica_files(store, symbols, dates)}
    problems = _in_parallel(lambda file: _problem(objects, file, is_deep=is_deep), expected.values())
    differences = [Difference(key, problem) for key, problem in zip(expected, problems, strict=True) if problem]
    differences += [
        Difference(key, "Expected no such object, was there.") for key in _keys(store, objects, symbols, dates) if key not in expected
    ]
    return Reconciliation(len(expected), sum(file.bytes for file in expected.values()), tuple(differences))


def reconcile_provenance(
    store: RawStore, objects: ObjectStore, symbols: Sequence[str], dates: Sequence[date], *, is_deep: bool = False
) -> Reconciliation:
    """Compare manifests and deliveries of the dates with the replica: manifests by sha-256, deliveries by size, or `is_deep` by theirs.

    Other deliveries there are no difference: revisions that came later leave them behind.
    """
    files: list[ReplicaFile] = []
    problems: list[str] = []
    for source, symbol in _folders(store, symbols):
        found = [manifest for day in dates if (manifest := store.manifest(source, symbol, day)) is not None]
        responses, manifests = _responses(store, found), [manifest_file(store, each) for each in found]
        there = {} if is_deep else _sizes(objects, responses)
        problems += [
            *(_in_parallel(lambda file: _problem(objects, file, is_deep=True), responses) if is_deep else _size_problems(responses, there)),
            *_in_parallel(lambda file: _problem(objects, file, is_deep=is_deep), manifests),
        ]
        files += [*responses, *manifests]
    differences = tuple(Difference(file.key, problem) for file, problem in zip(files, problems, strict=True) if problem)
    return Reconciliation(len(files), sum(file.bytes for file in files), differences)


def _size_problems(files: Sequence[ReplicaFile], there: dict[str, int]) -> list[str]:
    def problem(file: ReplicaFile) -> str:
        if file.key not in there:
            return "Expected an object, was none."
        return "" if there[file.key] == file.bytes else f"Expected {file.bytes} bytes, was {there[file.key]}."

    return [problem(file) for file in files]


def _problem(objects: ObjectStore, file: ReplicaFile, *, is_deep: bool) -> str:
    head = objects.head(file.key)
    if head is None:
        return "Expected an object, was none."
    if head.bytes != file.bytes:
        return f"Expected {file.bytes} bytes, was {head.bytes}."
    stated = head.metadata.get(SHA256)
    found = objects.sha256(file.key) if is_deep or stated is None else stated
    return "" if found == file.sha256 else f"Expected sha-256 {file.sha256}, was {found}."


def _keys(store: RawStore, objects: ObjectStore, symbols: Sequence[str], dates: Sequence[date]) -> Iterator[str]:
    wanted = {day.isoformat() for day in dates}
    for source in store.sources():
        for symbol in symbols:
            prefix = f"{PREFIX}/{source}/{symbol}/"
            for head in objects.list(prefix):
                name = head.key.removeprefix(prefix)
                if name.endswith(".csv") and name.partition(".")[0] in wanted:
                    yield head.key


# Bringing back.


@dataclass(frozen=True)
class RestoreReport:
    """What `restore` did. Files that were there are `kept`, whatever is in them: `tick raw verify` judges those."""

    restored: int
    restored_bytes: int
    kept: int
    problems: tuple[Difference, ...]


def restore(
    store: RawStore,
    objects: ObjectStore,
    symbols: Sequence[str] = (),
    first: date | None = None,
    last: date | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> RestoreReport:
    """Bring what the raw folder lacks of the symbols and dates, both inclusive (default: all), from the replica.

    Each file is checked by its sha-256 and none that is there is overwritten. A date's manifest comes last, and not at all when one of its
    revisions can't be had, so a reader never sees a date with a file missing.
    """
    done = RestoreReport(0, 0, 0, ())
    for source, symbol, day in _dates_in(objects, symbols, first, last):
        part = _restore_date(store, objects, source, symbol, day)
        done = _added(done, part)
        if progress is not None:
            progress(f"event=raw_restored source={source} symbol={symbol} date={day} files={part.restored} problems={len(part.problems)}")
    return done


def _dates_in(objects: ObjectStore, symbols: Sequence[str], first: date | None, last: date | None) -> Iterator[tuple[str, str, date]]:
    """Yield the symbol-dates whose manifests are in the replica."""
    for key in objects.list_keys(f"{PREFIX}/"):
        parts = key.split("/")
        if len(parts) == 4 and key.endswith(MANIFEST_SUFFIX) and (not symbols or parts[2] in symbols):
            day = date.fromisoformat(parts[3].removesuffix(MANIFEST_SUFFIX))
            if (first or day) <= day <= (last or day):
                yield parts[1], parts[2], day


def _restore_date(store: RawStore, objects: ObjectStore, source: str, symbol: str, day: date) -> RestoreReport:
    path = store.manifest_path(source, symbol, day)
    key = f"{PREFIX}/{source}/{symbol}/{path.name}"
    try:
        content = path.read_bytes() if path.is_file() else objects.get_bytes(key)
        manifest = Manifest.from_json(content)
    except RawStoreError as error:
        return RestoreReport(0, 0, 0, (Difference(key, f"{error} Move the file away to have it restored."),))
    revisions = [_revision_file(store, source, symbol, entry) for entry in manifest.revisions]
    parts = _in_parallel(lambda file: _restore_file(store, objects, source, symbol, file), revisions)
    is_whole = not any(part.problems for part in parts)
    parts += _in_parallel(lambda file: _restore_file(store, objects, source, symbol, file), response_files(store, manifest))
    if is_whole:
        is_new = store.put_back(source, symbol, path, content)
        parts.append(RestoreReport(1, len(content), 0, ()) if is_new else RestoreReport(0, 0, 1, ()))
    return _added(*parts)


def _restore_file(store: RawStore, objects: ObjectStore, source: str, symbol: str, file: ReplicaFile) -> RestoreReport:
    if file.path.is_file():
        return RestoreReport(0, 0, 1, ())
    try:
        content = objects.get_bytes(file.key)
    except FileNotFoundError as error:
        return RestoreReport(0, 0, 0, (Difference(file.key, str(error)),))
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        return RestoreReport(0, 0, 0, (Difference(file.key, f"Expected sha-256 {file.sha256}, was {digest}. Nothing was written."),))
    store.put_back(source, symbol, file.path, content)
    return RestoreReport(1, len(content), 0, ())


def _added(*parts: RestoreReport) -> RestoreReport:
    return RestoreReport(
        restored=sum(part.restored for part in parts),
        restored_bytes=sum(part.restored_bytes for part in parts),
        kept=sum(part.kept for part in parts),
        problems=tuple(problem for part in parts for problem in part.problems),
    )
