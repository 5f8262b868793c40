"""Compaction: the many data files of a partition become one, and the rows stay the same.

What belongs here: choosing files, rewriting them, proving that the rows are the same, swapping them in one commit. What must not: dropping
snapshots (`expiry`) or objects (`orphans`): the files that were replaced stay for the snapshots that name them.

A swap removes exactly the files that were read. When another write replaced one of them meanwhile the commit is refused and nothing
changes; files that were appended meanwhile stay. Day tables are rewritten under the locks of their partitions besides. Partitions that
somebody writes are left for the next time.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan, _dataframe_to_data_files, schema_to_pyarrow
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask, Table

from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.commits import commit, new_mark
from tick_assets.lakehouse.content_hash import combine, frame_hashes
from tick_assets.lakehouse.partition_locks import PartitionBusyError
from tick_assets.lakehouse.raw_ticks import TABLE as RAW_TICKS
from tick_assets.lakehouse.raw_ticks import in_vendor_order
from tick_assets.lakehouse.tables import BY_SYMBOL_AND_DATE, definition_of

SMALL_BYTES = 32 * 2**20
MAXIMUM_SMALL_FILES = 8
"""Small files that a partition of a table without dates may have; every file costs a reader one request."""
PARTITIONS_PER_COMMIT = 200
"""Days of one symbol that are locked, rewritten and committed together; more of them would lock the whole symbol."""

MADE_BY = {"tick.maintenance": "compaction"}
Group = tuple[Any, ...]


class ReplacedError(RuntimeError):
    """Another write replaced a file that was to be rewritten."""


class CompactionError(RuntimeError):
    """The rewritten files don't hold the rows of those that they were made of."""


@dataclass(frozen=True)
class Compacted:
    """What compaction did to one table. `left` says what was left for the next time, and why."""

    files_before: int
    files_after: int
    rows: int
    left: tuple[str, ...] = ()


def crowded(lakehouse: Lakehouse, name: str) -> dict[Group, list[FileScanTask]]:
    """Return the files to rewrite by partition: all of a day that lies in several, the small ones of another partition with too many."""
    by_partition: dict[Group, list[FileScanTask]] = defaultdict(list)
    for task in lakehouse.table(name).scan().plan_files():
        by_partition[tuple(task.file.partition[i] for i in range(len(task.file.partition)))].append(task)
    if is_day_table(name):
        return {key: tasks for key, tasks in by_partition.items() if len(tasks) > 1}
    small = {key: [task for task in tasks if task.file.file_size_in_bytes < SMALL_BYTES] for key, tasks in by_partition.items()}
    return {key: tasks for key, tasks in small.items() if len(tasks) > MAXIMUM_SMALL_FILES}


def is_day_table(name: str) -> bool:
    """Tell whether a table has partitions of (symbol, date), which are written under locks."""
    return definition_of(name).partitions == BY_SYMBOL_AND_DATE


def compact(lakehouse: Lakehouse, name: str, run: str, progress: Callable[[str], None], is_dry: bool = False) -> Compacted:
    """Rewrite the crowded partitions of a table, each to one file in the order of the table's key.

    `CompactionError` is raised before anything changes, should the new files not hold the same rows.
    """
    before = _count_files(lakehouse, name)
    plan = crowded(lakehouse, name)
    if is_dry:
        rows = sum(task.file.record_count for tasks in plan.values() for task in tasks)
        return Compacted(before, before - sum(len(tasks) - 1 for tasks in plan.values()), rows)
    rows, left = 0, []
    for keys in _batches(name, list(plan)):
        try:
            rows += _rewrite(lakehouse, name, keys, run, progress)
        except (PartitionBusyError, ReplacedError) as error:
            left.append(f"{len(keys)} partitions of {name}: {str(error)[:200]}")
            progress(f"event=compaction_left table={name} partitions={len(keys)} reason={str(error)[:200]!r}")
    return Compacted(before, _count_files(lakehouse, name), rows, tuple(left))


def _count_files(lakehouse: Lakehouse, name: str) -> int:
    return sum(1 for _ in lakehouse.table(name).scan().plan_files())


def _batches(name: str, keys: Sequence[Group]) -> Iterator[list[Group]]:
    """Yield the partitions that are committed together; those of a day table are of one symbol."""
    by_symbol: dict[Any, list[Group]] = defaultdict(list)
    for key in sorted(keys, key=str):
        by_symbol[key[0] if is_day_table(name) else None].append(key)
    for group in by_symbol.values():
        for start in range(0, len(group), PARTITIONS_PER_COMMIT):
            yield group[start : start + PARTITIONS_PER_COMMIT]


def _rewrite(lakehouse: Lakehouse, name: str, keys: Sequence[Group], run: str, progress: Callable[[str], None]) -> int:
    """Rewrite partitions in one commit and return their rows; those that are crowded no more under the lock are left out."""
    with _locked(lakehouse, name, keys, run, progress):
        now = crowded(lakehouse, name)
        table = lakehouse.table(name)
        old = {key: now[key] for key in keys if key in now}
        new: list[DataFile] = []
        try:
            for tasks in old.values():
                new += _one_file(name, table, tasks)
            if old:
                _swap(lakehouse, name, [task.file for tasks in old.values() for task in tasks], new)
        except (CompactionError, ReplacedError):
            for file in new:
                table.io.delete(file.file_path)
            raise
    progress(f"event=compacted table={name} partitions={len(old)} files={len(new)}")
    return sum(file.record_count for file in new)


def _locked(
    lakehouse: Lakehouse, name: str, keys: Sequence[Group], run: str, progress: Callable[[str], None]
) -> AbstractContextManager[Any]:
    """Hold the locks of a day table's partitions without waiting for others; other tables have none."""
    if not is_day_table(name):
        return nullcontext()
    days = [(symbol, date(1970, 1, 1) + timedelta(days=number)) for symbol, number in keys]
    impatient = dataclasses.replace(lakehouse.locks, patience_s=0.0)
    return impatient.hold([name], sorted({symbol for symbol, _ in days}), sorted({day for _, day in days}), run, progress)


def _one_file(name: str, table: Table, tasks: Sequence[FileScanTask]) -> list[DataFile]:
    """Write the rows of some files of a partition as one, read them back, and refuse what is not equal."""
    definition = definition_of(name)
    rows = _read(table, tasks)
    ordered = in_vendor_order(rows) if name == RAW_TICKS else rows.sort(definition.key, maintain_order=True)
    files = _write(table, ordered)
    again = _read(table, [FileScanTask(file) for file in files])
    before, after = (combine(name, frame_hashes(definition, frame)) for frame in (rows, again))
    if before != after or not again.equals(ordered):
        for file in files:
            table.io.delete(file.file_path)
        raise CompactionError(
            f"Expected the rewritten files of {name} to have the content hash {before[:12]} in {len(ordered)} rows, was {after[:12]} in "
            f"{len(again)}. Nothing was committed; run `tick raw verify` and `tick drill`, then look at {tasks[0].file.file_path}."
        )
    return files


def _read(table: Table, tasks: Sequence[FileScanTask]) -> pl.DataFrame:
    frame = pl.from_arrow(ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue()).to_table(tasks))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _write(table: Table, rows: pl.DataFrame) -> list[DataFile]:
    """Write the rows of one partition as one data file, however many they are; it is in no table yet."""
    whole = {**table.metadata.properties, "write.target-file-size-bytes": str(2**62)}
    metadata = table.metadata.model_copy(update={"properties": whole})
    arrow = rows.to_arrow().cast(schema_to_pyarrow(table.schema(), include_field_ids=False))
    files = list(_dataframe_to_data_files(metadata, arrow, table.io, write_uuid=uuid.uuid4()))
    for file in files:
        # PyIceberg sets it on files that it finds in a manifest; reading one that is in none yet needs it too.
        file.spec_id = table.metadata.default_spec_id
    return files


def _swap(lakehouse: Lakehouse, name: str, old: Sequence[DataFile], new: Sequence[DataFile]) -> None:
    """Put files in the place of exactly these; `ReplacedError` says that one of them is gone meanwhile."""
    mark: Mapping[str, str] = new_mark() | MADE_BY

    def attempt() -> None:
        table = lakehouse.table(name)
        gone = {file.file_path for file in old} - {task.file.file_path for task in table.scan().plan_files()}
        if gone:
            raise ReplacedError(f"Expected {len(old)} files of {name} to stay while they were rewritten, was {len(gone)} replaced.")
        with table.transaction() as transaction, transaction.update_snapshot(snapshot_properties=dict(mark)).overwrite() as overwrite:
            for file in old:
                overwrite.delete_data_file(file)
            for file in new:
                overwrite.append_data_file(file)

    commit(lakehouse.catalog, name, attempt, mark)
