"""Expiry: old snapshots are dropped from a table's metadata, never one that a branch, a tag or a dataset needs.

What belongs here: which snapshots may go, and the commit that drops them. What must not: deleting objects (`orphans` does, afterwards).

A snapshot stays when readers saw it not long ago, when it is among the newest, and while a branch or tag names it. Datasets are pinned by
tags, so before anything every known manifest must have its tags in their places: one that somebody removed by hand would take the rows of
a dataset with it.

The log of what was current is cut where a snapshot is dropped, as Iceberg's format demands and PyIceberg does not do (tried): it leaves
older entries, and a time between them would be answered with rows of another time, by Trino too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Literal

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import (
    AssertTableUUID,
    RemoveSnapshotsUpdate,
    ValidatableTableRequirement,
    _apply_table_update,
    _TableMetadataUpdateContext,
)
from pyiceberg.typedef import IcebergBaseModel

from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.commits import commit
from tick_assets.lakehouse.datasets import Dataset, is_pinned


class PinError(RuntimeError):
    """A dataset's tag is gone or moved, so nothing may expire."""


class NoneIsNamed(ValidatableTableRequirement):
    """No branch or tag names one of these snapshots at the moment of the commit: PyIceberg would drop the tag with its snapshot."""

    type: Literal["none-is-named"] = "none-is-named"
    snapshot_ids: list[int]

    def validate(self, base_metadata: TableMetadata | None) -> None:  # type: ignore[override]  # pydantic has one of that name
        """Raise `CommitFailedException`, so that the commit is tried again with what is named by then."""
        named = {ref.snapshot_id for ref in base_metadata.refs.values()} if base_metadata else set()
        if named & set(self.snapshot_ids):
            raise CommitFailedException(f"Expected no branch or tag at the snapshots to expire, was one at {sorted(named)}.")


class CutLog(IcebergBaseModel):
    """Drop the entries of the log up to the last one whose snapshot goes."""

    action: Literal["cut-log"] = "cut-log"
    snapshot_ids: list[int]


@_apply_table_update.register(CutLog)
def _(update: CutLog, base_metadata: TableMetadata, context: _TableMetadataUpdateContext) -> TableMetadata:  # type: ignore[misc]
    log = base_metadata.snapshot_log
    last = max((i for i, entry in enumerate(log) if entry.snapshot_id in update.snapshot_ids), default=-1)
    return base_metadata.model_copy(update={"snapshot_log": log[last + 1 :]})


def require_pins(lakehouse: Lakehouse, known: Sequence[Dataset]) -> None:
    """Raise `PinError` unless every tag of every known dataset names its snapshot."""
    astray = [dataset for dataset in known if not is_pinned(lakehouse, dataset)]
    if astray:
        names = ", ".join(f"{dataset.id[:12]} ({', '.join(dataset.symbols)})" for dataset in astray)
        remedy = ", ".join(f"`tick dataset repin {dataset.id[:12]}`" for dataset in astray)
        raise PinError(
            f"Expected the tags of every dataset in their places, was gone or moved for {names}. Nothing expired, nothing was deleted. "
            f"Run {remedy}, then the same again."
        )


def expirable(table: Table, keep_last: int, before: datetime) -> list[int]:
    """Return the snapshots that readers saw last before `before`, not among the newest `keep_last`, and that no branch or tag names."""
    named = {ref.snapshot_id for ref in table.refs().values()}
    ordered = sorted(table.snapshots(), key=lambda snapshot: (snapshot.sequence_number or 0, snapshot.timestamp_ms))
    newest = {snapshot.snapshot_id for snapshot in ordered[-keep_last:]} if keep_last else set()
    replaced_ms = _replaced_at(table)
    return [
        snapshot.snapshot_id
        for snapshot in ordered
        if replaced_ms.get(snapshot.snapshot_id, snapshot.timestamp_ms) < before.timestamp() * 1000
        and snapshot.snapshot_id not in named | newest
    ]


def _replaced_at(table: Table) -> dict[int, int]:
    """Return when each snapshot that was current was replaced: an old one may have been what readers saw until a minute ago."""
    log = table.history()
    return {entry.snapshot_id: following.timestamp_ms for entry, following in pairwise(log)}


def expire(lakehouse: Lakehouse, name: str, keep_last: int, before: datetime, is_dry: bool = False) -> int:
    """Drop the expirable snapshots of a table in one commit and return how many."""
    if is_dry:
        return len(expirable(lakehouse.table(name), keep_last, before))

    def attempt() -> int:
        table = lakehouse.table(name)
        ids = expirable(table, keep_last, before)
        if ids:
            requirements = (AssertTableUUID(uuid=table.metadata.table_uuid), NoneIsNamed(snapshot_ids=ids))
            updates = (CutLog(snapshot_ids=ids), RemoveSnapshotsUpdate(snapshot_ids=ids))
            lakehouse.catalog.commit_table(table, requirements, updates)  # type: ignore[arg-type]  # two are ours
        return len(ids)

    return commit(lakehouse.catalog, name, attempt) or 0
