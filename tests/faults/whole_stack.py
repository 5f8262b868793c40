"""All servers of a stack and a small served market, for tests that kill what they like: the commands of a person, and what to look at.

What belongs here: running `tick`, finding processes by their records, waiting for a moment of a run, content of the lake. What must not:
which processes are killed and what is expected then (`test_killed_servers`, `test_killed_runs`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import psutil

from tests.conftest import ALL_SERVERS, running_stack
from tests.faults.scenario import MARKET
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.content_hash import content_hashes
from tick_assets.lakehouse.vendors.synthetic import generate_folder
from tick_assets.settings import Settings
from tick_assets.stack.processes import marked_processes
from tick_assets.stack.services.postgres import postmasters
from tick_assets.stack.supervisor import Supervisor
from tick_assets.tracking.orchestrator import Orchestrator, OrchestratorError, RunState

SYMBOL = "SYNEDGE"
DATES = (date(2024, 2, 6), date(2024, 2, 7), date(2024, 2, 8))
TABLES = ("raw.ticks", "silver.ticks", "silver.tick_rejects", "silver.features", "silver.labels")
SERVERS = ALL_SERVERS
TO_GOLD = ("backfill", "--symbols", SYMBOL, "--from", DATES[0].isoformat(), "--to", DATES[-1].isoformat())
KEYS = ("raw/ticks_csv", "raw/replica", "raw/ticks", "silver/ticks", "silver/tick_rejects", "silver/features", "silver/labels")
BACKFILL = (*TO_GOLD, "--select", " or ".join(f'key:"{key}"' for key in KEYS))
"""From the vendor to what training reads: bars and gold take as long again."""
TRAIN = ("train", SYMBOL)
TICK = (sys.executable, "-W", "ignore", "-m", "tick_assets.cli.main")
COMMAND_LIMIT_S = 280.0


@dataclass
class WholeStack:
    """The stack of one module. `hashes` and `sha256` are what a run that nobody disturbed gave."""

    settings: Settings
    log: Path
    hashes: dict[str, str] = field(default_factory=dict)
    sha256: str = ""

    @property
    def lakehouse(self) -> Lakehouse:
        return Lakehouse.from_settings(self.settings)

    # Commands.

    def tick(self, *arguments: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        done = subprocess.run([*TICK, *arguments], capture_output=True, text=True, timeout=COMMAND_LIMIT_S, check=False)
        assert done.returncode == 0, f"tick {' '.join(arguments)}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command as a person's other shell would."""
        with self.log.open("ab") as output:
            return subprocess.Popen([*TICK, *arguments], stdout=output, stderr=output, start_new_session=True)

    def end_of(self, client: subprocess.Popen[bytes], patience_s: float) -> str:
        """Say how a command ended, and end it when it does not by itself."""
        try:
            return f"exit code {client.wait(patience_s)}"
        except subprocess.TimeoutExpired:
            kill_group(client)
            return f"still there after {patience_s:.0f} s"

    # Servers.

    def states(self) -> dict[str, str]:
        return {status.name: status.state for status in Supervisor(self.settings).status() if status.name in SERVERS}

    def pids(self) -> dict[str, int | None]:
        return {status.name: status.pid for status in Supervisor(self.settings).status() if status.name in SERVERS}

    def kill(self, server: str) -> None:
        """Kill a server, by the pid that the stack recorded."""
        pid = self.pids()[server]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def processes(self) -> list[psutil.Process]:
        """Return every process of the stack: the servers and all that they started."""
        marked = [process for found in marked_processes(self.settings.home).values() for process in found]
        return [*marked, *postmasters(self.settings)]

    # Runs.

    def run_ids(self, job: str) -> set[str]:
        with Orchestrator.from_settings(self.settings) as dagster:
            return {run.run_id for run in dagster.runs(job, 100)}

    def wait_for(self, job: str, earlier: set[str], is_reached: Callable[[RunState], bool], limit_s: float = 120.0) -> str:
        """Wait until a run that is not among the earlier ones has come so far, and return its id."""
        with Orchestrator.from_settings(self.settings) as dagster:
            deadline = time.monotonic() + limit_s
            while time.monotonic() < deadline:
                for run in dagster.runs(job, 5):
                    if run.run_id not in earlier and is_reached(dagster.run(run.run_id)):
                        return run.run_id
                time.sleep(0.1)
        raise AssertionError(f"Expected a run of {job} to come so far within {limit_s:.0f} s, did not: {self.log.read_text()[-2000:]}")

    def wait_until_quiet(self, *jobs: str, limit_s: float = 240.0) -> dict[str, str]:
        """Wait until no run of these jobs is under way, retries included, and return how each run ended."""
        deadline = time.monotonic() + limit_s
        while True:
            try:
                with Orchestrator.from_settings(self.settings) as dagster:
                    runs = {run.run_id: run for job in jobs for run in dagster.runs(job, 100)}
                if all(run.is_finished for run in runs.values()):
                    return {run_id: run.status for run_id, run in runs.items()}
            except OrchestratorError:
                pass
            assert time.monotonic() < deadline, runs
            time.sleep(0.5)

    # The lake.

    def content(self) -> dict[str, str]:
        """Return the content hash of every partition, raw and silver."""
        found = {table: content_hashes(self.lakehouse, table, [SYMBOL], DATES) for table in TABLES}
        return {f"{table} {key}": value for table, hashes in found.items() for key, value in hashes.items()}

    def branches(self) -> list[str]:
        return [f"{table}:{branch}" for table in TABLES for branch in self.lakehouse.branches(table) if branch != "main"]

    def newest_sha256(self) -> str:
        """Return the model's sha-256 in the newest verdict."""
        return str(self.lakehouse.frame("evidence.verdicts", f"symbol == '{SYMBOL}'").sort("decided_at")["model_sha256"][-1])


def kill_group(client: subprocess.Popen[bytes]) -> None:
    """Kill a command and all in its process group."""
    os.killpg(client.pid, signal.SIGKILL)
    client.wait()


def in_step(name: str) -> Callable[[RunState], bool]:
    """Return the question whether a step is under way."""
    return lambda run: any(step.name == name and step.status == "IN_PROGRESS" for step in run.steps)


@contextmanager
def whole_stack(folder: Path, twin_port: int) -> Iterator[WholeStack]:
    """Run all servers and a vendor, and bring the market to what training reads once."""
    vendor = folder / "vendor" / "files"
    generate_folder(vendor, {SYMBOL: MARKET}, DATES, seed=3)
    with running_stack(folder / "state folder" / ".tick", twin_port, SYMBOL, ()) as settings, serving_vendor(vendor, settings, twin_port):
        stack = WholeStack(settings, folder / "clients.log")
        stack.tick(*BACKFILL)
        stack.hashes = stack.content()
        yield stack


@contextmanager
def serving_vendor(vendor: Path, settings: Settings, port: int) -> Iterator[None]:
    """Serve the market as the vendor would, by `tick vendor serve`."""
    command = [*TICK, "vendor", "serve", "--root", str(vendor), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        kill_group(server)
