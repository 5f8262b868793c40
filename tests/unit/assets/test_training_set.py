"""The asset `datasets/training_set`: what is published, or what a rollback chose."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse
from tests.unit.lakehouse.test_datasets import MemoryObjects, publish
from tick_assets.assets.datasets import training_set
from tick_assets.lakehouse.dataset_folder import DatasetFolder
from tick_assets.lakehouse.datasets import DatasetError
from tick_assets.partitions import model_key
from tick_assets.resources import Road
from tick_assets.settings import Settings
from tick_assets.tracking.candidates import CandidateStore


@dataclass
class FakeVersions:
    """DVC that remembers what it was given."""

    added: list[str] = field(default_factory=list)

    def add(self, dataset_id: str) -> str:
        self.added.append(dataset_id)
        return f"{len(self.added)}.dir"


@pytest.fixture
def listener() -> Iterator[str]:
    """An address that takes connections: an asset that fails looks whether its servers are away."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def road(tmp_path: Path, listener: str) -> Road:
    """The road over a local catalog and objects in memory; Dagster copies resources, so the parts are the class's own."""
    settings = Settings(home=tmp_path / ".tick", postgres_url=f"postgresql://{listener}", s3_endpoint=f"http://{listener}")
    parts = {"settings": settings, "lakehouse": local_lakehouse(tmp_path), "object_store": MemoryObjects()}

    class LocalRoad(Road):
        settings = property(lambda self: parts["settings"])  # type: ignore[assignment]
        lakehouse = property(lambda self: parts["lakehouse"])  # type: ignore[assignment]
        object_store = property(lambda self: parts["object_store"])  # type: ignore[assignment]

        def dataset_versions(self) -> FakeVersions:  # type: ignore[override]
            return FakeVersions()

    return LocalRoad()


def _materialize(road: Road, symbol: str = "SYNEDGE") -> str:
    """Run the asset for one model and return the dataset that its candidate stage would read."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("symbol", [symbol])
        dg.materialize([training_set], partition_key=model_key(symbol, "direction"), resources={"road": road}, instance=instance)
    return CandidateStore(road.object_store, symbol, "direction").dataset_id()  # type: ignore[arg-type]


def test_training_set_follows_what_is_published_until_a_rollback_and_again_after_release(road: Road) -> None:
    folder = DatasetFolder(road.settings.datasets_dir)
    publish(road.lakehouse)
    first = _materialize(road)
    publish(road.lakehouse, publication_id="p2", count=260)
    second = _materialize(road)
    assert folder.ids() == [first, second]
    folder.select(folder.load(first))
    assert _materialize(road) == first
    folder.release("SYNEDGE")
    assert _materialize(road) == second
    assert folder.ids() == [first, second]


def test_training_set_rollback_of_one_symbol_leaves_the_other(road: Road) -> None:
    folder = DatasetFolder(road.settings.datasets_dir)
    for symbol in ("SYNEDGE", "SYNNULL"):
        publish(road.lakehouse, symbol)
    folder.select(folder.load(_materialize(road)))
    before = _materialize(road, "SYNNULL")
    publish(road.lakehouse, "SYNNULL", publication_id="p2", count=260)
    assert _materialize(road, "SYNNULL") != before


def test_training_set_rolled_back_dataset_without_its_tag_is_refused(road: Road) -> None:
    folder = DatasetFolder(road.settings.datasets_dir)
    publish(road.lakehouse)
    dataset = folder.load(_materialize(road))
    folder.select(dataset)
    road.lakehouse.drop_tag("silver.ticks", dataset.tag("silver.ticks"))
    with pytest.raises(DatasetError, match="tick dataset repin"):
        _materialize(road)


def test_training_set_window_is_the_selected_dataset_s(road: Road) -> None:
    folder = DatasetFolder(road.settings.datasets_dir)
    publish(road.lakehouse)
    folder.select(folder.load(_materialize(road)))
    publish(road.lakehouse, day=DAY.replace(day=9))
    assert folder.load(_materialize(road)).window == (DAY, DAY)
