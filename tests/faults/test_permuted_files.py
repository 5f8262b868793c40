"""A partition whose rows lie in another order and in several files, as a compaction or somebody's append leaves it, gives the same silver.

What belongs here: Spark over such partitions. What must not: what one task does with a day in memory (`tests/unit/lakehouse/test_silver`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.crash_parent import Child
from tests.faults.scenario import DAY, SYMBOL, Scenario
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.content_hash import content_hash
from tick_assets.lakehouse.day_files import day_tasks
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.settings import Settings

pytestmark = [pytest.mark.full, pytest.mark.stack]

FILES = 3


def scatter(lakehouse: Lakehouse, table: str) -> None:
    """Write the rows of one partition again, in random order and in several files."""
    rows = lakehouse.frame(table, day_filter(SYMBOL, DAY)).sample(fraction=1.0, shuffle=True, seed=1)
    lakehouse.replace_rows(table, rows[:0], day_filter(SYMBOL, DAY))
    for i in range(FILES):
        lakehouse.append(table, rows[i::FILES])
    assert [len(task.files) for task in day_tasks(lakehouse, table, day_filter(SYMBOL, DAY), lakehouse.snapshot_id(table))] == [FILES]


def test_scattered_partitions_give_the_same_silver(data_stack: Settings, tmp_path: Path) -> None:
    lakehouse = Lakehouse.from_settings(data_stack)
    lakehouse.ensure_tables()
    scenario = Scenario(lakehouse, RawStore(data_stack.raw_dir))
    scenario.record()
    for writer, source, made in (
        ("clean", "raw.ticks", ("silver.ticks", "silver.tick_rejects")),
        ("sample", "silver.ticks", ("silver.features", "silver.labels")),
        ("bars", "silver.ticks", ("silver.bars_1s", "silver.bars_1m", "silver.bars_1h", "silver.bars_ticks")),
    ):
        child = Child(writer, tmp_path / "log.txt")
        child.run()
        before = {table: content_hash(lakehouse, table) for table in made}
        assert all(len(lakehouse.frame(table)) > 3 for table in made)
        scatter(lakehouse, source)
        child.run()
        child.end()
        assert {table: content_hash(lakehouse, table) for table in made} == before
