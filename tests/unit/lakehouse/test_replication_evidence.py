"""Provenance rows: a line an attempt, one commit for all runs that ended, nothing twice."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.unit.lakehouse.local_catalog import local_lakehouse
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.replication_evidence import TABLE, ingest, recording
from tick_assets.lakehouse.replicator import DEAD_LETTER, SENT, Attempt, ReplicaFile

AT = datetime(2026, 1, 2, tzinfo=UTC)
FILE = ReplicaFile(Path("x"), "raw/dukascopy/EURUSD/2024-01-08.r000.csv", 7, "ab")
DELIVERY = ReplicaFile(Path("y"), "delivered/dukascopy/EURUSD/cd", 3, "cd")


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    return local_lakehouse(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "replications"


def record(folder: Path, run_id: str) -> None:
    with recording(folder, run_id) as write:
        write(Attempt(FILE, "built_in", 2, AT, AT, SENT))
        write(Attempt(DELIVERY, "built_in", 1, AT, AT, DEAD_LETTER, "TARGET_DENIED", "no"))


def test_attempts_are_rows_and_the_file_is_gone(lakehouse: Lakehouse, folder: Path) -> None:
    record(folder, "run-1")
    assert ingest(lakehouse, folder) == 2
    rows = lakehouse.frame(TABLE).sort("bytes", descending=True).to_dicts()
    expected = {"run_id": "run-1", "key": FILE.key, "bytes": 7, "sha256": "ab", "replicator": "built_in", "attempts": 2, "outcome": "sent"}
    assert expected.items() <= rows[0].items()
    assert [(row["symbol"], row["source"], row["date"]) for row in rows] == [
        ("EURUSD", "dukascopy", date(2024, 1, 8)),
        ("EURUSD", "dukascopy", None),
    ]
    assert [(row["reason"], row["detail"], row["started_at"]) for row in rows] == [(None, None, AT), ("TARGET_DENIED", "no", AT)]
    assert list(folder.glob("*.jsonl")) == []


def test_file_whose_removal_a_crash_prevented_adds_nothing(lakehouse: Lakehouse, folder: Path, tmp_path: Path) -> None:
    record(folder, "run-1")
    kept = shutil.copy(folder / "run-1.jsonl", tmp_path / "kept")
    ingest(lakehouse, folder)
    before = lakehouse.snapshot_id(TABLE)
    shutil.copy(kept, folder / "run-1.jsonl")
    assert ingest(lakehouse, folder) == 0
    assert (lakehouse.snapshot_id(TABLE), list(folder.glob("*.jsonl"))) == (before, [])


def test_runs_that_were_killed_come_with_the_next_in_one_commit_and_one_that_writes_stays(lakehouse: Lakehouse, folder: Path) -> None:
    record(folder, "killed")
    with (folder / "killed.jsonl").open("ab") as stream:
        stream.write(b'{"run_id": "cut sh')
    record(folder, "run-2")
    with recording(folder, "running") as write:
        write(Attempt(FILE, "built_in", 1, AT, AT, SENT))
        assert ingest(lakehouse, folder) == 4
    assert sorted(lakehouse.frame(TABLE)["run_id"].unique()) == ["killed", "run-2"]
    assert len(lakehouse.table(TABLE).history()) == 1
    assert ingest(lakehouse, folder) == 1
