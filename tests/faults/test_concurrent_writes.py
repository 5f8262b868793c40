"""Two runs write at once: of different days both succeed, of the same day one after the other; readers see one state or the other.

What belongs here: writers in processes of their own on real servers, a reader beside them. What must not: kills (`test_crash_points`).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.faults.crash_parent import Child
from tests.faults.scenario import DAY, OTHER_DAY, SOURCE, STATES, SYMBOL, Scenario
from tick_assets.lakehouse import hour_ledger, raw_ticks
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.content_hash import content_hash, content_hashes
from tick_assets.lakehouse.partition_locks import PartitionBusyError, PartitionLocks, PostgresSession
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.settings import Settings, load_settings

pytestmark = pytest.mark.stack

SPAWNED = multiprocessing.get_context("spawn")
WRITES = 6
SPARK_RUNS = 3


@pytest.fixture(scope="module")
def scenario(data_stack: Settings) -> Scenario:
    """The small market's raw files in both states, and `raw.ticks` in the second."""
    lakehouse = Lakehouse.from_settings(data_stack)
    lakehouse.ensure_tables()
    made = Scenario(lakehouse, RawStore(data_stack.raw_dir))
    made.record()
    return made


@pytest.fixture(scope="module")
def stores(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A raw folder of each state."""
    import shutil

    folders = {}
    for state in STATES:
        scenario.enter(state, [])
        folders[state] = tmp_path_factory.mktemp("raw") / state
        shutil.copytree(scenario.store.root, folders[state])
    return folders


def write_again_and_again(root: Path, day: date) -> None:
    """Replace one date of `raw.ticks` some times: what a process of this test does."""
    lakehouse = Lakehouse.from_settings(load_settings())
    for _ in range(WRITES):
        raw_ticks.write_days(lakehouse, RawStore(root), [SYMBOL], [day], [SOURCE], print, f"process {os.getpid()}")


def states_of(scenario: Scenario, stores: dict[str, Path], day: date) -> set[str]:
    """Return the content hashes that a date has in one state or the other."""
    found = set()
    for root in stores.values():
        raw_ticks.write_days(scenario.lakehouse, RawStore(root), [SYMBOL], [day], [SOURCE], print)
        found |= set(content_hashes(scenario.lakehouse, "raw.ticks", [SYMBOL], [day]).values())
    return found


def read_while(lakehouse: Lakehouse, table: str, allowed: dict[date, set[str]], is_writing: Callable[[], bool]) -> tuple[int, int]:
    """Read both dates as long as others write, and return the reads and those that saw rows of no one state."""
    reads = mixed = 0
    while is_writing() or reads == 0:
        for day, states in allowed.items():
            (seen,) = content_hashes(lakehouse, table, [SYMBOL], [day]).values()
            reads, mixed = reads + 1, mixed + (seen not in states)
    return reads, mixed


@pytest.mark.parametrize("days", [(DAY, OTHER_DAY), (DAY, DAY)], ids=["different days", "the same day"])
def test_two_processes_write_raw_ticks_at_once(scenario: Scenario, stores: dict[str, Path], days: Sequence[date]) -> None:
    allowed = {day: states_of(scenario, stores, day) for day in days}
    before = len(scenario.lakehouse.table("raw.ticks").snapshots())
    writers = [SPAWNED.Process(target=write_again_and_again, args=(root, day)) for root, day in zip(stores.values(), days, strict=True)]
    for writer in writers:
        writer.start()
    reads, mixed = read_while(scenario.lakehouse, "raw.ticks", allowed, lambda: any(writer.is_alive() for writer in writers))
    commits = len(scenario.lakehouse.table("raw.ticks").snapshots()) - before
    print(f"\n{2 * WRITES} writes of {days[0]} and {days[1]}, {commits} snapshots: {reads} reads, {mixed} mixed")
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert reads >= 10
    assert mixed == 0
    assert commits == 2 * WRITES


def publish_ledger_again_and_again(root: Path, day: date) -> None:
    """Replace one date of the hour ledger some times; the table is partitioned by symbol alone, so other dates lie in the same files."""
    lakehouse = Lakehouse.from_settings(load_settings())
    for _ in range(WRITES):
        hour_ledger.publish(lakehouse, RawStore(root), [SYMBOL], [day], [SOURCE])


def test_two_processes_write_dates_of_one_ledger_partition_at_once(scenario: Scenario, stores: dict[str, Path]) -> None:
    days, root = (DAY, OTHER_DAY), stores["B"]
    hour_ledger.publish(scenario.lakehouse, RawStore(root), [SYMBOL], days, [SOURCE])
    before = content_hash(scenario.lakehouse, "evidence.hour_ledger")
    writers = [SPAWNED.Process(target=publish_ledger_again_and_again, args=(root, day)) for day in days]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(300)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert content_hash(scenario.lakehouse, "evidence.hour_ledger") == before


def hold_for_ever(day: date, ready: object) -> None:
    """Hold a partition until killed."""
    locks = Lakehouse.from_settings(load_settings()).locks
    with locks.hold(["raw.ticks"], [SYMBOL], [day], "holder", print):
        ready.set()  # type: ignore[attr-defined]
        time.sleep(600)


@pytest.fixture
def holder(data_stack: Settings) -> multiprocessing.process.BaseProcess:
    """A process that holds one day of `raw.ticks`."""
    ready = SPAWNED.Event()
    process = SPAWNED.Process(target=hold_for_ever, args=(DAY, ready), daemon=True)
    process.start()
    assert ready.wait(60)
    return process


def test_day_that_another_process_holds_is_refused_with_its_name(data_stack: Settings, holder: multiprocessing.process.BaseProcess) -> None:
    url, told = data_stack.postgres_database_url("catalog"), []
    locks = PartitionLocks(lambda name: PostgresSession(url, name), patience_s=1.0)
    with locks.hold(["raw.ticks"], [SYMBOL], [OTHER_DAY], "other day", told.append) as held:
        assert held.is_alive("holder")
    said = rf"raw.ticks\|{SYMBOL}\|{DAY} to be free within 1 s, was held by tick run holder pid {holder.pid} on"
    with pytest.raises(PartitionBusyError, match=said):
        locks.hold(["raw.ticks"], [SYMBOL], [DAY], "me", told.append).__enter__()
    assert told
    os.kill(holder.pid or 0, signal.SIGKILL)
    started = time.monotonic()
    with PartitionLocks.of_postgres(url).hold(["raw.ticks"], [SYMBOL], [DAY], "me", told.append) as held:
        assert time.monotonic() - started < 5
        assert not held.is_alive("holder")


def test_years_of_a_symbol_exclude_one_day_of_it(data_stack: Settings, holder: multiprocessing.process.BaseProcess) -> None:
    years = [DAY - timedelta(days=400) + timedelta(days=i) for i in range(800)]
    url = data_stack.postgres_database_url("catalog")
    locks = PartitionLocks(lambda name: PostgresSession(url, name), patience_s=0.5)
    with locks.hold(["raw.ticks"], ["SYNNULL"], years, "another symbol", print):
        pass
    with pytest.raises(PartitionBusyError, match=rf"raw.ticks\|{SYMBOL} to be free"):
        locks.hold(["raw.ticks"], [SYMBOL], years, "years", print).__enter__()
    os.kill(holder.pid or 0, signal.SIGKILL)


def run_again_and_again(child: Child, day: date) -> int:
    """Run a writer of a date some times and return how often it came to its end."""
    return sum(bool(child.run(day)) for _ in range(SPARK_RUNS))


@pytest.mark.full
@pytest.mark.parametrize("days", [(DAY, OTHER_DAY), (DAY, DAY)], ids=["different days", "the same day"])
def test_two_spark_runs_clean_at_once(scenario: Scenario, tmp_path: Path, days: Sequence[date]) -> None:
    scenario.enter("A", ["raw.ticks"])
    children = [Child("clean", tmp_path / f"child {i}.log") for i in range(len(days))]
    allowed: dict[date, set[str]] = {day: set() for day in (DAY, OTHER_DAY)}
    for state in ("B", "A"):
        scenario.enter(state, ["raw.ticks"])
        for day in allowed:
            children[0].run(day)
            allowed[day] |= set(content_hashes(scenario.lakehouse, "silver.ticks", [SYMBOL], [day]).values())
    children[1].run(days[1])
    scenario.enter("B", ["raw.ticks"])
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(run_again_and_again, child, day) for child, day in zip(children, days, strict=True)]
        reads, mixed = read_while(scenario.lakehouse, "silver.ticks", allowed, lambda: not all(run.done() for run in runs))
        assert [run.result() for run in runs] == [SPARK_RUNS, SPARK_RUNS]
    for child in children:
        child.end()
    waits = sum((tmp_path / f"child {i}.log").read_text().count("event=partition_lock_waiting") for i in range(len(days)))
    print(f"\n{2 * SPARK_RUNS} runs of {days[0]} and {days[1]}: {reads} reads, {mixed} mixed, {waits} waits for a lock")
    assert mixed == 0
    assert scenario.lakehouse.branches("silver.ticks") == ["main"]
