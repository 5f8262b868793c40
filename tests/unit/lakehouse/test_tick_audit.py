"""The audit of staged ticks refuses what is lost, doubled, misplaced, misnumbered or stale; its hashes are those of the table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.unit.lakehouse.local_catalog import DAY, data_files, local_lakehouse, silver_rows
from tick_assets.lakehouse import tick_audit
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.content_hash import content_hashes
from tick_assets.lakehouse.day_files import in_this_process
from tick_assets.lakehouse.publishing import AuditError, Staged, stage
from tick_assets.lakehouse.silver import REJECTS, TICKS, Partitions, RawFiles
from tick_assets.lakehouse.tick_audit import DayCounts, DisorderError, audit_ticks

SYMBOL, NEXT, EMPTY = "SYNEDGE", DAY + timedelta(days=1), DAY + timedelta(days=2)
DATES = (DAY, NEXT, EMPTY)
FILE = f"{SYMBOL}.csv"
ROWS = 200


def raw_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the raw rows that some clean ones were made of, and an older revision's beside them."""
    current = rows.drop("seq", "publication_id").with_columns(revision=pl.lit(1, pl.Int32), is_current=pl.lit(True))
    old = current[:30].with_columns(revision=pl.lit(0, pl.Int32), is_current=pl.lit(False), source_file=pl.lit("old.csv"))
    return pl.concat([current, old])


def split(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (kept, refused): every tenth row is refused."""
    is_refused = pl.col("seq") % 10 == 3
    return rows.filter(~is_refused), rows.filter(is_refused).with_columns(reason_code=pl.lit("QUOTE_CROSSED"))


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    """A lake with the raw rows of two days."""
    made = local_lakehouse(tmp_path)
    made.append("raw.ticks", pl.concat([raw_rows(silver_rows(day=day)) for day in (DAY, NEXT)]))
    return made


def staged(lakehouse: Lakehouse, table: str, rows: pl.DataFrame) -> Staged:
    return stage(lakehouse, table, data_files(lakehouse, table, rows), [SYMBOL], DATES, "run")


def partitions(files: dict[str, int] | None = None) -> Partitions:
    listed = RawFiles("synthetic", files or {FILE: ROWS, "old.csv": 30})
    keys = [(SYMBOL, day) for day in DATES]
    return Partitions((SYMBOL,), DATES, dict.fromkeys(keys, "p1"), dict.fromkeys(keys[:2], listed) | {keys[2]: RawFiles(None, {})})


def audited(
    lakehouse: Lakehouse, kept: pl.DataFrame, refused: pl.DataFrame, files: dict[str, int] | None = None
) -> tuple[list[DayCounts], dict[tuple[str, object], str]]:
    ticks, rejects = staged(lakehouse, TICKS, kept), staged(lakehouse, REJECTS, refused)
    counts, hashes = audit_ticks(in_this_process, lakehouse, partitions(files), lakehouse.snapshot_id("raw.ticks"), ticks, rejects)
    assert hashes == content_hashes(lakehouse, TICKS, [SYMBOL], DATES, ticks.branch)
    return counts, dict(hashes)


def test_whole_partitions_are_counted_and_hashed(lakehouse: Lakehouse) -> None:
    counts, hashes = audited(lakehouse, *split(pl.concat([silver_rows(day=day) for day in (DAY, NEXT)])))
    assert counts == [*(DayCounts(SYMBOL, day, ROWS, 180, 20) for day in (DAY, NEXT)), DayCounts(SYMBOL, EMPTY, 0, 0, 0)]
    assert len(set(hashes.values())) == 3


def first_again(rows: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([rows, rows[:1]])


def second_numbered_as_first(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.when(pl.col("seq") == 1).then(0).otherwise(pl.col("seq")).alias("seq"))


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda rows: rows[1:], "raw = silver + rejects"),  # lost
        (first_again, "raw = silver + rejects"),  # doubled
        (lambda rows: first_again(rows[1:]), "every seq once"),  # one lost, another doubled
        (second_numbered_as_first, "every seq once"),
    ],
)
def test_ticks_that_are_not_the_raw_rows_are_refused(
    lakehouse: Lakehouse, change: Callable[[pl.DataFrame], pl.DataFrame], finding: str
) -> None:
    kept, refused = split(silver_rows(day=DAY))
    rest, rest_refused = split(silver_rows(day=NEXT))
    with pytest.raises(AuditError, match=finding.replace("+", r"\+")):
        audited(lakehouse, pl.concat([change(kept), rest]), pl.concat([refused, rest_refused]))


def test_tick_earlier_than_the_rank_before_is_refused(lakehouse: Lakehouse) -> None:
    swapped = pl.when(pl.col("seq") == 7).then(pl.col("ts_event").shift(1)).when(pl.col("seq") == 6).then(pl.col("ts_event").shift(-1))
    kept, refused = split(pl.concat([silver_rows(day=day) for day in (DAY, NEXT)]))
    with pytest.raises(DisorderError, match="earlier than the one of the rank before"):
        audited(lakehouse, kept.with_columns(swapped.otherwise(pl.col("ts_event")).alias("ts_event")), refused)


def test_rank_shared_by_a_tick_and_a_reject_is_refused(lakehouse: Lakehouse) -> None:
    kept, refused = split(pl.concat([silver_rows(day=day) for day in (DAY, NEXT)]))
    with pytest.raises(AuditError, match="every seq once"):
        audited(lakehouse, kept, refused.with_columns(pl.col("seq") - 1))


def test_raw_table_without_a_listed_file_is_refused(lakehouse: Lakehouse) -> None:
    with pytest.raises(AuditError, match="write it first"):
        audited(lakehouse, *split(pl.concat([silver_rows(day=day) for day in (DAY, NEXT)])), {FILE: ROWS, "old.csv": 30, "new.csv": 1})


def test_too_many_rejects_are_refused(lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tick_audit, "MAXIMUM_REJECT_SHARE", 0.05)
    with pytest.raises(AuditError, match="at most 5% rejects"):
        audited(lakehouse, *split(pl.concat([silver_rows(day=day) for day in (DAY, NEXT)])))
