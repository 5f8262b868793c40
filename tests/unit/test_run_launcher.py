"""The launcher's look at a run's process: its pid and its birth decide, a zombie counts as gone, another host is not judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from tick_assets.run_launcher import WatchedRunLauncher, is_there


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def health(host: str, pid: int | None) -> WorkerStatus:
    """Return what is said of a run that a code server on this host started as this process."""
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.add_run(dg.DagsterRun(job_name="job", tags={GRPC_INFO_TAG: json.dumps({"host": host})}))
        instance.report_engine_event("Launching", run)
        if pid is not None:
            instance.report_engine_event(f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid))
        launcher = WatchedRunLauncher()
        launcher.register_instance(instance)
        assert launcher.supports_check_run_worker_health
        return launcher.check_run_worker_health(run).status


def test_run_whose_process_lives_is_running(child: subprocess.Popen[bytes]) -> None:
    assert health("127.0.0.1", child.pid) is WorkerStatus.RUNNING


def test_run_whose_process_was_killed_is_not_found_even_as_a_zombie(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert health("127.0.0.1", child.pid) is WorkerStatus.NOT_FOUND
    child.wait()
    assert health("127.0.0.1", child.pid) is WorkerStatus.NOT_FOUND


def test_run_that_has_not_said_its_process_yet_is_running() -> None:
    assert health("127.0.0.1", None) is WorkerStatus.RUNNING


def test_run_on_another_host_is_not_judged(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    assert health("dagster-code", child.pid) is WorkerStatus.RUNNING


def test_process_that_got_the_pid_later_is_another_one(child: subprocess.Popen[bytes]) -> None:
    assert is_there(child.pid, time.time())
    assert not is_there(child.pid, time.time() - 3600)
