"""Configuration of the signal service, read once by `serving.__main__`.

What belongs here: names, defaults, paths and addresses. What must not: anything that connects or starts.

The shared names (`TICK_HOME`, `TICK_S3_ENDPOINT`, …) mean what they mean to the pipeline; names that begin with `service_` are this
service's own. Precedence: `TICK_*` variables, then the TOML file (`$TICK_CONFIG` or `$TICK_HOME/tick.toml`), then the defaults.
"""

from __future__ import annotations

import json
import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

_CHECKOUT = Path(__file__).resolve().parent.parent


class ServiceSecrets(BaseModel):
    """What the service needs of the state folder's secrets; the pipeline's private key is not among it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    s3_access_key: str
    s3_secret_key: SecretStr
    api_keys: dict[str, SecretStr]


class _SharedToml(PydanticBaseSettingsSource):
    """Values of the TOML file that this service knows; the others belong to the pipeline."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        home = Path(os.environ.get("TICK_HOME") or _CHECKOUT / ".tick")
        path = Path(os.environ.get("TICK_CONFIG") or home / "tick.toml")
        values = tomllib.loads(path.read_text()) if path.is_file() else {}
        return {name: value for name, value in values.items() if name in self.settings_cls.model_fields}


class ServiceSettings(BaseSettings):
    """Effective configuration. Field `x` is set by the variable `TICK_X` or the TOML key `x`."""

    model_config = SettingsConfigDict(env_prefix="TICK_", extra="ignore", frozen=True)

    home: Path = _CHECKOUT / ".tick"
    host: str = "127.0.0.1"
    service_port: int = 15485
    s3_port: int = 15480
    s3_endpoint: str = ""
    s3_region: str = "us-east-1"
    s3_bucket: str = "tick"
    dagster_port: int = 15484
    dagster_url: str = ""
    market_file: Path | None = None

    service_poll_s: float = 10.0
    """Seconds between two looks at the model bundles."""
    service_body_limit_bytes: int = 8 * 1024 * 1024
    service_batch_limit: int = 50_000
    """Most ticks of one request."""
    service_rate_per_s: float = 5_000.0
    """Requests per second and key; twice as many may come at once."""
    service_future_ms: int = 5_000
    """How far a tick's stamp may lie ahead of the clock."""
    service_model_limit_bytes: int = 64 * 1024 * 1024
    service_recent_signals: int = 20_000
    """Signals kept in memory for polling; the evidence files keep all."""

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _SharedToml(settings_cls)

    @property
    def recordings_dir(self) -> Path:
        return self.home / "recordings"

    @property
    def evidence_dir(self) -> Path:
        return self.home / "evidence"

    @property
    def live_switch_file(self) -> Path:
        return self.home / "live.json"

    @property
    def public_key_file(self) -> Path:
        return self.home / "keys" / "passport_ed25519.pub"

    @property
    def secrets_file(self) -> Path:
        return self.home / "secrets.json"

    @property
    def s3_address(self) -> str:
        return self.s3_endpoint or f"http://{self.host}:{self.s3_port}"

    @property
    def dagster_address(self) -> str:
        return (self.dagster_url or f"http://{self.host}:{self.dagster_port}").rstrip("/")

    def read_market_text(self) -> str:
        """Return the market file's text, the one that execution and backtests read too."""
        if self.market_file:
            return self.market_file.read_text()
        return (resources.files("execution") / "market.toml").read_text()

    def read_secrets(self) -> ServiceSecrets:
        """Read the generated secrets; `FileNotFoundError` says how they come to be."""
        if not self.secrets_file.is_file():
            raise FileNotFoundError(f"Expected secrets in {self.secrets_file}, found none. Run `tick up` once: it generates them.")
        return ServiceSecrets.model_validate(json.loads(self.secrets_file.read_text()))


def load_service_settings(**overrides: Any) -> ServiceSettings:
    """Read the configuration once; call it at the composition root only."""
    return ServiceSettings(**overrides)
