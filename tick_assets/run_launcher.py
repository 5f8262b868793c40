"""The run launcher: Dagster's own, which can also tell whether the process of a run is still there.

What belongs here: looking for one run's process. What must not: what follows from it; the daemon's run monitoring marks the run as failed
and frees its pool slots (`deploy/dagster.yaml`).

Without it a run whose process ended together with the code server, or while Postgres was away, stays STARTED for ever and keeps its place
in the queue and its slots: the code server alone watches its runs, and its watch ends with it or with its first error (tried).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import psutil
from dagster import DagsterEventType, DagsterRun
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

LOOPBACK = ("127.0.0.1", "localhost", "::1")
CLOCK_SLACK_S = 2.0


class WatchedRunLauncher(DefaultRunLauncher):
    """Runs are processes of the code server, as by default; one whose process is gone is reported as such."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Say that the run's process is gone only where it would be seen: started by a code server of this very host, its pid known."""
        if not _is_here(run):
            return CheckRunHealthResult(WorkerStatus.RUNNING, "on another host")
        for pid, said_at in self._processes(run):
            if not is_there(pid, said_at):
                return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"Expected process {pid} of the run, was gone")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def _processes(self, run: DagsterRun) -> Iterator[tuple[int, float]]:
        """Yield the pid that the run's process wrote when it began, and when that was."""
        for entry in self._instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT):
            event = entry.dagster_event
            if event and (event.message or "").startswith("Started process for run"):
                yield int(str(event.engine_event_data.metadata["pid"].value)), entry.timestamp


def _is_here(run: DagsterRun) -> bool:
    return json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("host") in LOOPBACK


def is_there(pid: int, said_at: float) -> bool:
    """Tell whether the process that had this pid at that time still runs: a zombie does not, nor one that got the pid later."""
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() < said_at + CLOCK_SLACK_S)
    except psutil.Error:
        return False
