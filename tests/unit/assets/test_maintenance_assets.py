"""Maintenance assets over a local lake: what they report, what they check, and that every run leaves its cost."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.unit.lakehouse.local_catalog import local_lakehouse
from tests.unit.lakehouse.test_datasets import REQUEST, MemoryObjects, publish
from tick_assets.assets.maintenance import DATASETS_ARE_READABLE, lakehouse, resources
from tick_assets.lakehouse import datasets
from tick_assets.resources import Road
from tick_assets.settings import Settings


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    """The road over a local catalog whose first snapshots may expire; Dagster copies resources, so the parts are the class's own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        settings = Settings(
            home=tmp_path / ".tick",
            postgres_url=f"postgresql://{address}",
            s3_endpoint=f"http://{address}",
            maintenance_keep_days=0,
            maintenance_keep_snapshots=1,
            maintenance_grace_hours=0,
        )
        parts = {"settings": settings, "lakehouse": local_lakehouse(tmp_path), "object_store": MemoryObjects()}

        class LocalRoad(Road):
            settings = property(lambda self: parts["settings"])  # type: ignore[assignment]
            lakehouse = property(lambda self: parts["lakehouse"])  # type: ignore[assignment]
            object_store = property(lambda self: parts["object_store"])  # type: ignore[assignment]

        yield LocalRoad()


def materialize(road: Road) -> dg.ExecuteInProcessResult:
    return dg.materialize([resources, lakehouse], resources={"road": road}, raise_on_error=False)


def metadata(done: dg.ExecuteInProcessResult, node: str) -> dict[str, dg.MetadataValue]:
    (materialization,) = done.asset_materializations_for_node(node)
    return dict(materialization.metadata)


def test_maintenance_reports_each_table_and_that_every_dataset_reads(road: Road) -> None:
    publish(road.lakehouse)
    dataset = datasets.create(road.lakehouse, road.object_store, REQUEST)
    publish(road.lakehouse, publication_id="p2", count=150)
    done = materialize(road)
    assert done.success
    found = metadata(done, "maintenance__lakehouse")
    assert found["snapshots_expired"].value > 0
    tables = {record.data["table"]: record.data for record in found["tables"].records}  # type: ignore[attr-defined]
    assert tables["silver.ticks"]["snapshots_expired"] > 0
    (check,) = done.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.metadata["datasets"].value) == (DATASETS_ARE_READABLE, True, 1)
    assert datasets.check_content(road.lakehouse, dataset) == {}


def test_maintenance_fails_and_names_the_dataset_whose_tag_is_gone(road: Road) -> None:
    publish(road.lakehouse)
    dataset = datasets.create(road.lakehouse, road.object_store, REQUEST)
    road.lakehouse.drop_tag("silver.ticks", dataset.tag("silver.ticks"))
    done = materialize(road)
    assert not done.success
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    assert f"tick dataset repin {dataset.id[:12]}" in str(failure.event_specific_data)


def test_runs_leave_their_cost_and_the_next_one_has_it_in_the_table(road: Road) -> None:
    assert materialize(road).success
    done = materialize(road)
    assert metadata(done, "evidence__resources")["ingested"].value == 2
    rows = road.lakehouse.frame("evidence.resources")
    assert sorted(rows["stage"]) == ["evidence/resources", "maintenance/lakehouse"]
    assert rows["run_id"].n_unique() == 1
    assert rows["seconds"].min() > 0  # type: ignore[operator]
    assert metadata(done, "maintenance__lakehouse")["peak_memory_mb"].value > 10
