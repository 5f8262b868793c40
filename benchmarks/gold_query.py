"""gold.query: the minute bars of one symbol-month through Trino, beside duckdb on the same Parquet files.

What belongs here: our side and its rival. What must not: judging other than by TARGET, starting servers (`own_stack`).

Trino reads the view gold.bars_1m (bars joined with what is published) from S3; duckdb reads the files of both tables, copied to the local
disk, and makes the same join.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import local_lake, market
from benchmarks.findings import VALUE, Condition, Finding
from benchmarks.own_stack import environment_of, running, settings_of
from benchmarks.plan import Benchmark, Plan
from benchmarks.rivals import rivals_python
from benchmarks.side import MakeWork, Work, serve
from benchmarks.turns import ROOT, Side, in_turn

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.settings import Settings
    from tick_assets.stack.supervisor import Supervisor

NAME, ROUNDS, WARM_UPS = "gold.query", 40, 3
OURS, DUCKDB = "ours", "duckdb on the same Parquet"
TARGET = (Condition(VALUE, "<", 2.0, "s"),)
SYMBOLS = market.SYMBOLS[:2]
BARS, PUBLICATIONS = "silver.bars_1m", "evidence.publications"
SYMBOL = SYMBOLS[0]


def _where(first: str, last: str) -> str:
    return f"symbol = '{SYMBOL}' and date between date '{first}' and date '{last}'"


def _ours(first: str, last: str) -> Work:
    from tick_assets.lakehouse.query import TrinoQuery
    from tick_assets.settings import load_settings

    trino = TrinoQuery.from_settings(load_settings())
    query = f"select * from gold.bars_1m where {_where(first, last)} order by ts_event"
    return Work(lambda: trino.rows(query), len)


def _duckdb(first: str, last: str, bars: list[str], publications: list[str]) -> Work:
    import duckdb

    connection = duckdb.connect()
    connection.execute("set threads = 2")
    query = f"""
        select bars.* exclude publication_id from read_parquet({bars!r}) as bars
        semi join read_parquet({publications!r}) as published using (symbol, date, publication_id)
        where {_where(first, last)} order by ts_event
    """
    return Work(lambda: connection.execute(query).fetchall(), len, during=connection)


SIDES: dict[str, MakeWork] = {OURS: _ours, DUCKDB: _duckdb}


def measure(plan: Plan, size: int) -> list[Finding]:
    """Fill a lake of two symbols, and ask for one of them by both sides."""
    dates, per_day = market.shape(size, market.THIN_DAY, SYMBOLS)
    store = market.raw_store(plan.cache, SYMBOLS, dates, per_day, plan.report)
    settings = settings_of(plan.work / "gold home", SYMBOLS)
    with running(settings, ("trino",), plan.report) as supervisor:
        plan.report("  filling the lake up to gold.bars_1m")
        lakehouse = _filled(settings, store.root, dates)
        copies = {name: _copied(settings, lakehouse, table, plan.work / name) for name, table in _TABLES.items()}
        span = {"first": dates[0].isoformat(), "last": dates[-1].isoformat()}
        sides = [
            Side(OURS, "benchmarks.gold_query", span, environment=environment_of(settings), also_watched=_trino(supervisor)),
            Side(DUCKDB, "benchmarks.gold_query", {**span, **copies}, rivals_python(plan.cache, plan.report)),
        ]
        found = in_turn(sides, plan.rounds_of(ROUNDS), plan.work, _quietly, WARM_UPS)
    ours, rival = found[OURS], found[DUCKDB]
    p95, theirs = ours.percentile(0.95), rival.percentile(0.95)
    note = (
        f"{ours.rows:,} bars of {len(dates)} dates, {len(ours.rounds)} runs, p95; p50 {ours.median_seconds * 1e3:.0f} ms against "
        f"{rival.median_seconds * 1e3:.1f} ms; duckdb reads {sum(map(len, copies.values()))} local copies; peak with Trino's server"
    )
    return [Finding(NAME, p95, "s", DUCKDB, theirs, p95 / theirs, TARGET, ours.peak_mb, note, size)]


_TABLES = {"bars": BARS, "publications": PUBLICATIONS}


def _filled(settings: Settings, store: Path, dates: Sequence[date]) -> Lakehouse:
    """Fill raw, silver and bars, and make the gold view by dbt."""
    from functools import partial

    from tick_assets.lakehouse import bars
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.lakehouse.day_files import in_this_process
    from tick_assets.lakehouse.raw_store import RawStore

    lakehouse, raw = Lakehouse.from_settings(settings), RawStore(store)
    lakehouse.ensure_tables()
    local_lake.fill_raw(lakehouse, raw, SYMBOLS, dates)
    local_lake.publish_ticks(in_this_process, lakehouse, raw, SYMBOLS, dates)
    write = partial(bars.bar_files, in_this_process, lakehouse, bar_ticks=settings.bar_ticks)
    local_lake.publish_files(lakehouse, bars.TABLES, SYMBOLS, dates, write)
    _make_view(settings)
    return lakehouse


def _make_view(settings: Settings) -> None:
    from tick_assets.resources import DBT_EXECUTABLE, DBT_PROJECT

    project = str(DBT_PROJECT.project_dir)
    command = [DBT_EXECUTABLE, "--no-use-colors", "run", "--select", "bars_1m", "--project-dir", project, "--profiles-dir", project]
    done = subprocess.run(command, cwd=ROOT, env=environment_of(settings), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"Expected dbt to make gold.bars_1m, was:\n{done.stdout[-2000:]}")


def _copied(settings: Settings, lakehouse: Lakehouse, table: str, folder: Path) -> list[str]:
    """Copy a table's data files to the local disk, and return their paths."""
    from tick_assets.lakehouse.object_store import ObjectStore

    store = ObjectStore.from_settings(settings)
    folder.mkdir(parents=True, exist_ok=True)
    copied = []
    for number, address in enumerate(local_lake.data_files(lakehouse, table)):
        path = folder / f"{number:04d}.parquet"
        path.write_bytes(store.get_bytes(address.removeprefix(f"s3://{settings.s3_bucket}/")))
        copied.append(str(path))
    return copied


def _trino(supervisor: Supervisor) -> tuple[int, ...]:
    return tuple(status.pid for status in supervisor.status() if status.name == "trino" and status.pid)


def _quietly(line: str) -> None:
    """Report nothing: there are many short rounds."""


BENCHMARK = Benchmark(
    NAME,
    "data",
    "minute bars of one symbol-month through Trino",
    [f"p95 of the time: {TARGET[0]}"],
    (22 * 2 * market.THIN_DAY,),
    (22 * 2 * market.THIN_DAY,),
    measure,
    needs_servers=True,
)

if __name__ == "__main__":
    serve(SIDES)
