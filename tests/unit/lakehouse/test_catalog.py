"""The catalog: repeatable definitions, replacement by filter, tags that don't move, rollback."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import NestedField, StringType

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse, silver_rows
from tick_assets.lakehouse.catalog import day_filter
from tick_assets.lakehouse.tables import TABLES


def test_ensure_tables_repeat_changes_nothing(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    assert lakehouse.ensure_tables() == []
    spec = lakehouse.table("silver.ticks").spec()
    assert [str(field.transform) for field in spec.fields] == ["identity", "identity"]


def test_ensure_tables_missing_column_is_added(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    lakehouse.catalog.drop_table("evidence.verdicts")
    lakehouse.catalog.create_table("evidence.verdicts", Schema(NestedField(1, "model_id", StringType())))
    assert lakehouse.ensure_tables() == ["evidence.verdicts"]
    assert set(lakehouse.arrow_schema("evidence.verdicts").names) == set(TABLES["evidence.verdicts"].column_types)


def test_replace_rows_empty_result_empties_the_partition(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    next_day = DAY + timedelta(days=1)
    for day in (DAY, next_day):
        lakehouse.append("silver.ticks", silver_rows(day=day))
    lakehouse.replace_rows("silver.ticks", silver_rows()[:0], day_filter("SYNEDGE", DAY))
    assert lakehouse.frame("silver.ticks")["date"].unique().to_list() == [next_day]


def test_replace_keys_repeat_keeps_one_row(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    for passed in (False, True):
        rows = [{"verdict_id": f"v{i}", "symbol": "SYNEDGE", "passed": passed} for i in (1, 2)]
        lakehouse.replace_keys("evidence.verdicts", rows, ("symbol", "verdict_id"))
    found = lakehouse.frame("evidence.verdicts").sort("verdict_id")
    assert found.select("verdict_id", "passed").rows() == [("v1", True), ("v2", True)]


def test_append_unknown_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="colour"):
        local_lakehouse(tmp_path).append("evidence.verdicts", [{"colour": "red"}])


def test_tag_later_append_changes_nothing_at_the_tag(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    lakehouse.append("silver.ticks", silver_rows())
    first = lakehouse.tag("silver.ticks", "ds_1")
    lakehouse.append("silver.ticks", silver_rows("SYNNULL"))
    assert lakehouse.tag("silver.ticks", "ds_1", first) == first
    assert len(lakehouse.frame("silver.ticks", ref="ds_1")) == 200
    assert len(lakehouse.frame("silver.ticks")) == 400
    with pytest.raises(ValueError, match="Tags don't move"):
        lakehouse.tag("silver.ticks", "ds_1")


def test_rollback_earlier_snapshot_is_read_again(tmp_path: Path) -> None:
    lakehouse = local_lakehouse(tmp_path)
    lakehouse.append("silver.ticks", silver_rows())
    first = lakehouse.snapshot_id("silver.ticks")
    assert first is not None
    lakehouse.append("silver.ticks", silver_rows("SYNNULL"))
    second = lakehouse.snapshot_id("silver.ticks")
    assert lakehouse.rollback("silver.ticks", first) == second
    assert len(lakehouse.frame("silver.ticks")) == 200
    with pytest.raises(LookupError, match="Expected a snapshot"):
        lakehouse.rollback("silver.ticks", 1)
