"""The disk of MLflow's artifacts is full: the run is FAILED and has no version; the same again is whole."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tick_assets.tracking.model_registry import ModelRegistry

MODEL = b'{"model": "' + b"x" * 50_000 + b'"}'


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


def half_then_full(source: Any, target: Any, *_: Any, **__: Any) -> None:
    """Copy half of a file, as onto a disk that fills meanwhile."""
    target.write(source.read(len(MODEL) // 2))
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def log_model(registry: ModelRegistry) -> str:
    """Log a model and register it, as training does."""
    with registry.run("candidate") as run:
        run.log_bytes("model/model.json", MODEL)
    return registry.register("SYNEDGE.direction", run.run_id).run_id


def test_artifact_on_a_full_disk_fails_the_run_registers_nothing_and_the_same_again_is_whole(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "copyfileobj", half_then_full)
    with pytest.raises(OSError, match="No space left on device"):
        log_model(registry)
    monkeypatch.undo()
    (failed,) = registry.client.search_runs([registry.experiment_id()])
    assert failed.info.status == "FAILED"
    assert registry.models() == []
    run_id = log_model(registry)
    assert registry.read_artifact(run_id, "model/model.json") == MODEL
    assert [version.run_id for version in registry.versions("SYNEDGE.direction")] == [run_id]
