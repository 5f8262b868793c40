"""Kill -9 at the commit points of the writers that need no Spark: ingest, the pinned training set, evidence.

What belongs here: their points, the empty state before, and what is whole after. What must not: Spark's writers (`test_crash_points`); the
raw store's own steps between two deliveries (`tests/unit/lakehouse`).

Each writer begins with nothing of its own. It is killed on the way; then every table is as before or as after; then the same run again
gives what a run without a kill gave.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.manifest import DataFile

from tests.faults.crash_parent import Child, Witness, show
from tests.faults.scenario import DAY, MARKET, OTHER_DAY, SOURCE, SYMBOL
from tests.unit.lakehouse.test_evidence import ORDER, SIGNAL
from tick_assets.domain.instruments import parse_market
from tick_assets.domain.signals import Strategy
from tick_assets.lakehouse import datasets, publications, raw_ticks
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.content_hash import content_hash
from tick_assets.lakehouse.day_files import in_this_process
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.replication import reconcile
from tick_assets.lakehouse.silver import Partitions, event_files, tick_files
from tick_assets.lakehouse.tick_audit import DayCounts
from tick_assets.lakehouse.vendors.faults import FaultScript
from tick_assets.lakehouse.vendors.synthetic import generate_folder
from tick_assets.lakehouse.vendors.twin import TwinFolder, TwinServer
from tick_assets.settings import Settings

pytestmark = [pytest.mark.full, pytest.mark.stack]

PINNED = datasets.PINNED
POINTS = {
    "ingest": [
        "rename revision",
        "rename manifest",
        "rows evidence.hour_ledger",
        "put raw/….csv",
        "put raw/….json",
        "rows evidence.replications",
        "rows raw.ticks",
    ],
    "evidence": ["rows evidence.signals", "rows evidence.orders"],
    "training_set": [
        *(f"reference {table}" for table in PINNED),
        "put datasets/….json",
        "put datasets/….json",
        "rename examples",
        "rename manifest",
        "dvc init",
        "dvc add,push",
        "put datasets/….dvc",
        "put candidates/….json",
    ],
}
TABLES = {
    "ingest": ("evidence.hour_ledger", "raw.ticks"),
    "evidence": ("evidence.signals", "evidence.orders"),
    "training_set": PINNED,
}


@dataclass
class Lake:
    """A lake, its raw store and objects, and the log of the killed processes."""

    settings: Settings
    lakehouse: Lakehouse
    objects: ObjectStore
    log: Path

    @property
    def store(self) -> RawStore:
        return RawStore(self.settings.raw_dir)

    def witness(self, writer: str) -> Witness:
        return Witness(self.lakehouse, self.objects, TABLES[writer])

    def delete_objects(self, *prefixes: str) -> None:
        for key in [key for prefix in prefixes for key in self.objects.list_keys(prefix)]:
            self.objects.delete(key)


@pytest.fixture(scope="module")
def lake(data_stack: Settings, twin_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake over a served market."""
    with served_lake(data_stack, twin_port, tmp_path_factory.mktemp("vendor")) as made:
        yield made


@contextmanager
def served_lake(settings: Settings, twin_port: int, folder: Path) -> Iterator[Lake]:
    """Serve the market, and give the lake over these servers."""
    generate_folder(folder / "files", {SYMBOL: MARKET}, (DAY, OTHER_DAY), seed=3)
    market = parse_market(settings.market_path.read_text())
    server = TwinServer(TwinFolder(folder / "files", market), FaultScript(()), "127.0.0.1", twin_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    lakehouse = Lakehouse.from_settings(settings)
    lakehouse.ensure_tables()
    yield Lake(settings, lakehouse, ObjectStore.from_settings(settings), folder / "log.txt")
    server.shutdown()
    server.server_close()


# What a writer begins with.


def empty_ingest(lake: Lake) -> None:
    shutil.rmtree(lake.settings.raw_dir / SOURCE, ignore_errors=True)
    lake.delete_objects("raw/")
    for table in TABLES["ingest"]:
        lake.lakehouse.replace_rows(table, [], day_filter(SYMBOL, DAY))


def empty_evidence(lake: Lake) -> None:
    for table in TABLES["evidence"]:
        lake.lakehouse.replace_rows(table, [], f"symbol == '{SYMBOL}'")
    for folder, document in (("signals", SIGNAL), ("executions", ORDER)):
        path = lake.settings.home / "evidence" / folder / f"{DAY}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(document | _at(document, i)) + "\n" for i in range(5)))


def _at(document: dict[str, Any], i: int) -> dict[str, str]:
    name = "signal_id" if "probability" in document else "event_id"
    return {name: f"{document[name]}-{i}", "ts_event": f"{DAY}T10:00:0{i}Z"}


def empty_training_set(lake: Lake) -> None:
    shutil.rmtree(lake.settings.datasets_dir, ignore_errors=True)
    lake.delete_objects("datasets/", "candidates/", "dvc/")
    for table in PINNED:
        for tag in lake.lakehouse.tags(table):
            lake.lakehouse.drop_tag(table, tag)


EMPTY = {"ingest": empty_ingest, "evidence": empty_evidence, "training_set": empty_training_set}


# What is there after.


def ingest_state(lake: Lake) -> dict[str, Any]:
    """Return what the raw store and its replica hold, by name and content."""
    entries = lake.store.revisions(SOURCE, SYMBOL, DAY)
    replica = reconcile(lake.store, lake.objects, [SYMBOL], [DAY], is_deep=True)
    return {
        "files": [(entry.file, entry.sha256, entry.rows) for entry in entries],
        "mismatches": lake.store.verify(),
        "replica": (replica.files, replica.differences),
    }


def evidence_state(lake: Lake) -> dict[str, Any]:
    return {table: len(lake.lakehouse.frame(table)) for table in TABLES["evidence"]}


def training_state(lake: Lake) -> dict[str, Any]:
    """Return what names the dataset, in every place, and whether the tables still hold what it pins."""
    keys = sorted(key for prefix in ("datasets/", "candidates/", "dvc/") for key in lake.objects.list_keys(prefix) if "/runs/" not in key)
    ids = {key.split("/")[1] for key in keys if key.startswith("datasets/") and key.endswith("manifest.json")}
    files = sorted(str(path.relative_to(lake.settings.datasets_dir)) for path in lake.settings.datasets_dir.glob("[!.]*/*"))
    return {
        "keys": keys,
        "ids": ids,
        "files": files,
        "tags": {table: sorted(lake.lakehouse.tags(table)) for table in PINNED},
        "changed": [datasets.check_content(lake.lakehouse, datasets.fetch(lake.objects, name)) for name in ids],
    }


STATE = {"ingest": ingest_state, "evidence": evidence_state, "training_set": training_state}


def make_silver(lake: Lake) -> None:
    """Publish raw and silver of both days without Spark."""
    market = parse_market(lake.settings.market_path.read_text())
    days = (DAY, OTHER_DAY)
    partitions = publications.partitions_of(lake.store, [SYMBOL], days, [SOURCE])
    raw_ticks.write_days(lake.lakehouse, lake.store, [SYMBOL], days, [SOURCE], print)
    put(lake.lakehouse, tick_files(in_this_process, lake.lakehouse, partitions, lake.lakehouse.snapshot_id("raw.ticks")), partitions)
    put(lake.lakehouse, event_files(in_this_process, lake.lakehouse, partitions, market, Strategy()), partitions)
    counts = [DayCounts(SYMBOL, day, 1, lake.lakehouse.partition_rows("silver.ticks")[SYMBOL, day], 0) for day in days]
    hashes = {(SYMBOL, day): content_hash(lake.lakehouse, "silver.ticks", day_filter(SYMBOL, day)) for day in days}
    publications.record(lake.lakehouse, partitions, counts, hashes, datetime(2024, 2, 8, tzinfo=UTC))


def put(lakehouse: Lakehouse, files: Mapping[str, Sequence[DataFile]], partitions: Partitions) -> None:
    for table, made in files.items():
        lakehouse.replace_files(table, made, partitions.row_filter)


def kills(points: Sequence[str]) -> list[tuple[int, str]]:
    """Return where to kill: after every point, and before those that leave something unfinished behind, a file or a manifest."""
    both = [(index, side) for index in range(len(points)) for side in ("before", "after")]
    return [(i, side) for i, side in both if side == "after" or points[i].startswith(("rows ", "rename "))]


@pytest.mark.parametrize("writer", ["ingest", "evidence", "training_set"])
def test_killed_writer_then_the_same_again(lake: Lake, writer: str) -> None:
    if writer == "training_set":
        fill_raw(lake, (DAY, OTHER_DAY))
        make_silver(lake)
    witness = lake.witness(writer)
    EMPTY[writer](lake)
    before = witness.hashes()
    child = Child(writer, lake.log)
    points = child.run()
    assert points == POINTS[writer], points[6:]
    after, state, counted = witness.hashes(), STATE[writer](lake), witness.rows()
    rows, orphans = [], witness.orphans()
    for index, side in kills(points):
        EMPTY[writer](lake)
        orphans = witness.orphans()
        started = time.monotonic()
        point = child.kill(index, side)
        between = witness.hashes()
        assert all(found in (before[table], after[table]) for table, found in between.items()), (point, side)
        child = Child(writer, lake.log)
        child.run()
        rows.append(
            {
                "writer": writer,
                "point": f"{side} {point}",
                "published then": sum(found == after[table] for table, found in between.items()) if before != after else 0,
                "lost": max(counted - witness.rows(), 0),
                "doubled": max(witness.rows() - counted, 0),
                "mixed": sum(found != after[table] for table, found in witness.hashes().items()) + (STATE[writer](lake) != state),
                "branches": len(witness.branches()),
                "orphans": witness.orphans() - orphans,
                "temporary files": sum(1 for _ in lake.settings.home.glob("raw/*/*/.tmp-*")),
                "seconds": round(time.monotonic() - started, 1),
            }
        )
    child.end()
    show(f"kill -9 of {writer}: {len(rows)} kills", rows)
    assert sum(row[name] for row in rows for name in ("lost", "doubled", "mixed", "branches")) == 0


def fill_raw(lake: Lake, dates: Sequence[date]) -> None:
    """Fetch these dates from the twin."""
    from contextlib import closing

    from tick_assets.lakehouse.ingestion import ingest_dates
    from tick_assets.lakehouse.vendors.dukascopy import DukascopyVendor

    market = parse_market(lake.settings.market_path.read_text())
    with closing(DukascopyVendor.from_settings(lake.settings)) as vendor:
        ingest_dates(vendor, lake.store, market, [SYMBOL], dates, source=SOURCE)
