"""A stack of a benchmark's own: servers of a state folder below the work folder, on free ports, ended afterwards; and the vendor's twin.

What belongs here: starting and ending. What must not: measuring, configuration of the caller's own stack.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.turns import ROOT

if TYPE_CHECKING:
    from benchmarks.plan import Report
    from tick_assets.settings import Settings
    from tick_assets.stack.supervisor import Supervisor

PORTS = ("postgres_port", "s3_port", "trino_port", "mlflow_port", "dagster_code_port", "dagster_port", "service_port")
START_PATIENCE_S = 30.0
SAMPLE_S = 0.5


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def settings_of(home: Path, symbols: Sequence[str], vendor: str = "http://127.0.0.1:9") -> Settings:
    """Return the settings of a state folder with servers of its own; the cache and the machine's market file are the caller's."""
    from tick_assets.settings import Settings, load_settings

    caller = load_settings()
    elsewhere: dict[str, Any] = {name: "" for name in Settings.model_fields if name.endswith("_url") or name == "s3_endpoint"}
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    road = {"symbols": tuple(symbols), "source": "synthetic-twin", "source_order": (), "vendor_url": vendor, "vendor_json_url": vendor}
    own = {"home": home, "config": None, "cache": caller.cache, "spark_master": "local[2]", "spark_jars": ""}
    return Settings(**{**elsewhere, **own, **road, **ports})


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment of a process of these settings; their secrets are made where they are not."""
    from tick_assets.stack.environment import service_environment
    from tick_assets.stack.secrets import ensure_secrets

    settings.home.mkdir(parents=True, exist_ok=True)
    ensure_secrets(settings)
    return service_environment(settings, "bench")


@contextmanager
def running(settings: Settings, servers: Sequence[str], report: Report) -> Iterator[Supervisor]:
    """Run servers (none named: all) of a state folder, and end them."""
    from tick_assets.stack.supervisor import Supervisor

    supervisor = Supervisor(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        supervisor.up(lambda line: report(f"    {line}"), servers)
        yield supervisor
    finally:
        supervisor.down(lambda line: None)


@contextmanager
def twin(folder: Path, port: int, log: Path) -> Iterator[None]:
    """Serve vendor hours in a process of its own until the end."""
    command = [sys.executable, "-m", "tick_assets.cli.main", "vendor", "serve", "--root", str(folder), "--port", str(port)]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream)
    try:
        _await(process, port, log)
        yield
    finally:
        process.terminate()
        process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"Expected the vendor's twin to listen at {port}, was not so. Its log {log} ends: {log.read_text()[-500:]}")


class MemoryWatch:
    """The highest memory of a stack's servers and all that they started."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.peak_mb = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sample until the end."""
        import psutil

        from tick_assets.lakehouse.resources_ledger import looking, memory_mb

        pids = [status.pid for status in self._supervisor.status() if status.pid]

        def look() -> None:
            alive = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
            self.peak_mb = max(self.peak_mb, sum(memory_mb(each) for each in alive))

        with looking(look, SAMPLE_S):
            yield
