"""The disk is full, really: what a run was writing fails in words, nothing half-written is read, and with room the same run is whole.

What belongs here: a small disk under the whole state folder (raw store, S3, Postgres, Spark, DVC), filled up to some bytes. What must not:
single refused calls of the raw store (`tests/unit/lakehouse/test_raw_store_crash_points`).

With nothing left the first write fails; with a little the run gets some of the way: which write is the one that fails is not chosen here.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import running_stack
from tests.faults import test_crash_points_without_spark as without_spark
from tests.faults.crash_parent import Child, Witness, show
from tests.faults.scenario import DAY, OTHER_DAY, STATES, Scenario
from tests.faults.test_crash_points import INPUTS, TABLES
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.settings import Settings
from tick_assets.stack.supervisor import Supervisor

pytestmark = [pytest.mark.full, pytest.mark.stack]

DISK_MB = 400
LEFT_BYTES = (0, 40_000, 150_000, 400_000)
SERVERS = ("postgres", "s3")


@dataclass
class SmallDisk:
    """A disk of its own that can be filled."""

    folder: Path

    @contextmanager
    def filled(self, left_bytes: int) -> Iterator[None]:
        """Leave so many bytes while the block runs."""
        ballast = self.folder / "ballast"
        with ballast.open("wb") as stream:
            while (room := shutil.disk_usage(self.folder).free - left_bytes) > 0:
                stream.write(bytes(min(room, 1 << 22)))
                stream.flush()
        try:
            yield
        finally:
            ballast.unlink()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """A disk in memory, which root alone may mount."""
    folder = tmp_path_factory.mktemp("small disk")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tick", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"Expected to mount a small disk, which root may, was: {done.stderr.strip()}")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def settings(disk: SmallDisk, twin_port: int) -> Iterator[Settings]:
    """The servers that hold the data, all on the small disk."""
    with running_stack(disk.folder / "state folder", twin_port, "SYNEDGE", SERVERS) as made:
        yield made


@pytest.fixture(scope="module")
def scenario(settings: Settings) -> Scenario:
    """The small market's raw ticks in both states."""
    lakehouse = Lakehouse.from_settings(settings)
    lakehouse.ensure_tables()
    made = Scenario(lakehouse, RawStore(settings.raw_dir))
    made.record()
    return made


@pytest.fixture(scope="module")
def published(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """The same with clean ticks published in both states."""
    child = Child("clean", tmp_path_factory.mktemp("children") / "log.txt")
    for state in STATES:
        scenario.enter(state, INPUTS["clean"])
        child.run()
        scenario.remember(state, list(TABLES["clean"]))
    child.end()
    return scenario


@pytest.mark.parametrize("writer", ["clean", "sample"])
def test_spark_writer_on_a_full_disk_then_the_same_again(
    disk: SmallDisk, settings: Settings, published: Scenario, tmp_path: Path, writer: str
) -> None:
    witness = Witness(published.lakehouse, ObjectStore.from_settings(settings), TABLES[writer])
    child, expected, rows, state = Child(writer, tmp_path / "first.txt"), {}, [], "B"
    for each in STATES:
        published.enter(each, INPUTS[writer])
        child.run()
        expected[each] = witness.hashes()
    child.end()
    assert expected["A"] != expected["B"]
    for left in LEFT_BYTES:
        before, state = state, "A" if state == "B" else "B"
        published.enter(state, INPUTS[writer])
        rows.append({"writer": writer, "left": left, **run_full(disk, settings, Child(writer, tmp_path / f"{left}.txt"), left)})
        between = witness.hashes()
        assert all(found in (expected[before][table], expected[state][table]) for table, found in between.items())
        run(writer, tmp_path)
        assert witness.hashes() == expected[state]
        assert witness.branches() == []
    show(f"{writer} on a full disk", rows)
    assert rows[0]["exit code"] == 1
    assert all("Expected room on the disk of" in str(row["said"]) for row in rows if row["exit code"])


@pytest.mark.parametrize("writer", ["ingest", "training_set"])
def test_writer_without_spark_on_a_full_disk_then_the_same_again(
    disk: SmallDisk, settings: Settings, twin_port: int, tmp_path: Path, writer: str
) -> None:
    rows = []
    with without_spark.served_lake(settings, twin_port, tmp_path) as lake:
        if writer == "training_set":
            without_spark.fill_raw(lake, (DAY, OTHER_DAY))
            without_spark.make_silver(lake)
        witness = lake.witness(writer)
        without_spark.EMPTY[writer](lake)
        before = witness.hashes()
        run(writer, tmp_path)
        after, state = witness.hashes(), without_spark.STATE[writer](lake)
        for left in LEFT_BYTES:
            without_spark.EMPTY[writer](lake)
            rows.append({"writer": writer, "left": left, **run_full(disk, settings, Child(writer, tmp_path / f"{left}.txt"), left)})
            assert all(found in (before[table], after[table]) for table, found in witness.hashes().items())
            run(writer, tmp_path)
            assert (witness.hashes(), without_spark.STATE[writer](lake)) == (after, state)
    show(f"{writer} on a full disk", rows)
    assert rows[0]["exit code"] == 1
    assert all("Expected room on the disk of" in str(row["said"]) for row in rows if row["exit code"])


def run(writer: str, folder: Path) -> None:
    """Run a writer with nothing in its way."""
    child = Child(writer, folder / "free.txt")
    child.run()
    child.end()


def run_full(disk: SmallDisk, settings: Settings, child: Child, left_bytes: int) -> dict[str, object]:
    """Run a writer on the filled disk, make room and bring back what died of it; say how the writer ended and with which words."""
    started = time.monotonic()
    with disk.filled(left_bytes):
        code = child.run_and(0, lambda: None, is_held=False)
    states = {status.name: status.state for status in Supervisor(settings).status() if status.name in SERVERS}
    Supervisor(settings).up(lambda line: None, SERVERS)
    said = [line for line in child.log_tail(1_000_000).splitlines() if "Failure: Expected" in line]
    return {
        "exit code": code,
        "said": said[-1].partition("Failure: ")[2] if said else child.log_tail(300),
        "died of it": ", ".join(name for name, state in states.items() if state != "running"),
        "seconds": round(time.monotonic() - started, 1),
    }
