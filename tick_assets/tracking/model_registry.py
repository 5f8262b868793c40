"""Runs, trials and registered models in MLflow.

What belongs here: the one plain object around `MlflowClient`, with no global active run. What must not: training, verdicts, S3 bundles.

A trial costs three requests (create, one batch, end), sent by a few threads. A version's source is the run's own artifact folder: the
bytes registered are the bytes of `model.json`, never a re-serialised model.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from tick_assets.settings import Settings

EXPERIMENT = "tick_assets"
CHAMPION = "champion"
_PARAM_LIMIT = 6000
_THREADS = 4
_ENDINGS = {"COMPLETE": "FINISHED", "FAIL": "FAILED", "PRUNED": "KILLED"}
"""How a trial ended, in MLflow's words for a run."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial to log: its parameters, its figures and how it ended (`COMPLETE`, `FAIL` or `PRUNED`)."""

    number: int
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    state: str = "COMPLETE"
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model; `version` is MLflow's number, as text."""

    name: str
    version: str
    run_id: str
    source: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrackedRun:
    """An open run: what is logged here belongs to it."""

    client: MlflowClient
    run_id: str
    experiment_id: str

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log parameters in one request per hundred."""
        from mlflow.entities import Param

        items = [Param(key, str(value)[:_PARAM_LIMIT]) for key, value in params.items()]
        for start in range(0, len(items), 100):
            self.client.log_batch(self.run_id, params=items[start : start + 100])

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log figures in one request."""
        self.client.log_batch(self.run_id, metrics=_metrics(metrics, step))

    def log_series(self, name: str, values: Sequence[float]) -> None:
        """Log a curve, one step a value."""
        points = [point for step, value in enumerate(values) for point in _metrics({name: value}, step)]
        for start in range(0, len(points), 1000):
            self.client.log_batch(self.run_id, metrics=points[start : start + 1000])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags in one request."""
        self.client.log_batch(self.run_id, tags=_tags(tags))

    def log_bytes(self, path: str, data: bytes) -> None:
        """Store bytes as the artifact `path`."""
        folder, _, name = path.rpartition("/")
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary) / name
            file.write_bytes(data)
            self.client.log_artifact(self.run_id, str(file), folder or None)

    def log_file(self, file: Path, folder: str = "") -> None:
        """Store a file as an artifact."""
        self.client.log_artifact(self.run_id, str(file), folder or None)


@dataclass(frozen=True)
class ModelRegistry:
    """One MLflow server and one experiment on it."""

    client: MlflowClient
    address: str
    experiment: str = EXPERIMENT

    @classmethod
    def from_settings(cls, settings: Settings, experiment: str = EXPERIMENT) -> ModelRegistry:
        """Return the registry at the configured address; the server is asked on first use."""
        # MLflow prints addresses and progress bars to standard output, where `--json` promises one document.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        from mlflow import MlflowClient

        address = settings.mlflow_address
        return cls(MlflowClient(tracking_uri=address, registry_uri=address), address, experiment)

    # Runs.

    @contextmanager
    def run(self, name: str, parent: str | None = None, tags: Mapping[str, str] | None = None) -> Iterator[TrackedRun]:
        """Open a run, nested under `parent`'s id; it ends FINISHED, or FAILED when the block raises."""
        run = self.start_run(name, parent, tags)
        try:
            yield run
        except BaseException:
            self.client.set_terminated(run.run_id, "FAILED")
            raise
        self.client.set_terminated(run.run_id, "FINISHED")

    def start_run(self, name: str, parent: str | None = None, tags: Mapping[str, str] | None = None) -> TrackedRun:
        """Create a run that stays open until `end_run`."""
        nested = {"mlflow.parentRunId": parent} if parent else {}
        experiment_id = self.experiment_id()
        run = self.client.create_run(experiment_id, tags={**nested, **(tags or {})}, run_name=name)
        return TrackedRun(self.client, run.info.run_id, experiment_id)

    def attach(self, run_id: str) -> TrackedRun:
        """Return a run that exists, to log more to it (another stage's, or the one that dagster-mlflow opened)."""
        return TrackedRun(self.client, run_id, self.client.get_run(run_id).info.experiment_id)

    def end_run(self, run_id: str, status: str = "FINISHED") -> None:
        """End a run."""
        self.client.set_terminated(run_id, status)

    def log_trials(self, parent: TrackedRun, trials: Sequence[TrialRecord]) -> list[str]:
        """Log each trial as a nested run, failed and pruned ones too, and return their run ids in order."""
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(lambda trial: self._log_trial(parent, trial), trials))

    def _log_trial(self, parent: TrackedRun, trial: TrialRecord) -> str:
        from mlflow.entities import Param

        tags = {"mlflow.parentRunId": parent.run_id, "trial": str(trial.number), "state": trial.state, **trial.tags}
        run = self.client.create_run(parent.experiment_id, tags=tags, run_name=f"trial-{trial.number:03d}")
        params = [Param(key, str(value)[:_PARAM_LIMIT]) for key, value in trial.params.items()]
        self.client.log_batch(run.info.run_id, params=params, metrics=_metrics(trial.metrics, 0))
        self.client.set_terminated(run.info.run_id, _ENDINGS[trial.state])
        return str(run.info.run_id)

    def experiment_id(self) -> str:
        """Return the id of the experiment: made when missing (two processes may race for it), restored when someone deleted it."""
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            try:
                return str(self.client.create_experiment(self.experiment))
            except MlflowException:
                found = self.client.get_experiment_by_name(self.experiment)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def run_url(self, run_id: str) -> str:
        """Return the page of a run."""
        return f"{self.address}/#/experiments/{self.client.get_run(run_id).info.experiment_id}/runs/{run_id}"

    def read_artifact(self, run_id: str, path: str) -> bytes:
        """Return the bytes of an artifact."""
        with tempfile.TemporaryDirectory() as temporary:
            return Path(self.client.download_artifacts(run_id, path, temporary)).read_bytes()

    # Versions.

    def register(self, name: str, run_id: str, artifact: str = "model", tags: Mapping[str, str] | None = None) -> RegisteredVersion:
        """Register a run's artifact folder as the next version of `<symbol>.<strategy>`; a repeat for the same run returns its version."""
        for existing in self.versions(name):
            if existing.run_id == run_id:
                return existing
        self._ensure_model(name)
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{artifact}"
        return _version(self.client.create_model_version(name, source, run_id=run_id, tags=dict(tags or {}), await_creation_for=0))

    def _ensure_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def versions(self, name: str) -> list[RegisteredVersion]:
        """Return all versions of a model, oldest first; none when it is not registered."""
        items = self.client.search_model_versions(f"name = '{name}'")
        named = dict(self.client.get_registered_model(name).aliases) if items else {}
        found = [_version(item, tuple(alias for alias, version in named.items() if str(version) == str(item.version))) for item in items]
        return sorted(found, key=lambda version: int(version.version))

    def version(self, name: str, version: str) -> RegisteredVersion:
        """Return one version; a `LookupError` names the known ones."""
        found = self.versions(name)
        for item in found:
            if item.version == version:
                return item
        known = [item.version for item in found]
        raise LookupError(f"Expected a version of {name}, was {version!r}; known are {known}. See `tick models`.")

    def models(self) -> list[str]:
        """Return the names of all registered models."""
        return sorted(model.name for model in self.client.search_registered_models())

    def set_version_tags(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version (verdict id, model sha-256)."""
        for key, value in tags.items():
            self.client.set_model_version_tag(name, version, key, value)

    def set_alias(self, name: str, version: str, alias: str = CHAMPION) -> None:
        """Point an alias at a version."""
        self.client.set_registered_model_alias(name, alias, version)

    def drop_alias(self, name: str, alias: str = CHAMPION) -> None:
        """Remove an alias."""
        self.client.delete_registered_model_alias(name, alias)

    def by_alias(self, name: str, alias: str = CHAMPION) -> RegisteredVersion | None:
        """Return the version that an alias names, or None."""
        from mlflow.exceptions import MlflowException

        try:
            return _version(self.client.get_model_version_by_alias(name, alias))
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise


def _version(item: ModelVersion, aliases: tuple[str, ...] = ()) -> RegisteredVersion:
    aliases = aliases or tuple(item.aliases or ())
    return RegisteredVersion(item.name, str(item.version), str(item.run_id), str(item.source), dict(item.tags or {}), aliases)


def _metrics(metrics: Mapping[str, float], step: int) -> list[Any]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(key, float(value), now, step) for key, value in metrics.items() if value is not None and math.isfinite(value)]


def _tags(tags: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import RunTag

    return [RunTag(key, str(value)) for key, value in tags.items()]
