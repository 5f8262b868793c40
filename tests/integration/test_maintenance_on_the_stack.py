"""Maintenance on Postgres and S3, in a catalog of its own: pinned rows stay, a killed writer's objects go, a live one's stay.

What belongs here: what only the servers can show: objects in S3, locks of another process. What must not: rules that a local catalog
shows too (`tests/unit/lakehouse/test_maintenance`).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from tests.unit.lakehouse.local_catalog import DAY, silver_rows
from tests.unit.lakehouse.test_datasets import REQUEST, MemoryObjects, publish
from tick_assets.lakehouse import datasets, orphans
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.content_hash import content_hash
from tick_assets.lakehouse.datasets import Dataset
from tick_assets.lakehouse.expiry import PinError
from tick_assets.lakehouse.maintenance import TableUpkeep, Upkeep, maintain, unreadable
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.partition_locks import PartitionBusyError
from tick_assets.lakehouse.tables import TABLES
from tick_assets.settings import Settings, load_settings

pytestmark = pytest.mark.stack

PLACE, TABLE = "test_maintenance", "silver.ticks"
WRITER = """
import time
from tests.integration.test_maintenance_on_the_stack import own_lakehouse, staged
from tests.unit.lakehouse.local_catalog import DAY
from tick_assets.settings import load_settings

lakehouse = own_lakehouse(load_settings())
with lakehouse.locks.hold(["silver.ticks"], ["OTHER"], [DAY], "writer", print):
    print(staged(lakehouse), flush=True)
    time.sleep(120)
"""


def own_lakehouse(settings: Settings) -> Lakehouse:
    """Return a lake of its own on the stack's servers: other tests' tables are not expired."""
    shared = Lakehouse.from_settings(settings)
    properties = shared.catalog.properties | {"warehouse": f"s3://{settings.s3_bucket}/{PLACE}"}
    return Lakehouse(SqlCatalog(PLACE, **properties), shared.locks)


def staged(lakehouse: Lakehouse) -> str:
    """Write a data file that is in no table, as a writer does before its commit, and return its address."""
    from tick_assets.lakehouse.compaction import _write

    (file,) = _write(lakehouse.table(TABLE), silver_rows(count=5))
    return str(file.file_path)


@pytest.fixture
def lakehouse(stack_settings: Settings) -> Iterator[Lakehouse]:
    """An empty lake; its tables and objects go afterwards."""
    opened = own_lakehouse(stack_settings)
    opened.ensure_tables()
    yield opened
    for name in TABLES:
        opened.catalog.drop_table(name)
    objects = ObjectStore.from_settings(stack_settings)
    for key in list(objects.list_keys(f"{PLACE}/")):
        objects.delete(key)


def keys_of(table: str) -> set[str]:
    return set(ObjectStore.from_settings(load_settings()).list_keys(f"{PLACE}/{table.replace('.', '/')}/"))


def upkeep_of(lakehouse: Lakehouse, dataset: Dataset) -> dict[str, TableUpkeep]:
    """Maintain with nothing kept and no grace, at a time when objects without locks are old enough."""
    later = datetime.now(UTC) + orphans.UNLOCKED_GRACE + timedelta(seconds=2)
    return {done.table: done for done in maintain(lakehouse, [dataset], Upkeep(timedelta(0), 1, timedelta(0)), later, "test", print)}


def test_dataset_reads_the_same_after_expiry_and_a_sweep_without_grace(lakehouse: Lakehouse) -> None:
    publish(lakehouse)
    dataset = datasets.create(lakehouse, MemoryObjects(), REQUEST)
    publish(lakehouse, publication_id="p2", count=150)
    for half in (slice(0, 100), slice(100, 200)):
        lakehouse.append(TABLE, silver_rows("SYNNULL")[half])
    before, objects_before = {name: content_hash(lakehouse, name) for name in TABLES}, keys_of(TABLE)
    lakehouse.drop_tag(TABLE, dataset.tag(TABLE))
    with pytest.raises(PinError, match=f"tick dataset repin {dataset.id[:12]}"):
        upkeep_of(lakehouse, dataset)
    datasets.repin(lakehouse, dataset)
    done = upkeep_of(lakehouse, dataset)[TABLE]
    assert (done.files_before, done.files_after) == (3, 2)
    assert done.snapshots_expired > 0
    assert done.orphans >= len(objects_before - keys_of(TABLE)) > 0
    assert {name: content_hash(lakehouse, name) for name in TABLES} == before
    assert unreadable(lakehouse, [dataset]) == []
    assert [each for each in upkeep_of(lakehouse, dataset).values() if each.is_changed] == []


def test_objects_of_a_killed_writer_are_swept_and_those_of_a_live_one_are_not(lakehouse: Lakehouse, stack_settings: Settings) -> None:
    lakehouse.append(TABLE, silver_rows())
    writer = subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout is not None
        address = writer.stdout.readline().strip()
        key = address.removeprefix(f"s3://{stack_settings.s3_bucket}/")
        assert key in keys_of(TABLE)
        soon = datetime.now(UTC) + timedelta(seconds=2)
        with pytest.raises(PartitionBusyError, match="run writer"):
            orphans.sweep(lakehouse, TABLE, timedelta(0), soon, "test")
        assert key in keys_of(TABLE)
    finally:
        writer.kill()
        writer.communicate()
    assert len(_swept_once_free(lakehouse).paths) == 1
    assert key not in keys_of(TABLE)
    assert len(lakehouse.frame(TABLE)) == 200
    assert lakehouse.partition_rows(TABLE) == {("SYNEDGE", DAY): 200}


def _swept_once_free(lakehouse: Lakehouse) -> orphans.Orphans:
    """Sweep as soon as Postgres has noticed that the writer is gone."""
    from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

    retrying = Retrying(retry=retry_if_exception_type(PartitionBusyError), stop=stop_after_delay(30), wait=wait_fixed(0.2), reraise=True)
    return retrying(lambda: orphans.sweep(lakehouse, TABLE, timedelta(0), datetime.now(UTC) + timedelta(seconds=2), "test"))
