"""The road on more than one process: Spark's two-worker cluster and Connect server, Trino's second worker; all write and read the same.

What belongs here: what only real servers can show: equal content hashes, who did the work, a killed worker, who listens. What must not:
configuration alone (`tests/unit/lakehouse/test_spark`).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import free_ports, running_stack
from tests.faults.scenario import SOURCE, crossed, outcomes
from tests.integration import spark_servers
from tests.integration.gold_views import build_gold_views, gold_names, gold_rows
from tests.integration.spark_servers import DRIVER_MARK, MARK, Cluster, asked, events_of, running_cluster, running_connect
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.lakehouse import hour_ledger, raw_ticks
from tick_assets.lakehouse.catalog import Lakehouse, partition_filter
from tick_assets.lakehouse.content_hash import content_hash, content_hash_of_rows
from tick_assets.lakehouse.executors import PACKAGE
from tick_assets.lakehouse.query import TrinoQuery
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.tables import TABLES, definition_of
from tick_assets.settings import Settings, load_settings
from tick_assets.stack import processes
from tick_assets.stack.environment import service_environment
from tick_assets.stack.supervisor import Supervisor

pytestmark = [pytest.mark.full, pytest.mark.stack]

SYMBOLS = ("SYNEDGE", "SYNNULL")
DAYS = tuple(date(2024, 2, 5) + timedelta(days=i) for i in range(4))
SILVER = tuple(name for name in TABLES if name.startswith("silver."))
DRIVER = Path(spark_servers.__file__).with_name("spark_driver.py")


@dataclass(frozen=True)
class Lake:
    """A lake with raw ticks of eight symbol-days, and the content hashes of what local Spark made of them."""

    settings: Settings
    lakehouse: Lakehouse
    local: dict[str, str]

    def hashes(self) -> dict[str, str]:
        return {name: content_hash(self.lakehouse, name) for name in SILVER}

    def rows(self) -> dict[str, int]:
        return {name: sum(self.lakehouse.partition_rows(name).values()) for name in SILVER}

    def clear(self) -> None:
        """Empty silver, so that equal hashes can't be those of an earlier run."""
        for name in (*SILVER, "evidence.publications"):
            self.lakehouse.replace_rows(name, [], partition_filter(SYMBOLS))
        assert set(self.rows().values()) == {0}


@dataclass(frozen=True)
class Drive:
    """A running driver: its process, its log, the page on which Spark says what it does, and the folder of its event log."""

    process: subprocess.Popen[bytes]
    log: Path
    page: str
    events: Path

    def end(self) -> int:
        """Wait for the driver and return its exit code."""
        return self.process.wait(240)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def active_tasks(self, executor: str) -> int:
        """Return how many tasks the driver believes to be at work on an executor."""
        listed = [each for app in asked(self.page) or [] for each in asked(f"{self.page}/{app['id']}/executors") or []]
        return sum(int(each["activeTasks"]) for each in listed if each["id"] == executor)

    def tasks(self, reason: str) -> list[str]:
        """Return the executor of each task that ended so."""
        ended = events_of(self.events, "TaskEnd")
        return [event["Task Info"]["Executor ID"] for event in ended if event["Task End Reason"]["Reason"] == reason]


def drive(folder: Path, properties: dict[str, str] | None = None, **place: Any) -> Drive:
    """Start the assets that use Spark on the given place."""
    folder.mkdir()
    (port,) = free_ports(1)
    page = {"spark.ui.enabled": "true", "spark.ui.port": str(port)}
    log = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": (folder / "events").as_uri(), "spark.eventLog.compress": "false"}
    (folder / "events").mkdir()
    all_properties = page | log | {"spark.eventLog.rolling.enabled": "false"} | (properties or {})
    settings = load_settings(**place, spark_properties=all_properties)
    with (folder / "driver.log").open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(DRIVER), str(DAYS[0]), str(DAYS[-1])],
            env=service_environment(settings, DRIVER_MARK),
            cwd=folder,  # a Python worker imports from its working directory first, which locally is the driver's
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
    return Drive(process, folder / "driver.log", f"http://{settings.host}:{port}/api/v1/applications", folder / "events")


def record_market(settings: Settings, lakehouse: Lakehouse) -> None:
    """Write raw files and raw rows of a market in which some quotes are crossed."""
    store, now = RawStore(settings.raw_dir), datetime(2024, 2, 10, tzinfo=UTC)
    for symbol in SYMBOLS:
        for day in DAYS:
            ticks = crossed(generate_day(SyntheticMarket(k=2.0, mean_gap_s=4.0), 3, symbol, day).ticks, every=50)
            store.record(SOURCE, symbol, day, 100_000, outcomes(ticks, day, range(24), now), now=now)
    raw_ticks.write_days(lakehouse, store, SYMBOLS, DAYS, [SOURCE], print)
    hour_ledger.publish(lakehouse, store, SYMBOLS, DAYS, [SOURCE])


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, twin_port: int) -> Iterator[Lake]:
    """A stack of this file's own, filled once by local Spark."""
    folder = tmp_path_factory.mktemp("cluster")
    with running_stack(folder / ".tick", twin_port, ",".join(SYMBOLS), ("postgres", "s3", "trino")) as settings:
        lakehouse = Lakehouse.from_settings(settings)
        lakehouse.ensure_tables()
        record_market(settings, lakehouse)
        try:
            local = drive(folder / "local", spark_master="local[2]")
            assert local.end() == 0, local.tail()
            filled = Lake(settings, lakehouse, {})
            assert min(filled.rows().values()) > 0
            yield Lake(settings, lakehouse, filled.hashes())
        finally:
            spark_servers.end_marked(settings, DRIVER_MARK)


@pytest.fixture
def cluster(lake: Lake, tmp_path: Path) -> Iterator[Cluster]:
    """Two workers on loopback, and an empty silver."""
    lake.clear()
    try:
        with running_cluster(lake.settings, tmp_path) as running:
            yield running
    finally:
        spark_servers.end_marked(lake.settings, DRIVER_MARK)


def on_cluster(lake: Lake, cluster: Cluster, folder: Path) -> Drive:
    """Start the assets on the cluster; the driver may be sent a megabyte at most, which is less than the rows are."""
    properties = spark_servers.jars_on_the_workers(lake.settings) | {"spark.driver.maxResultSize": "1m"}
    return drive(folder, properties, spark_master=cluster.address, spark_executor_memory="512m", spark_jars="")


def all_processes(settings: Settings) -> list[psutil.Process]:
    """Return every process of the state folder: the stack's, Spark's and the driver's."""
    return [process for found in processes.marked_processes(settings.home).values() for process in found]


def read_by_trino(settings: Settings, table: str) -> str:
    """Return the content hash of a table's rows as Trino reads them."""
    columns = definition_of(table).content_columns
    return content_hash_of_rows(table, columns, TrinoQuery.from_settings(settings).rows(f"select {', '.join(columns)} from {table}"))


def test_cluster_of_two_workers_writes_what_local_spark_writes(lake: Lake, cluster: Cluster, tmp_path: Path) -> None:
    run, open_sockets, most = on_cluster(lake, cluster, tmp_path / "run"), set[str](), 0
    while run.process.poll() is None:
        seen = all_processes(lake.settings)
        open_sockets.update(spark_servers.listening_elsewhere(seen))
        most = max(most, len(seen))
        time.sleep(0.5)
    assert run.end() == 0, run.tail()
    by_worker = [sum(executor in worker.executors() for executor in run.tasks("Success")) for worker in cluster.workers]
    print(f"\ntasks by worker: {by_worker}; rows: {lake.rows()}; processes watched: {most}")
    assert min(by_worker) > 0
    assert sum(by_worker) >= 3 * len(SYMBOLS) * len(DAYS)
    assert open_sockets == set()
    assert lake.hashes() == lake.local


@pytest.mark.parametrize("table", ["raw.ticks", *SILVER])
def test_trino_reads_what_local_spark_wrote(lake: Lake, table: str) -> None:
    expected = lake.local.get(table) or content_hash(lake.lakehouse, table)
    assert read_by_trino(lake.settings, table) == expected


def test_worker_killed_in_mid_task_changes_no_row(lake: Lake, cluster: Cluster, tmp_path: Path) -> None:
    run = on_cluster(lake, cluster, tmp_path / "run")
    killed = spark_servers.kill_in_mid_task(cluster.workers[1], lambda executor: run.active_tasks(executor) > 0)
    assert run.end() == 0, run.tail()
    lost = run.tasks("ExecutorLostFailure")
    print(f"\nlost on executor {killed}: {len(lost)} tasks; done: {len(run.tasks('Success'))}")
    assert set(lost) == {killed}
    assert lake.hashes() == lake.local


def test_connect_server_writes_what_local_spark_writes(lake: Lake, tmp_path: Path) -> None:
    lake.clear()
    try:
        with running_connect(lake.settings, tmp_path) as address:
            run = drive(tmp_path / "run", spark_remote=address, spark_jars="")
            assert run.end() == 0, run.tail()
            assert spark_servers.listening_elsewhere(processes.marked_processes(lake.settings.home)[MARK]) == []
    finally:
        spark_servers.end_marked(lake.settings, DRIVER_MARK)
    assert lake.hashes() == lake.local


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"lakehouse/silver.py": "changed = True\n"},
            r"Expected tick_assets sources \w{12} as at the driver, was tick_assets sources \w{12}",
        ),
        (
            {"lakehouse/__init__.py": "raise ImportError('not here')\n"},
            r"Expected tick_assets \(sources \w{12}\) as at the driver, was not there",
        ),
    ],
    ids=["other sources", "not installed"],
)
def test_executor_with_other_code_is_refused_before_it_writes(lake: Lake, tmp_path: Path, files: dict[str, str], said: str) -> None:
    other = copied_package(tmp_path / "other", files)
    before = lake.hashes()
    run = drive(tmp_path / "run", {"spark.executorEnv.PYTHONPATH": str(other)}, spark_master="local[2]")
    assert run.end() != 0
    assert re.search(said, run.log.read_text()), run.tail()
    assert lake.hashes() == before


def copied_package(folder: Path, files: dict[str, str]) -> Path:
    """Copy the package, put more text into some of its files, and return the folder to import it from."""
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in files.items():
        with (folder / PACKAGE.name / name).open("a") as stream:
            stream.write(text)
    return folder


@pytest.fixture
def second_worker(lake: Lake, tmp_path: Path) -> Iterator[int]:
    """Trino's second worker beside the coordinator, as `tick up --with trino-worker` starts it; its pid."""
    build_gold_views(lake.settings, tmp_path)
    supervisor = Supervisor(lake.settings)
    supervisor.up(print, ["trino"], ["trino-worker"])
    yield next(status.pid for status in supervisor.status() if status.name == "trino-worker" and status.pid)
    supervisor.down(print, ["trino-worker"])


def active_nodes(trino: TrinoQuery) -> set[str]:
    return {node for (node,) in trino.rows("select node_id from system.runtime.nodes where state = 'active'")}


def nodes_of(trino: TrinoQuery, sql: str) -> set[str]:
    """Run a query and return the nodes on which its splits were worked off."""
    marked = f"/* {time.monotonic_ns()} */ {sql}"
    trino.rows(marked)
    of_query = "select query_id from system.runtime.queries where query = ?"
    return {
        node for (node,) in trino.rows(f"select node_id from system.runtime.tasks where splits > 0 and query_id in ({of_query})", [marked])
    }


def test_trino_on_two_nodes_answers_as_on_one_and_survives_a_killed_worker(lake: Lake, second_worker: int) -> None:
    trino, both = TrinoQuery.from_settings(lake.settings), {"tick-coordinator", "tick-worker"}
    names = gold_names(trino)
    assert active_nodes(trino) == both
    on_two = {name: gold_rows(trino, name) for name in names}
    assert nodes_of(trino, "select symbol, date, count(*), sum(bid_points) from silver.ticks group by 1, 2") == both
    assert spark_servers.listening_elsewhere(all_processes(lake.settings)) == []
    os.kill(second_worker, signal.SIGKILL)
    spark_servers.wait_for(lambda: active_nodes(trino) == {"tick-coordinator"}, "the coordinator to leave out the dead worker")
    on_one = {name: gold_rows(trino, name) for name in names}
    print(f"\nrows by view: { ({name: len(rows) for name, rows in on_one.items()}) }")
    assert on_one == on_two
    assert len(on_one["bars_1m"]) > 0
