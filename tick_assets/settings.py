"""All configuration of the pipeline, read once at a composition root.

What belongs here: names, defaults and the derivation of addresses and paths. What must not: I/O beyond
reading the one TOML file and the secrets file, and anything that starts, stops or connects.

Precedence: `TICK_*` environment variables, then `$TICK_HOME/tick.toml` (or `TICK_CONFIG`), then the defaults.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

CATALOG = "lakehouse"
PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Secrets(BaseModel):
    """The generated secrets of one state folder; see `tick_assets.stack.secrets` for who writes them."""

    model_config = ConfigDict(frozen=True)

    postgres_password: SecretStr
    s3_access_key: str
    s3_secret_key: SecretStr
    api_keys: dict[str, SecretStr]


class _TomlSource(PydanticBaseSettingsSource):
    """Values of the one TOML file."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self._values().get(field_name), field_name, False

    def _values(self) -> dict[str, Any]:
        home = Path(os.environ.get("TICK_HOME") or PROJECT_ROOT / ".tick")
        path = Path(os.environ.get("TICK_CONFIG") or home / "tick.toml")
        return tomllib.loads(path.read_text()) if path.is_file() else {}

    def __call__(self) -> dict[str, Any]:
        return self._values()


def _properties(prefix: str, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield `a.b.c` and text of each value: TOML reads `spark.ui.enabled = true` as tables within tables."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _properties(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", str(value).lower() if isinstance(value, bool) else str(value)


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tick_assets"


class Settings(BaseSettings):
    """Effective configuration. Field `x` is set by the variable `TICK_X` or the TOML key `x`."""

    model_config = SettingsConfigDict(env_prefix="TICK_", extra="forbid", frozen=True)

    home: Path = PROJECT_ROOT / ".tick"
    cache: Path = Field(default_factory=_default_cache)
    config: Path | None = None

    host: str = "127.0.0.1"
    postgres_port: int = 15432
    s3_port: int = 15480
    trino_port: int = 15481
    mlflow_port: int = 15482
    dagster_code_port: int = 15483
    dagster_port: int = 15484
    service_port: int = 15485
    nifi_port: int = 15487
    trino_worker_port: int = 15488

    # Addresses of a deployment that is not embedded; empty means the embedded server.
    postgres_url: str = ""
    s3_endpoint: str = ""
    s3_region: str = "us-east-1"
    s3_bucket: str = "tick"
    trino_url: str = ""
    mlflow_url: str = ""
    dagster_url: str = ""
    service_url: str = ""

    # Spark: `lakehouse.spark` says what it makes of these, docs/cluster.md what a cluster needs.
    spark_master: str = "local[2]"
    """`local[n]`, `spark://host:port` or `k8s://address`."""
    spark_remote: str = ""
    """`sc://host:port` of a Spark Connect server, instead of a master."""
    spark_driver_memory: str = "2g"
    spark_most_tasks: int | None = Field(None, ge=1)
    """Spark tasks of one pass; more symbol-days share tasks. By default four for each core of `local[n]`, 1024 on a cluster."""
    spark_driver_host: str = ""
    """The address at which executors reach the driver; by default `host`."""
    spark_driver_bind_address: str = ""
    """The address at which the driver listens, where it differs from the one that executors reach; by default `host`."""
    spark_executor_memory: str = "1g"
    """Java's heap of an executor of a cluster: rows are Python's, so it stays small."""
    spark_executor_python_memory: str = "1g"
    """What an executor of a cluster needs beside the heap, for the days that its tasks hold in Python (Kubernetes counts it)."""
    spark_executor_cores: int = Field(default=0, ge=0)
    """Cores of an executor of a cluster; 0 leaves it to the cluster: all of a standalone worker's, one on Kubernetes."""
    spark_python: str = ""
    """The interpreter on the executors, with tick_assets installed; by default this process's own path."""
    spark_jars: str = ""
    """Comma-separated jars of a session; the embedded stack names its own, a cluster that ships them leaves this empty."""
    spark_properties: dict[str, str] = Field(default_factory=dict)
    """Any other property, with the last word: a TOML table `[spark_properties]`, or JSON in TICK_SPARK_PROPERTIES."""

    # The road.
    symbols: Annotated[tuple[str, ...], NoDecode] = ("SYNEDGE", "SYNNULL", "SYNWEAK")
    strategies: Annotated[tuple[str, ...], NoDecode] = ("direction",)
    source: str = "dukascopy"
    source_order: Annotated[tuple[str, ...], NoDecode] = ()
    vendor_url: str = "https://datafeed.dukascopy.com/datafeed"
    vendor_json_url: str = "https://jetta.dukascopy.com"
    vendor_concurrency: int = Field(default=8, ge=1)
    vendor_rate_per_s: float | None = Field(default=None, ge=0)
    """Requests a second and feed; 0 is no limit. By default 10 for the vendor's public addresses and no limit for any other."""
    vendor_attempts: int = Field(default=4, ge=1)
    """How often one hour is asked of one feed before the next feed, or failure."""
    vendor_timeout_s: float = Field(default=20.0, gt=0)
    """How long to wait for the next bytes of an answer; connecting is given half of it."""
    vendor_total_s: float = Field(default=120.0, gt=0)
    """How long one hour may take in all, with its retries and pauses."""
    vendor_second_look_s: float = Field(default=5.0, ge=0)
    """How long to wait before an empty or failed hour of an open market is asked once more in the same run."""
    replicator: Literal["built_in", "nifi"] = "built_in"
    """Who sends raw revisions to S3; `nifi` needs `tick up --with nifi`."""
    replication_workers: int = Field(default=8, ge=1)
    """How many files the built-in replicator sends at once; each holds one part of a file in memory."""
    replication_queued_files: int = Field(default=500, ge=1)
    replication_queued_mb: float = Field(default=256.0, gt=0)
    """How many files, and how much of them, may be on their way before whoever names more waits."""
    replication_attempts: int = Field(default=6, ge=1)
    """How often a file is tried while its errors may pass; then it is a dead letter."""
    bar_ticks: int = Field(1000, gt=0)
    """Ticks in a bar of `bars_ticks`."""
    maintenance_keep_days: float = Field(7.0, ge=0)
    """How many days back a table can be read as of a time; what a tag or branch names never expires."""
    maintenance_keep_snapshots: int = Field(20, ge=1)
    """How many of the newest snapshots of a table stay, however old they are."""
    maintenance_grace_hours: float = Field(24.0, ge=0)
    """How old an object that nothing names must be before it is swept: a write under way has such objects."""
    start_date: date = date(2017, 1, 1)
    train_from: date | None = None
    train_to: date | None = None
    market_file: Path | None = None
    policy_file: Path | None = None

    @field_validator("symbols", "strategies", "source_order", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("spark_properties", mode="before")
    @classmethod
    def _flatten(cls, value: Any) -> Any:
        return dict(_properties("", value)) if isinstance(value, dict) else value

    @field_validator("spark_properties")
    @classmethod
    def _has_names_of_spark(cls, value: dict[str, str]) -> dict[str, str]:
        wrong = [name for name in value if not name.startswith("spark.") or name in ("spark.master", "spark.remote")]
        if wrong:
            raise ValueError(f"Expected properties `spark.…` (the master is spark_master's, the remote spark_remote's), was {wrong}.")
        return value

    @model_validator(mode="after")
    def _has_one_spark(self) -> Settings:
        if self.spark_remote and not self.spark_remote.startswith("sc://"):
            raise ValueError(f"Expected spark_remote as sc://host:port, was {self.spark_remote!r}.")
        if self.spark_remote and "spark_master" in self.model_fields_set:
            both = f"spark_master={self.spark_master} and spark_remote={self.spark_remote}"
            raise ValueError(f"Expected one of spark_master and spark_remote, was both: {both}")
        return self

    @field_validator("home", "cache")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings):  # type: ignore[no-untyped-def]
        return init_settings, env_settings, _TomlSource(settings_cls)

    # Paths inside the state folder.
    @property
    def raw_dir(self) -> Path:
        return self.home / "raw"

    @property
    def instruments_path(self) -> Path:
        """The vendor's instrument table; `tick vendor instruments --import` writes it."""
        return self.home / "instruments.csv"

    @property
    def recordings_dir(self) -> Path:
        """What the signal service recorded; the pipeline only reads it."""
        return self.home / "recordings"

    @property
    def side_dir(self) -> Path:
        """Delivered files of side tables."""
        return self.home / "side"

    @property
    def datasets_dir(self) -> Path:
        return self.home / "datasets"

    @property
    def replications_dir(self) -> Path:
        """What happened to each file that was sent, one file a run; see `lakehouse.replication_evidence`."""
        return self.home / "replications"

    @property
    def dead_letters_dir(self) -> Path:
        """Which files could not be sent, and why; see `lakehouse.dead_letters`."""
        return self.home / "dead_letters"

    @property
    def nifi_dead_letters_dir(self) -> Path:
        """Where NiFi leaves a copy of what it could not send, under the reason and the file's own path."""
        return self.home / "stack" / "nifi" / "dead_letter"

    @property
    def resources_dir(self) -> Path:
        """What each run used, one file a run; see `lakehouse.resources_ledger`."""
        return self.home / "resources"

    @property
    def reports_dir(self) -> Path:
        return self.home / "reports"

    @property
    def logs_dir(self) -> Path:
        return self.home / "logs"

    @property
    def secrets_file(self) -> Path:
        return self.home / "secrets.json"

    @property
    def secrets(self) -> Secrets:
        """Read the generated secrets; `FileNotFoundError` says how they come to be."""
        if not self.secrets_file.is_file():
            raise FileNotFoundError(f"Expected secrets in {self.secrets_file}, found none. Run `tick up` once: it generates them.")
        return Secrets.model_validate(json.loads(self.secrets_file.read_text()))

    # Addresses.
    @property
    def postgres_address(self) -> str:
        """`postgresql://user:password@host:port` without a database."""
        if self.postgres_url:
            return self.postgres_url.rstrip("/")
        return f"postgresql://tick:{self.secrets.postgres_password.get_secret_value()}@{self.host}:{self.postgres_port}"

    def postgres_database_url(self, database: str) -> str:
        """Return the SQLAlchemy URL of one database (`catalog`, `dagster`, `mlflow`), with the psycopg2 driver."""
        return f"{self.postgres_address.replace('postgresql://', 'postgresql+psycopg2://', 1)}/{database}"

    @property
    def s3_address(self) -> str:
        return self.s3_endpoint or f"http://{self.host}:{self.s3_port}"

    @property
    def warehouse(self) -> str:
        return f"s3://{self.s3_bucket}/warehouse"

    @property
    def trino_address(self) -> str:
        return self.trino_url or f"http://{self.host}:{self.trino_port}"

    @property
    def mlflow_address(self) -> str:
        return self.mlflow_url or f"http://{self.host}:{self.mlflow_port}"

    @property
    def dagster_address(self) -> str:
        return self.dagster_url or f"http://{self.host}:{self.dagster_port}"

    @property
    def service_address(self) -> str:
        return self.service_url or f"http://{self.host}:{self.service_port}"

    @property
    def nifi_address(self) -> str:
        return f"http://{self.host}:{self.nifi_port}"

    @property
    def market_path(self) -> Path:
        """The one TOML file of contract specifications and costs, shared with execution."""
        return self.market_file or PROJECT_ROOT / "execution" / "market.toml"

    @property
    def policy_path(self) -> Path:
        """The one TOML file of gate thresholds."""
        return self.policy_file or PROJECT_ROOT / "tick_assets" / "policy.toml"

    @property
    def sources_in_order(self) -> tuple[str, ...]:
        """Sources from the most to the least preferred.

        The configured source is first, unless `source_order` gives it a place: `TICK_SOURCE_ORDER=live-demo,dukascopy` prefers live ticks.
        """
        return self.source_order if self.source in self.source_order else (self.source, *self.source_order)


def load_settings(**overrides: Any) -> Settings:
    """Read the configuration once; call it at a composition root only."""
    return Settings(**overrides)
