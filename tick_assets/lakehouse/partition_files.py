"""Data files of the tables that are partitioned by symbol and date, from Iceberg's metadata.

What belongs here: which files a snapshot added or removed. What must not: reading rows, committing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pyiceberg.manifest import DataFile, ManifestEntryStatus

if TYPE_CHECKING:
    from pyiceberg.typedef import Record

    from tick_assets.lakehouse.catalog import Lakehouse

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
                found[entry.status].append(PartitionFile(key_of(entry.data_file.partition), entry.data_file))
    return found[ManifestEntryStatus.ADDED], found[ManifestEntryStatus.DELETED]


def key_of(partition: Record) -> tuple[str, date]:
    """Return a partition's values; Iceberg keeps a date as days since 1970."""
    symbol, day = partition[0], partition[1]
    return symbol, day if isinstance(day, date) else _EPOCH + timedelta(days=day)
