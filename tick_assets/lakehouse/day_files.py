"""Data files of whole symbol-days: each task reads one day of a table, works on it, and writes what it makes for other tables.

What belongs here: which files hold a day, one task's reading and writing, handing tasks to Spark. What must not: what the work is
(`silver`, `bars`), making files visible (`publishing`), Dagster.

Rows never pass between Java and Python: a task reads and writes Parquet by itself (4.6 times as fast as rows through Spark's own reader and
writer, measured). No row comes to the driver, which collects the names and statistics of the files alone. What a task has written belongs
to no table until it is committed; the files of a task that dies are orphans. A day that lies in several files is read whole.

Spark is given one symbol-day a task, the largest first; where there are more of them than tasks are worth, several share one. Each task is
told its own files alone, and one day at a time is in memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import polars as pl
from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.io import FileIO, load_file_io
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask
from pyiceberg.table.metadata import TableMetadata

from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.day_parquet import write_day
from tick_assets.lakehouse.executors import apply_on_executors
from tick_assets.lakehouse.partition_files import key_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DayKey = tuple[str, date]
Work = Callable[..., Mapping[str, pl.DataFrame]]
"""(key, rows) to the rows that a symbol-day makes for each target table; the rows of the day come in any order.

A day that is worked on beside another symbol's has that one's rows as `beside`.
"""
Files = tuple[FileScanTask, ...]


class Task(Protocol):
    """Something that a worker can do by itself, once it is pickled."""

    @property
    def size(self) -> int:
        """Return the bytes to read."""


@dataclass(frozen=True)
class DayTask:
    """The files that hold one symbol-day, and those of another symbol's that are read beside it; None: nothing is."""

    key: DayKey
    files: Files
    beside: Files | None = None

    @property
    def size(self) -> int:
        return bytes_of((*self.files, *(self.beside or ())))


_Task = TypeVar("_Task", bound=Task)
_Result = TypeVar("_Result")


class Runner(Protocol):
    """Applies a function to each task, wherever, and returns the results in the order of the tasks."""

    def __call__(self, tasks: Sequence[_Task], function: Callable[[_Task], _Result]) -> list[_Result]: ...


def write_days(
    runner: Runner,
    lakehouse: Lakehouse,
    source: str,
    row_filter: BooleanExpression,
    snapshot_id: int | None,
    work: Work,
    targets: Sequence[str],
    beside: Mapping[DayKey, Files] | None = None,
) -> dict[str, list[DataFile]]:
    """Work on each symbol-day of a snapshot that the filter names (None: the table is empty), and return the files written by target.

    `beside` names files of the same table that are read beside a day, maybe none. The files are in no table yet.
    """
    table = lakehouse.table(source)
    tasks = day_tasks(lakehouse, source, row_filter, snapshot_id, beside)
    make = partial(
        make_day,
        source=table.metadata,
        targets={name: lakehouse.table(name).metadata for name in targets},
        properties=dict(table.io.properties),
        work=work,
    )
    made = runner(tasks, make)
    return {name: [file for files in made for file in files[name]] for name in targets}


def day_tasks(
    lakehouse: Lakehouse,
    table: str,
    row_filter: BooleanExpression,
    snapshot_id: int | None,
    beside: Mapping[DayKey, Files] | None = None,
) -> list[DayTask]:
    """Return one task for each symbol-day that has rows, ordered by symbol and date."""
    by_day, others = files_by_day(lakehouse, table, row_filter, snapshot_id), beside or {}
    return [DayTask(key, files, others.get(key)) for key, files in sorted(by_day.items())]


def files_by_day(
    lakehouse: Lakehouse, table: str, row_filter: BooleanExpression, snapshot_id: int | None
) -> dict[DayKey, tuple[FileScanTask, ...]]:
    """Return the files of each symbol-day that has rows in a snapshot; manifests of other partitions are not read."""
    if snapshot_id is None:
        return {}
    by_day: dict[DayKey, list[FileScanTask]] = defaultdict(list)
    for task in lakehouse.table(table).scan(row_filter=row_filter, snapshot_id=snapshot_id).plan_files():
        by_day[key_of(task.file.partition)].append(task)
    return {key: tuple(files) for key, files in by_day.items()}


def bytes_of(files: Sequence[FileScanTask]) -> int:
    """Return the size of files."""
    return sum(task.file.file_size_in_bytes for task in files)


def make_day(
    task: DayTask, source: TableMetadata, targets: Mapping[str, TableMetadata], properties: dict[str, str], work: Work
) -> dict[str, list[DataFile]]:
    """Read one symbol-day, work on it, and write the rows of each target; a target without rows has no file."""
    io = load_file_io(properties, source.location)
    others = {} if task.beside is None else {"beside": _read(source, io, task.beside)}
    made = work(task.key, _read(source, io, task.files), **others)
    return {name: [write_day(rows, *task.key, targets[name], io)] if len(rows) else [] for name, rows in made.items()}


def _read(source: TableMetadata, io: FileIO, files: Files) -> pl.DataFrame:
    read = pl.from_arrow(ArrowScan(source, io, source.schema(), AlwaysTrue()).to_table(files))
    assert isinstance(read, pl.DataFrame)
    return read


def in_this_process(tasks: Sequence[_Task], function: Callable[[_Task], _Result]) -> list[_Result]:
    """Run the tasks one after another, here."""
    return [function(task) for task in tasks]


def by_spark(spark: SparkSession, most_tasks: int) -> Runner:
    """Return a runner that gives each symbol-day to a Spark task, without a shuffle and on any kind of session.

    Where there are more of them than `most_tasks`, several share one.
    """

    def run(tasks: Sequence[_Task], function: Callable[[_Task], _Result]) -> list[_Result]:
        groups = shared_out([task.size for task in tasks], most_tasks)
        return apply_on_executors(spark, [[(number, tasks[number]) for number in group] for group in groups], function) if groups else []

    return run


def shared_out(sizes: Sequence[int], most: int) -> list[list[int]]:
    """Return groups of places, the largest first and each group of about the same size; single ones where there are few."""
    order = sorted(range(len(sizes)), key=lambda place: -sizes[place])
    count = min(len(order), most)
    return [order[first::count] for first in range(count)]
