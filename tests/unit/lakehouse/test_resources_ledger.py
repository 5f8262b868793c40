"""The resource ledger: what is measured, what is kept, and that a repeat changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse, silver_rows
from tick_assets.lakehouse import resources_ledger
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.resources_ledger import Step, by_stage, ingest, measured, memory_mb, per_million_ticks

SYMBOL = "SYNEDGE"
TICKS = Step("run-1", "silver/ticks", (SYMBOL,), (DAY.isoformat(), DAY.isoformat()), "abc")


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    """A lake where one symbol-day of two million vendor rows is published."""
    made = local_lakehouse(tmp_path)
    made.append("evidence.publications", [{"symbol": SYMBOL, "date": DAY, "publication_id": "p1", "raw_rows": 2_000_000}])
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "resources"


def now() -> datetime:
    return datetime.now(UTC)


def test_step_is_a_line_of_its_run(folder: Path) -> None:
    for _ in range(2):
        with measured(TICKS, folder) as usage:
            time.sleep(0.02)
    lines = [json.loads(line) for line in (folder / "run-1.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["symbols"], line["code_commit"]) for line in lines] == [("silver/ticks", [SYMBOL], "abc")] * 2
    assert all(line["seconds"] >= 0.02 and line["peak_mb"] > 10 for line in lines)
    assert lines[1]["started_at"] == usage.started_at.isoformat()


def test_step_that_fails_leaves_no_line(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), measured(TICKS, folder):
        raise ZeroDivisionError
    assert not folder.exists()


def test_memory_of_a_child_counts() -> None:
    code = "import time; held = bytearray(60_000_000); print('ready', flush=True); time.sleep(30)"
    before = memory_mb(psutil.Process())
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert memory_mb(psutil.Process()) > before + 50
    finally:
        child.kill()
        child.communicate()


def test_ingested_step_has_what_iceberg_says_it_wrote_and_the_published_ticks(lakehouse: Lakehouse, folder: Path) -> None:
    lakehouse.append("silver.ticks", silver_rows(count=50))
    time.sleep(0.01)
    with measured(TICKS, folder):
        lakehouse.replace_rows("silver.ticks", silver_rows(count=120), day_filter(SYMBOL, DAY))
        lakehouse.append("silver.tick_rejects", [{"symbol": SYMBOL, "date": DAY, "reason_code": "QUOTE_CROSSED"}])
    time.sleep(0.01)
    lakehouse.append("silver.ticks", silver_rows(day=date(2024, 1, 9), count=7))
    assert ingest(lakehouse, folder, now()) == 1
    (row,) = lakehouse.frame("evidence.resources").to_dicts()
    assert (row["run_id"], row["stage"], row["symbol"], row["date"]) == ("run-1", "silver/ticks", SYMBOL, DAY)
    assert (row["rows"], row["ticks"]) == (121, 2_000_000)
    assert 0.001 < row["mb"] < 0.1


def test_step_without_table_or_symbols_has_neither_rows_nor_ticks(lakehouse: Lakehouse, folder: Path) -> None:
    with measured(Step("run-2", "reports/data_report"), folder):
        pass
    ingest(lakehouse, folder, now())
    (row,) = lakehouse.frame("evidence.resources").to_dicts()
    assert (row["rows"], row["mb"], row["ticks"], row["symbol"], row["date"]) == (None,) * 5


def test_second_ingestion_changes_nothing_and_a_longer_run_is_replaced(lakehouse: Lakehouse, folder: Path) -> None:
    with measured(TICKS, folder):
        pass
    assert ingest(lakehouse, folder, now()) == 1
    before = lakehouse.snapshot_id("evidence.resources")
    assert ingest(lakehouse, folder, now()) == 0
    assert lakehouse.snapshot_id("evidence.resources") == before
    with measured(Step("run-1", "silver/features", (SYMBOL,)), folder):
        pass
    assert ingest(lakehouse, folder, now()) == 2
    assert sorted(lakehouse.frame("evidence.resources")["stage"]) == ["silver/features", "silver/ticks"]


def test_line_that_a_crash_cut_short_is_left_out(lakehouse: Lakehouse, folder: Path) -> None:
    with measured(TICKS, folder):
        pass
    with (folder / "run-1.jsonl").open("ab") as stream:
        stream.write(b'{"run_id": "run-1", "sta')
    assert ingest(lakehouse, folder, now()) == 1


def test_old_file_goes_once_its_lines_are_in_the_table(lakehouse: Lakehouse, folder: Path) -> None:
    with measured(TICKS, folder):
        pass
    (path,) = folder.iterdir()
    later = now() + resources_ledger.KEPT_FOR + timedelta(seconds=5)
    os.utime(path)
    ingest(lakehouse, folder, later)
    assert path.exists()
    ingest(lakehouse, folder, later)
    assert not path.exists()
    assert len(lakehouse.frame("evidence.resources")) == 1


def test_figures_are_per_million_ticks(lakehouse: Lakehouse) -> None:
    start = datetime(2024, 1, 9, tzinfo=UTC)
    steps = [
        ("silver/ticks", 4.0, 2_000_000, 30.0, 500.0),
        ("silver/ticks", 9.0, 3_000_000, 45.0, 700.0),
        ("raw/replica", 1.0, None, None, 9.0),
    ]
    names = ("stage", "seconds", "ticks", "mb", "peak_mb")
    rows = [dict(zip(names, step, strict=True)) | {"run_id": f"r{i}", "started_at": start} for i, step in enumerate(steps)]
    lakehouse.append("evidence.resources", rows)
    replica, ticks = by_stage(per_million_ticks(lakehouse))
    assert (ticks["runs"], ticks["ticks"], ticks["seconds_per_million"], ticks["mb_per_million"], ticks["peak_mb"]) == (
        2,
        5_000_000,
        2.5,
        15,
        700,
    )
    assert (replica["stage"], replica["seconds_per_million"]) == ("raw/replica", None)
