"""silver: clean raw rows with reject reasons and publish them, by a warm Spark session, beside the same cleaning in bare polars.

What belongs here: our side and its rival. What must not: judging other than by TARGET, filling the lake (`local_lake`).

Both read the same raw.ticks files from the local disk, and two cores. Ours goes on to Iceberg: branch, audit by another engine, content
hashes, publication. The rival writes two Parquet files a day and checks nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import local_lake, market
from benchmarks.findings import RATIO, VALUE, Condition, Finding
from benchmarks.own_stack import environment_of, settings_of
from benchmarks.plan import Benchmark, Plan
from benchmarks.side import Work, serve
from benchmarks.turns import Side, in_turn

NAME, ROUNDS = "silver", 3
OURS, POLARS = "ours", "polars"
TARGET = (Condition(RATIO, "<=", 3.0), Condition(VALUE, ">=", 1.0, "Mt/s"))


@contextmanager
def spark_session() -> Iterator[Any]:
    """Run a Spark session of this process's settings; a benchmark's process has the environment for it."""
    from tick_assets.resources import SparkEngine

    session = SparkEngine().session
    try:
        yield session
    finally:
        session.stop()


class _Held:
    """A session that lives as long as the side, opened when the side is made."""

    def __init__(self) -> None:
        self._session = spark_session()
        self.session = self._session.__enter__()

    def __enter__(self) -> _Held:
        return self

    def __exit__(self, *failure: Any) -> None:
        self._session.__exit__(*failure)


def held_session() -> _Held:
    """Return an open session to hand to `Work.during`."""
    return _Held()


def _ours(lake: str, store: str, symbols: list[str], dates: list[str]) -> Work:
    from tick_assets.lakehouse.day_files import by_spark
    from tick_assets.lakehouse.raw_store import RawStore
    from tick_assets.lakehouse.spark import most_tasks
    from tick_assets.settings import load_settings

    held, lakehouse, raw = held_session(), local_lake.open_lake(Path(lake)), RawStore(Path(store))
    days = [date.fromisoformat(day) for day in dates]

    def run() -> local_lake.Published:
        return local_lake.publish_ticks(by_spark(held.session, most_tasks(load_settings())), lakehouse, raw, symbols, days)

    return Work(run, lambda done: done.rows, detail=lambda done: {"files_s": done.files_s}, during=held)


def _polars(lake: str, store: str, symbols: list[str], dates: list[str]) -> Work:
    files = local_lake.local_paths(local_lake.data_files(local_lake.open_lake(Path(lake)), "raw.ticks"))
    target, pool = Path(lake) / "polars", ThreadPoolExecutor(2)

    def prepare() -> None:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()

    return Work(lambda: list(pool.map(lambda path: _clean(path, target), files)), sum, prepare=prepare, during=pool)


def _clean(path: str, target: Path) -> int:
    """Clean one symbol-day, and return its rows."""
    import polars as pl

    from tick_assets.lakehouse.silver import REJECTS, TICKS, clean_day
    from tick_assets.lakehouse.tables import definition_of

    rows = pl.read_parquet(path, hive_partitioning=False)
    key = (rows["symbol"][0], rows["date"][0])
    made = clean_day(key, rows, {key: "bench"})
    for table in (TICKS, REJECTS):
        kept = made[table].select(name for name in made[table].columns if name in definition_of(table).column_types)
        kept.write_parquet(target / f"{table}.{key[0]}.{key[1]}.parquet", compression="zstd", compression_level=3)
    return len(made[TICKS]) + len(made[REJECTS])


SIDES = {OURS: _ours, POLARS: _polars}


def measure(plan: Plan, size: int) -> list[Finding]:
    """Measure both sides over the same raw rows."""
    dates, per_day = market.shape(size, market.USUAL_DAY, market.SYMBOLS)
    store = market.raw_store(plan.cache, market.SYMBOLS, dates, per_day, plan.report)
    lake = plan.work / "silver lake"
    plan.report("  filling raw.ticks")
    local_lake.fill_raw(local_lake.open_lake(lake), store, market.SYMBOLS, dates)
    settings = settings_of(plan.work / "spark home", market.SYMBOLS)
    arguments = {
        "lake": str(lake),
        "store": str(store.root),
        "symbols": list(market.SYMBOLS),
        "dates": [each.isoformat() for each in dates],
    }
    environment = environment_of(settings) | {"POLARS_MAX_THREADS": "2"}
    sides = [Side(name, "benchmarks.silver", arguments, environment=environment) for name in SIDES]
    found = in_turn(sides, plan.rounds_of(ROUNDS), plan.work, plan.report)
    ours, rival = found[OURS], found[POLARS]
    note = (
        f"{ours.rows:,} ticks of {len(dates) * len(market.SYMBOLS)} symbol-days, two cores, local disk; with audit and publication; "
        f"{ours.in_words()}, of it {ours.detail('files_s'):.3g} s to read, clean and write files; {rival.in_words()}"
    )
    rates = (ours.million_rows_per_s, rival.million_rows_per_s)
    return [Finding(NAME, rates[0], "Mt/s", POLARS, rates[1], ours.seconds / rival.seconds, TARGET, ours.peak_mb, note, size)]


BENCHMARK = Benchmark(
    NAME,
    "data",
    "clean, reject with reasons, publish silver.ticks by Spark",
    [f"{POLARS}: {'; '.join(map(str, TARGET))}"],
    (2_000_000,),
    (8_000_000,),
    measure,
)

if __name__ == "__main__":
    serve(SIDES)
