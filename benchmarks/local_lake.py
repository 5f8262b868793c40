"""A lakehouse in one folder (SQLite catalog, files on the local disk): what engines are compared on without servers.

What belongs here: opening and filling it. What must not: measuring.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.lakehouse.day_files import Runner
    from tick_assets.lakehouse.publishing import Staged
    from tick_assets.lakehouse.raw_store import RawStore
    from tick_assets.lakehouse.silver import Partitions

from benchmarks.market import SOURCE


def open_lake(folder: Path) -> Lakehouse:
    """Return the lakehouse of a folder, made where it is not."""
    from pyiceberg.catalog.sql import SqlCatalog

    from tick_assets.lakehouse.catalog import Lakehouse

    folder.mkdir(parents=True, exist_ok=True)
    lakehouse = Lakehouse(SqlCatalog("lakehouse", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse"))
    lakehouse.ensure_tables()
    return lakehouse


def fill_raw(lakehouse: Lakehouse, store: RawStore, symbols: Sequence[str], dates: Sequence[date]) -> None:
    """Write `raw.ticks` of the raw files, as its asset does."""
    from tick_assets.lakehouse import raw_ticks

    raw_ticks.write_days(lakehouse, store, symbols, dates, [SOURCE], _silently)


@dataclass(frozen=True)
class Published:
    """The raw rows that were audited, and the part of the time that went into reading, cleaning and writing files."""

    rows: int
    files_s: float


def publish_ticks(runner: Runner, lakehouse: Lakehouse, store: RawStore, symbols: Sequence[str], dates: Sequence[date]) -> Published:
    """Clean the raw rows and publish ticks, rejects and the publications, as the asset does."""
    from tick_assets.lakehouse import publications, silver, tick_audit
    from tick_assets.lakehouse.publishing import audit_outside, publish, stage, writing

    with writing(lakehouse, (silver.TICKS, silver.REJECTS), symbols, dates, "bench", _silently) as lock:
        partitions = publications.partitions_of(store, symbols, dates, [SOURCE])
        raw = lakehouse.snapshot_id("raw.ticks")
        began = time.perf_counter()
        files = silver.tick_files(runner, lakehouse, partitions, raw)
        files_s = time.perf_counter() - began
        rejects, ticks = (stage(lakehouse, name, files[name], symbols, dates, "bench") for name in (silver.REJECTS, silver.TICKS))
        counts, hashes = tick_audit.audit_ticks(runner, lakehouse, partitions, raw, ticks, rejects)
        for staged in (rejects, ticks):
            audit_outside(lakehouse, staged)
            publish(lakehouse, staged, lock)
        publications.record(lakehouse, partitions, counts, hashes, datetime.now(UTC))
    return Published(sum(found.raw_rows for found in counts), files_s)


def publish_files(
    lakehouse: Lakehouse, tables: Sequence[str], symbols: Sequence[str], dates: Sequence[date], write: Callable[[Partitions], dict]
) -> None:
    """Let `write` make the files of tables, and publish them as the assets of features and bars do."""
    from tick_assets.lakehouse import silver
    from tick_assets.lakehouse.publishing import audit_outside, publish, stage, writing

    with writing(lakehouse, tables, symbols, dates, "bench", _silently) as lock:
        files = write(silver.Partitions(tuple(symbols), tuple(dates), {}))
        staged: list[Staged] = [stage(lakehouse, name, files[name], symbols, dates, "bench") for name in tables]
        for each in staged:
            audit_outside(lakehouse, each)
            publish(lakehouse, each, lock)


def data_files(lakehouse: Lakehouse, table: str) -> list[str]:
    """Return the addresses of a table's data files, in order."""
    return sorted(task.file.file_path for task in lakehouse.table(table).scan().plan_files())


def local_paths(addresses: Sequence[str]) -> list[str]:
    return [address.removeprefix("file://") for address in addresses]


def _silently(line: str) -> None:
    """Report nothing."""
