"""road: vendor hours to gold by `tick backfill`, over HTTP from the vendor's twin, in a stack of its own; one fresh stack a size.

What belongs here: the run, its stages, the cost per tick. What must not: starting servers (`own_stack`), stages themselves.

The clock covers the command from start to exit: launching the run, fetching, raw files, replica, Parquet, Spark, features, bars, dbt and
reports. Starting the stack is not in it, nor are a server's first minutes: a backfill of one earlier date comes first, whose seconds the
note tells, since they are what a run costs however few its ticks are. There is no rival: the cost per tick of the largest size is compared
with that of the smallest.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from benchmarks import market
from benchmarks.findings import RATIO, VALUE, Condition, Finding
from benchmarks.own_stack import MemoryWatch, environment_of, free_ports, running, settings_of, twin
from benchmarks.plan import Benchmark, Plan
from benchmarks.turns import ROOT

if TYPE_CHECKING:
    from tick_assets.settings import Settings

NAME, UNIT = "road", "k ticks/s"
RATE = Condition(VALUE, ">=", 150, UNIT)
FLAT = Condition(RATIO, "<=", 1.1)
SERVERS = ("trino", "dagster", "dagster-daemon")
EARLIER = timedelta(days=3)
"""From a Monday back to a Friday."""
STAGES = {"clean_ticks": "silver__ticks", "bars": "silver__bars_1s", "sample_events": "silver__features"}
"""Steps that make several tables, and the one under which the resource ledger keeps them."""
LOG_TAIL_LINES = 20


def measure(plan: Plan, size: int) -> list[Finding]:
    """Run one backfill over a market of this size; the first finding is the whole, the others are its stages."""
    dates, per_day = market.shape(size, market.USUAL_DAY, market.SYMBOLS)
    earlier = dates[0] - EARLIER
    folder = market.vendor_folder(plan.cache, market.SYMBOLS, [earlier, *dates], per_day, plan.report)
    ticks = market.ticks_of(folder, market.SYMBOLS, dates)
    home, port = plan.work / f"road {size}", free_ports(1)[0]
    settings = settings_of(home, market.SYMBOLS, f"http://127.0.0.1:{port}")
    plan.report(f"  {ticks:,} ticks of {len(dates) * len(market.SYMBOLS)} symbol-days; starting a stack in {home}")
    with running(settings, SERVERS, plan.report) as supervisor, twin(folder, port, plan.work / "twin.log"):
        alone = _backfill(settings, [earlier], plan)
        watch = MemoryWatch(supervisor)
        with watch.watching():
            seconds = _backfill(settings, dates, plan)
        _require_gold(settings, dates, ticks)
        stages = _stages(settings, dates, ticks, size)
    note = f"{ticks:,} ticks, vendor to gold in {seconds:.1f} s, {seconds / ticks * 1e6:.2f} us a tick; one date before it: {alone:.1f} s"
    peak = f"{note}; peak of all servers and runs"
    whole = Finding(NAME, ticks / 1e3 / seconds, UNIT, None, None, None, (RATE,), watch.peak_mb, peak, size)
    return [whole, *stages]


def _backfill(settings: Settings, dates: Sequence[date], plan: Plan) -> float:
    """Run the command and return its seconds."""
    command = [sys.executable, "-m", "tick_assets.cli.main", "backfill", "--symbols", ",".join(market.SYMBOLS), "--json"]
    command += ["--from", dates[0].isoformat(), "--to", dates[-1].isoformat()]
    log = plan.work / "backfill.log"
    began = time.perf_counter()
    with log.open("w") as stream:
        done = subprocess.run(command, cwd=ROOT, env=environment_of(settings), stdout=stream, stderr=stream, check=False)
    seconds = time.perf_counter() - began
    lines = log.read_text(errors="replace").splitlines()
    if done.returncode:
        tail = "\n  | ".join(lines[-LOG_TAIL_LINES:])
        raise RuntimeError(f"Expected the backfill to succeed, was exit code {done.returncode}. It said:\n  | {tail}")
    return seconds


def _require_gold(settings: Settings, dates: Sequence[date], ticks: int) -> None:
    """Refuse a road that lost ticks: gold must count every one that the vendor's hours hold."""
    from tick_assets.lakehouse.query import TrinoQuery

    found = int(TrinoQuery.from_settings(settings).scalar(f"select sum(raw_rows) from gold.symbol_days where date >= date '{dates[0]}'"))
    if found != ticks:
        raise RuntimeError(f"Expected {ticks:,} raw rows in gold.symbol_days, was {found:,}: the road lost or doubled ticks.")


def _stages(settings: Settings, dates: Sequence[date], ticks: int, size: int) -> list[Finding]:
    """Return what each step of the run took, as Dagster says it, with the memory that the resource ledger saw; bars are one step."""
    from tick_assets.tracking.orchestrator import Orchestrator

    with Orchestrator.from_settings(settings) as orchestrator:
        (newest,) = orchestrator.runs("ingest_ticks_job", limit=1)
        run = orchestrator.run(newest.run_id)
    lines = [json.loads(line) for path in settings.resources_dir.glob("*.jsonl") for line in path.read_text().splitlines()]
    peaks = {line["stage"].replace("/", "__"): line["peak_mb"] for line in lines if dates[0].isoformat() in line["dates"]}
    return [_stage(step.name, step.seconds or 0.0, peaks.get(STAGES.get(step.name, step.name)), ticks, size) for step in run.steps]


def _stage(name: str, seconds: float, peak_mb: float | None, ticks: int, size: int) -> Finding:
    rate = ticks / 1e3 / seconds if seconds else 0.0
    return Finding(NAME, rate, f"{UNIT} {name}", None, None, None, (), peak_mb, f"step {name} of {ticks:,} ticks: {seconds:.1f} s", size)


def flatness(runs: Sequence[Sequence[Finding]]) -> list[Finding]:
    """Return the cost per tick of the largest size as a share of the smallest one's."""
    wholes = sorted((found[0] for found in runs), key=lambda each: each.ticks)
    small, large = wholes[0], wholes[-1]
    costs = [1e3 / each.value for each in (large, small)]
    shown = ", ".join(f"{each.ticks:,}: {1e3 / each.value:.2f} us" for each in wholes)
    rival = f"itself at {small.ticks:,} ticks"
    return [Finding(NAME, costs[0], "us a tick", rival, costs[1], costs[0] / costs[1], (FLAT,), large.peak_mb, shown, large.ticks)]


BENCHMARK = Benchmark(
    NAME,
    "data",
    "vendor hours to gold by one backfill, everything included",
    [str(RATE), f"cost per tick of the largest size against the smallest: {FLAT}"],
    (1_000_000,),
    (2_000_000, 5_000_000, 20_000_000),
    measure,
    needs_servers=True,
    summarize=flatness,
)
