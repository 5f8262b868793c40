"""`tick drill` on a stack of its own: the raw folder alone gives the lake again, beside it and in its place.

What belongs here: whole drills on a small market. What must not: comparing (`tests/unit/lakehouse/test_rebuild.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PORTS, free_ports
from tick_assets.domain.instruments import parse_market
from tick_assets.domain.synthetic_market import SyntheticMarket
from tick_assets.lakehouse import datasets, rebuild
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.content_hash import partition_hashes
from tick_assets.lakehouse.dataset_folder import DatasetFolder, export
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.vendors.faults import FaultScript
from tick_assets.lakehouse.vendors.synthetic import generate_folder
from tick_assets.lakehouse.vendors.twin import TwinFolder, TwinServer
from tick_assets.settings import PROJECT_ROOT, Settings
from tick_assets.stack.environment import service_environment
from tick_assets.stack.supervisor import Supervisor

pytestmark = [pytest.mark.full, pytest.mark.stack]

SYMBOL, DATES = "SYNEDGE", (date(2024, 2, 6), date(2024, 2, 7))
TICKS = "silver.ticks"
INGEST = f"""
import dagster as dg
from tick_assets.definitions import defs
defs.resolve_job_def("ingest_ticks_job").execute_in_process(
    instance=dg.DagsterInstance.ephemeral(),
    tags={{"dagster/asset_partition_range_start": "{DATES[0]}", "dagster/asset_partition_range_end": "{DATES[1]}"}},
    run_config={{"resources": {{"scope": {{"config": {{"symbols": ["{SYMBOL}"]}}}}}}}},
)
"""


@dataclass
class Lake:
    """A small lake that the ordinary data job made, whose vendor is gone."""

    settings: Settings
    dataset: datasets.Dataset

    @property
    def lakehouse(self) -> Lakehouse:
        return Lakehouse.from_settings(self.settings)

    def tick(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "ignore", "-m", "tick_assets.cli.main", *arguments]
        environment = service_environment(self.settings, "test")
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)

    def drill(self, *options: str, code: int = 0) -> dict[str, Any]:
        """Run a drill that must end with this exit code, and return its document."""
        done = self.tick("drill", "--json", *options)
        assert done.returncode == code, done.stderr[-3000:]
        return dict(json.loads(done.stdout))

    def hashes(self) -> dict[str, list[Any]]:
        return {name: partition_hashes(self.lakehouse, name) for name in rebuild.TABLES_FROM_RAW}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Two dates of one symbol, ingested by the data job from a twin that is then shut down; a dataset pins them."""
    folder: Path = tmp_path_factory.mktemp("drill lake")
    twin_port, *ports = free_ports(1 + len(PORTS))
    named = {f"{name}_port": port for name, port in zip(PORTS, ports, strict=True)}
    twin = f"http://127.0.0.1:{twin_port}"
    settings = Settings(home=folder / ".tick", source="synthetic-twin", symbols=(SYMBOL,), vendor_url=twin, vendor_json_url=twin, **named)
    supervisor = Supervisor(settings)
    try:
        supervisor.up(print, ["trino"])
        _ingest(settings, folder / "vendor", twin_port)
        yield Lake(settings, _pin(settings))
    finally:
        supervisor.down(print)


def _ingest(settings: Settings, folder: Path, port: int) -> None:
    generate_folder(folder, {SYMBOL: SyntheticMarket(k=2.0)}, DATES, seed=5)
    server = TwinServer(TwinFolder(folder, parse_market(settings.market_path.read_text())), FaultScript(()), "127.0.0.1", port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        command = [sys.executable, "-W", "ignore", "-c", INGEST]
        done = subprocess.run(
            command, env=service_environment(settings, "test"), capture_output=True, text=True, timeout=600, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    finally:
        server.shutdown()
        server.server_close()


def _pin(settings: Settings) -> datasets.Dataset:
    lakehouse = Lakehouse.from_settings(settings)
    request = datasets.DatasetRequest((SYMBOL,), *DATES, datasets.view_sql_sha256(PROJECT_ROOT / "dbt_project"))
    dataset = datasets.create(lakehouse, ObjectStore.from_settings(settings), request)
    export(lakehouse, dataset, DatasetFolder(settings.datasets_dir))
    return dataset


def test_drill_beside_the_lake_is_equal_and_leaves_nothing(lake: Lake) -> None:
    before = {name: lake.lakehouse.snapshot_id(name) for name in rebuild.TABLES_FROM_RAW}
    found = lake.drill()
    rows = {row["table"]: row["rows_after"] for row in found["tables"]}
    assert found["equal"]
    assert set(rows) == {
        *rebuild.TABLES_FROM_RAW, *rebuild.views_from_raw(PROJECT_ROOT / "dbt_project"), f"dataset {lake.dataset.id[:12]}"
    }  # fmt: skip
    assert rows[TICKS] > 40_000
    assert rows["evidence.hour_ledger"] == rows["gold.quality"] == 48
    assert rows["gold.bars_1m"] > 2000
    assert rows["gold.training_examples"] > 1000
    assert {name: lake.lakehouse.snapshot_id(name) for name in before} == before
    assert not (lake.settings.home / "drill").exists()


def test_drill_names_the_partition_that_the_raw_folder_does_not_give(lake: Lake) -> None:
    snapshot = lake.lakehouse.snapshot_id(TICKS)
    day = day_filter(SYMBOL, DATES[1])
    rows = lake.lakehouse.frame(TICKS, day).sort("seq")
    lake.lakehouse.replace_rows(TICKS, rows[1:], day)
    found = lake.drill("--symbols", SYMBOL, "--from", DATES[1].isoformat(), "--to", DATES[1].isoformat(), code=1)
    wrong = {row["table"]: row["differing"] for row in found["tables"] if not row["equal"]}
    part = {"date": DATES[1].isoformat(), "symbol": SYMBOL, "rows_before": len(rows) - 1, "rows_after": len(rows)}
    assert wrong[TICKS] == [part]
    assert set(wrong) == {TICKS, "gold.symbol_days", "gold.quality"}
    assert lake.tick("rollback-table", TICKS, "--to", str(snapshot)).returncode == 0


def test_column_that_somebody_added_or_widened_breaks_no_writer(lake: Lake) -> None:
    before = lake.hashes()
    changed = ("raw.ticks", TICKS, "silver.features", "silver.bars_1m")
    for table in changed:
        assert lake.tick("table", "add-column", table, "venue", "string").returncode == 0
    assert lake.tick("table", "widen-column", "raw.ticks", "price_factor", "long").returncode == 0
    plan = {"ranges": [{"symbols": [SYMBOL], "first": str(DATES[0]), "last": str(DATES[1])}], "is_recorded": False}
    command = [sys.executable, "-W", "ignore", "-m", "tick_assets.cli.rebuild_run", json.dumps(plan)]
    environment = service_environment(lake.settings, "test")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert lake.hashes() == before
    for table in changed:
        rows = lake.lakehouse.frame(table, columns=("venue",))
        assert rows["venue"].null_count() == len(rows) > 0


def test_drill_in_place_gives_equal_content_and_datasets_stay_themselves(lake: Lake) -> None:
    before, snapshot = lake.hashes(), lake.lakehouse.snapshot_id(TICKS)
    examples = datasets.read_examples(lake.lakehouse, lake.dataset)
    lake.lakehouse.append("evidence.resources", [{"run_id": "r1", "symbol": SYMBOL}])
    found = lake.drill("--in-place", "--yes")
    assert found["equal"]
    assert lake.hashes() == before
    assert lake.lakehouse.snapshot_id(TICKS) != snapshot
    assert len(lake.lakehouse.frame("evidence.resources")) == 1
    assert datasets.require_content(lake.lakehouse, lake.dataset) == lake.dataset
    assert datasets.read_examples(lake.lakehouse, lake.dataset).equals(examples)
    assert not (lake.settings.home / "drill-before.json").exists()


def test_drill_in_place_after_the_lake_was_lost_is_judged_by_the_dataset(lake: Lake) -> None:
    before = lake.hashes()
    rebuild.drop(lake.lakehouse, ObjectStore.from_settings(lake.settings))
    found = lake.drill("--in-place", "--yes")
    assert [(row["table"], row["equal"]) for row in found["tables"]] == [(f"dataset {lake.dataset.id[:12]}", True)]
    assert lake.hashes() == before
    assert datasets.require_content(lake.lakehouse, lake.dataset) == lake.dataset


def test_drill_in_place_changed_raw_file_drops_nothing(lake: Lake) -> None:
    path = next((lake.settings.raw_dir / "synthetic-twin" / SYMBOL).glob("*.r000.csv"))
    content, mode = path.read_bytes(), path.stat().st_mode
    snapshot = lake.lakehouse.snapshot_id(TICKS)
    path.chmod(0o644)
    path.write_bytes(content[:-2] + b"9\n")
    try:
        done = lake.tick("drill", "--in-place", "--yes")
    finally:
        path.write_bytes(content)
        path.chmod(mode)
    assert done.returncode == 1
    assert "Nothing was dropped" in done.stderr
    assert lake.lakehouse.snapshot_id(TICKS) == snapshot
