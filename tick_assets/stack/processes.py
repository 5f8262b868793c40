"""Processes: start one in a session of its own, know whether a pid is still the one started, end it with all it started.

What belongs here: pids, signals and the record of them. What must not: what a process serves. A pid alone proves nothing, because the
system gives it to another process one day; every record therefore carries the process's birth, and nothing else is ever signalled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tick_assets.stack.environment import HOME_MARK, SERVICE_MARK

LAUNCH = (
    "import os, signal, sys\n"
    "signal.pthread_sigmask(signal.SIG_SETMASK, ())\n"
    "for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):\n"
    "    signal.signal(number, signal.SIG_DFL)\n"
    "os.execvp(sys.argv[1], sys.argv[1:])\n"
)
"""Started from a script's background, SIGINT is ignored and Dagster's servers then ignore SIGTERM too; exec keeps the pid."""
LOG_LIMIT_BYTES = 20_000_000


@dataclass(frozen=True)
class ProcessRecord:
    """One started process: enough to find it again and to be sure that it is the same."""

    pid: int
    birth: str
    port: int | None
    fingerprint: str


def birth_of(pid: int) -> str | None:
    """Return a text that no other process on this machine ever shares with this pid; None when there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{fields[19]}"
    except (FileNotFoundError, ProcessLookupError):
        return _birth_without_proc(pid)


def _birth_without_proc(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        return None
    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.Error:
        return None


def is_alive(record: ProcessRecord) -> bool:
    """Tell whether the recorded process itself still runs (a zombie does not)."""
    if birth_of(record.pid) != record.birth:
        return False
    try:
        return psutil.Process(record.pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


class StateFile:
    """The records of one state folder's services, as one JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def read(self) -> dict[str, ProcessRecord]:
        """Return the records; a missing or damaged file holds none (the marks find what runs all the same)."""
        try:
            return {name: ProcessRecord(**fields) for name, fields in json.loads(self._path.read_text()).items()}
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return {}

    def put(self, service: str, record: ProcessRecord) -> None:
        with self._lock:
            self._write({**self.read(), service: record})

    def remove(self, service: str) -> None:
        with self._lock:
            self._write({name: record for name, record in self.read().items() if name != service})

    def _write(self, records: Mapping[str, ProcessRecord]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        temporary.write_text(json.dumps({name: asdict(record) for name, record in records.items()}, indent=2) + "\n")
        temporary.replace(self._path)


def start(command: Iterable[str], variables: Mapping[str, str], folder: Path, log: Path) -> int:
    """Start a command with default signal handlers, in a session of its own, its output appended to a log; return its pid."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    launched = [sys.executable, "-I", "-S", "-c", LAUNCH, *command]
    with log.open("ab") as output:
        os.fchmod(output.fileno(), 0o600)
        process = subprocess.Popen(
            launched, env=dict(variables), cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    process.returncode = 0  # never waited for here: it outlives us, and `reap` collects it when it does not
    return process.pid


def reap(pid: int) -> None:
    """Collect a dead child of this very process, so that no zombie stays while a long caller (a demo, a test) lives."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def end(record: ProcessRecord | None, marked: Iterable[psutil.Process], number: signal.Signals, patience_s: float) -> bool:
    """End the recorded process, its descendants and the marked ones: first politely, then by force; tell whether all are gone."""
    tree = _tree(record)
    everyone = {process.pid: process for process in [*tree, *marked]}
    if record and is_alive(record):
        _signal([everyone[record.pid]], number)
        _wait([everyone[record.pid]], patience_s)
    rest = [process for process in everyone.values() if process.is_running()]
    _signal(rest, signal.SIGTERM)
    rest = _wait(rest, patience_s if not tree else min(patience_s, 5.0))
    _signal(rest, signal.SIGKILL)
    return not _wait(rest, 10.0)


def _tree(record: ProcessRecord | None) -> list[psutil.Process]:
    if record is None or not is_alive(record):
        return []
    try:
        process = psutil.Process(record.pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _wait(processes: list[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Wait until the processes are gone; return those that are not."""
    deadline = time.monotonic() + patience_s
    rest = processes
    while rest and time.monotonic() < deadline:
        for process in rest:
            reap(process.pid)
        rest = [process for process in rest if runs(process)]
        if rest:
            time.sleep(0.05)
    return rest


def runs(process: psutil.Process) -> bool:
    """Tell whether a process still does anything (a zombie does not)."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def marked_processes(home: Path) -> dict[str, list[psutil.Process]]:
    """Find the running processes that carry this state folder's mark, by service, this process and its ancestors excepted."""
    found: dict[str, list[psutil.Process]] = {}
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        if process.pid in spared:
            continue
        try:
            variables = process.environ()
        except (psutil.Error, OSError):
            continue
        if variables.get(HOME_MARK) == str(home):
            found.setdefault(variables.get(SERVICE_MARK, ""), []).append(process)
    return found


def memory_mb(record: ProcessRecord) -> int:
    """Return the resident megabytes of a process and its descendants."""
    total = 0
    for process in _tree(record):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return round(total / 1e6)
