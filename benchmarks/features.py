"""features: the kernel over silver.ticks, sampled rows and labels to Iceberg, by warm Spark, beside the bare kernel in two processes.

What belongs here: our side and its rival. What must not: judging other than by TARGET, filling the lake (`local_lake`).

The rival has its ticks in memory, makes no labels and writes nothing: it is the limit of two cores, not another way to the same table.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import local_lake, market
from benchmarks.findings import RATIO, VALUE, Condition, Finding
from benchmarks.own_stack import environment_of, settings_of
from benchmarks.plan import Benchmark, Plan
from benchmarks.side import Work, serve
from benchmarks.silver import held_session
from benchmarks.turns import Side, in_turn

NAME, ROUNDS = "features", 3
OURS, BARE = "ours", "bare kernel, two processes"
TARGET = (Condition(RATIO, "<=", 2.5), Condition(VALUE, ">=", 1.0, "Mt/s"))

_days: list[Any] = []
"""The ticks of each symbol-day, read before the rival's processes are forked."""


def _ours(lake: str, symbols: list[str], dates: list[str]) -> Work:
    from tick_assets.domain.instruments import parse_market
    from tick_assets.domain.signals import Strategy
    from tick_assets.lakehouse import silver
    from tick_assets.lakehouse.day_files import by_spark
    from tick_assets.lakehouse.spark import most_tasks
    from tick_assets.settings import load_settings

    held, lakehouse = held_session(), local_lake.open_lake(Path(lake))
    settings, days = load_settings(), [date.fromisoformat(day) for day in dates]
    runner, instruments = by_spark(held.session, most_tasks(settings)), parse_market(settings.market_path.read_text())

    def run() -> None:
        write = partial(silver.event_files, runner, lakehouse, market=instruments, strategy=Strategy())
        local_lake.publish_files(lakehouse, (silver.FEATURES, silver.LABELS), symbols, days, write)

    return Work(run, lambda _: sum(lakehouse.partition_rows(silver.FEATURES).values()), during=held)


def _bare(lake: str, symbols: list[str], dates: list[str]) -> Work:
    import multiprocessing

    import polars as pl

    from tick_assets.domain.kernel import run_features
    from tick_assets.lakehouse.silver import TICKS, to_ticks

    for path in local_lake.local_paths(local_lake.data_files(local_lake.open_lake(Path(lake)), TICKS)):
        _days.append(to_ticks(pl.read_parquet(path, hive_partitioning=False).sort("seq")))
    run_features(_days[0])
    pool = ProcessPoolExecutor(2, multiprocessing.get_context("fork"))
    return Work(lambda: list(pool.map(_sample, range(len(_days)))), sum, during=pool)


def _sample(number: int) -> int:
    """Run the kernel over one day, and return how many events it sampled."""
    from tick_assets.domain.kernel import run_features

    return len(run_features(_days[number]).event_row)


SIDES = {OURS: _ours, BARE: _bare}


def measure(plan: Plan, size: int) -> list[Finding]:
    """Measure both sides over the same clean ticks; both must sample the same number of events."""
    from tick_assets.lakehouse.day_files import in_this_process

    dates, per_day = market.shape(size, market.USUAL_DAY, market.SYMBOLS)
    store = market.raw_store(plan.cache, market.SYMBOLS, dates, per_day, plan.report)
    folder = plan.work / "features lake"
    lakehouse = local_lake.open_lake(folder)
    plan.report("  filling raw.ticks and silver.ticks")
    local_lake.fill_raw(lakehouse, store, market.SYMBOLS, dates)
    local_lake.publish_ticks(in_this_process, lakehouse, store, market.SYMBOLS, dates)
    ticks = sum(lakehouse.partition_rows("silver.ticks").values())
    arguments = {"lake": str(folder), "symbols": list(market.SYMBOLS), "dates": [each.isoformat() for each in dates]}
    environment = environment_of(settings_of(plan.work / "spark home", market.SYMBOLS)) | {"POLARS_MAX_THREADS": "2"}
    sides = [Side(name, "benchmarks.features", arguments, environment=environment) for name in SIDES]
    found = in_turn(sides, plan.rounds_of(ROUNDS), plan.work, plan.report)
    ours, rival = found[OURS], found[BARE]
    note = (
        f"{ticks:,} ticks to {ours.rows:,} events, two cores, local disk; ours reads, labels, writes and publishes, the rival does not; "
        f"{ours.in_words()}; {rival.in_words()}"
    )
    rates = [ticks / 1e6 / each.seconds for each in (ours, rival)]
    return [Finding(NAME, rates[0], "Mt/s", BARE, rates[1], ours.seconds / rival.seconds, TARGET, ours.peak_mb, note, size)]


BENCHMARK = Benchmark(
    NAME,
    "data",
    "the kernel over silver.ticks, sampled rows to Iceberg, by Spark",
    [f"{BARE}: {'; '.join(map(str, TARGET))}"],
    (2_000_000,),
    (8_000_000,),
    measure,
)

if __name__ == "__main__":
    serve(SIDES)
