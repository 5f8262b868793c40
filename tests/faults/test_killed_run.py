"""A data run that is killed in the middle leaves nothing that the next run does not mend.

What belongs here: kill -9 of whole runs on the real servers. What must not: faults that a unit test can inject.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tick_assets.domain.instruments import parse_market
from tick_assets.domain.synthetic_market import SyntheticMarket
from tick_assets.lakehouse.bars import GRAINS
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.content_hash import content_hashes
from tick_assets.lakehouse.vendors.faults import FaultScript
from tick_assets.lakehouse.vendors.synthetic import generate_folder
from tick_assets.lakehouse.vendors.twin import TwinFolder, TwinServer
from tick_assets.settings import Settings

pytestmark = [pytest.mark.full, pytest.mark.stack]

SYMBOL, DATES = "SYNEDGE", (date(2024, 2, 6), date(2024, 2, 7))
TABLES = ("silver.ticks", "silver.tick_rejects", "silver.features", "silver.labels", *(f"silver.bars_{grain}" for grain in GRAINS))
SELECTED = ["raw/ticks_csv", "raw/replica", "raw/ticks", *(table.replace(".", "/") for table in TABLES)]
RUN = f"""
import dagster as dg
from tick_assets.definitions import defs
defs.resolve_job_def("ingest_ticks_job").execute_in_process(
    instance=dg.DagsterInstance.ephemeral(),
    tags={{"dagster/asset_partition_range_start": "{DATES[0]}", "dagster/asset_partition_range_end": "{DATES[1]}"}},
    run_config={{"resources": {{"scope": {{"config": {{"symbols": ["{SYMBOL}"]}}}}}}}},
    asset_selection=[dg.AssetKey(key.split("/")) for key in {SELECTED}],
)
"""


@pytest.fixture(scope="module")
def lakehouse(stack_settings: Settings, twin_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """The lake over a served synthetic market."""
    folder: Path = tmp_path_factory.mktemp("vendor") / "files"
    generate_folder(folder, {SYMBOL: SyntheticMarket(k=2.0)}, DATES, seed=3)
    server = TwinServer(TwinFolder(folder, parse_market(stack_settings.market_path.read_text())), FaultScript(()), "127.0.0.1", twin_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    opened = Lakehouse.from_settings(stack_settings)
    opened.ensure_tables()
    yield opened
    server.shutdown()
    server.server_close()


def start() -> subprocess.Popen[bytes]:
    """Start a data run as a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", RUN], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def staged(lakehouse: Lakehouse) -> list[str]:
    """Return the branches that a run has staged and not published."""
    return [f"{table}:{branch}" for table in TABLES for branch in lakehouse.branches(table) if branch != "main"]


def kill_when_staged(lakehouse: Lakehouse, table: str) -> None:
    """Start a run and kill it, with all that it started, as soon as it has staged rows of a table."""
    run = start()
    deadline = time.monotonic() + 180
    while not any(name.startswith(f"{table}:") for name in staged(lakehouse)):
        assert run.poll() is None, "the run ended before it staged anything"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


@pytest.mark.parametrize("table", ["silver.tick_rejects", "silver.ticks", "silver.features"])
def test_killed_run_then_the_same_again_gives_equal_content(lakehouse: Lakehouse, table: str) -> None:
    assert start().wait(timeout=300) == 0
    before = {name: content_hashes(lakehouse, name, [SYMBOL], DATES) for name in TABLES}
    assert len(lakehouse.frame("silver.ticks", f"symbol == '{SYMBOL}'")) > 40_000
    kill_when_staged(lakehouse, table)
    assert staged(lakehouse)
    assert {name: content_hashes(lakehouse, name, [SYMBOL], DATES) for name in TABLES} == before
    assert start().wait(timeout=300) == 0
    assert {name: content_hashes(lakehouse, name, [SYMBOL], DATES) for name in TABLES} == before
    assert staged(lakehouse) == []
