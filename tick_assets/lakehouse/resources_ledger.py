"""The resource ledger: what each step of a run cost, measured while it works, and `evidence.resources`, which keeps it.

What belongs here: measuring, the files of the state folder, the table, figures per million ticks. What must not: Dagster, plots.

    resources/<run>.jsonl    one line a step that was done, appended when it ends: no commit, no server

What a step wrote is not asked of the step: Iceberg says it of every snapshot. The ticks of a step are the published vendor rows of its
symbols and dates, so that all steps of the road have the same measure; a step of models has all published dates of its symbols.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import psutil

from tick_assets.lakehouse.durable_files import make_folder
from tick_assets.lakehouse.evidence import parse_time, read_lines
from tick_assets.lakehouse.tables import TABLES

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse

TABLE = "evidence.resources"
PUBLICATIONS = "evidence.publications"
ALSO_WRITTEN = {"silver/ticks": ("silver.tick_rejects",), "silver/features": ("silver.labels",)}
"""Tables of a step besides the one that it is named for."""
KEPT_FOR = timedelta(days=90)
"""How long a run's file stays once its lines are in the table."""
_EVERY_S = 0.5


@dataclass(frozen=True)
class Step:
    """One step of a run: what it works on. Without symbols it is not measured by ticks."""

    run_id: str
    stage: str
    symbols: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    """The first and the last date of a step of dates, else nothing."""
    code_commit: str = "unknown"


@dataclass
class Usage:
    """What a step used; complete once the step has ended."""

    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0


@dataclass(frozen=True)
class Commit:
    """What one snapshot added to a table, and when readers saw it (milliseconds since 1970)."""

    at_ms: int
    rows: int
    bytes: int


# Measuring.


@contextmanager
def measured(step: Step, folder: Path | None) -> Iterator[Usage]:
    """Measure the work inside, and append it to the run's file unless it fails or there is no folder."""
    usage, begun, cpu = Usage(), time.perf_counter(), time.process_time()
    with _watching_memory(usage):
        yield usage
    usage.seconds, usage.cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu
    if folder is not None:
        _append(folder, step, usage)


@contextmanager
def _watching_memory(usage: Usage) -> Iterator[None]:
    """Note the highest memory of this process and all its children, Spark's virtual machine and workers too, every half second."""

    def look() -> None:
        usage.peak_mb = max(usage.peak_mb, memory_mb(psutil.Process()))

    with looking(look, _EVERY_S):
        yield


@contextmanager
def looking(look: Callable[[], None], every_s: float) -> Iterator[None]:
    """Look at once and then every so often, in a thread of its own, until the end."""
    done = threading.Event()

    def watch() -> None:
        look()
        while not done.wait(every_s):
            look()

    thread = threading.Thread(target=watch, name="memory-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def memory_mb(process: psutil.Process) -> float:
    """Return the resident memory of a process and its children in MB; pages that two of them share count twice."""
    found = 0
    for each in (process, *process.children(recursive=True)):
        try:
            found += each.memory_info().rss
        except psutil.Error:  # it ended meanwhile
            continue
    return found / 1e6


def _append(folder: Path, step: Step, usage: Usage) -> None:
    make_folder(folder)
    line = {
        **vars(step),
        "started_at": usage.started_at.isoformat(),
        "seconds": round(usage.seconds, 4),
        "cpu_seconds": round(usage.cpu_seconds, 4),
        "peak_mb": round(usage.peak_mb, 1),
    }
    with (folder / f"{step.run_id}.jsonl").open("ab") as stream:
        stream.write(json.dumps(line).encode() + b"\n")


# The table.


def ingest(lakehouse: Lakehouse, folder: Path, now: datetime) -> int:
    """Bring the lines of runs that are not in the table into it, in one commit, and return how many; a repeat changes nothing.

    Files whose lines are in the table are removed after KEPT_FOR.
    """
    runs = {path: read_lines(path.read_bytes()) for path in sorted(folder.glob("*.jsonl"))}
    known = set(lakehouse.frame(TABLE, columns=("run_id", "stage", "started_at")).rows())
    new = {path: lines for path, lines in runs.items() if any(_key(line) not in known for line in lines)}
    rows = _rows(lakehouse, [line for lines in new.values() for line in lines])
    lakehouse.replace_keys(TABLE, rows, ("run_id",))
    for path in runs.keys() - new.keys():
        if datetime.fromtimestamp(path.stat().st_mtime, UTC) + KEPT_FOR < now:
            path.unlink()
    return len(rows)


def _key(line: Mapping[str, Any]) -> tuple[str, str, datetime]:
    return line["run_id"], line["stage"], parse_time(line["started_at"])


def _rows(lakehouse: Lakehouse, lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines as rows; each table is asked once, however many lines there are."""
    if not lines:
        return []
    published = lakehouse.frame(PUBLICATIONS, columns=("symbol", "date", "raw_rows"))
    commits = {name: _commits(lakehouse, name) for name in {name for line in lines for name in _tables_of(line["stage"])}}
    return [_row(line, commits, published) for line in lines]


def _row(line: Mapping[str, Any], commits: Mapping[str, Sequence[Commit]], published: pl.DataFrame) -> dict[str, Any]:
    started, symbols, dates = parse_time(line["started_at"]), line["symbols"], [date.fromisoformat(day) for day in line["dates"]]
    begun, ended = (int(at.timestamp() * 1000) for at in (started, started + timedelta(seconds=line["seconds"], milliseconds=1)))
    tables = _tables_of(line["stage"])
    written = [each for name in tables for each in commits[name] if begun <= each.at_ms <= ended]
    return {
        "run_id": line["run_id"],
        "stage": line["stage"],
        "symbol": symbols[0] if len(symbols) == 1 else None,
        "date": dates[-1] if dates else None,
        "started_at": started,
        "seconds": line["seconds"],
        "peak_mb": line["peak_mb"],
        "rows": sum(each.rows for each in written) if tables else None,
        "mb": sum(each.bytes for each in written) / 1e6 if tables else None,
        "ticks": _ticks(published, symbols, dates),
        "detail_json": json.dumps({name: line[name] for name in ("symbols", "dates", "cpu_seconds", "code_commit")}),
    }


def _tables_of(stage: str) -> list[str]:
    return [name for name in (stage.replace("/", "."), *ALSO_WRITTEN.get(stage, ())) if name in TABLES]


def _commits(lakehouse: Lakehouse, name: str) -> list[Commit]:
    """Return what became visible in a table, as its snapshots say; those that expired are gone."""
    table = lakehouse.table(name)
    found = ((entry.timestamp_ms, table.snapshot_by_id(entry.snapshot_id)) for entry in table.history())
    figures = ((at_ms, snapshot.summary.additional_properties) for at_ms, snapshot in found if snapshot and snapshot.summary)
    return [Commit(at_ms, int(each.get("added-records", 0)), int(each.get("added-files-size", 0))) for at_ms, each in figures]


def _ticks(published: pl.DataFrame, symbols: Sequence[str], dates: Sequence[date]) -> int | None:
    """Return the published vendor rows of these symbols and dates (none: all dates); none where a step has no symbols."""
    if not symbols:
        return None
    within = pl.col("date").is_between(dates[0], dates[-1]) if dates else pl.lit(True)
    return int(published.filter(pl.col("symbol").is_in(list(symbols)) & within)["raw_rows"].fill_null(0).sum()) or None


# Figures.


def per_million_ticks(lakehouse: Lakehouse) -> pl.DataFrame:
    """Return each step by time, with its seconds, written MB and peak MB per million ticks; null for a step that has no ticks."""
    million = pl.col("ticks") / 1e6
    return (
        lakehouse.frame(TABLE)
        .sort("started_at")
        .with_columns((pl.col(name) / million).alias(f"{name}_per_million") for name in ("seconds", "mb", "peak_mb"))
    )


def by_stage(steps: pl.DataFrame) -> list[dict[str, Any]]:
    """Return one row a stage: how often it ran, over how many ticks, medians per million ticks, and the highest memory."""
    figures = (
        pl.len().alias("runs"),
        pl.col("ticks").sum(),
        pl.col("rows").sum(),
        pl.col("seconds").sum().round(2),
        pl.col("seconds_per_million").median().round(3),
        pl.col("mb_per_million").median().round(3),
        pl.col("peak_mb").max().round(1),
        pl.col("peak_mb_per_million").median().round(1),
        pl.col("started_at").max().alias("last_started_at"),
    )
    return steps.group_by("stage").agg(*figures).sort("stage").to_dicts()
