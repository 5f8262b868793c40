"""What watches a process that is killed: starting it, and what its death left in the lake.

What belongs here: the child's commands and answers; content hashes, visible rows, branches and orphan files. What must not: which points
there are (`test_crash_points`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from tests.faults.scenario import DAY, SYMBOL
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.content_hash import content_hash
from tick_assets.lakehouse.object_store import ObjectStore

ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).with_name("crash_child.py")


class Child:
    """One process that runs a writer on command."""

    def __init__(self, writer: str, log: Path) -> None:
        reading, writing = os.pipe()
        self._log = log
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", str(CHILD), writer, str(writing)],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                text=True,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                pass_fds=[writing],
                start_new_session=True,
            )
        os.close(writing)
        self._answers = os.fdopen(reading)

    def run(self, day: date = DAY) -> list[str]:
        """Run the writer to its end and return its commit points."""
        points = self._send(f"run {day}")
        assert points[-1:] == ["done"], f"the writer failed: {self.log_tail()}"
        return points[:-1]

    def kill(self, index: int, side: str) -> str:
        """Run the writer until it ends itself at a commit point, and return that point's name."""
        points = self._send(f"kill {DAY} {index} {side}")
        self.end()
        assert len(points) == index + 1, f"expected the end at point {index}, was {points}: {self.log_tail()}"
        assert self.process.returncode == -signal.SIGKILL
        return points[-1]

    def run_and(self, count: int, act: Callable[[], None], day: date = DAY, *, is_held: bool) -> int:
        """Run the writer, do something when it comes to its so many-th commit point, and return its exit code, 0 if it came through.

        A writer that is held waits at that point until it is done.
        """
        points = self._send(f"run {day}", count, self._held(act) if is_held else act)
        self.process.stdin.close()  # type: ignore[union-attr]
        code = self.process.wait()
        self.end()
        return 0 if points[-1:] == ["done"] else code

    def _held(self, act: Callable[[], None]) -> Callable[[], None]:
        def held() -> None:
            os.killpg(self.process.pid, signal.SIGSTOP)
            try:
                act()
            finally:
                os.killpg(self.process.pid, signal.SIGCONT)

        return held

    def _send(self, command: str, count: int = 0, act: Callable[[], None] | None = None) -> list[str]:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        points: list[str] = []
        for line in self._answers:
            answer = json.loads(line)
            points.append(answer.get("point", "done"))
            if act and len(points) == count:
                act()
            if "done" in answer:
                break
        return points

    def end(self) -> None:
        """End what is left of the process and of all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._answers.close()

    def log_tail(self, characters: int = 3000) -> str:
        return self._log.read_text(errors="replace")[-characters:]


@dataclass(frozen=True)
class Witness:
    """Looks at the lake from outside."""

    lakehouse: Lakehouse
    objects: ObjectStore
    tables: tuple[str, ...]

    def hashes(self) -> dict[str, str]:
        """Return the content hash of each table as readers of main see it."""
        return {table: content_hash(self.lakehouse, table) for table in self.tables}

    def rows(self) -> int:
        return sum(sum(self.lakehouse.partition_rows(table).values()) for table in self.tables if self._is_by_day(table))

    def _is_by_day(self, table: str) -> bool:
        return len(self.lakehouse.table(table).spec().fields) == 2

    def branches(self) -> list[str]:
        return [f"{table}:{branch}" for table in self.tables for branch in self.lakehouse.branches(table) if branch != "main"]

    def orphans(self) -> int:
        """Return the number of data files in S3 that no snapshot of their table refers to."""
        return sum(len(self._stored(table) - self._referred(table)) for table in self.tables)

    def _stored(self, table: str) -> set[str]:
        prefix = self.lakehouse.table(table).location().removeprefix(f"s3://{self.objects.bucket}/") + "/data/"
        return {f"s3://{self.objects.bucket}/{key}" for key in self.objects.list_keys(prefix)}

    def _referred(self, table: str) -> set[str]:
        loaded = self.lakehouse.table(table)
        manifests = {manifest.manifest_path: manifest for snapshot in loaded.snapshots() for manifest in snapshot.manifests(loaded.io)}
        return {
            entry.data_file.file_path
            for manifest in manifests.values()
            for entry in manifest.fetch_manifest_entry(loaded.io, discard_deleted=True)
        }

    def visible(self, table: str, day: date) -> pl.DataFrame:
        """Return the rows of a silver table that gold and training would read: those of the listed publication."""
        listed = self.lakehouse.frame("evidence.publications", day_filter(SYMBOL, day))
        rows = self.lakehouse.frame(table, day_filter(SYMBOL, day))
        return rows.join(listed.select("publication_id"), on="publication_id", how="semi")


def show(title: str, rows: Sequence[dict[str, object]]) -> None:
    """Print a table of figures."""
    print(f"\n{title}")
    layout = {"tbl_rows": -1, "tbl_cols": -1, "tbl_width_chars": 200, "fmt_str_lengths": 60}
    with pl.Config(**layout, tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True):
        print(pl.DataFrame(list(rows)))
