"""The history of a table: versions, reading as of, rolling back and forward, columns that come later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from pyiceberg.exceptions import ValidationError

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse, silver_rows
from tests.unit.lakehouse.test_datasets import MemoryObjects, publish
from tick_assets.lakehouse import datasets, history
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.content_hash import content_hash
from tick_assets.lakehouse.datasets import DatasetRequest
from tick_assets.settings import PROJECT_ROOT

DBT = PROJECT_ROOT / "dbt_project"
TABLE = "silver.ticks"
NEXT = DAY + timedelta(days=1)


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    """Ticks written three times: one date, the same date shorter, another date."""
    opened = local_lakehouse(tmp_path)
    opened.append(TABLE, silver_rows())
    opened.tag(TABLE, "first")
    opened.replace_rows(TABLE, silver_rows(count=150), day_filter("SYNEDGE", DAY))
    opened.append(TABLE, silver_rows(day=NEXT))
    return opened


def test_versions_first_half_of_a_replacement_was_never_current(lakehouse: Lakehouse) -> None:
    found = history.versions(lakehouse, TABLE)
    assert [(each.operation, each.total_rows, each.was_current) for each in found] == [
        ("append", 200, True),
        ("delete", 0, False),
        ("append", 150, True),
        ("append", 350, True),
    ]
    assert [each.refs for each in found] == [("first",), (), (), ("main",)]


def test_read_as_of_tag_snapshot_and_time(lakehouse: Lakehouse) -> None:
    found = history.versions(lakehouse, TABLE)
    for at in ("first", str(found[0].snapshot_id), found[0].committed_at.isoformat()):
        assert len(history.read(lakehouse, TABLE, at, "seq < 10")) == 10
        assert history.resolve_as_of(lakehouse, TABLE, at) == found[0].snapshot_id
    assert history.resolve_as_of(lakehouse, TABLE, datetime.now(UTC).isoformat()) == found[3].snapshot_id


def test_read_as_of_a_moment_within_a_replacement_sees_the_rows_before(lakehouse: Lakehouse) -> None:
    found = history.versions(lakehouse, TABLE)
    within = found[1].committed_at.isoformat()
    assert found[1].committed_at < found[2].committed_at
    assert history.resolve_as_of(lakehouse, TABLE, within) == found[0].snapshot_id


@pytest.mark.parametrize(
    ("as_of", "message"),
    [
        ("2001-01-01T00:00:00Z", "since the first version"),
        ("2024-01-09T12:00:00", "with its zone"),
        ("secnod", r"first, main"),
        ("12345", "Expected a branch, tag or snapshot"),
    ],
)
def test_read_as_of_nothing_names_what_there_is(lakehouse: Lakehouse, as_of: str, message: str) -> None:
    with pytest.raises(LookupError, match=message):
        history.resolve_as_of(lakehouse, TABLE, as_of)


def test_view_is_refused_with_its_tables() -> None:
    with pytest.raises(history.ViewError, match=r"evidence\.publications, silver\.features, silver\.labels"):
        history.refuse_view("gold.training_examples", DBT)


@pytest.mark.parametrize(
    "statement",
    [
        "select * from gold.symbol_days for version as of 'x'",
        "select * from symbol_days FOR TIMESTAMP AS OF timestamp '2024-01-01 00:00:00 UTC'",
        'select * from silver.ticks for version as of 1 join lakehouse.gold."symbol_days" for version as of 1 on true',
    ],
)
def test_statement_with_a_version_of_a_view_is_refused(statement: str) -> None:
    with pytest.raises(history.ViewError, match=r"silver\.ticks"):
        history.refuse_versioned_views(statement, DBT)


def test_statement_with_a_version_of_a_table_is_let_through() -> None:
    history.refuse_versioned_views("select * from silver.ticks for version as of 'ds_1', gold.symbol_days", DBT)


# Rolling.


@pytest.fixture
def published(tmp_path: Path) -> Lakehouse:
    """Two published dates; the first was published twice, the second time with fewer rows."""
    opened = local_lakehouse(tmp_path)
    publish(opened, day=DAY, publication_id="p1")
    publish(opened, day=NEXT, publication_id="p1")
    opened.tag(TABLE, "before")
    publish(opened, day=DAY, publication_id="p2", count=150)
    return opened


def test_roll_back_names_the_dates_that_are_no_longer_visible(published: Lakehouse) -> None:
    done = history.roll(published, TABLE, "before")
    assert done.changed == (("SYNEDGE", DAY, 150, 0),)
    assert len(published.frame(TABLE)) == 400


def test_roll_forward_mends_what_rolling_back_changed(published: Lakehouse) -> None:
    back = history.roll(published, TABLE, "before")
    assert history.roll(published, TABLE, str(back.before)).changed == (("SYNEDGE", DAY, 0, 150),)
    assert len(published.frame(TABLE)) == 350


def test_roll_of_publications_to_the_same_time_makes_the_old_rows_visible_again(published: Lakehouse) -> None:
    history.roll(published, TABLE, "before")
    earlier = [each for each in history.versions(published, "evidence.publications") if each.was_current][-2]
    done = history.roll(published, "evidence.publications", str(earlier.snapshot_id))
    assert done.changed == (("SYNEDGE", DAY, 0, 200),)


def test_roll_to_a_snapshot_that_was_never_current_is_refused(published: Lakehouse) -> None:
    half = next(each for each in history.versions(published, TABLE) if not each.was_current)
    before = published.snapshot_id(TABLE)
    with pytest.raises(LookupError, match="which was not published"):
        history.roll(published, TABLE, str(half.snapshot_id))
    assert published.snapshot_id(TABLE) == before


def test_roll_to_the_branch_of_a_failed_audit_is_refused(published: Lakehouse) -> None:
    published.append(TABLE, silver_rows("SYNNULL"))
    staged = published.snapshot_id(TABLE)
    assert staged is not None
    published.table(TABLE).manage_snapshots().create_branch(staged, "failed_1").commit()
    table = published.table(TABLE)
    table.append(silver_rows("SYNWEAK").to_arrow().cast(published.arrow_schema(TABLE)), branch="failed_1")
    with pytest.raises(LookupError, match="which was not published"):
        history.roll(published, TABLE, "failed_1")


# Columns.


def test_added_column_rewrites_no_file_and_changes_no_hash(published: Lakehouse) -> None:
    dataset = datasets.create(published, MemoryObjects(), DatasetRequest(("SYNEDGE",)))
    files, snapshot = history.files_at(published, TABLE, "main"), published.snapshot_id(TABLE)
    hashes = {ref: content_hash(published, TABLE, ref=ref) for ref in ("main", "before")}
    history.add_column(published, TABLE, "venue", "string")
    assert history.files_at(published, TABLE, "main") == files
    assert published.snapshot_id(TABLE) == snapshot
    assert published.frame(TABLE)["venue"].null_count() == 350
    assert "venue" not in published.frame(TABLE, ref="before").columns
    assert {ref: content_hash(published, TABLE, ref=ref) for ref in hashes} == hashes
    assert datasets.check_content(published, dataset) == {}


def test_added_column_old_rows_are_null_beside_new_ones(published: Lakehouse) -> None:
    history.add_column(published, TABLE, "venue", "string")
    published.append(TABLE, silver_rows("SYNNULL").with_columns(pl.lit("here").alias("venue")))
    rows = published.frame(TABLE)
    assert rows.group_by("venue").len().sort("venue", nulls_last=False).rows() == [(None, 350), ("here", 200)]
    assert len(published.frame(TABLE, ref="before")) == 400


def test_column_that_is_there_is_refused(published: Lakehouse) -> None:
    with pytest.raises(ValueError, match="source"):
        history.add_column(published, TABLE, "source", "string")


def test_widened_column_rewrites_no_file_and_changes_no_hash(published: Lakehouse) -> None:
    files, before = history.files_at(published, TABLE, "main"), content_hash(published, TABLE)
    history.widen_column(published, TABLE, "price_factor", "long")
    assert history.files_at(published, TABLE, "main") == files
    assert content_hash(published, TABLE) == before
    assert published.frame(TABLE).schema["price_factor"] == pl.Int64
    assert published.frame(TABLE, ref="before").schema["price_factor"] == pl.Int32
    assert published.ensure_tables() == []
    published.append(TABLE, silver_rows("SYNNULL"))
    assert published.frame(TABLE)["price_factor"].unique().to_list() == [100_000]


def test_narrowed_column_is_refused(published: Lakehouse) -> None:
    with pytest.raises(ValidationError, match="Expected a wider type"):
        history.widen_column(published, TABLE, "seq", "int")


def test_unknown_type_names_the_known(published: Lakehouse) -> None:
    with pytest.raises(LookupError, match="Expected a type such as string"):
        history.add_column(published, TABLE, "venue", "text")
