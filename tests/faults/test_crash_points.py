"""Kill -9 at every commit point of every writer: what readers see is the old or the new, and the same run again makes it whole.

What belongs here: the list of points of each writer, and the judgement after each kill. A new commit point fails the list first.

A writer changes the lake from one state to the other, A to B or B to A, so that before and after differ. It is killed on the way; then
the tables are those of before or of after, each as a whole; then the same run goes to its end, and nothing is lost, doubled, mixed or left.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.crash_parent import Child, Witness, show
from tests.faults.scenario import DAY, STATES, SYMBOL, Scenario
from tick_assets.lakehouse.bars import GRAINS
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.settings import Settings

pytestmark = [pytest.mark.full, pytest.mark.stack]

BARS = tuple(f"silver.bars_{grain}" for grain in GRAINS)


def points_of(*tables: str) -> list[str]:
    """Return the points of tables that are staged together and published one after another."""
    staged = [point for table in tables for point in (f"reference {table}", f"stage {table}")]
    return staged + [point for table in tables for point in (f"rows {table}", f"drop reference {table}")]


POINTS = {
    "clean": [*points_of("silver.tick_rejects", "silver.ticks"), "rows evidence.publications"],
    "sample": points_of("silver.features", "silver.labels"),
    "bars": [point for table in BARS for point in points_of(table)],
}
INPUTS = {"clean": ["raw.ticks"], "sample": ["silver.ticks", "evidence.publications"], "bars": ["silver.ticks", "evidence.publications"]}
TABLES = {
    "clean": ("silver.tick_rejects", "silver.ticks", "evidence.publications"),
    "sample": ("silver.features", "silver.labels"),
    "bars": BARS,
}


@dataclass
class Lake:
    """The scenario, what looks at it, and where the killed processes write their logs."""

    scenario: Scenario
    objects: ObjectStore
    log: Path

    def witness(self, tables: Sequence[str]) -> Witness:
        return Witness(self.scenario.lakehouse, self.objects, tuple(tables))

    def child(self, writer: str) -> Child:
        return Child(writer, self.log)


@pytest.fixture(scope="module")
def lake(data_stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Raw ticks in both states, and clean ticks of both days made of each."""
    lakehouse = Lakehouse.from_settings(data_stack)
    lakehouse.ensure_tables()
    scenario = Scenario(lakehouse, RawStore(data_stack.raw_dir))
    scenario.record()
    return Lake(scenario, ObjectStore.from_settings(data_stack), tmp_path_factory.mktemp("children") / "log.txt")


@pytest.fixture(scope="module")
def published(lake: Lake) -> Lake:
    """The lake with clean ticks published in both states."""
    child = lake.child("clean")
    for state in STATES:
        enter(lake, "clean", state)
        child.run()
        lake.scenario.remember(state, list(TABLES["clean"]))
    child.end()
    return lake


def kills(points: Sequence[str]) -> list[tuple[int, str]]:
    """Return where to kill: after every point, and before each that changes what readers see.

    Nothing durable lies between a stage and the commit of rows that follows it: after the one is before the other, and is tried once.
    Before the first point the files are written and no table knows of them.
    """
    both = [(index, side) for index in range(len(points)) for side in ("before", "after")]
    is_rows = [point.startswith("rows ") for point in (*points, "")]
    return [
        (i, side)
        for i, side in both
        if i == 0 or is_rows[i] or (side == "after" and not (points[i].startswith("stage ") and is_rows[i + 1]))
    ]


PARTS = {"clean": 1, "sample": 1, "bars": 4}
"""In how many tests the kills of a writer are made: each starts Spark again after every kill."""


@pytest.mark.parametrize(("writer", "part"), [(writer, part) for writer, parts in PARTS.items() for part in range(parts)])
def test_killed_spark_writer_then_the_same_again(published: Lake, writer: str, part: int) -> None:
    lake, witness = published, published.witness(TABLES[writer])
    expected, counted = {}, {}
    child = lake.child(writer)
    # The first rows of a table have one point more: an empty snapshot that its branch begins with.
    child.run()
    for state in STATES:
        enter(lake, writer, state)
        assert child.run() == POINTS[writer]
        expected[state], counted[state] = witness.hashes(), witness.rows()
    assert expected["A"] != expected["B"]
    rows, orphans, state = [], witness.orphans(), "B"
    for index, side in kills(POINTS[writer])[part :: PARTS[writer]]:
        before, state = state, "A" if state == "B" else "B"
        enter(lake, writer, state)
        started = time.monotonic()
        point = child.kill(index, side)
        between = witness.hashes()
        assert all(found in (expected[before][table], expected[state][table]) for table, found in between.items()), (point, side)
        mixed = visible_parts(witness, lake.scenario.lakehouse) if writer == "clean" else 0
        child = lake.child(writer)
        child.run()
        lost_or_doubled = witness.rows() - counted[state]
        left = witness.orphans() - orphans
        orphans += left
        rows.append(
            {
                "writer": writer,
                "point": f"{side} {point}",
                "published then": sum(found == expected[state][table] for table, found in between.items()),
                "lost": max(-lost_or_doubled, 0),
                "doubled": max(lost_or_doubled, 0),
                "mixed": mixed + sum(found != expected[state][table] for table, found in witness.hashes().items()),
                "branches": len(witness.branches()),
                "orphans": left,
                "seconds": round(time.monotonic() - started, 1),
            }
        )
    child.end()
    show(f"kill -9 of {writer}: {len(rows)} kills", rows)
    assert sum(row[name] for row in rows for name in ("lost", "doubled", "mixed", "branches")) == 0


def enter(lake: Lake, writer: str, state: str) -> None:
    lake.scenario.enter(state, INPUTS[writer])


def visible_parts(witness: Witness, lakehouse: Lakehouse) -> int:
    """Return the tables of which readers see a part of a publication: neither all of its rows nor none."""
    (listed,) = lakehouse.frame("evidence.publications", day_filter(SYMBOL, DAY)).to_dicts()
    whole = {"silver.ticks": listed["silver_rows"], "silver.tick_rejects": listed["reject_rows"]}
    return sum(len(witness.visible(table, DAY)) not in (0, rows) for table, rows in whole.items())
