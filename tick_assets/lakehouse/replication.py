"""Copy raw files to S3 and prove that the copy is whole: the built-in replicator.

What belongs here: which files go under which keys, sending, reconciling. What must not: how files come to be.

Only files that a manifest lists are sent, so a half-written one never is. The key is a function of the file and the object carries the
sha-256, so sending again changes nothing. Another replicator may send instead: reconciliation judges bytes, not who sent them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.raw_store import RawStore

PREFIX = "raw"
SHA256 = "sha256"
_THREADS = 8


@dataclass(frozen=True)
class ReplicaFile:
    """One raw file and its key."""

    path: Path
    key: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SendReport:
    """What one replication did; files that were there already are not sent."""

    files: int
    sent_files: int
    sent_bytes: int


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
                    yield ReplicaFile(
                        store.revision_path(source, symbol, entry), f"{PREFIX}/{source}/{symbol}/{entry.file}", entry.bytes, entry.sha256
                    )


def replicate(
    store: RawStore, objects: ObjectStore, symbols: Sequence[str], dates: Sequence[date], *, progress: Callable[[str], None] | None = None
) -> SendReport:
    """Send the files that the replica lacks or has with other bytes."""
    files = list(replica_files(store, symbols, dates))
    with ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="replica") as pool:
        sent = list(pool.map(lambda file: _send(objects, file), files))
    sent_bytes = sum(file.bytes for file, is_sent in zip(files, sent, strict=True) if is_sent)
    report = SendReport(len(files), sum(sent), sent_bytes)
    if progress is not None:
        progress(f"event=raw_replicated files={report.files} sent_files={report.sent_files} sent_bytes={report.sent_bytes}")
    return report


def _send(objects: ObjectStore, file: ReplicaFile) -> bool:
    head = objects.head(file.key)
    if head is not None and head.bytes == file.bytes and head.metadata.get(SHA256) == file.sha256:
        return False
    content = file.path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise ValueError(f"Expected {file.path.name} with sha-256 {file.sha256}, was {digest}. Run `tick raw verify` and restore the file.")
    objects.put_bytes(file.key, content, metadata={SHA256: file.sha256}, content_type="text/csv")
    return True


def reconcile(
    store: RawStore, objects: ObjectStore, symbols: Sequence[str], dates: Sequence[date], *, is_deep: bool = False
) -> Reconciliation:
    """Compare the replica with the raw store: every key, its bytes and sha-256, and no key that the raw store lacks.

    The sha-256 is the object's metadata; where another sender left none, or `is_deep`, the object is read and hashed.
    """
    expected = {file.key: file for file in replica_files(store, symbols, dates)}
    with ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="replica") as pool:
        problems = list(pool.map(lambda file: _problem(objects, file, is_deep=is_deep), expected.values()))
    differences = [Difference(key, problem) for key, problem in zip(expected, problems, strict=True) if problem]
    differences += [
        Difference(key, "Expected no such object, was there.") for key in _keys(store, objects, symbols, dates) if key not in expected
    ]
    return Reconciliation(len(expected), sum(file.bytes for file in expected.values()), tuple(differences))


def _problem(objects: ObjectStore, file: ReplicaFile, *, is_deep: bool) -> str:
    head = objects.head(file.key)
    if head is None:
        return "Expected an object, was none."
    if head.bytes != file.bytes:
        return f"Expected {file.bytes} bytes, was {head.bytes}."
    stated = head.metadata.get(SHA256)
    found = hashlib.sha256(objects.get_bytes(file.key)).hexdigest() if is_deep or stated is None else stated
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
