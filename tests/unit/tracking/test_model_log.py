"""What MLflow is told of trials and of learning, in a registry of files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tick_assets.domain.learning import AbstainBand, LearningCurve, LearningFigures, Reliability
from tick_assets.domain.training import COMPLETE, FAILED, PRUNED, BoosterParams, Configuration, SearchResult, Trial
from tick_assets.tracking.judgement import Fitted
from tick_assets.tracking.model_log import log_candidate, log_learning
from tick_assets.tracking.model_registry import ModelRegistry

FIGURES = LearningFigures(
    "c" * 64, LearningCurve((0.69, 0.68), (0.69,)), (), Reliability(0.24, 0.01, 9, ()), AbstainBand(0.4, 0.6, 9, 0.5, -1.0, 1.0)
)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[ModelRegistry]:
    """A registry in a file, whose artifacts are files too."""
    from mlflow import MlflowClient
    from mlflow.tracking._tracking_service.utils import _get_sqlalchemy_store  # the engine must be closed before the folder goes

    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=address, registry_uri=address)
    client.create_experiment("tick_assets", artifact_location=(tmp_path / "artifacts").as_uri())
    yield ModelRegistry(client, address)
    _get_sqlalchemy_store(address, str(tmp_path / "artifacts")).engine.dispose()


def fitted() -> Fitted:
    """A search with a trial of each ending."""
    endings = ((COMPLETE, 0.6, ""), (FAILED, math.nan, "reg_lambda " * 1000), (PRUNED, math.nan, ""))
    trials = tuple(
        Trial(i, Configuration(BoosterParams(), 0.5 + i / 100), state, 0, 0.0, loss, 0.0, np.zeros(4), error)
        for i, (state, loss, error) in enumerate(endings)
    )
    result = SearchResult(trials, trials[0], np.arange(4), np.zeros(4, np.float32), None, 0)  # type: ignore[arg-type]
    return Fitted(result, b"{}", {}, {"dataset_id": "d", "seed": 1, "model_sha256": "m", "is_synthetic": True})


def test_failed_and_pruned_trials_are_nested_runs_with_their_ending(registry: ModelRegistry) -> None:
    with registry.run("job") as job:
        run_id, version = log_candidate(registry, job.run_id, "SYN", "direction", fitted())
    runs = registry.client.search_runs([registry.experiment_id()], f"tags.`mlflow.parentRunId` = '{run_id}'")
    found = {run.data.tags["trial"]: (run.info.status, run.data.tags["state"]) for run in runs}
    assert found == {"0": ("FINISHED", "COMPLETE"), "1": ("FAILED", "FAIL"), "2": ("KILLED", "PRUNED")}
    assert next(run.data.tags["error"] for run in runs if run.data.tags["trial"] == "1").startswith("reg_lambda")
    assert version == "1"


def test_learning_is_a_curve_figures_and_an_artifact(registry: ModelRegistry) -> None:
    with registry.run("candidate") as run:
        log_learning(registry, run.run_id, FIGURES)
    history = registry.client.get_metric_history(run.run_id, "learning.train_log_loss")
    assert [(point.step, point.value) for point in history] == [(0, 0.69), (1, 0.68)]
    metrics = registry.client.get_run(run.run_id).data.metrics
    assert (metrics["validation.brier"], metrics["validation.abstained_share"]) == (0.24, 0.5)
    assert LearningFigures.from_dict(json.loads(registry.read_artifact(run.run_id, "learning.json"))) == FIGURES
