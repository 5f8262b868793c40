"""csv.parquet: raw CSV files to partitioned zstd Parquet, beside polars with one sink per file and duckdb's COPY … PARTITION_BY.

What belongs here: our side and its rivals. What must not: judging other than by the targets, making the files (`market`).

Our side writes the data files of `raw.ticks` as its asset does, the commit left out: all columns of the table, rows that do not parse kept.
The rivals write the five columns of the CSV, and refuse such rows.
"""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import market
from benchmarks.findings import PEAK_MB, RATIO, Condition, Finding
from benchmarks.plan import Benchmark, Plan
from benchmarks.rivals import rivals_python
from benchmarks.side import Work, serve
from benchmarks.turns import Side, in_turn

if TYPE_CHECKING:
    import polars as pl

NAME, SYMBOL, ROUNDS = "csv.parquet", "SYNEDGE", 3
OURS, POLARS, DUCKDB = "ours", "polars", "duckdb"
TARGETS = {POLARS: (Condition(RATIO, "<=", 1.1), Condition(PEAK_MB, "<", 500, "MB")), DUCKDB: (Condition(RATIO, ">=", 1.3),)}
THREADS = "2"
STAMP = "%Y-%m-%dT%H:%M:%S%.fZ"


def _emptied(folder: str) -> Any:
    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir(parents=True)

    return prepare


def _parquet_rows(folder: str) -> int:
    import polars as pl

    return int(pl.scan_parquet(f"{folder}/**/*.parquet", hive_partitioning=False).select(pl.len()).collect().item())


def _ours(files: list[str], target: str, store: str, dates: list[str]) -> Work:
    from benchmarks.local_lake import open_lake
    from tick_assets.lakehouse import raw_ticks
    from tick_assets.lakehouse.raw_store import RawStore

    lakehouse, raw = open_lake(Path(target)), RawStore(Path(store))
    days = [(SYMBOL, date.fromisoformat(day)) for day in dates]
    data = f"{target}/warehouse/raw/ticks/data"

    def run() -> list[Any]:
        return list(raw_ticks.write_day_files(lakehouse, raw, days, [market.SOURCE]))

    return Work(run, lambda _: _parquet_rows(data), prepare=_emptied(data))


def _polars(files: list[str], target: str, store: str, dates: list[str]) -> Work:
    pool = ThreadPoolExecutor(int(THREADS))
    return Work(
        lambda: list(pool.map(lambda path: _sink(path, target), files)),
        lambda _: _parquet_rows(target),
        prepare=_emptied(target),
        during=pool,
    )


def _sink(path: str, target: str) -> None:
    import polars as pl

    folder = Path(target) / f"symbol={Path(path).parent.name}" / f"date={Path(path).name[:10]}"
    folder.mkdir(parents=True)
    _scan(path).sink_parquet(folder / "00000.parquet", compression="zstd", compression_level=3)
    assert pl.thread_pool_size() == int(THREADS)


def _scan(path: str) -> pl.LazyFrame:
    import polars as pl

    types = {"ts_event": pl.String, "ask_points": pl.Int64, "bid_points": pl.Int64, "ask_size": pl.Float64, "bid_size": pl.Float64}
    stamps = pl.col("ts_event").str.to_datetime(STAMP, time_unit="us").dt.replace_time_zone("UTC")
    return pl.scan_csv(path, schema=types).with_columns(stamps)


def _duckdb(files: list[str], target: str, store: str, dates: list[str]) -> Work:
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"set threads = {THREADS}")
    columns = "{'ts_event': 'TIMESTAMP', 'ask_points': 'BIGINT', 'bid_points': 'BIGINT', 'ask_size': 'DOUBLE', 'bid_size': 'DOUBLE'}"
    parts = "regexp_extract(filename, '([^/]+)/[^/]+$', 1) as symbol, regexp_extract(filename, '([^/]+).r000.csv$', 1) as date"
    copy = f"""
        copy (select * exclude filename, {parts} from read_csv({files!r}, header = true, columns = {columns}, filename = true))
        to '{target}' (format parquet, compression zstd, compression_level 3, partition_by (symbol, date), overwrite_or_ignore)
    """
    rows = f"select count(*) from read_parquet('{target}/**/*.parquet')"
    return Work(
        lambda: connection.execute(copy),
        lambda _: int(connection.execute(rows).fetchall()[0][0]),
        prepare=_emptied(target),
        during=connection,
    )


SIDES = {OURS: _ours, POLARS: _polars, DUCKDB: _duckdb}


def measure(plan: Plan, size: int) -> list[Finding]:
    """Measure all sides over the same files; each must come to the same number of rows."""
    dates, per_day = market.shape(size, market.DENSE_DAY, (SYMBOL,))
    store = market.raw_store(plan.cache, (SYMBOL,), dates, per_day, plan.report)
    files = market.csv_files(store, (SYMBOL,), dates)
    arguments = {"files": files, "store": str(store.root), "dates": [day.isoformat() for day in dates]}
    pythons = {DUCKDB: rivals_python(plan.cache, plan.report)}
    environment = {"POLARS_MAX_THREADS": THREADS}
    sides = [
        Side(name, "benchmarks.csv_parquet", {**arguments, "target": str(plan.work / name)}, pythons.get(name, sys.executable), environment)
        for name in SIDES
    ]
    found = in_turn(sides, plan.rounds_of(ROUNDS), plan.work, plan.report)
    ours, polars, duckdb = (found[name] for name in (OURS, POLARS, DUCKDB))
    note = f"{ours.rows:,} rows, {sum(os.path.getsize(path) for path in files) / 1e6:.0f} MB of CSV, two cores; {ours.in_words()}; {{}}"
    by_cpu = ours.cpu_seconds / polars.cpu_seconds
    by_wall = duckdb.seconds / ours.seconds
    rates = [each.million_rows_per_s for each in (ours, duckdb)]
    return [
        Finding(
            NAME, ours.cpu_seconds, "s of CPU", f"{POLARS}, one sink per file", polars.cpu_seconds, by_cpu, TARGETS[POLARS],
            ours.peak_mb, note.format(f"{polars.in_words()}, wall ratio {ours.seconds / polars.seconds:.2f}"), size,
        ),
        Finding(
            NAME, rates[0], "Mt/s", f"{DUCKDB} COPY PARTITION_BY", rates[1], by_wall, TARGETS[DUCKDB],
            ours.peak_mb, note.format(f"{duckdb.in_words()}, CPU ratio {ours.cpu_seconds / duckdb.cpu_seconds:.2f}"), size,
        ),
    ]  # fmt: skip


BENCHMARK = Benchmark(
    NAME,
    "data",
    "raw CSV to partitioned zstd Parquet",
    [f"{name}: {'; '.join(map(str, conditions))}" for name, conditions in TARGETS.items()],
    (4 * market.DENSE_DAY,),
    (20 * market.DENSE_DAY,),
    measure,
)

if __name__ == "__main__":
    serve(SIDES)
