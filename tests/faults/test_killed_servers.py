"""Kill -9 of each server of the stack, idle and at work: `tick up` brings back that one alone, and the same command gives the same result.

What belongs here: every server of the stack, at rest, in a data run, in training, and what listens where. What must not: kills of runs
themselves (`test_killed_runs`), servers that stop in good order (`test_stopped_servers`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import psutil
import pytest

from tests.faults.whole_stack import BACKFILL, SERVERS, SYMBOL, TO_GOLD, TRAIN, WholeStack, in_step, whole_stack
from tick_assets.tracking.orchestrator import RunState

pytestmark = [pytest.mark.full, pytest.mark.stack]

INGEST_JOB, TRAIN_JOB = "ingest_ticks_job", "train_models_job"
CLIENT_PATIENCE_S = 90.0
DBT_AT_WORK_S = 8.0
"""So long after its start dbt has connected and is building views or running their tests."""


def is_queued(run: RunState) -> bool:
    """Tell whether a run waits for the daemon, or for the code server that the daemon has asked."""
    return run.status in ("QUEUED", "STARTING")


CLEANING = in_step("clean_ticks")
IN_DATA_RUN: list[tuple[str, str, Callable[[RunState], bool]]] = [
    ("postgres", "silver", CLEANING),
    ("s3", "silver", CLEANING),
    ("dagster-code", "queued", is_queued),
    ("dagster-code", "silver", CLEANING),
    ("dagster-daemon", "queued", is_queued),
    ("dagster-daemon", "silver", CLEANING),
    ("dagster", "silver", CLEANING),
]
SEARCHING, JUDGING = in_step("models__candidate"), in_step("models__gate_verdict")
IN_TRAINING: list[tuple[str, str, Callable[[RunState], bool]]] = [
    ("postgres", "search", SEARCHING),
    ("s3", "search", SEARCHING),
    ("mlflow", "search", SEARCHING),
    ("mlflow", "verdict", JUDGING),
    ("dagster-code", "search", SEARCHING),
]


def names(cases: list[tuple[str, str, Callable[[RunState], bool]]]) -> list[str]:
    return [f"{server}-{moment}" for server, moment, _ in cases]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, twin_port: int) -> Iterator[WholeStack]:
    """All servers of this module, and the small market in silver."""
    with whole_stack(tmp_path_factory.mktemp("killed servers"), twin_port) as running:
        yield running


@pytest.fixture(scope="module")
def trained(stack: WholeStack) -> WholeStack:
    """The stack after one training that nobody disturbed."""
    stack.tick(*TRAIN)
    stack.sha256 = stack.newest_sha256()
    return stack


def listening(stack: WholeStack) -> dict[tuple[str, int], str]:
    """Return the addresses at which any process of the stack takes TCP connections, or that it bound for UDP, with its name."""
    found = {}
    for process in stack.processes():
        try:
            connections = process.net_connections(kind="inet")
        except psutil.Error:
            continue
        for each in connections:
            if each.status == psutil.CONN_LISTEN or (each.type.name == "SOCK_DGRAM" and each.laddr and not each.raddr):
                found[each.laddr.ip, each.laddr.port] = process.name()
    return found


def outside(addresses: dict[tuple[str, int], str]) -> dict[tuple[str, int], str]:
    """Return the addresses that another machine could reach."""
    plain = {address: ip_address(address[0].removeprefix("::ffff:")) for address in addresses}
    return {address: addresses[address] for address, ip in plain.items() if not ip.is_loopback}


def kill_and_bring_back(stack: WholeStack, server: str) -> None:
    """Kill a server and run `tick up`: it crashed, then runs, and no other one was started again."""
    before = stack.pids()
    stack.kill(server)
    assert stack.states()[server] == "crashed"
    started = time.monotonic()
    stack.tick("up")
    after = stack.pids()
    print(f"\n{server} killed, back after {time.monotonic() - started:.1f} s")
    assert stack.states() == dict.fromkeys(SERVERS, "running")
    assert [name for name in SERVERS if after[name] != before[name]] == [server]


def test_every_server_listens_on_loopback_only(stack: WholeStack) -> None:
    settings = stack.settings
    found = listening(stack)
    ports = {getattr(settings, f"{name}_port") for name in ("postgres", "s3", "trino", "mlflow", "dagster_code", "dagster", "service")}
    assert ports <= {port for _, port in found}
    assert outside(found) == {}


def test_run_with_spark_listens_on_loopback_only(stack: WholeStack) -> None:
    quiet, earlier = set(listening(stack)), stack.run_ids(INGEST_JOB)
    client, during = stack.start(*BACKFILL), dict[tuple[str, int], str]()
    stack.wait_for(INGEST_JOB, earlier, CLEANING)
    while client.poll() is None:
        during |= listening(stack)
        time.sleep(0.2)
    assert client.wait() == 0
    assert "java" in {name for address, name in during.items() if address not in quiet}  # Spark's driver
    assert outside(during) == {}


@pytest.mark.parametrize("server", SERVERS)
def test_idle_server_killed_comes_back_alone(stack: WholeStack, server: str) -> None:
    kill_and_bring_back(stack, server)
    assert stack.content() == stack.hashes


def test_all_servers_killed_at_once_come_back_and_the_same_command_gives_equal_content(stack: WholeStack) -> None:
    for server in SERVERS:
        stack.kill(server)
    assert set(stack.states().values()) == {"crashed"}
    stack.tick("up")
    assert set(stack.states().values()) == {"running"}
    stack.tick(*BACKFILL)
    assert stack.content() == stack.hashes


def test_trino_killed_while_gold_is_built_same_command_gives_gold_of_every_tick(stack: WholeStack) -> None:
    earlier = stack.run_ids(INGEST_JOB)
    client = stack.start(*TO_GOLD)
    stack.wait_for(INGEST_JOB, earlier, in_step("gold_views"), 200)
    time.sleep(DBT_AT_WORK_S)
    kill_and_bring_back(stack, "trino")
    print(f"trino killed, its command: {stack.end_of(client, CLIENT_PATIENCE_S)}")
    stack.tick(*TO_GOLD)
    stack.wait_until_quiet(INGEST_JOB)
    counts = "select (select sum(tick_count) from gold.symbol_days) as gold, (select count(*) from silver.ticks) as silver"
    (row,) = json.loads(stack.tick("sql", counts, "--format", "json"))
    assert row["gold"] == row["silver"] > 10_000
    assert stack.content() == stack.hashes


@pytest.mark.parametrize(("server", "moment", "is_reached"), IN_DATA_RUN, ids=names(IN_DATA_RUN))
def test_server_killed_in_a_data_run_same_command_gives_equal_content(
    stack: WholeStack, server: str, moment: str, is_reached: Callable[[RunState], bool]
) -> None:
    earlier = stack.run_ids(INGEST_JOB)
    client = stack.start(*BACKFILL)
    stack.wait_for(INGEST_JOB, earlier, is_reached)
    kill_and_bring_back(stack, server)
    print(f"{server} killed, run {moment}; its command: {stack.end_of(client, CLIENT_PATIENCE_S)}")
    started = time.monotonic()
    stack.tick(*BACKFILL)
    ended = {run: state for run, state in stack.wait_until_quiet(INGEST_JOB).items() if run not in earlier}
    print(f"the same command: {time.monotonic() - started:.0f} s; runs since: {', '.join(ended.values())}")
    assert stack.content() == stack.hashes
    assert stack.branches() == []


@pytest.mark.parametrize(("server", "moment", "is_reached"), IN_TRAINING, ids=names(IN_TRAINING))
def test_server_killed_in_training_same_command_gives_the_same_model(
    trained: WholeStack, server: str, moment: str, is_reached: Callable[[RunState], bool]
) -> None:
    earlier = trained.run_ids(TRAIN_JOB)
    client = trained.start("train", SYMBOL)
    trained.wait_for(TRAIN_JOB, earlier, is_reached)
    kill_and_bring_back(trained, server)
    print(f"{server} killed, training at {moment}; its command: {trained.end_of(client, CLIENT_PATIENCE_S)}")
    trained.tick(*TRAIN)
    assert trained.newest_sha256() == trained.sha256
    ended = {run: state for run, state in trained.wait_until_quiet(TRAIN_JOB).items() if run not in earlier}
    print(f"runs since: {', '.join(ended.values())}")
    assert trained.newest_sha256() == trained.sha256
