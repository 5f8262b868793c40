"""Publishing from a branch: what becomes visible, what stays, what is left. The branches are written by PyIceberg, in one folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from pyiceberg.manifest import DataFile

from tests.unit.lakehouse.local_catalog import DAY, data_files, local_lakehouse, silver_rows
from tick_assets.lakehouse.catalog import Lakehouse, whole_partitions
from tick_assets.lakehouse.content_hash import partition_hashes
from tick_assets.lakehouse.partition_locks import Held
from tick_assets.lakehouse.publishing import AuditError, Staged, audit_outside, drop_leftovers, publish, reject, stage, writing

TABLE, SYMBOL = "silver.ticks", "SYNEDGE"
NEXT = DAY + timedelta(days=1)


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    """A lake with two published days."""
    made = local_lakehouse(tmp_path)
    made.append(TABLE, pl.concat([silver_rows(day=DAY), silver_rows(day=NEXT)]))
    return made


def staged(lakehouse: Lakehouse, run: str, rows: pl.DataFrame | None, dates: Sequence[date]) -> Staged:
    """Replace dates on a branch."""
    return stage(lakehouse, TABLE, written(lakehouse, rows) if rows is not None else [], [SYMBOL], dates, run)


def written(lakehouse: Lakehouse, rows: pl.DataFrame) -> list[DataFile]:
    return data_files(lakehouse, TABLE, rows)


@contextmanager
def holding(lakehouse: Lakehouse, run: str, dates: Sequence[date]) -> Iterator[Held]:
    with writing(lakehouse, [TABLE], [SYMBOL], dates, run, lambda line: None) as held:
        yield held


def counts(lakehouse: Lakehouse) -> dict[tuple[str, date], int]:
    return lakehouse.partition_rows(TABLE)


def test_staged_rows_are_not_visible_before_they_are_published(lakehouse: Lakehouse) -> None:
    with holding(lakehouse, "one", [DAY]) as held:
        mine = staged(lakehouse, "one", silver_rows(count=50), [DAY])
        assert counts(lakehouse) == {(SYMBOL, DAY): 200, (SYMBOL, NEXT): 200}
        publish(lakehouse, mine, held)
    assert counts(lakehouse) == {(SYMBOL, DAY): 50, (SYMBOL, NEXT): 200}
    assert lakehouse.branches(TABLE) == ["main"]


def test_empty_result_empties_its_partition_and_no_other(lakehouse: Lakehouse) -> None:
    with holding(lakehouse, "one", [DAY]) as held:
        publish(lakehouse, staged(lakehouse, "one", None, [DAY]), held)
    assert counts(lakehouse) == {(SYMBOL, NEXT): 200}


@pytest.mark.parametrize(("rows", "published"), [(silver_rows(), {(SYMBOL, DAY): 200}), (None, {})])
def test_first_rows_of_a_table_are_staged_and_published(
    tmp_path: Path, rows: pl.DataFrame | None, published: dict[tuple[str, date], int]
) -> None:
    empty = local_lakehouse(tmp_path)
    with holding(empty, "one", [DAY]) as held:
        mine = staged(empty, "one", rows, [DAY])
        assert counts(empty) == {}
        audit_outside(empty, mine)
        publish(empty, mine, held)
    assert counts(empty) == published
    assert empty.branches(TABLE) == ["main"]


def test_two_runs_of_different_days_publish_both_from_one_base(lakehouse: Lakehouse) -> None:
    with holding(lakehouse, "one", [DAY]) as first, holding(lakehouse, "two", [NEXT]) as second:
        mine = staged(lakehouse, "one", silver_rows(count=50), [DAY])
        yours = staged(lakehouse, "two", silver_rows(day=NEXT, count=70), [NEXT])
        audit_outside(lakehouse, mine)
        publish(lakehouse, mine, first)
        audit_outside(lakehouse, yours)
        publish(lakehouse, yours, second)
    assert counts(lakehouse) == {(SYMBOL, DAY): 50, (SYMBOL, NEXT): 70}


def test_publishing_twice_changes_no_content(lakehouse: Lakehouse) -> None:
    for run in ("one", "two"):
        with holding(lakehouse, run, [DAY]) as held:
            publish(lakehouse, staged(lakehouse, run, silver_rows(count=50), [DAY]), held)
    assert counts(lakehouse) == {(SYMBOL, DAY): 50, (SYMBOL, NEXT): 200}


def test_file_of_another_partition_is_refused_and_nothing_is_published(lakehouse: Lakehouse) -> None:
    rows = pl.concat([silver_rows(count=50), silver_rows(day=NEXT, count=1)])
    mine = staged(lakehouse, "one", rows, [DAY])
    with pytest.raises(AuditError, match="expected the rows of other partitions to stay"):
        audit_outside(lakehouse, mine)
    assert counts(lakehouse) == {(SYMBOL, DAY): 200, (SYMBOL, NEXT): 200}
    assert lakehouse.branches(TABLE) == ["failed_one", "main"]


def test_branch_of_a_dead_run_is_dropped_and_that_of_a_live_one_kept(lakehouse: Lakehouse) -> None:
    staged(lakehouse, "killed", silver_rows(count=50), [DAY])
    with holding(lakehouse, "live", [NEXT]):
        staged(lakehouse, "live", silver_rows(day=NEXT, count=70), [NEXT])
        with holding(lakehouse, "mine", [DAY]):
            assert lakehouse.branches(TABLE) == ["audit_live", "main"]


def test_failed_branch_is_kept_a_week(lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AuditError, match="look at branch failed_one"):
        reject(lakehouse, staged(lakehouse, "one", silver_rows(count=50), [DAY]), "expected no finding")
    with holding(lakehouse, "two", [DAY]) as held:
        assert drop_leftovers(lakehouse, TABLE, held) == []
        monkeypatch.setattr("tick_assets.lakehouse.publishing.KEPT_FOR", timedelta(0))
        assert drop_leftovers(lakehouse, TABLE, held) == ["failed_one"]


def test_rejected_again_the_newest_branch_is_kept(lakehouse: Lakehouse) -> None:
    for count in (50, 60):
        with pytest.raises(AuditError):
            reject(lakehouse, staged(lakehouse, "one", silver_rows(count=count), [DAY]), "expected no finding")
    assert lakehouse.partition_rows(TABLE, "failed_one")[SYMBOL, DAY] == 60


def test_read_that_a_commit_overtakes_finds_the_rows_of_before_or_after(lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    load = Lakehouse.table

    def load_then_lose_the_race(self: Lakehouse, name: str) -> object:
        loaded = load(self, name)
        monkeypatch.setattr(Lakehouse, "table", load)
        lakehouse.replace_rows(TABLE, silver_rows(count=50), whole_partitions([SYMBOL], [DAY]))
        return loaded

    for read in (lambda: len(lakehouse.frame(TABLE)), lambda: sum(part.rows for part in partition_hashes(lakehouse, TABLE))):
        monkeypatch.setattr(Lakehouse, "table", load_then_lose_the_race)
        assert read() in (400, 250)
