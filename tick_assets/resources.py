"""Resources: configuration plus a plain object that has never heard of Dagster, named for their role.

What belongs here: how an asset gets its adapters, and the one place besides `settings` that reads the environment. What must not:
work; every property opens an adapter and returns it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject
from dagster_mlflow import mlflow_tracking
from dagster_pyspark import LazyPySparkResource
from pydantic import Field, PrivateAttr

from tick_assets.domain.gates import Policy, parse_policy
from tick_assets.domain.instruments import Market, parse_market
from tick_assets.settings import PROJECT_ROOT, Settings, load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tick_assets.lakehouse.built_in_replicator import BuiltInReplicator
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.lakehouse.day_files import Runner
    from tick_assets.lakehouse.object_store import ObjectStore
    from tick_assets.lakehouse.query import TrinoQuery
    from tick_assets.lakehouse.raw_store import RawStore
    from tick_assets.lakehouse.replicator import Record, Replicator
    from tick_assets.lakehouse.vendors.port import TickVendor
    from tick_assets.tracking.dataset_versions import DatasetVersions
    from tick_assets.tracking.deployments import Deployer
    from tick_assets.tracking.model_registry import ModelRegistry

EXPERIMENT = "tick_assets"
DBT_PROJECT = DbtProject(project_dir=PROJECT_ROOT / "dbt_project")
DBT_EXECUTABLE = str(Path(sys.executable).with_name("dbt"))
"""The environment's own dbt, whatever the PATH is: `dagster dev` may be started by its full path."""


def dbt_resource() -> DbtCliResource:
    """Return dbt on the project of gold views."""
    return DbtCliResource(project_dir=DBT_PROJECT, profiles_dir=str(DBT_PROJECT.project_dir), dbt_executable=DBT_EXECUTABLE)


@contextmanager
def dbt_window(dates: Sequence[date]) -> Iterator[None]:
    """Let the dbt commands that are started inside test these dates, not all that the tables hold; see the macro `in_window`."""
    window = {"TICK_WINDOW_FROM": min(dates).isoformat(), "TICK_WINDOW_TO": max(dates).isoformat()}
    os.environ.update(window)
    try:
        yield
    finally:
        for name in window:
            os.environ.pop(name, None)


def keep_parsed(target: Path) -> None:
    """Keep what a dbt command parsed where the next one looks for it: beside its own target folder. Parsing anew takes three seconds."""
    parsed = target / "partial_parse.msgpack"
    if parsed.is_file():
        kept = target.parent / f".{target.name}.msgpack"
        shutil.copyfile(parsed, kept)
        os.replace(kept, target.parent / parsed.name)


def ensure_dbt_manifest() -> Path:
    """Return the manifest; parse the project when there is none or a file of it is newer."""
    sources = [path for kind in ("sql", "yml") for path in DBT_PROJECT.project_dir.rglob(f"*.{kind}") if "target" not in path.parts]
    manifest = DBT_PROJECT.manifest_path
    if not manifest.exists() or manifest.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        dbt_resource().cli(["parse", "--quiet"], target_path=manifest.parent).wait()
    return manifest


class Road(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The road's adapters, opened from the effective settings when first asked for."""

    @cached_property
    def settings(self) -> Settings:
        return load_settings()

    @cached_property
    def market(self) -> Market:
        return parse_market(self.settings.market_path.read_text())

    @cached_property
    def policy(self) -> Policy:
        return parse_policy(self.settings.policy_path.read_text())

    @cached_property
    def code_commit(self) -> str:
        """The commit that runs, as the stack named it; a deployment sets TICK_CODE_COMMIT."""
        return os.environ.get("TICK_CODE_COMMIT", "unknown")

    @cached_property
    def lakehouse(self) -> Lakehouse:
        from tick_assets.lakehouse.catalog import Lakehouse

        lakehouse = Lakehouse.from_settings(self.settings)
        lakehouse.ensure_tables()
        return lakehouse

    @cached_property
    def object_store(self) -> ObjectStore:
        from tick_assets.lakehouse.object_store import ObjectStore

        return ObjectStore.from_settings(self.settings)

    def built_in_replicator(self, record: Record, progress: Callable[[str], None]) -> BuiltInReplicator:
        """Return the replicator of this process; it counts its attempts, so its client makes one only."""
        from tick_assets.lakehouse.built_in_replicator import BuiltInReplicator, limits_from
        from tick_assets.lakehouse.dead_letters import DeadLetters
        from tick_assets.lakehouse.object_store import ObjectStore

        objects, letters = ObjectStore.from_settings(self.settings, attempts=1), DeadLetters(self.settings.dead_letters_dir)
        return BuiltInReplicator(objects, letters, limits=limits_from(self.settings), record=record, progress=progress)

    def replicator(self, record: Record, progress: Callable[[str], None]) -> Replicator:
        """Return the replicator of revisions that the settings name."""
        if self.settings.replicator == "built_in":
            return self.built_in_replicator(record, progress)
        from tick_assets.lakehouse.dead_letters import DeadLetters
        from tick_assets.lakehouse.nifi_replication import Nifi, NifiReplicator
        from tick_assets.lakehouse.object_store import ObjectStore

        # It looks every second anyway: a client that repeats by itself would look at the past.
        objects, letters = ObjectStore.from_settings(self.settings, attempts=1), DeadLetters(self.settings.dead_letters_dir)
        nifi, folder = Nifi(self.settings.nifi_address), self.settings.nifi_dead_letters_dir
        return NifiReplicator(nifi, objects, letters, folder, record=record, progress=progress)

    @cached_property
    def raw_store(self) -> RawStore:
        from tick_assets.lakehouse.raw_store import RawStore

        return RawStore(self.settings.raw_dir)

    @cached_property
    def query_engine(self) -> TrinoQuery:
        from tick_assets.lakehouse.query import TrinoQuery

        return TrinoQuery.from_settings(self.settings)

    @cached_property
    def model_registry(self) -> ModelRegistry:
        from tick_assets.tracking.model_registry import ModelRegistry

        return ModelRegistry.from_settings(self.settings)

    def dataset_versions(self) -> DatasetVersions:
        """Return the DVC folder of the state folder."""
        from tick_assets.tracking.dataset_versions import DatasetVersions

        return DatasetVersions.from_settings(self.settings, self.object_store)

    def deployer(self) -> Deployer:
        """Return what deployment works with; the private key is read here."""
        from tick_assets.tracking.deployments import deployer_from

        return deployer_from(self.settings)

    def vendor(self) -> TickVendor:
        """Return a client of the configured vendor; the caller closes it."""
        from tick_assets.lakehouse.vendors.dukascopy import DukascopyVendor

        return DukascopyVendor.from_settings(self.settings)


class Scope(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Which symbols a data run covers: run configuration, by default every active one."""

    symbols: list[str] = Field(default_factory=list)
    refetch: bool = False

    def active(self, settings: Settings) -> tuple[str, ...]:
        """Return the symbols of this run, sorted."""
        return tuple(sorted(self.symbols or settings.symbols))


class SparkEngine(LazyPySparkResource):
    """The run's one Spark session, started when first asked for and stopped when the run ends."""

    spark_config: dict[str, Any] = Field(default_factory=dict)
    _session: Any = PrivateAttr(default=None)

    @property
    def session(self) -> SparkSession:
        """Return the session; its configuration is the settings' with `spark_config` on top."""
        if self._session is None:
            from tick_assets.lakehouse.spark import spark_config

            configured = LazyPySparkResource(spark_config=spark_config(load_settings()) | self.spark_config)
            self._session = configured.spark_session
        return self._session

    @property
    def runner(self) -> Runner:
        """Return what hands symbol-days to the session's tasks."""
        from tick_assets.lakehouse.day_files import by_spark
        from tick_assets.lakehouse.spark import most_tasks

        return by_spark(self.session, most_tasks(load_settings()))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        if self._session is not None:
            self._session.stop()
            self._session = None


def build_resources() -> dict[str, Any]:
    """Return the resources of a deployment, by role."""
    return {
        "road": Road(),
        "scope": Scope(),
        "spark": SparkEngine(),
        "dbt": dbt_resource(),
        "mlflow": mlflow_tracking.configured(
            {
                "experiment_name": EXPERIMENT,
                "mlflow_tracking_uri": os.environ.get("MLFLOW_TRACKING_URI"),
                "env": {"MLFLOW_DISABLE_ENV_CREATION": "true"},
                "extra_tags": {"tick.kind": "dagster_run"},
            }
        ),
    }
