"""Maintenance on a local lake: rows and datasets stay as they are, whatever is compacted, expired or swept."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlparse

import polars as pl
import pytest

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse, silver_rows
from tests.unit.lakehouse.test_datasets import REQUEST, MemoryObjects, publish
from tick_assets.lakehouse import compaction, datasets, expiry, history, manifests, orphans
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.compaction import CompactionError, compact
from tick_assets.lakehouse.content_hash import content_hash
from tick_assets.lakehouse.dataset_folder import DatasetFolder
from tick_assets.lakehouse.datasets import Dataset
from tick_assets.lakehouse.expiry import PinError
from tick_assets.lakehouse.maintenance import TableUpkeep, Upkeep, known_datasets, maintain, unreadable
from tick_assets.lakehouse.partition_locks import PartitionBusyError
from tick_assets.lakehouse.publishing import AUDIT_PREFIX, FAILED_PREFIX
from tick_assets.lakehouse.tables import TABLES

TABLE, SYMBOL = "silver.ticks", "SYNEDGE"
NEXT = DAY + timedelta(days=1)
NOTHING_KEPT = Upkeep(timedelta(0), 1, timedelta(0))


def silent(line: str) -> None:
    assert line


def later() -> datetime:
    """A time at which everything written so far is older than the grace of unlocked objects."""
    return datetime.now(UTC) + orphans.UNLOCKED_GRACE + timedelta(seconds=1)


def upkeep_of(lakehouse: Lakehouse, known: list[Dataset], is_dry: bool = False) -> Mapping[str, TableUpkeep]:
    return {done.table: done for done in maintain(lakehouse, known, NOTHING_KEPT, later(), "test", silent, is_dry)}


def files_under(lakehouse: Lakehouse, table: str) -> set[Path]:
    root = Path(urlparse(lakehouse.table(table).location()).path)
    return {path for path in root.rglob("*") if path.is_file() and not path.name.endswith(".crc")}


def hashes(lakehouse: Lakehouse) -> dict[str, str]:
    return {name: content_hash(lakehouse, name) for name in TABLES}


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    folder = tmp_path / "a lake"
    folder.mkdir()
    return local_lakehouse(folder)


@pytest.fixture
def crowded(lakehouse: Lakehouse) -> Lakehouse:
    """A lake with a day in one file and a day in three."""
    lakehouse.append(TABLE, pl.concat([silver_rows(day=DAY), silver_rows(day=NEXT)[150:]]))
    lakehouse.append(TABLE, silver_rows(day=NEXT)[:70])
    lakehouse.append(TABLE, silver_rows(day=NEXT)[70:150])
    return lakehouse


@pytest.fixture
def pinned(lakehouse: Lakehouse) -> tuple[Lakehouse, Dataset]:
    """A lake with a dataset whose day was published anew since, and anew, in several commits."""
    publish(lakehouse)
    dataset = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    for count in (150, 120):
        publish(lakehouse, publication_id=f"p{count}", count=count)
    return lakehouse, dataset


# Compaction.


def test_day_in_several_files_becomes_one_file_in_the_order_of_its_key(crowded: Lakehouse) -> None:
    before = content_hash(crowded, TABLE)
    done = compact(crowded, TABLE, "test", silent)
    assert (done.files_before, done.files_after, done.rows) == (4, 2, 200)
    assert content_hash(crowded, TABLE) == before
    rows = crowded.frame(TABLE, day_filter(SYMBOL, NEXT))
    assert rows["seq"].to_list() == list(range(200))
    assert rows.equals(silver_rows(day=NEXT))


def test_compaction_is_one_snapshot_and_a_second_one_does_nothing(crowded: Lakehouse) -> None:
    before = len(history.versions(crowded, TABLE))
    compact(crowded, TABLE, "test", silent)
    assert len(history.versions(crowded, TABLE)) == before + 1
    assert compact(crowded, TABLE, "test", silent) == compaction.Compacted(2, 2, 0)
    assert len(history.versions(crowded, TABLE)) == before + 1


def test_dry_compaction_says_what_it_would_do_and_does_nothing(crowded: Lakehouse) -> None:
    before = crowded.snapshot_id(TABLE)
    assert compact(crowded, TABLE, "test", silent, is_dry=True) == compaction.Compacted(4, 2, 200)
    assert crowded.snapshot_id(TABLE) == before


def test_raw_day_keeps_its_current_rows_first(lakehouse: Lakehouse) -> None:
    rows = silver_rows().drop("seq", "publication_id").with_columns(pl.lit(0, pl.Int32).alias("revision"))
    old, new = (rows.with_columns(pl.lit(current).alias("is_current")) for current in (False, True))
    lakehouse.append("raw.ticks", old)
    lakehouse.append("raw.ticks", new.with_columns(pl.lit(1, pl.Int32).alias("revision"))[::-1])
    compact(lakehouse, "raw.ticks", "test", silent)
    found = lakehouse.frame("raw.ticks")
    assert found["is_current"].to_list() == [True] * 200 + [False] * 200
    assert found["source_row"][:200].to_list() == list(range(1, 201))


def test_table_without_dates_is_compacted_once_it_has_many_small_files(lakehouse: Lakehouse) -> None:
    for i in range(compaction.MAXIMUM_SMALL_FILES):
        lakehouse.append("evidence.signals", [{"signal_id": f"s{i}", "symbol": SYMBOL, "date": DAY, "action": "OPEN"}])
    assert compact(lakehouse, "evidence.signals", "test", silent).rows == 0
    lakehouse.append("evidence.signals", [{"signal_id": "last", "symbol": SYMBOL, "date": DAY, "action": "OPEN"}])
    before = content_hash(lakehouse, "evidence.signals")
    done = compact(lakehouse, "evidence.signals", "test", silent)
    assert (done.files_before, done.files_after) == (compaction.MAXIMUM_SMALL_FILES + 1, 1)
    assert content_hash(lakehouse, "evidence.signals") == before


def test_files_that_hold_other_rows_are_not_committed(crowded: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    written = compaction._write
    monkeypatch.setattr(compaction, "_write", lambda table, rows: written(table, rows[1:]))
    before, present = crowded.snapshot_id(TABLE), files_under(crowded, TABLE)
    with pytest.raises(CompactionError, match=r"Expected .* 200 rows, was .* 199\. Nothing was committed"):
        compact(crowded, TABLE, "test", silent)
    assert crowded.snapshot_id(TABLE) == before
    assert files_under(crowded, TABLE) == present


def test_column_that_no_content_hash_reads_must_be_the_same_too(crowded: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    written = compaction._write
    monkeypatch.setattr(compaction, "_write", lambda table, rows: written(table, rows.with_columns(publication_id=pl.lit("other"))))
    with pytest.raises(CompactionError):
        compact(crowded, TABLE, "test", silent)


def test_day_that_somebody_writes_is_left_for_the_next_time(crowded: Lakehouse) -> None:
    with crowded.locks.hold([TABLE], [SYMBOL], [NEXT], "writer", silent):
        done = compact(crowded, TABLE, "test", silent)
    assert done.files_after == 4
    assert "run writer" in done.left[0]
    assert compact(crowded, TABLE, "test", silent).files_after == 2


def test_rows_that_came_meanwhile_are_neither_lost_nor_undone(crowded: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    swap = compaction._swap
    replaced = silver_rows(day=NEXT, count=10)

    def swap_after_another_write(lakehouse: Lakehouse, *files: object) -> None:
        lakehouse.replace_rows(TABLE, replaced, day_filter(SYMBOL, NEXT))
        swap(lakehouse, *files)  # type: ignore[arg-type]

    monkeypatch.setattr(compaction, "_swap", swap_after_another_write)
    done = compact(crowded, TABLE, "test", silent)
    assert len(done.left) == 1
    assert crowded.frame(TABLE, day_filter(SYMBOL, NEXT)).equals(replaced)


# Manifests.


def test_many_manifests_become_one_and_no_data_file_is_read_or_written(lakehouse: Lakehouse) -> None:
    days = [DAY + timedelta(days=i) for i in range(manifests.MAXIMUM_MANIFESTS + 1)]
    for day in days:
        lakehouse.append(TABLE, silver_rows(day=day, count=1))
    before, paths = content_hash(lakehouse, TABLE), history.files_at(lakehouse, TABLE, "main")
    assert manifests.merge_manifests(lakehouse, TABLE) == (len(days), 1)
    assert history.files_at(lakehouse, TABLE, "main") == paths
    assert content_hash(lakehouse, TABLE) == before
    assert manifests.merge_manifests(lakehouse, TABLE) == (1, 1)
    assert "commit.manifest-merge.enabled" not in lakehouse.table(TABLE).properties
    lakehouse.replace_rows(TABLE, [], day_filter(SYMBOL, DAY))
    assert len(lakehouse.partition_rows(TABLE)) == len(days) - 1


# Expiry.


def test_expiry_keeps_what_is_young_newest_or_named(pinned: tuple[Lakehouse, Dataset]) -> None:
    lakehouse, dataset = pinned
    table = lakehouse.table(TABLE)
    everything = len(table.snapshots())
    assert expiry.expire(lakehouse, TABLE, 1, datetime.now(UTC) - timedelta(days=1)) == 0
    assert expiry.expire(lakehouse, TABLE, everything, later()) == 0
    assert expiry.expire(lakehouse, TABLE, 1, later(), is_dry=True) == everything - 2
    assert expiry.expire(lakehouse, TABLE, 1, later()) == everything - 2
    assert {snapshot.snapshot_id for snapshot in lakehouse.table(TABLE).snapshots()} == {
        lakehouse.snapshot_id(TABLE),
        lakehouse.tags(TABLE)[dataset.tag(TABLE)],
    }


def test_old_version_that_readers_saw_until_a_moment_ago_stays(lakehouse: Lakehouse) -> None:
    lakehouse.append(TABLE, silver_rows(count=10))
    time.sleep(0.01)
    between = datetime.now(UTC)
    time.sleep(0.01)
    lakehouse.append(TABLE, silver_rows(day=NEXT, count=10))
    assert expiry.expire(lakehouse, TABLE, 1, between) == 0
    assert len(lakehouse.frame(TABLE, ref=str(history.resolve_as_of(lakehouse, TABLE, between.isoformat())))) == 10
    assert expiry.expire(lakehouse, TABLE, 1, later()) == 1


def test_tag_that_is_set_while_expiry_commits_keeps_its_snapshot(lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (10, 20, 30):
        lakehouse.replace_rows(TABLE, silver_rows(count=count), day_filter(SYMBOL, DAY))
    first = lakehouse.table(TABLE).snapshots()[0].snapshot_id
    chosen, tagged = expiry.expirable, []

    def choose_then_somebody_tags(*arguments: object) -> list[int]:
        found = chosen(*arguments)  # type: ignore[arg-type]
        if not tagged:
            tagged.append(lakehouse.tag(TABLE, "mine", first))
        return found

    monkeypatch.setattr(expiry, "expirable", choose_then_somebody_tags)
    expiry.expire(lakehouse, TABLE, 1, later())
    assert lakehouse.tags(TABLE) == {"mine": first}
    assert len(lakehouse.frame(TABLE, ref="mine")) == 10


def test_time_whose_version_expired_is_refused_not_answered_with_an_older_one(lakehouse: Lakehouse) -> None:
    def write(count: int) -> str:
        lakehouse.replace_rows(TABLE, silver_rows(count=count), day_filter(SYMBOL, DAY))
        time.sleep(0.01)
        return datetime.now(UTC).isoformat()

    first, second, third = (write(count) for count in (10, 20, 30))
    lakehouse.tag(TABLE, "first", history.resolve_as_of(lakehouse, TABLE, first))
    expiry.expire(lakehouse, TABLE, 1, later())
    with pytest.raises(LookupError, match="Expected a time since the first version"):
        history.resolve_as_of(lakehouse, TABLE, second)
    assert len(lakehouse.frame(TABLE, ref=str(history.resolve_as_of(lakehouse, TABLE, third)))) == 30
    assert len(lakehouse.frame(TABLE, ref="first")) == 10
    history.roll(lakehouse, TABLE, "first")
    assert len(lakehouse.frame(TABLE)) == 10


@pytest.mark.parametrize("table", ["silver.ticks", "silver.labels"])
def test_dataset_without_its_tag_is_named_and_nothing_is_touched(pinned: tuple[Lakehouse, Dataset], table: str) -> None:
    lakehouse, dataset = pinned
    lakehouse.drop_tag(table, dataset.tag(table))
    before = {name: (lakehouse.table(name).metadata_location, files_under(lakehouse, name)) for name in TABLES}
    with pytest.raises(PinError, match=f"tick dataset repin {dataset.id[:12]}"):
        upkeep_of(lakehouse, [dataset])
    assert {name: (lakehouse.table(name).metadata_location, files_under(lakehouse, name)) for name in TABLES} == before
    assert datasets.repin(lakehouse, dataset) == [table]
    upkeep_of(lakehouse, [dataset])
    assert unreadable(lakehouse, [dataset]) == []


def test_moved_tag_is_refused_too(pinned: tuple[Lakehouse, Dataset]) -> None:
    lakehouse, dataset = pinned
    lakehouse.drop_tag(TABLE, dataset.tag(TABLE))
    lakehouse.tag(TABLE, dataset.tag(TABLE))
    with pytest.raises(PinError, match=dataset.id[:12]):
        upkeep_of(lakehouse, [dataset])


def test_manifests_of_folder_and_object_store_are_known(pinned: tuple[Lakehouse, Dataset], tmp_path: Path) -> None:
    lakehouse, dataset = pinned
    folder, objects = DatasetFolder(tmp_path / "datasets"), MemoryObjects()
    folder.save(dataset)
    other = datasets.create(lakehouse, objects, REQUEST)
    assert {each.id for each in known_datasets(folder, objects)} == {dataset.id, other.id}
    assert other.id != dataset.id


# Orphans, and all of it together.


def test_every_dataset_reads_the_same_after_expiry_and_a_sweep_without_grace(pinned: tuple[Lakehouse, Dataset]) -> None:
    lakehouse, dataset = pinned
    before, examples = hashes(lakehouse), datasets.read_examples(lakehouse, dataset)
    done = upkeep_of(lakehouse, [dataset])
    assert done[TABLE].snapshots_expired > 0
    assert done[TABLE].orphans > 0
    assert datasets.check_content(lakehouse, dataset) == {}
    assert datasets.read_examples(lakehouse, dataset).equals(examples)
    assert hashes(lakehouse) == before


def test_training_reads_the_same_set_while_days_are_published_anew_and_maintained(pinned: tuple[Lakehouse, Dataset]) -> None:
    lakehouse, dataset = pinned
    before = datasets.read_training_set(lakehouse, dataset, SYMBOL)
    for count in (90, 180):
        publish(lakehouse, publication_id=f"q{count}", count=count)
        assert upkeep_of(lakehouse, [dataset])["silver.features"].snapshots_expired > 0
        again = datasets.read_training_set(lakehouse, dataset, SYMBOL)
        assert again.event_id == before.event_id
        for name in ("features", "long_net_bps", "short_net_bps", "ts_label_end_us", "event_row"):
            assert getattr(again, name).tobytes() == getattr(before, name).tobytes()
        assert [day.ts_us.tobytes() for day in again.ticks] == [day.ts_us.tobytes() for day in before.ticks]


def test_training_set_whose_tag_was_removed_is_not_read_from_main(pinned: tuple[Lakehouse, Dataset]) -> None:
    lakehouse, dataset = pinned
    for table in datasets.PINNED[:-1]:
        lakehouse.drop_tag(table, dataset.tag(table))
        with pytest.raises(datasets.DatasetError, match=f"Expected the tag {dataset.tag(table)} on {table}"):
            datasets.read_training_set(lakehouse, dataset, SYMBOL)
        datasets.repin(lakehouse, dataset)


def test_second_maintenance_finds_nothing_to_do(pinned: tuple[Lakehouse, Dataset]) -> None:
    lakehouse, dataset = pinned
    assert any(done.is_changed for done in upkeep_of(lakehouse, [dataset]).values())
    assert [done for done in upkeep_of(lakehouse, [dataset]).values() if done.is_changed] == []


def test_dry_run_lists_and_deletes_nothing(pinned: tuple[Lakehouse, Dataset]) -> None:
    lakehouse, dataset = pinned
    stray = _staged_file(lakehouse)
    before = {name: files_under(lakehouse, name) for name in TABLES}
    done = upkeep_of(lakehouse, [dataset], is_dry=True)
    assert done[TABLE].orphans >= 1
    assert {name: files_under(lakehouse, name) for name in TABLES} == before
    assert stray in before[TABLE]


def _staged_file(lakehouse: Lakehouse) -> Path:
    """Write a data file that is in no table, as a writer does before its commit."""
    (file,) = compaction._write(lakehouse.table(TABLE), silver_rows(count=5))
    return Path(urlparse(file.file_path).path)


def test_files_of_a_killed_writer_are_swept_and_those_of_a_live_one_are_not(crowded: Lakehouse) -> None:
    with crowded.locks.hold([TABLE], ["OTHER"], [date(2020, 1, 1)], "writer", silent):
        staged = _staged_file(crowded)
        with pytest.raises(PartitionBusyError, match="run writer"):
            orphans.sweep(crowded, TABLE, timedelta(0), later(), "test")
        assert staged.exists()
        assert orphans.sweep(crowded, TABLE, orphans.GRACE, datetime.now(UTC), "test").paths == ()
    swept = orphans.sweep(crowded, TABLE, timedelta(0), datetime.now(UTC) + timedelta(seconds=1), "test")
    assert [Path(path) for path in swept.paths] == [staged]
    assert swept.bytes > 0
    assert not staged.exists()
    assert len(crowded.frame(TABLE)) == 400


def test_writer_waits_for_a_sweep_and_maintenance_reports_the_table_it_could_not_sweep(crowded: Lakehouse) -> None:
    with crowded.locks.hold([TABLE], ["OTHER"], [DAY], "writer", silent):
        done = upkeep_of(crowded, [])
    assert "run writer" in done[TABLE].left[0]
    assert done["silver.features"].left == ()


def test_young_object_of_a_table_without_locks_stays_even_without_grace(lakehouse: Lakehouse) -> None:
    lakehouse.append("evidence.signals", [{"signal_id": "s", "symbol": SYMBOL, "date": DAY}])
    root = Path(urlparse(lakehouse.table("evidence.signals").location()).path)
    stray = root / "data" / "staged.parquet"
    stray.write_bytes(b"rows of a commit under way")
    assert orphans.sweep(lakehouse, "evidence.signals", timedelta(0), datetime.now(UTC), "test").paths == ()
    assert orphans.sweep(lakehouse, "evidence.signals", timedelta(0), later(), "test").paths == (str(stray),)


def test_object_within_the_grace_stays(crowded: Lakehouse) -> None:
    staged = _staged_file(crowded)
    hour = timedelta(hours=1)
    assert orphans.sweep(crowded, TABLE, hour, datetime.now(UTC), "test").paths == ()
    os.utime(staged, (time.time() - 3601,) * 2)
    assert len(orphans.sweep(crowded, TABLE, hour, datetime.now(UTC), "test").paths) == 1


def test_what_lies_beside_the_table_is_never_touched(crowded: Lakehouse) -> None:
    root = Path(urlparse(crowded.table(TABLE).location()).path)
    beside = root.parent / "ticks_of_somebody" / "file.parquet"
    beside.parent.mkdir()
    beside.write_bytes(b"x")
    orphans.sweep(crowded, TABLE, timedelta(0), later(), "test")
    assert beside.exists()
    with pytest.raises(ValueError, match="Nothing outside a table's location is deleted"):
        orphans._delete(orphans._place(crowded.table(TABLE))[0], str(root), str(beside))


def test_table_whose_metadata_is_damaged_is_not_swept(crowded: Lakehouse) -> None:
    staged = _staged_file(crowded)
    snapshot = crowded.table(TABLE).current_snapshot()
    assert snapshot is not None
    Path(urlparse(snapshot.manifest_list).path).unlink()
    with pytest.raises(ValueError, match="Nothing was deleted"):
        orphans.sweep(crowded, TABLE, timedelta(0), later(), "test")
    assert staged.exists()


def test_branches_of_killed_runs_and_old_failed_audits_go_and_a_live_one_stays(crowded: Lakehouse) -> None:
    tip = crowded.snapshot_id(TABLE)
    assert tip is not None
    for branch in (f"{AUDIT_PREFIX}killed", f"{AUDIT_PREFIX}live", f"{FAILED_PREFIX}young"):
        crowded.keep_branch(TABLE, branch, tip, timedelta(days=7))
    with crowded.locks.hold(["raw.ticks"], (), (), "live", silent):
        done = upkeep_of(crowded, [])
    assert done[TABLE].branches_dropped == (f"{AUDIT_PREFIX}killed",)
    assert crowded.branches(TABLE) == [f"{AUDIT_PREFIX}live", f"{FAILED_PREFIX}young", "main"]


def test_two_maintenances_at_a_time_are_refused(lakehouse: Lakehouse) -> None:
    with lakehouse.locks.hold_alone("maintenance", "first"), pytest.raises(PartitionBusyError, match="run first"):
        upkeep_of(lakehouse, [])
