"""The process that is killed: it runs one writer's assets, counts its commit points and ends itself at one of them by SIGKILL.

What belongs here: where a writer's state changes durably, found by wrapping functions from outside. What must not: judging what is left
(`test_crash_points`). Run as a program with the writer's name and a file descriptor for its answers; commands come line by line on stdin:
`run DATE`, or `kill DATE INDEX SIDE` with SIDE `before` or `after`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from tests.faults.scenario import SYMBOL


@dataclass
class CommitPoints:
    """Counts what the process commits, tells each to the parent, and kills the process at the chosen one."""

    answers: TextIO
    target: tuple[int, str] | None = None
    count: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, target: tuple[int, str] | None) -> None:
        self.target, self.count = target, 0

    def around(self, name: str, commit: Callable[[], Any]) -> Any:
        with self.guard:
            index = self.count
            self.count += 1
        self.tell({"point": name})
        self._end_at(index, "before")
        result = commit()
        self._end_at(index, "after")
        return result

    def tell(self, answer: dict[str, Any]) -> None:
        self.answers.write(json.dumps(answer) + "\n")
        self.answers.flush()

    def _end_at(self, index: int, side: str) -> None:
        if self.target == (index, side):
            os.kill(os.getpid(), signal.SIGKILL)


def wrap(owner: Any, name: str, points: CommitPoints, label: Callable[..., str]) -> None:
    """Make every call of a function that has a label a commit point."""
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        said = label(*args, **kwargs)
        return points.around(said, lambda: original(*args, **kwargs)) if said else original(*args, **kwargs)

    setattr(owner, name, wrapped)


PER_HOUR = ("delivered/", "quarantine/")
"""Objects that are as many as hours, and sent by several threads at once."""


def wrap_all(points: CommitPoints) -> None:
    """Wrap everything that makes a state durable: files, objects, catalog commits, DVC."""
    from dagster_dbt import DbtCliResource
    from pyiceberg.catalog.sql import SqlCatalog

    from tick_assets.lakehouse.object_store import ObjectStore
    from tick_assets.tracking.dataset_versions import DatasetVersions

    wrap(Path, "replace", points, file_label)
    wrap(ObjectStore, "put_bytes", points, lambda self, key, *_, **__: "" if key.startswith(PER_HOUR) else f"put {family(key)}")
    wrap(SqlCatalog, "commit_table", points, commit_label)
    wrap(DbtCliResource, "cli", points, lambda self, arguments, *_, **__: f"dbt {arguments[0]}")
    wrap(DatasetVersions, "_dvc", points, lambda self, *commands: "dvc " + ",".join(command[0] for command in commands))


def file_label(source: Path, target: Path) -> str:
    """Name a rename; deliveries are as many as hours, and a test of the raw store kills between those."""
    kinds = {".csv": "revision", ".json": "manifest", ".parquet": "examples"}
    return f"rename {kinds[Path(target).suffix]}" if Path(target).suffix in kinds else ""


def family(key: str) -> str:
    """Name an object without what differs from run to run."""
    head, _, tail = key.partition("/")
    return f"{head}/…{Path(tail).suffix}"


def commit_label(self: Any, table: Any, requirements: Any, updates: tuple[Any, ...]) -> str:
    """Name a commit by table and what it does: rows that readers see, rows on a branch, a reference, or the drop of one."""
    kinds = [type(update).__name__ for update in updates]
    name = ".".join(table.name()[-2:])
    if "AddSnapshotUpdate" in kinds:
        refs = [update.ref_name for update in updates if type(update).__name__ == "SetSnapshotRefUpdate"]
        return f"rows {name}" if set(refs) == {"main"} else f"stage {name}"
    return f"drop reference {name}" if "RemoveSnapshotRefUpdate" in kinds else f"reference {name}"


WRITERS = {
    "ingest": ("raw", ("ticks_csv", "replica", "ticks")),
    "clean": ("silver", ("clean_ticks",)),
    "sample": ("silver", ("sample_events",)),
    "bars": ("bars", ("bars",)),
    "training_set": ("datasets", ("training_set",)),
    "evidence": ("evidence", ("signals", "orders")),
    "gold": ("gold", ("gold_views",)),
}
"""The module in `tick_assets.assets` of each writer, and its assets; only the one that runs is imported."""


def assets_of(writer: str) -> list[Any]:
    """Return the assets of a writer."""
    module, names = WRITERS[writer]
    return [getattr(import_module(f"tick_assets.assets.{module}"), name) for name in names]


def run(assets: list[Any], day: str) -> None:
    """Materialize the assets for a date (or the scenario's model) as Dagster does."""
    import dagster as dg

    from tick_assets.partitions import model_key
    from tick_assets.resources import Road, Scope, SparkEngine, dbt_resource

    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("symbol", [SYMBOL])
    is_model = any(key.path[0] == "datasets" for asset in assets for key in asset.keys)
    dg.materialize(
        assets,
        instance=instance,
        partition_key=model_key(SYMBOL, "direction") if is_model else day,
        resources={"road": Road(), "scope": Scope(symbols=[SYMBOL]), "spark": SparkEngine(), "dbt": dbt_resource()},
    )


def main(writer: str, descriptor: int) -> None:
    with os.fdopen(descriptor, "w") as answers:
        points = CommitPoints(answers)
        wrap_all(points)
        assets = assets_of(writer)
        for line in sys.stdin:
            command, day, *target = line.split()
            points.begin((int(target[0]), target[1]) if command == "kill" else None)
            run(assets, day)
            points.tell({"done": points.count})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
