"""Raw writers that are killed, and raw writers whose disk refuses, at every commit point: all or nothing, and the next run completes.

What belongs here: the enumeration and what must hold at each point. What must not: the recording itself (`raw_recording`).
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.unit.lakehouse import raw_recording
from tests.unit.lakehouse.raw_recording import COMMIT_CALLS, SOURCE, SYMBOL, before_commit_calls, current_rows, run_again, run_all
from tick_assets.lakehouse.durable_files import TEMPORARY_PREFIX, remove_leftovers, write_file
from tick_assets.lakehouse.raw_store import RawStore

PROJECT_ROOT = Path(__file__).resolve().parents[3]
MEANWHILE = 2
"""Killed processes at a time."""


@pytest.fixture
def patched_os(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Restore what `before_commit_calls` replaces."""
    with monkeypatch.context() as patch:
        for name in COMMIT_CALLS:
            patch.setattr(os, name, getattr(os, name))
        yield patch


def count_commit_calls(root: Path, patch: pytest.MonkeyPatch) -> int:
    numbers: list[int] = []
    before_commit_calls(numbers.append)
    run_all(root)
    patch.undo()
    return len(numbers)


def leftovers(root: Path) -> list[str]:
    """Temporary files and parts; both are hidden from readers and must not stay after a run that ended well."""
    return [path.name for path in root.rglob(".*") if path.name.startswith(TEMPORARY_PREFIX) or path.name.endswith(".part")]


def orphans(root: Path) -> list[str]:
    """CSV files that no manifest lists."""
    store = RawStore(root)
    listed = {entry.file for manifest in store.manifests() for entry in manifest.revisions}
    return [path.name for path in root.rglob("*.csv") if path.name not in listed]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """What a reader sees before the first step and after each, and the canonical hashes at the end."""
    root = tmp_path_factory.mktemp("whole") / "raw"
    return raw_recording.states_seen(root), raw_recording.canonical_hashes(root)


def killed_at(root: Path, number: int) -> int:
    """Run the recording in a process that kills itself before that commit call; return how it ended."""
    command = [sys.executable, "-m", raw_recording.__name__, str(root), str(number)]
    return subprocess.run(command, cwd=PROJECT_ROOT, check=False, capture_output=True, timeout=60).returncode


def judge(root: Path, states: list[str], hashes: list[str]) -> dict[str, Any]:
    """Say what is wrong with what a killed writer left, and with what the next run makes of it; nothing where all holds."""
    wrong: dict[str, Any] = {}
    if current_rows(root) not in states:
        wrong["a reader saw neither an old nor a new state"] = current_rows(root)
    if RawStore(root).verify():
        wrong["a listed file was not whole"] = RawStore(root).verify()
    run_again(root)
    if current_rows(root) != states[-1] or raw_recording.canonical_hashes(root) != hashes:
        wrong["the next run gave other rows"] = raw_recording.canonical_hashes(root)
    if RawStore(root).verify() or leftovers(root) or orphans(root):
        wrong["the next run left"] = (RawStore(root).verify(), leftovers(root), orphans(root))
    return wrong


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.full)])
def test_killed_at_commit_points_leaves_all_or_nothing_and_the_next_run_completes(
    tmp_path: Path, patched_os: pytest.MonkeyPatch, uninterrupted: tuple[list[str], list[str]], every: int
) -> None:
    """SIGKILL before each mkdir, fsync, rename and unlink (`make test`: every seventh); after one call is before the next."""
    states, hashes = uninterrupted
    points = count_commit_calls(tmp_path / "counted", patched_os)
    killed = range(0, points, every)
    with ThreadPoolExecutor(MEANWHILE) as pool:
        ends = list(pool.map(lambda number: killed_at(tmp_path / f"{number}", number), [*killed, points]))
    assert points > 40
    assert ends == [-signal.SIGKILL] * len(killed) + [0]
    assert {number: wrong for number in killed if (wrong := judge(tmp_path / f"{number}", states, hashes))} == {}


def test_disk_that_is_full_at_every_commit_point_leaves_all_or_nothing_with_a_clear_error(
    tmp_path: Path, patched_os: pytest.MonkeyPatch, uninterrupted: tuple[list[str], list[str]]
) -> None:
    """The n-th mkdir, fsync, rename or unlink is refused."""
    code = errno.ENOSPC
    states, hashes = uninterrupted
    points = count_commit_calls(tmp_path / "counted", patched_os)
    originals = {name: getattr(os, name) for name in COMMIT_CALLS}
    for number in range(points):
        root = tmp_path / f"{number}"

        def refuse(at: int, number: int = number) -> None:
            if at == number:
                raise OSError(code, os.strerror(code))

        before_commit_calls(refuse)
        with pytest.raises(OSError, match=os.strerror(code)) as raised:
            run_all(root)
        for name, original in originals.items():
            setattr(os, name, original)
        assert raised.value.errno == code
        assert judge(root, states, hashes) == {}


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "No space left on device"), (errno.EROFS, "Read-only file system"), (errno.EACCES, "Permission denied")],
)
def test_write_file_names_the_file_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    path = tmp_path / "kept"
    write_file(path, b"before")

    def refuse(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, refuse)
            with pytest.raises(OSError, match=f"Expected to write 5 bytes, was: {words}.*kept"):
                write_file(path, b"after")
    assert path.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_write_file_over_the_limit_of_a_real_file_system_leaves_what_was_there(tmp_path: Path) -> None:
    """The kernel itself stops the write in the middle, as a full disk does."""
    path = tmp_path / "kept"
    write_file(path, b"before")
    script = f"""
import resource, signal
from pathlib import Path
from tick_assets.lakehouse.durable_files import write_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
write_file(Path({str(path)!r}), b"x" * 100_000)
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=PROJECT_ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "Expected to write 100000 bytes, was: File too large" in ended.stderr
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("kept", b"before")]


def test_remove_leftovers_keeps_what_a_living_writer_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = tmp_path / f"{TEMPORARY_PREFIX}dead"
    dead.write_bytes(b"half")
    removed: list[int] = []
    original = os.fsync

    def sweeping(descriptor: int) -> None:
        removed.append(remove_leftovers(tmp_path))
        original(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sweeping)
        write_file(tmp_path / "kept", b"whole")
    assert removed[0] == 1
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("kept", b"whole")]


def test_leftovers_of_a_killed_writer_are_swept_by_the_next_process(store: RawStore) -> None:
    folder = store.folder(SOURCE, SYMBOL)
    for place in (folder, folder / "delivered", folder / "quarantine"):
        place.mkdir(parents=True)
        (place / f"{TEMPORARY_PREFIX}dead").write_bytes(b"half")
    store.keep_delivered(SOURCE, SYMBOL, b"whole")
    assert leftovers(store.root) == []
