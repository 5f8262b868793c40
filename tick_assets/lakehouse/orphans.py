"""Orphans: objects under a table's location that no reachable metadata names, such as what a killed writer left.

What belongs here: what a table reaches, what lies there, deleting the difference. What must not: dropping snapshots (`expiry`).

The files of a write that is under way are orphans to look at. Three things keep them: objects younger than the grace stay; with a short
grace a day table is looked at only while nobody holds a lock of it; and what is written without a lock (metadata of any table, all of a
table that is no day table) is at least UNLOCKED_GRACE old. The objects are listed before the metadata is read: what is committed between
the two counts as reached. When any metadata can't be read, nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table

from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.compaction import is_day_table

GRACE = timedelta(hours=24)
"""No write takes longer between its first file and its commit."""
UNLOCKED_GRACE = timedelta(minutes=10)
"""A commit that nobody locks is a few requests; its retries take two minutes at most."""
_METADATA_SUFFIX = ".metadata.json"


@dataclass(frozen=True)
class Orphans:
    """The objects that were found (and, but for a dry run, deleted)."""

    paths: tuple[str, ...] = ()
    bytes: int = 0

    @property
    def megabytes(self) -> float:
        return round(self.bytes / 1e6, 3)


def sweep(lakehouse: Lakehouse, name: str, grace: timedelta, now: datetime, run: str, is_dry: bool = False) -> Orphans:
    """Delete the orphans of a table that are older than the grace, and return them.

    `PartitionBusyError` is raised, and nothing deleted, where the grace is shorter than GRACE and somebody writes the day table.
    """
    with _unwritten(lakehouse, name, grace, run):
        table = lakehouse.table(name)
        filesystem, root = _place(table)
        present = _listed(filesystem, root)
        _require_listed(table, present)
        reached = set(reachable(lakehouse.table(name)))
    found = [each for each in present if each.path not in reached and _is_old(each, name, grace, now)]
    if not is_dry:
        for each in found:
            _delete(filesystem, root, each.path)
    return Orphans(tuple(each.path for each in found), sum(each.size or 0 for each in found))


def reachable(table: Table) -> Iterator[str]:
    """Yield the path of every object that the table's metadata names, of all its snapshots and of its metadata log."""
    metadata = table.metadata
    yield _path(table.metadata_location)
    yield from (_path(entry.metadata_file) for entry in metadata.metadata_log)
    yield from (_path(file.statistics_path) for file in (*metadata.statistics, *metadata.partition_statistics))
    seen: set[str] = set()
    for snapshot in metadata.snapshots:
        yield _path(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in seen:
                seen.add(manifest.manifest_path)
                yield _path(manifest.manifest_path)
                yield from (_path(entry.data_file.file_path) for entry in manifest.fetch_manifest_entry(table.io))


def require_own_places(lakehouse: Lakehouse, names: Sequence[str]) -> None:
    """Raise `ValueError` where a table lies inside another one: its objects would be orphans of that one."""
    places = sorted((f"{_path(lakehouse.table(name).location())}/", name) for name in names)
    for (outer, holder), (inner, held) in pairwise(places):
        if inner.startswith(outer):
            raise ValueError(f"Expected a place of its own for each table, was {held} inside {holder} ({inner}). Nothing was deleted.")


def _unwritten(lakehouse: Lakehouse, name: str, grace: timedelta, run: str) -> AbstractContextManager[Any]:
    if grace >= GRACE or not is_day_table(name):
        return nullcontext()
    return lakehouse.locks.hold_alone(name, run)


def _place(table: Table) -> tuple[FileSystem, str]:
    """Return the file system of a table and the path of its location."""
    if not isinstance(table.io, PyArrowFileIO):
        raise TypeError(f"Expected PyArrow's file system for {table.location()}, was {type(table.io).__name__}. Unset `py-io-impl`.")
    scheme, host, path = PyArrowFileIO.parse_location(table.location())
    return table.io.fs_by_scheme(scheme, host), path.rstrip("/")


def _listed(filesystem: FileSystem, root: str) -> list[FileInfo]:
    found = filesystem.get_file_info(FileSelector(root, allow_not_found=True, recursive=True))
    return [each for each in found if each.type == FileType.File]


def _require_listed(table: Table, present: Sequence[FileInfo]) -> None:
    """Raise `ValueError` unless the listing says the paths as the metadata does: else all of the table would look like orphans."""
    named = {_path(table.metadata_location), *(_path(snapshot.manifest_list) for snapshot in table.metadata.snapshots)}
    missing = sorted(named - {each.path for each in present})
    if missing:
        raise ValueError(
            f"Expected the table's own metadata under {table.location()}, was not listed: {missing[0]}. Nothing was deleted; look there."
        )


def _is_old(each: FileInfo, name: str, grace: timedelta, now: datetime) -> bool:
    is_locked = is_day_table(name) and not each.path.endswith(_METADATA_SUFFIX)
    age: timedelta = now - each.mtime
    return age >= (grace if is_locked else max(grace, UNLOCKED_GRACE))


def _delete(filesystem: FileSystem, root: str, path: str) -> None:
    if not path.startswith(f"{root}/"):
        raise ValueError(f"Expected an object under {root}, was {path}. Nothing outside a table's location is deleted.")
    filesystem.delete_file(path)


def _path(location: str) -> str:
    """Return a location as its file system says it, without the scheme: the engines don't agree on `s3` and `s3a`."""
    path: str = PyArrowFileIO.parse_location(location)[2]
    return path
