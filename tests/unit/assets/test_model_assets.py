"""The assets `models/validation` and `models/test`: what they report and keep, over a local lake."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.unit.tracking.local_judgement import SYMBOL, bench_on, case_of, keep
from tick_assets.assets import models
from tick_assets.domain import calibration
from tick_assets.domain.learning import LearningFigures
from tick_assets.partitions import model_key
from tick_assets.resources import Road
from tick_assets.settings import Settings
from tick_assets.tracking import judgement
from tick_assets.tracking.judgement import Case

KEY = model_key(SYMBOL, "direction")


class KeptLearning:
    """A registry that keeps what it is told of learning."""

    def __init__(self) -> None:
        self.artifacts: dict[str, Any] = {}

    def attach(self, run_id: str) -> KeptLearning:
        return self

    def log_series(self, name: str, values: Any) -> None:
        self.artifacts[name] = values

    def log_metrics(self, metrics: dict[str, float]) -> None:
        self.artifacts |= metrics

    def log_bytes(self, path: str, content: bytes) -> None:
        self.artifacts[path] = content


@pytest.fixture
def listener() -> Iterator[str]:
    """An address that takes connections: an asset that fails looks whether its servers are away."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A candidate that is kept; every asset judges it."""
    monkeypatch.setattr(judgement, "N_TRIALS", 3)
    events, market = calibration.draw_edge(2.0, 4, days=5)
    bench = bench_on(tmp_path, market)
    keep(bench, events, "1")
    monkeypatch.setattr(models, "cases_of", lambda context, road: [(KEY, case_of(bench, events, "one", "1"))])
    return case_of(bench, events, "one", "1")


def materialize(asset: Any, listener: str, folder: Path, registry: KeptLearning) -> dict[str, dg.MetadataValue]:
    """Run one asset for the model and return its metadata."""
    settings = Settings(home=folder / ".tick", postgres_url=f"postgresql://{listener}", s3_endpoint=f"http://{listener}")
    parts = {"settings": settings, "registry": registry}

    class LocalRoad(Road):
        settings = property(lambda self: parts["settings"])  # type: ignore[assignment]
        model_registry = property(lambda self: parts["registry"])  # type: ignore[assignment]

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("symbol", [SYMBOL])
        done = dg.materialize([asset], partition_key=KEY, resources={"road": LocalRoad()}, instance=instance)
    (event,) = done.asset_materializations_for_node(asset.op.name)
    return dict(event.metadata)


def test_validation_shows_learning_and_test_dates_stay_shut(case: Case, listener: str, tmp_path: Path) -> None:
    registry = KeptLearning()
    metadata = materialize(models.validation, listener, tmp_path, registry)
    figures = judgement.learning_of(case)
    assert isinstance(figures, LearningFigures)
    assert {"learning_curve", "degradation", "reliability", "plot", "models"} <= metadata.keys()
    assert all(str(metadata[name].value).startswith("![plot]") for name in ("learning_curve", "reliability"))
    assert metadata["abstained_share"].value == figures.abstain.abstained_share
    assert registry.artifacts["validation.brier"] == figures.reliability.brier
    assert case.vault.all() == []


def test_test_records_its_opening_and_shows_three_samples(case: Case, listener: str, tmp_path: Path) -> None:
    materialize(models.validation, listener, tmp_path, KeptLearning())
    metadata = materialize(models.test, listener, tmp_path, KeptLearning())
    assert metadata["test_openings"].value == 1
    samples = [record.data["sample"] for record in metadata["degradation"].records]  # type: ignore[attr-defined]
    assert samples == ["train", "validation", "test"]
    (opening,) = case.vault.all()
    assert opening.model_sha256 == case.record["model_sha256"]
