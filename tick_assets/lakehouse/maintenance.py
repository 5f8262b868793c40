"""Maintenance: what keeps the tables of the lake healthy, in its order, and whether every dataset can still be read.

What belongs here: the order of compaction, merging of manifests, sweeping of branches, expiry and sweeping of orphans; what was done. What
must not: how each is done (`compaction`, `manifests`, `publishing`, `expiry`, `orphans`), Dagster.

Before anything, every dataset that the state folder or the object store knows must have its tags: else nothing is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from tick_assets.lakehouse import compaction, expiry, orphans
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.dataset_folder import DatasetFolder, KeyList, stored_ids
from tick_assets.lakehouse.datasets import Dataset, DatasetError, ManifestStore, check_content, fetch
from tick_assets.lakehouse.manifests import merge_manifests
from tick_assets.lakehouse.partition_locks import PartitionBusyError
from tick_assets.lakehouse.publishing import drop_leftovers, leftovers
from tick_assets.lakehouse.tables import TABLES

if TYPE_CHECKING:
    from tick_assets.settings import Settings


class Manifests(KeyList, ManifestStore, Protocol):
    """The part of an object store that keeps manifests and lists them."""


@dataclass(frozen=True)
class Upkeep:
    """How much of the past is kept."""

    keep_for: timedelta
    keep_snapshots: int
    grace: timedelta

    @classmethod
    def from_settings(cls, settings: Settings) -> Upkeep:
        """Return what the settings say."""
        return cls(
            timedelta(days=settings.maintenance_keep_days),
            settings.maintenance_keep_snapshots,
            timedelta(hours=settings.maintenance_grace_hours),
        )


@dataclass(frozen=True)
class TableUpkeep:
    """What was done to one table; in a dry run, what would be. `left` says what was refused or left for the next time, and why."""

    table: str
    files_before: int
    files_after: int
    rows_rewritten: int
    manifests_before: int
    manifests_after: int
    branches_dropped: tuple[str, ...]
    snapshots_expired: int
    orphans: int
    orphans_mb: float
    left: tuple[str, ...] = field(default=())

    @property
    def is_changed(self) -> bool:
        """Whether there was anything to do."""
        done = (self.rows_rewritten, self.manifests_before - self.manifests_after, len(self.branches_dropped))
        return any((*done, self.snapshots_expired, self.orphans))


def known_datasets(folder: DatasetFolder, objects: Manifests) -> list[Dataset]:
    """Return every dataset that has a manifest in the state folder or in the object store; an altered one is a `DatasetError`."""
    here = {dataset.id: dataset for dataset in folder.all()}
    elsewhere = (name for name in stored_ids(objects) if name not in here)
    return [*here.values(), *(fetch(objects, name) for name in elsewhere)]


def maintain(
    lakehouse: Lakehouse,
    known: Sequence[Dataset],
    upkeep: Upkeep,
    now: datetime,
    run: str,
    progress: Callable[[str], None],
    is_dry: bool = False,
) -> list[TableUpkeep]:
    """Maintain every table and return what was done; nothing is touched when a dataset's tag is astray (`PinError`).

    Two maintenances at a time are a `PartitionBusyError`.
    """
    with lakehouse.locks.hold_alone("maintenance", run):
        expiry.require_pins(lakehouse, known)
        orphans.require_own_places(lakehouse, list(TABLES))
        done = []
        for name in TABLES:
            done.append(_maintain_table(lakehouse, name, upkeep, now, run, progress, is_dry))
            progress(f"event=table_maintained {_line(done[-1])}")
        return done


def _maintain_table(
    lakehouse: Lakehouse, name: str, upkeep: Upkeep, now: datetime, run: str, progress: Callable[[str], None], is_dry: bool
) -> TableUpkeep:
    branches = _sweep_branches(lakehouse, name, run, progress, is_dry)
    compacted = compaction.compact(lakehouse, name, run, progress, is_dry)
    manifests = merge_manifests(lakehouse, name, is_dry)
    expired = expiry.expire(lakehouse, name, upkeep.keep_snapshots, now - upkeep.keep_for, is_dry)
    left = compacted.left
    try:
        swept = orphans.sweep(lakehouse, name, upkeep.grace, now, run, is_dry)
    except PartitionBusyError as error:
        swept, left = orphans.Orphans(), (*left, f"orphans of {name}: {error}")
    return TableUpkeep(
        name, compacted.files_before, compacted.files_after, compacted.rows, *manifests, branches, expired, len(swept.paths),
        swept.megabytes, left,
    )  # fmt: skip


def _sweep_branches(lakehouse: Lakehouse, name: str, run: str, progress: Callable[[str], None], is_dry: bool) -> tuple[str, ...]:
    """Drop the branches of failed audits past their time, and those of killed runs."""
    with lakehouse.locks.hold([name], (), (), run, progress) as held:
        return tuple((leftovers if is_dry else drop_leftovers)(lakehouse, name, held))


def _line(done: TableUpkeep) -> str:
    figures: Mapping[str, object] = {
        "table": done.table,
        "files": f"{done.files_before}->{done.files_after}",
        "manifests": f"{done.manifests_before}->{done.manifests_after}",
        "branches": len(done.branches_dropped),
        "snapshots_expired": done.snapshots_expired,
        "orphans": done.orphans,
        "orphans_mb": done.orphans_mb,
    }
    return " ".join(f"{name}={value}" for name, value in figures.items())


def unreadable(lakehouse: Lakehouse, known: Sequence[Dataset]) -> list[dict[str, str]]:
    """Read every dataset at its tags and return those whose content is not what their manifests state, with the reason."""
    found = []
    for dataset in known:
        try:
            differing = check_content(lakehouse, dataset)
        except DatasetError as error:
            found.append({"dataset": dataset.id[:12], "reason": str(error)})
        else:
            if differing:
                found.append({"dataset": dataset.id[:12], "reason": f"other content in {', '.join(differing)}"})
    return found
