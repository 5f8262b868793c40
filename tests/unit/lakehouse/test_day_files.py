"""Files of symbol-days, written and read in one folder by PyIceberg. Spark as the runner, and other engines as readers: `tests/faults`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse, silver_rows
from tick_assets.lakehouse.catalog import Lakehouse, whole_partitions
from tick_assets.lakehouse.content_hash import content_hashes
from tick_assets.lakehouse.day_files import DayKey, day_tasks, in_this_process, shared_out, write_days

TABLE, SYMBOL = "silver.ticks", "SYNEDGE"
NEXT = DAY + timedelta(days=1)
BOTH = whole_partitions([SYMBOL], [DAY, NEXT])


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    """A lake with a day in one file and a day in two."""
    made = local_lakehouse(tmp_path)
    made.append(TABLE, pl.concat([silver_rows(day=DAY), silver_rows(day=NEXT)[:70]]))
    made.append(TABLE, silver_rows(day=NEXT)[70:])
    return made


def same_rows(key: DayKey, rows: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    return {TABLE: rows.sample(fraction=1.0, shuffle=True, seed=1)}


def hashes(lakehouse: Lakehouse) -> dict[tuple[str, date], str]:
    return content_hashes(lakehouse, TABLE, [SYMBOL], [DAY, NEXT])


def test_day_in_several_files_is_one_task(lakehouse: Lakehouse) -> None:
    tasks = day_tasks(lakehouse, TABLE, BOTH, lakehouse.snapshot_id(TABLE))
    assert [(task.key, len(task.files)) for task in tasks] == [((SYMBOL, DAY), 1), ((SYMBOL, NEXT), 2)]


def test_written_files_in_the_place_of_others_hold_the_same_content(lakehouse: Lakehouse) -> None:
    before = hashes(lakehouse)
    files = write_days(in_this_process, lakehouse, TABLE, BOTH, lakehouse.snapshot_id(TABLE), same_rows, [TABLE])
    assert hashes(lakehouse) == before
    lakehouse.replace_files(TABLE, files[TABLE], BOTH)
    assert hashes(lakehouse) == before
    assert lakehouse.partition_rows(TABLE) == {(SYMBOL, DAY): 200, (SYMBOL, NEXT): 200}


def test_written_file_holds_one_day_compressed_with_statistics_that_prune(lakehouse: Lakehouse) -> None:
    files = write_days(in_this_process, lakehouse, TABLE, BOTH, lakehouse.snapshot_id(TABLE), same_rows, [TABLE])[TABLE]
    fields = {field.name: field.field_id for field in lakehouse.table(TABLE).schema().fields}
    assert len(files) == 2
    for file in files:
        assert file.record_count == 200
        assert {fields["ts_event"], fields["seq"]} <= file.lower_bounds.keys() & file.upper_bounds.keys()


def test_empty_table_has_no_tasks_and_gives_no_files(tmp_path: Path) -> None:
    empty = local_lakehouse(tmp_path)
    assert write_days(in_this_process, empty, TABLE, BOTH, None, same_rows, [TABLE]) == {TABLE: []}


def test_column_that_somebody_added_is_null_in_what_is_written(lakehouse: Lakehouse) -> None:
    with lakehouse.table(TABLE).update_schema() as update:
        from pyiceberg.types import StringType

        update.add_column("note", StringType())

    def drop_note(key: DayKey, rows: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
        return {TABLE: rows.drop("note")}

    files = write_days(in_this_process, lakehouse, TABLE, BOTH, lakehouse.snapshot_id(TABLE), drop_note, [TABLE])
    lakehouse.replace_files(TABLE, files[TABLE], BOTH)
    assert lakehouse.frame(TABLE)["note"].null_count() == 400


@pytest.mark.parametrize(
    ("sizes", "most", "groups"),
    [
        ([5, 9, 7], 10, [[1], [2], [0]]),  # few: one each, the largest first
        ([1, 2, 3, 4, 5], 2, [[4, 2, 0], [3, 1]]),
        ([], 4, []),
    ],
)
def test_symbol_days_are_shared_out(sizes: list[int], most: int, groups: list[list[int]]) -> None:
    assert shared_out(sizes, most) == groups
