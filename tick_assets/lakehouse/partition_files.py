# H4: STOP. Read /work/lead/NOTE_H4.md (from the lead) before you go on, then delete this line.
"""Data files of the tables that are partitioned by symbol and date, from Iceberg's metadata.

What belongs here: which files a snapshot added or removed, and how many a partition has. What must not: reading rows, committing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pyiceberg.manifest import DataFile, ManifestEntryStatus

from tick_assets.lakehouse.catalog import Filter, Lakehouse

if TYPE_CHECKING:
    from pyiceberg.typedef import Record

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class PartitionFile:
    """One data file and the (symbol, date) whose rows it holds."""

    key: tuple[str, date]
    entry: DataFile


def changed_by(lakehouse: Lakehouse, table: str, snapshot_id: int) -> tuple[list[PartitionFile], list[PartitionFile]]:
    """Return the files that one snapshot added, and those that it removed."""
    loaded = lakehouse.table(table)
    snapshot = loaded.snapshot_by_id(snapshot_id)
    found: dict[ManifestEntryStatus, list[PartitionFile]] = {status: [] for status in ManifestEntryStatus}
    for manifest in snapshot.manifests(loaded.io) if snapshot else ():
        if manifest.added_snapshot_id == snapshot_id:
            for entry in manifest.fetch_manifest_entry(loaded.io, discard_deleted=False):
                found[entry.status].append(PartitionFile(_key(entry.data_file.partition), entry.data_file))
    return found[ManifestEntryStatus.ADDED], found[ManifestEntryStatus.DELETED]


def file_counts(lakehouse: Lakehouse, table: str, row_filter: Filter, snapshot_id: int | None) -> Counter[tuple[str, date]]:
    """Return the number of data files of each partition that the filter names, at a snapshot (None: a table without rows)."""
    if snapshot_id is None:
        return Counter()
    tasks = lakehouse.table(table).scan(row_filter=row_filter, snapshot_id=snapshot_id).plan_files()
    return Counter(_key(task.file.partition) for task in tasks)


def _key(partition: Record) -> tuple[str, date]:
    """Return a partition's values; Iceberg keeps a date as days since 1970."""
    symbol, day = partition[0], partition[1]
    return symbol, day if isinstance(day, date) else _EPOCH + timedelta(days=day)
