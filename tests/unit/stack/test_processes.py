"""Processes: a pid that is not ours is never signalled, and nothing that we started stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tick_assets.stack import processes
from tick_assets.stack.environment import HOME_MARK, SERVICE_MARK
from tick_assets.stack.processes import ProcessRecord, StateFile

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


@pytest.fixture
def foreign() -> Iterator[subprocess.Popen[bytes]]:
    """A process that the stack did not start."""
    with subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def record_of(pid: int) -> ProcessRecord:
    return ProcessRecord(pid, processes.birth_of(pid) or "", None, "")


def start_and_wait(command: list[str], folder: Path, marks: dict[str, str] | None = None) -> ProcessRecord:
    log = folder / "log"
    pid = processes.start(command, {**os.environ, **(marks or {})}, folder, log)
    for _ in range(500):
        if "up" in log.read_text():
            break
        time.sleep(0.02)
    return record_of(pid)


def test_end_recycled_pid_is_not_signalled(foreign: subprocess.Popen[bytes]) -> None:
    recycled = ProcessRecord(foreign.pid, "another boot:12345", None, "")
    assert processes.end(recycled, [], signal.SIGTERM, 1.0)
    assert foreign.poll() is None


def test_is_alive_other_birth_is_dead(foreign: subprocess.Popen[bytes]) -> None:
    assert processes.is_alive(record_of(foreign.pid))
    assert not processes.is_alive(ProcessRecord(foreign.pid, "another boot:12345", None, ""))


def test_end_polite_process_ends(tmp_path: Path) -> None:
    record = start_and_wait(SLEEP, tmp_path)
    assert processes.end(record, [], signal.SIGTERM, 5.0)
    assert not processes.is_alive(record)


def test_end_stubborn_process_is_killed(tmp_path: Path) -> None:
    record = start_and_wait(STUBBORN, tmp_path)
    assert processes.end(record, [], signal.SIGTERM, 0.3)
    assert not processes.is_alive(record)


def test_start_under_ignored_signals_still_ends_on_sigterm(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        record = start_and_wait(SLEEP, tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)
    os.kill(record.pid, signal.SIGTERM)
    assert os.waitpid(record.pid, 0)[1] == signal.SIGTERM


def test_end_takes_descendants_along(tmp_path: Path) -> None:
    parent = [sys.executable, "-c", f"import subprocess, time; subprocess.Popen({SLEEP!r}); time.sleep(60)"]
    record = start_and_wait(parent, tmp_path)
    child = psutil.Process(record.pid).children()[0]
    assert processes.end(record, [], signal.SIGTERM, 5.0)
    assert not processes.runs(child)


def test_marked_processes_finds_an_orphan_by_its_home(tmp_path: Path) -> None:
    record = start_and_wait(SLEEP, tmp_path, {HOME_MARK: str(tmp_path), SERVICE_MARK: "trino"})
    found = processes.marked_processes(tmp_path)
    assert [process.pid for process in found["trino"]] == [record.pid]
    assert processes.marked_processes(tmp_path / "other") == {}
    processes.end(None, found["trino"], signal.SIGTERM, 5.0)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"trino": {"pid": 1}}'])
def test_state_file_damaged_holds_no_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert StateFile(tmp_path / "state.json").read() == {}


def test_state_file_keeps_the_other_records(tmp_path: Path) -> None:
    state = StateFile(tmp_path / "stack" / "state.json")
    first, second = ProcessRecord(1, "a", 10, "x"), ProcessRecord(2, "b", None, "y")
    state.put("postgres", first)
    state.put("trino", second)
    state.remove("postgres")
    assert state.read() == {"trino": second}
