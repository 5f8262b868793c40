"""Spark's own servers on loopback: a standalone master with two workers, or a Connect server; ended by pid whatever happens.

What belongs here: command lines, ports, what the servers say, who listens where. What must not: the road, judging what it wrote.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.conftest import free_ports
from tick_assets.settings import Settings
from tick_assets.stack import processes
from tick_assets.stack.environment import service_environment
from tick_assets.stack.provision import package_dir, provisioned

MARK = "spark-servers"
DRIVER_MARK = "spark-driver"
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Worker:
    """One worker and the folder in which its executors run."""

    pid: int
    folder: Path

    def executors(self) -> set[str]:
        """Return the ids of executors that ever ran here."""
        return {path.name for path in self.folder.glob("app-*/*")}

    def processes(self) -> list[psutil.Process]:
        """Return the processes that the worker has started: executors and their Pythons."""
        return psutil.Process(self.pid).children(recursive=True)


@dataclass(frozen=True)
class Cluster:
    """A master and its workers."""

    address: str
    workers: tuple[Worker, ...]


@contextmanager
def running_cluster(settings: Settings, folder: Path, workers: int = 2) -> Iterator[Cluster]:
    """Run a standalone master and workers of one core and 1 GB."""
    ports = free_ports(2 + 2 * workers)
    address = f"spark://{settings.host}:{ports[0]}"
    with ExitStack() as running:
        running.callback(end_marked, settings)
        master = ["org.apache.spark.deploy.master.Master", "--host", settings.host, "--port", str(ports[0]), "--webui-port", str(ports[1])]
        _start(settings, "spark-class", master, folder / "master.log")
        wait_for(lambda: is_open(settings.host, ports[0]), "the master to listen")
        started = tuple(_worker(settings, folder, i, ports[2 + 2 * i :][:2], address) for i in range(workers))
        page = f"http://{settings.host}:{ports[1]}/json/"
        wait_for(lambda: asked(page).get("aliveworkers") == workers, f"{workers} workers to be registered")
        yield Cluster(address, started)


def _worker(settings: Settings, folder: Path, number: int, ports: Sequence[int], master: str) -> Worker:
    place = folder / f"worker{number}"
    options = {"--host": settings.host, "--port": ports[0], "--webui-port": ports[1], "--cores": 1, "--memory": "1g", "--work-dir": place}
    arguments = [str(part) for option in options.items() for part in option]
    pid = _start(settings, "spark-class", ["org.apache.spark.deploy.worker.Worker", *arguments, master], folder / f"worker{number}.log")
    return Worker(pid, place)


@contextmanager
def running_connect(settings: Settings, folder: Path) -> Iterator[str]:
    """Run a Connect server on two cores of this machine, and give its address."""
    (port,) = free_ports(1)
    properties = {
        "spark.master": "local[2]",
        "spark.driver.host": settings.host,
        "spark.driver.bindAddress": settings.host,
        "spark.driver.memory": "1g",
        "spark.ui.enabled": "false",
        "spark.local.dir": str(folder / "spark"),
        "spark.connect.grpc.binding.address": settings.host,
        "spark.connect.grpc.binding.port": str(port),
    }
    options = [part for item in properties.items() for part in ("--conf", "=".join(item))]
    server = ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", *options, "spark-internal"]
    with ExitStack() as running:
        running.callback(end_marked, settings)
        _start(settings, "spark-submit", server, folder / "connect.log")
        wait_for(lambda: is_open(settings.host, port), "the Connect server to listen")
        yield f"sc://{settings.host}:{port}"


def _start(settings: Settings, program: str, arguments: Sequence[str], log: Path) -> int:
    """Start one of Spark's programs under our mark, which all that it starts carries too."""
    home = package_dir("pyspark")
    variables = service_environment(settings, MARK) | {"SPARK_HOME": str(home)}
    return processes.start([str(home / "bin" / program), *arguments], variables, log.parent, log)


def end_marked(settings: Settings, mark: str = MARK) -> None:
    """End what carries a mark of this state folder: an executor outlives its worker when that is killed."""
    marked = processes.marked_processes(settings.home).get(mark, [])
    assert processes.end(None, marked, signal.SIGTERM, 10.0)


def jars_on_the_workers(settings: Settings) -> dict[str, str]:
    """Return the properties of a cluster that has the jars: no session ships them."""
    path = os.pathsep.join(str(jar) for jar in provisioned(settings).spark_jars)
    return {"spark.driver.extraClassPath": path, "spark.executor.extraClassPath": path}


def kill_in_mid_task(worker: Worker, is_busy: Callable[[str], bool]) -> str:
    """Kill a worker and its executor by SIGKILL while a task runs there, and return the executor's id.

    The executor is stopped first: a driver that still sees its task at work half a second later can't have had the answer.
    """
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for executor in worker.executors():
            if is_busy(executor):
                victims = worker.processes()
                _signal(victims, signal.SIGSTOP)
                time.sleep(0.5)
                if is_busy(executor):
                    _signal([psutil.Process(worker.pid), *victims], signal.SIGKILL)
                    return executor
                _signal(victims, signal.SIGCONT)
        time.sleep(0.02)
    raise AssertionError(f"Expected a task on the executors {worker.executors()} within {PATIENCE_S} s, saw none.")


def _signal(found: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in found:
        process.send_signal(number)


def asked(page: str) -> Any:
    """Return what a page of Spark says; an empty object while it does not answer."""
    try:
        answer = httpx.get(page, timeout=5.0, trust_env=False)
        return answer.json() if answer.status_code == 200 else {}
    except (httpx.HTTPError, ValueError):
        return {}


def events_of(folder: Path, *kinds: str) -> list[dict[str, Any]]:
    """Return the events of these kinds in the event log of the folder's only application."""
    (log,) = [path for path in folder.iterdir() if not path.name.startswith(".")]
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [event for event in events if event["Event"].removeprefix("SparkListener") in kinds]


def listening_elsewhere(found: Sequence[psutil.Process]) -> list[str]:
    """Return the sockets of processes at which another machine could reach them."""
    elsewhere = []
    for process in found:
        try:
            sockets = [each for each in process.net_connections("inet") if not each.raddr and each.laddr]
            elsewhere += [f"{process.pid} {process.name()} {each.laddr}" for each in sockets if not is_loopback(each.laddr.ip)]
        except psutil.NoSuchProcess:
            continue
    return elsewhere


def is_loopback(address: str) -> bool:
    """Tell whether an address is this machine's own, also as IPv6 writes one of IPv4."""
    return address.removeprefix("::ffff:").startswith("127.") or address == "::1"


def is_open(host: str, port: int) -> bool:
    """Tell whether somebody listens."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


def wait_for(is_so: Callable[[], bool], what: str) -> None:
    """Wait a minute at most until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"Expected {what} within {PATIENCE_S} s, was not so."
        time.sleep(0.2)
