"""Start, stop and look at the services of one state folder.

What belongs here: order, idempotence, the record, ports. What must not: anything about one particular server (see `services`).
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tick_assets.settings import Settings
from tick_assets.stack import processes
from tick_assets.stack.errors import StackError
from tick_assets.stack.processes import ProcessRecord, StateFile
from tick_assets.stack.provision import provisioned
from tick_assets.stack.secrets import ensure_secrets
from tick_assets.stack.service import Service, Site, is_port_free
from tick_assets.stack.services import ALL_SERVICES

Report = Callable[[str], None]
LOG_TAIL_LINES = 15
PORT_PATIENCE_S = 5.0


@dataclass(frozen=True)
class ServiceStatus:
    """What is known of one service: running, unhealthy, crashed, stopped, external (elsewhere) or absent (no code for it here)."""

    name: str
    state: str
    pid: int | None
    port: int | None
    memory_mb: int
    log: str

    @property
    def is_broken(self) -> bool:
        return self.state in ("crashed", "unhealthy")


class Supervisor:
    """The services of one state folder."""

    def __init__(self, settings: Settings, services: Sequence[Service] = ALL_SERVICES) -> None:
        self._settings = settings
        self._services = {service.name: service for service in services}
        self._folder = settings.home / "stack"
        self._given_up = threading.Event()
        self._state = StateFile(self._folder / "state.json")

    # Starting.
    def up(self, report: Report, only: Iterable[str] = (), extra: Iterable[str] = ()) -> list[ServiceStatus]:
        """Start what is not healthy, with what it needs; leave alone what is. Raise when a service does not come up.

        `only` names the services instead of all but the optional ones; `extra` names more.
        """
        ensure_secrets(self._settings)
        site = Site(self._settings, provisioned(self._settings))
        chosen = self._chosen(only, extra)
        with self._alone():
            started: list[Service] = []
            while waiting := self._waiting([service for service in chosen if service not in started]):
                self._clear(waiting)
                self._check_ports(waiting)
                self._start_all(site, waiting, report)
                started += waiting
            for service in chosen:
                if service not in started:
                    report(f"{service.name:<15} already running")
            self._refresh(site, chosen, started)
        return [status for status in self.status() if status.name in {service.name for service in chosen}]

    def _refresh(self, site: Site, chosen: Iterable[Service], restarted: Iterable[Service]) -> None:
        """Let services that kept running find what was restarted beneath them: Trino's first query on a dead connection fails."""
        names = {service.name for service in restarted}
        for service in chosen:
            if service.name not in names and names.intersection(service.needs):
                service.complete(site)

    def _chosen(self, only: Iterable[str], extra: Iterable[str] = ()) -> list[Service]:
        """Return the named services and what they need, or all; those elsewhere or not in this checkout are left out."""
        standard = [name for name, service in self._services.items() if not service.is_optional]
        names = [*(list(only) or standard), *extra]
        for name in [*only, *extra]:
            if name not in self._services:
                raise StackError(f"Expected a service among {', '.join(self._services)}, was {name}. Correct `--only`.")
            if not self._services[name].is_present():
                raise StackError(f"Expected the code of {name} in this checkout, found none. Leave it out of `--only`.")
        wanted = self._with_needs(names)
        return [
            service
            for name, service in self._services.items()
            if name in wanted and service.is_present() and not service.is_elsewhere(self._settings)
        ]

    def _with_needs(self, names: Iterable[str]) -> set[str]:
        wanted: set[str] = set()
        for name in names:
            wanted |= {name} | self._with_needs(self._services[name].needs)
        return wanted

    def _waiting(self, services: Sequence[Service]) -> list[Service]:
        """Return what is to be started now: what is not in order, except what lives and lacks only something that it needs.

        Whether that one is well can be seen once what it needs runs: the daemon, for one, has its health in Postgres.
        """
        broken = [service for service in services if not self._is_in_order(service)]
        names = {service.name for service in broken}
        return [service for service in broken if not (self._lives(service) and names.intersection(service.needs))]

    def _is_in_order(self, service: Service) -> bool:
        return self._lives(service) and service.is_healthy(self._settings)

    def _lives(self, service: Service) -> bool:
        record = self._state.read().get(service.name)
        return record is not None and processes.is_alive(record) and record.fingerprint == service.fingerprint(self._settings)

    def _clear(self, services: Sequence[Service]) -> None:
        """End what is left of services about to be started."""
        self._end_all(services, lambda line: None)

    def _check_ports(self, services: Iterable[Service]) -> None:
        taken = [message for service in services if (message := self._port_trouble(service))]
        if taken:
            raise StackError("\n".join(taken))

    def _port_trouble(self, service: Service) -> str | None:
        port = service.port(self._settings)
        if port is None or self._becomes_free(port):
            return None
        variable = f"TICK_{str(service.port_setting).upper()}"
        return (
            f"Expected port {port} to be free for {service.name}, was taken by {_listener(port) or 'another process'}. "
            f"Stop that process, or set {variable} to another port."
        )

    def _becomes_free(self, port: int) -> bool:
        """Tell whether a port is free; a killed server's threads may hold it a moment longer than the process is there."""
        deadline = time.monotonic() + PORT_PATIENCE_S
        while not is_port_free(self._settings.host, port):
            if _listener(port) or time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _start_all(self, site: Site, services: Sequence[Service], report: Report) -> None:
        """Start each service as soon as what it needs runs; gather every failure."""
        started: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(max_workers=max(1, len(services))) as pool:
            for service in services:
                needed = [started[name] for name in service.needs if name in started]
                started[service.name] = pool.submit(self._start_after, needed, site, service, report)
            self._wait_for(started.values())
        failures = [error for future in started.values() if (error := future.exception())]
        if failures:
            raise StackError("\n".join(dict.fromkeys(str(error) for error in failures))) from failures[0]

    def _wait_for(self, started: Iterable[Future[None]]) -> None:
        """Wait; on an interruption let the waiting threads give up, and leave to `down` what was started."""
        try:
            wait(started)
        except KeyboardInterrupt:
            self._given_up.set()
            raise

    def _start_after(self, needed: Iterable[Future[None]], site: Site, service: Service, report: Report) -> None:
        for future in needed:
            future.result()
        started = time.monotonic()
        try:
            service.fetch(site.settings, report)
            self._start(site, service)
        except (OSError, TimeoutError) as error:
            raise StackError(f"Expected {service.name} to start, was: {error}. Its log is {self._log(service.name)}.") from error
        where = _where(service, self._settings) + service.remark(self._settings)
        report(f"{service.name:<15} started in {time.monotonic() - started:.1f} s{where}")

    def _start(self, site: Site, service: Service) -> None:
        service.prepare(site)
        port = service.port(self._settings)
        pid = processes.start(service.command(site), service.variables(site), service.working_directory(site), self._log(service.name))
        record = ProcessRecord(pid, processes.birth_of(pid) or "", port, service.fingerprint(self._settings))
        self._state.put(service.name, record)
        self._wait_until_healthy(service, record)
        service.complete(site)

    def _wait_until_healthy(self, service: Service, record: ProcessRecord) -> None:
        deadline = time.monotonic() + service.start_limit_s
        while not service.is_healthy(self._settings):
            processes.reap(record.pid)
            if not processes.is_alive(record):
                raise StackError(self._start_failure(service, "ended at once"))
            if self._given_up.is_set() or time.monotonic() > deadline:
                raise StackError(self._start_failure(service, f"not healthy after {service.start_limit_s:.0f} s"))
            time.sleep(0.25)

    def _start_failure(self, service: Service, what: str) -> str:
        log = self._log(service.name)
        lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:] if log.exists() else []
        tail = "".join(f"\n  | {line}" for line in lines)
        return f"Expected {service.name} to start, was: {what}. Read {log}; its last lines:{tail}"

    # Stopping.
    def down(self, report: Report, only: Iterable[str] = ()) -> None:
        """End the services (all, or the named ones), what needs others first, and everything that they started."""
        names = set(only) or set(self._services)
        unknown = names - set(self._services)
        if unknown:
            raise StackError(f"Expected services among {', '.join(self._services)}, was {', '.join(sorted(unknown))}. Correct `--only`.")
        with self._alone():
            self._end_all([service for name, service in self._services.items() if name in names], report)

    def _end_all(self, services: Sequence[Service], report: Report) -> None:
        remaining = list(services)
        while remaining:
            needed = {name for service in remaining for name in service.needs}
            leaves = [service for service in remaining if service.name not in needed]
            found = processes.marked_processes(self._settings.home)
            marked = [found.get(service.name, []) for service in leaves]
            with ThreadPoolExecutor(max_workers=len(leaves)) as pool:
                ended = list(pool.map(self._end, leaves, marked, [report] * len(leaves)))
            if not all(ended):
                stuck = ", ".join(service.name for service, gone in zip(leaves, ended, strict=True) if not gone)
                raise StackError(f"Expected {stuck} to end, was still running after SIGKILL. Look at `tick status`.")
            remaining = [service for service in remaining if service not in leaves]

    def _end(self, service: Service, marked: list[psutil.Process], report: Report) -> bool:
        record = self._state.read().get(service.name)
        leftovers = [*marked, *service.leftovers(self._settings)]
        if record is None and not leftovers:
            return True
        was_running = bool(leftovers) or (record is not None and processes.is_alive(record))
        gone = processes.end(record, leftovers, service.stop_signal, service.stop_limit_s)
        if gone:
            self._state.remove(service.name)
            if was_running:
                report(f"{service.name:<15} stopped")
        return gone

    # Looking.
    def status(self) -> list[ServiceStatus]:
        """Return the state of every service."""
        records = self._state.read()
        with ThreadPoolExecutor(max_workers=len(self._services)) as pool:
            return list(pool.map(lambda service: self._status_of(service, records.get(service.name)), self._services.values()))

    def _status_of(self, service: Service, record: ProcessRecord | None) -> ServiceStatus:
        state = self._state_of(service, record)
        alive = record is not None and state in ("running", "unhealthy")
        return ServiceStatus(
            name=service.name,
            state=state,
            pid=record.pid if record and alive else None,
            port=record.port if record else service.port(self._settings),
            memory_mb=processes.memory_mb(record) if record and alive else 0,
            log=str(self._log(service.name)),
        )

    def _state_of(self, service: Service, record: ProcessRecord | None) -> str:
        if service.is_elsewhere(self._settings):
            return "external"
        if record is None:
            return "stopped" if service.is_present() else "absent"
        if not processes.is_alive(record):
            return "crashed"
        return "running" if service.is_healthy(self._settings) else "unhealthy"

    def _log(self, service: str) -> Path:
        return self._settings.logs_dir / f"{service}.log"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one `up` or `down` of a state folder run at a time."""
        self._folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _where(service: Service, settings: Settings) -> str:
    port = service.port(settings)
    return f" on {settings.host}:{port}" if port else ""


def _listener(port: int) -> str:
    """Name who listens on a port; empty when nobody does, or when this user may not know."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            try:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
            except psutil.NoSuchProcess:
                break
    return ""
