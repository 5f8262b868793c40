"""Manifests: the many small ones of a table become few, so that planning a scan reads few objects.

What belongs here: merging manifests in one commit. What must not: rewriting rows (`compaction`).

PyIceberg's merge append, of no files, copies the entries: no data file is read. A swap of all data files would rewrite the manifests too,
and every row with them. Spark's `rewrite_manifests` sorts the entries by partition besides; here they stay in the order of their commits,
which is that of the dates as long as days come one after another.
"""

from __future__ import annotations

from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestFile
from pyiceberg.table import TableProperties, Transaction

from tick_assets.lakehouse.catalog import MAIN, Lakehouse
from tick_assets.lakehouse.commits import commit, new_mark

MAXIMUM_MANIFESTS = 50
TARGET_BYTES = TableProperties.MANIFEST_TARGET_SIZE_BYTES_DEFAULT
_MERGING = {TableProperties.MANIFEST_MERGE_ENABLED: "true", TableProperties.MANIFEST_MIN_MERGE_COUNT: "2"}
"""Set within the merging commit only: every append of a day would else rewrite what the last one merged."""


class ManifestError(RuntimeError):
    """The merged manifests don't name the files of those that they were made of."""


def count_manifests(lakehouse: Lakehouse, name: str) -> int:
    """Return how many manifests a reader of `main` opens."""
    table = lakehouse.table(name)
    snapshot = table.current_snapshot()
    return len(snapshot.manifests(table.io)) if snapshot else 0


def merge_manifests(lakehouse: Lakehouse, name: str, is_dry: bool = False) -> tuple[int, int]:
    """Merge the manifests of a table that has more than MAXIMUM_MANIFESTS small ones; return how many there were and are."""
    before = count_manifests(lakehouse, name)
    if is_dry or len(_small(lakehouse, name)) <= MAXIMUM_MANIFESTS:
        return before, before
    mark = new_mark() | {"tick.maintenance": "manifests"}

    def attempt() -> None:
        table = lakehouse.table(name)
        earlier = {key: table.properties[key] for key in _MERGING if key in table.properties}
        with table.transaction() as transaction:
            entries = _entries(transaction, table.io)
            transaction.set_properties(_MERGING)
            with transaction.update_snapshot(snapshot_properties=mark).merge_append():
                pass
            transaction.remove_properties(*_MERGING)
            if earlier:
                transaction.set_properties(earlier)
            _require_same(name, entries, _entries(transaction, table.io))

    commit(lakehouse.catalog, name, attempt, mark)
    return before, count_manifests(lakehouse, name)


def _small(lakehouse: Lakehouse, name: str) -> list[ManifestFile]:
    table = lakehouse.table(name)
    snapshot = table.current_snapshot()
    return [manifest for manifest in snapshot.manifests(table.io) if manifest.manifest_length < TARGET_BYTES // 2] if snapshot else []


def _entries(transaction: Transaction, io: FileIO) -> dict[str, int | None]:
    """Return the live data files of `main` and the sequence number of each, which decides what deletes apply to it."""
    snapshot = transaction.table_metadata.snapshot_by_name(MAIN)
    manifests = snapshot.manifests(io) if snapshot else []
    return {entry.data_file.file_path: entry.sequence_number for manifest in manifests for entry in manifest.fetch_manifest_entry(io)}


def _require_same(name: str, before: dict[str, int | None], after: dict[str, int | None]) -> None:
    if before != after:
        raise ManifestError(
            f"Expected the {len(before)} files of {name} in its merged manifests, was {len(after)} files or other sequence numbers. "
            "Nothing was committed. `CALL lakehouse.system.rewrite_manifests` in Spark does the same."
        )
