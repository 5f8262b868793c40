"""The audit of staged ticks and rejects: that no current raw row was lost, doubled, misplaced, misnumbered or put out of order.

What belongs here: what is counted and hashed of each symbol-day, and what refuses a publication. What must not: making the rows (`silver`),
the branch protocol (`publishing`), Dagster.

Each symbol-day is looked at by a task that did not write it: it reads the staged files back from the object store with another Parquet
reader (Polars) than their writer (Arrow), and counts and hashes them. The driver is told figures alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial

import polars as pl
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io import load_file_io
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import FileScanTask
from pyiceberg.table.metadata import TableMetadata

from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.content_hash import combine, frame_hashes
from tick_assets.lakehouse.day_files import DayKey, Runner, bytes_of, files_by_day
from tick_assets.lakehouse.publishing import AuditError, Staged, reject
from tick_assets.lakehouse.silver import REJECTS, TICKS, Partitions
from tick_assets.lakehouse.tables import definition_of

RAW = "raw.ticks"
MAXIMUM_REJECT_SHARE = 0.5
"""A partition that loses more than this share of its rows is refused: then the parser is wrong, not the market (FXCM loses 10 %)."""

_Files = tuple[FileScanTask, ...]


class DisorderError(AuditError):
    """A staged tick is earlier than the one of the rank before."""


@dataclass(frozen=True)
class DayCounts:
    """Rows of one symbol and date by table."""

    symbol: str
    date: date
    raw_rows: int
    silver_rows: int
    reject_rows: int


@dataclass(frozen=True)
class AuditTask:
    """The files of one symbol-day: raw ones as they were read, ticks and rejects as they are staged."""

    key: DayKey
    raw: _Files = ()
    ticks: _Files = ()
    rejects: _Files = ()

    @property
    def size(self) -> int:
        return bytes_of((*self.raw, *self.ticks, *self.rejects))


@dataclass(frozen=True)
class Found:
    """What one symbol-day holds. `raw_files` are the rows of each raw file by source, `strays` rows of another symbol or date,
    `disordered` ticks that are earlier than the tick of the rank before."""

    raw_rows: int = 0
    silver_rows: int = 0
    reject_rows: int = 0
    ranks: int = 0
    strays: int = 0
    disordered: int = 0
    content_hash: str = combine(TICKS, ())
    raw_files: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def audit_ticks(
    runner: Runner, lakehouse: Lakehouse, partitions: Partitions, raw_snapshot: int | None, ticks: Staged, rejects: Staged
) -> tuple[list[DayCounts], dict[DayKey, str]]:
    """Check on the branches that every current raw row is a tick or a reject of its partition, once, under a rank of its own.

    Return the counts and the content hash of every partition.
    """
    found = look_at(runner, lakehouse, partitions, raw_snapshot, ticks, rejects)
    counts = [DayCounts(*key, day.raw_rows, day.silver_rows, day.reject_rows) for key, day in sorted(found.items())]
    for finding in (_stale(partitions, found), _miscounted(counts), _misplaced(found), _misnumbered(found)):
        if finding:
            reject(lakehouse, ticks, finding)
    if disordered := _disordered(found):
        reject(lakehouse, ticks, disordered, DisorderError)
    return counts, {key: day.content_hash for key, day in found.items()}


def _stale(partitions: Partitions, found: Mapping[DayKey, Found]) -> str:
    listed = partitions.raw_files.items()
    stale = sorted(key for key, files in listed if found[key].raw_files.get(files.source or "", {}) != files.rows)
    return f"expected raw.ticks to hold the files that the raw store lists, was not so for {stale[:3]}: write it first" if stale else ""


def _miscounted(counts: Sequence[DayCounts]) -> str:
    for found in counts:
        if found.raw_rows != found.silver_rows + found.reject_rows:
            return f"expected raw = silver + rejects, was {found}"
        if found.reject_rows > MAXIMUM_REJECT_SHARE * found.raw_rows:
            return f"expected at most {MAXIMUM_REJECT_SHARE:.0%} rejects, was {found}"
    return ""


def _misplaced(found: Mapping[DayKey, Found]) -> str:
    misplaced = sorted(key for key, day in found.items() if day.strays)
    return f"expected every row in the partition of its symbol and date, was not so in {misplaced[:3]}" if misplaced else ""


def _misnumbered(found: Mapping[DayKey, Found]) -> str:
    repeated = sorted(key for key, day in found.items() if day.ranks != day.silver_rows + day.reject_rows)
    return f"expected every seq once, was repeated on {repeated[:3]}" if repeated else ""


def _disordered(found: Mapping[DayKey, Found]) -> str:
    disordered = sorted(key for key, day in found.items() if day.disordered)
    return f"expected no tick to be earlier than the one of the rank before, was so on {disordered[:3]}" if disordered else ""


# What is there, symbol-day by symbol-day.


def look_at(
    runner: Runner, lakehouse: Lakehouse, partitions: Partitions, raw_snapshot: int | None, ticks: Staged, rejects: Staged
) -> dict[DayKey, Found]:
    """Return what every partition holds, empty ones included."""
    raw = files_by_day(lakehouse, RAW, partitions.row_filter, raw_snapshot)
    kept, refused = (
        files_by_day(lakehouse, each.table, partitions.row_filter, lakehouse.snapshot_id(each.table, each.branch))
        for each in (ticks, rejects)
    )
    tasks = [AuditTask(key, raw.get(key, ()), kept.get(key, ()), refused.get(key, ())) for key in sorted(ticks.keys)]
    filled = [task for task in tasks if task.size]
    table = lakehouse.table(RAW)
    found = runner(filled, partial(look_at_day, raw=table.metadata, properties=dict(table.io.properties)))
    return {task.key: Found() for task in tasks} | {task.key: day for task, day in zip(filled, found, strict=True)}


def look_at_day(task: AuditTask, raw: TableMetadata, properties: dict[str, str]) -> Found:
    """Read one symbol-day back, count and hash it."""
    counted = _raw_files(task.raw, raw, properties)
    ticks, rejects = _read_back(TICKS, task.ticks, properties), _read_back(REJECTS, task.rejects, properties)
    of_day = (pl.col("symbol") == task.key[0]) & (pl.col("date") == task.key[1])
    return Found(
        int(counted["current"].sum()),
        len(ticks),
        len(rejects),
        pl.concat([ticks["seq"], rejects["seq"]]).n_unique(),
        sum(len(rows) - len(rows.filter(of_day)) for rows in (ticks, rejects)),
        _earlier_than_before(ticks),
        combine(TICKS, frame_hashes(definition_of(TICKS), ticks)),
        {str(source): dict(rows.select("source_file", "rows").iter_rows()) for (source,), rows in counted.group_by("source")},
    )


def _earlier_than_before(ticks: pl.DataFrame) -> int:
    """Count the ticks that are earlier than the one of the rank before."""
    if not len(ticks):
        return 0
    by_rank = ticks if ticks["seq"].is_sorted() else ticks.sort("seq")
    return int((by_rank["ts_event"].diff().drop_nulls() < timedelta(0)).sum())


def _raw_files(files: _Files, table: TableMetadata, properties: dict[str, str]) -> pl.DataFrame:
    """Return the rows, and the current ones, by source and file."""
    names = ("source", "source_file", "is_current")
    scan = ArrowScan(table, load_file_io(properties, table.location), table.schema().select(*names), AlwaysTrue())
    rows = pl.DataFrame(scan.to_table(files))
    return rows.group_by("source", "source_file").agg(pl.len().alias("rows"), pl.col("is_current").sum().alias("current"))


def _read_back(table: str, files: _Files, properties: dict[str, str]) -> pl.DataFrame:
    """Return what counts as content of the staged rows, and nothing else."""
    definition = definition_of(table)
    columns = list(definition.content_columns if table == TICKS else ("symbol", "date", "seq"))
    frames = [_read_file(task.file.file_path, columns, properties) for task in files]
    empty = pl.DataFrame(schema={"symbol": pl.String, "date": pl.Date, "seq": pl.Int64})
    return pl.concat(frames, how="diagonal_relaxed") if frames else empty


def _read_file(path: str, columns: list[str], properties: dict[str, str]) -> pl.DataFrame:
    with load_file_io(properties, path).new_input(path).open() as stream:
        return pl.read_parquet(stream.read(), columns=columns)
