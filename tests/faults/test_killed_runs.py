"""Kill -9 of runs on the whole stack: the run's worker, or the `tick` that waits for it; Dagster notices, and the same command mends it.

What belongs here: workers of data and training runs, killed at several steps, and the client's own death. What must not: kills of servers
(`test_killed_servers`), a writer's single commits (`test_crash_points`).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

import dagster as dg
import psutil
import pytest

from tests.faults.whole_stack import BACKFILL, TRAIN, WholeStack, in_step, kill_group, whole_stack

pytestmark = [pytest.mark.full, pytest.mark.stack]

INGEST_JOB, TRAIN_JOB = "ingest_ticks_job", "train_models_job"
NOTICED_WITHIN_S = 45.0
"""Within this time a run whose worker is gone has failed and its pool slots are free: three looks of the monitor on a loaded machine."""
DATA_STEPS = ("raw__ticks_csv", "raw__ticks", "clean_ticks", "sample_events")
MODEL_STEPS = ("datasets__training_set", "models__candidate", "models__walk_forward", "models__gate_verdict")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, twin_port: int) -> Iterator[WholeStack]:
    """All servers of this module, and the small market in silver."""
    with whole_stack(tmp_path_factory.mktemp("killed runs"), twin_port) as running:
        yield running


@pytest.fixture(scope="module")
def trained(stack: WholeStack) -> WholeStack:
    """The stack after one training that nobody disturbed."""
    stack.tick(*TRAIN)
    stack.sha256 = stack.newest_sha256()
    return stack


def start_until(stack: WholeStack, command: tuple[str, ...], job: str, step: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a command and return it and its run's id once the run has come to a step."""
    earlier = stack.run_ids(job)
    client = stack.start(*command)
    return client, stack.wait_for(job, earlier, in_step(step))


def worker_of(run_id: str) -> psutil.Process:
    """Return the process of a run, as the run itself said it."""
    with dg.DagsterInstance.get() as instance:
        events = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)]
    (pid,) = [event.engine_event_data.metadata["pid"].value for event in events if event and "Started process" in str(event.message)]
    return psutil.Process(int(str(pid)))


def kill_worker(run_id: str) -> None:
    """Kill a run's process and all that it started, Spark's too."""
    worker = worker_of(run_id)
    for process in [*worker.children(recursive=True), worker]:
        process.kill()


def claimed_slots(run_id: str) -> list[str]:
    """Return the pools in which a run holds a slot."""
    with dg.DagsterInstance.get() as instance:
        limits = instance.event_log_storage
        infos = [limits.get_concurrency_info(key) for key in limits.get_concurrency_keys()]
    return [info.concurrency_key for info in infos if any(slot.run_id == run_id for slot in info.claimed_slots)]


def wait_for_failure(stack: WholeStack, job: str, run_id: str) -> float:
    """Wait until a run has failed and holds no slot any more; return how long that took."""
    started = time.monotonic()
    stack.wait_for(job, stack.run_ids(job) - {run_id}, lambda run: run.is_finished, NOTICED_WITHIN_S)
    while slots := claimed_slots(run_id):
        assert time.monotonic() - started < NOTICED_WITHIN_S, slots
        time.sleep(0.5)
    return time.monotonic() - started


def check_data(stack: WholeStack) -> None:
    assert stack.content() == stack.hashes
    assert stack.branches() == []


def check_model(stack: WholeStack) -> None:
    assert stack.newest_sha256() == stack.sha256


@pytest.mark.parametrize("step", DATA_STEPS)
def test_killed_worker_of_a_data_run_fails_it_and_the_same_command_gives_equal_content(stack: WholeStack, step: str) -> None:
    _kill_worker_and_repeat(stack, BACKFILL, INGEST_JOB, step)
    check_data(stack)


@pytest.mark.parametrize("step", MODEL_STEPS)
def test_killed_worker_of_a_training_fails_it_and_the_same_command_gives_the_same_model(trained: WholeStack, step: str) -> None:
    _kill_worker_and_repeat(trained, TRAIN, TRAIN_JOB, step)
    check_model(trained)


def _kill_worker_and_repeat(stack: WholeStack, command: tuple[str, ...], job: str, step: str) -> None:
    """Kill the worker at a step: the run fails, its command says so; the same command succeeds, and a retry of the first does no harm."""
    client, run_id = start_until(stack, command, job, step)
    kill_worker(run_id)
    noticed_s = wait_for_failure(stack, job, run_id)
    assert stack.end_of(client, NOTICED_WITHIN_S) == "exit code 1"
    stack.tick(*command)
    ended = stack.wait_until_quiet(job)
    print(f"\nworker killed in {step}: failed and its slots free after {noticed_s:.0f} s; runs so far: {', '.join(ended.values())}")
    assert ended[run_id] == "FAILURE"


@pytest.mark.parametrize(
    ("command", "job", "step", "check"),
    [(BACKFILL, INGEST_JOB, "clean_ticks", check_data), (TRAIN, TRAIN_JOB, "models__candidate", check_model)],
    ids=["backfill", "train"],
)
def test_killed_client_leaves_its_run_and_the_same_command_gives_the_same(
    trained: WholeStack, command: tuple[str, ...], job: str, step: str, check: Callable[[WholeStack], None]
) -> None:
    client, run_id = start_until(trained, command, job, step)
    kill_group(client)
    trained.tick(*command)
    assert trained.wait_until_quiet(job)[run_id] == "SUCCESS"
    check(trained)


def test_worker_that_died_while_postgres_was_away_is_noticed_too(stack: WholeStack) -> None:
    """The code server's own watch ends with its first error; the monitor's does not."""
    client, run_id = start_until(stack, BACKFILL, INGEST_JOB, "clean_ticks")
    worker = worker_of(run_id)
    stack.kill("postgres")
    worker.kill()
    time.sleep(2)  # the code server looks twice a second
    stack.tick("up")
    wait_for_failure(stack, INGEST_JOB, run_id)
    print(f"\nits command: {stack.end_of(client, 5)}")
    stack.tick(*BACKFILL)
    stack.wait_until_quiet(INGEST_JOB)
    check_data(stack)
