"""Write, audit, publish: partitions are replaced on a branch, looked at there, and become visible by one commit.

What belongs here: the branch protocol for day tables. What must not: writing files (`day_files`), what the rows are (`silver`, `bars`),
Dagster.

A write holds the locks of its partitions (`partition_locks`) from before it stages until it has published. Publishing puts the audited
files of the branch in the place of main's files of the same partitions: one commit, which leaves alone what other runs published since
the branch was made. So writes of different days go on side by side. (A fast-forward fails once main has moved, and a cherry-pick takes
neither an overwrite by filter nor one that only deletes.) A replacement names whole partitions: an empty result empties them.

An `audit_` branch of a run that holds no lock was left by a killed one: the table's next write drops it. A failed audit's branch is kept
as `failed_…` for inspection, and dropped by the first write after KEPT_FOR.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pyiceberg.manifest import DataFile

from tick_assets.lakehouse.catalog import Lakehouse, whole_partitions
from tick_assets.lakehouse.partition_files import changed_by
from tick_assets.lakehouse.partition_locks import Held

PartitionKey = tuple[str, date]

AUDIT_PREFIX, FAILED_PREFIX = "audit_", "failed_"
KEPT_FOR = timedelta(days=7)


class AuditError(RuntimeError):
    """A staged partition failed its audit; the branch named in the message is kept for inspection."""


@dataclass(frozen=True)
class Staged:
    """One table's replacement, written to `branch` and not visible yet."""

    table: str
    branch: str
    symbols: tuple[str, ...]
    dates: tuple[date, ...]

    @property
    def keys(self) -> frozenset[PartitionKey]:
        """Every (symbol, date) that the replacement names, empty ones too."""
        return frozenset((symbol, day) for symbol in self.symbols for day in self.dates)


@contextmanager
def writing(
    lakehouse: Lakehouse, tables: Sequence[str], symbols: Sequence[str], dates: Sequence[date], run: str, progress: Callable[[str], None]
) -> Iterator[Held]:
    """Hold these partitions of the tables while they are staged, audited and published; leftovers of killed runs are dropped first."""
    with lakehouse.locks.hold(tables, symbols, dates, run, progress) as held:
        for table in tables:
            for branch in drop_leftovers(lakehouse, table, held):
                progress(f"event=leftover_branch_dropped table={table} branch={branch}")
        yield held


def drop_leftovers(lakehouse: Lakehouse, table: str, held: Held) -> list[str]:
    """Drop the branches that nobody writes or looks at any more, and return their names."""
    dropped = leftovers(lakehouse, table, held)
    for branch in dropped:
        lakehouse.drop_branch(table, branch)
    return dropped


def leftovers(lakehouse: Lakehouse, table: str, held: Held) -> list[str]:
    """Return the branches that nobody writes or looks at any more."""
    return [branch for branch in lakehouse.branches(table) if _is_leftover(lakehouse, table, branch, held)]


def _is_leftover(lakehouse: Lakehouse, table: str, branch: str, held: Held) -> bool:
    if branch.startswith(AUDIT_PREFIX):
        return not held.is_alive(branch.removeprefix(AUDIT_PREFIX))
    snapshot = lakehouse.table(table).snapshot_by_name(branch)
    if not branch.startswith(FAILED_PREFIX) or snapshot is None:
        return False
    return datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC) + KEPT_FOR < datetime.now(UTC)


def stage(lakehouse: Lakehouse, table: str, files: Sequence[DataFile], symbols: Sequence[str], dates: Sequence[date], run: str) -> Staged:
    """Let written files replace the partitions of all symbols and dates, on a branch of its own."""
    staged = Staged(table, f"{AUDIT_PREFIX}{run}", tuple(symbols), tuple(dates))
    lakehouse.begin_branch(table, staged.branch)
    lakehouse.replace_files(table, files, whole_partitions(symbols, dates), staged.branch)
    return staged


def audit_outside(lakehouse: Lakehouse, staged: Staged) -> None:
    """Refuse a replacement that added or removed a file of any partition that it does not name."""
    added, removed = changed_by(lakehouse, staged.table, _tip(lakehouse, staged))
    outside = sorted(file.key for file in (*added, *removed) if file.key not in staged.keys)
    if outside:
        reject(
            lakehouse, staged, f"expected the rows of other partitions to stay, was a change of {len(outside)} files, first {outside[0]}"
        )


def reject(lakehouse: Lakehouse, staged: Staged, finding: str, error: type[AuditError] = AuditError) -> None:
    """Keep the staged branch under a `failed_` name and raise `AuditError`, or a kind of it."""
    kept = staged.branch.replace(AUDIT_PREFIX, FAILED_PREFIX, 1)
    lakehouse.drop_branch(staged.table, kept)
    lakehouse.keep_branch(staged.table, kept, _tip(lakehouse, staged), KEPT_FOR)
    lakehouse.drop_branch(staged.table, staged.branch)
    raise error(f"Audit of {staged.table} failed: {finding}. Nothing was published; look at branch {kept}, then run again.")


def publish(lakehouse: Lakehouse, staged: Staged, held: Held) -> int | None:
    """Make the staged partitions what readers see, drop the branch, and return the table's snapshot (None where it never had a row)."""
    added, _ = changed_by(lakehouse, staged.table, _tip(lakehouse, staged))
    held.require()
    lakehouse.replace_files(staged.table, [file.entry for file in added], whole_partitions(staged.symbols, staged.dates))
    lakehouse.drop_branch(staged.table, staged.branch)
    return lakehouse.snapshot_id(staged.table)


def _tip(lakehouse: Lakehouse, staged: Staged) -> int:
    tip = lakehouse.snapshot_id(staged.table, staged.branch)
    if tip is None:
        raise AuditError(f"Expected the branch {staged.branch} on {staged.table}, found none. Nothing was published; run again.")
    return tip
