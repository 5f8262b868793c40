"""Is this machine fit: the effective configuration, versions, memory, disk, ports, and what is downloaded.

What belongs here: looking. What must not: mending; every finding that is not right says what to do.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from tick_assets.settings import Settings
from tick_assets.stack.provision import missing_parts
from tick_assets.stack.service import Service, is_port_free
from tick_assets.stack.services import ALL_SERVICES
from tick_assets.stack.supervisor import Supervisor

SPARK_OVERHEAD_MB = 1000
SECRET = re.compile(r"password|secret|token|key", re.IGNORECASE)
"""What is secret among properties of Spark: their names say so."""
DISK_NEEDED_GB = 5.0
CACHE_NEEDED_GB = 2.0
VERSIONS = ("dagster", "dbt-core", "mlflow", "numba", "polars", "pyiceberg", "pyspark", "trino", "xgboost")


@dataclass(frozen=True)
class Finding:
    """One check: what was found, whether it is right, and what to do when it is not."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the effective values; passwords and tokens inside addresses are hidden, and secrets are no settings."""
    return {name: _shown(value) for name, value in settings.model_dump().items()}


def shown_properties(properties: Mapping[str, str]) -> dict[str, str]:
    """Return properties of Spark as `doctor` prints them: what is secret by its name, or inside an address, is hidden."""
    return {name: "***" if SECRET.search(name) else _shown(value) for name, value in sorted(properties.items())}


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(shown_properties(value)) if value else ""
    if isinstance(value, str) and value.startswith("sc://"):
        return re.sub(r"(?<=;token=)[^;]*", "***", value)
    if isinstance(value, str) and "://" in value and "@" in value:
        address = urlsplit(value)
        return value.replace(f":{address.password}@", ":***@") if address.password else value
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return "" if value is None else str(value)


def examine(settings: Settings) -> list[Finding]:
    """Run every check."""
    return [
        _python(),
        *_packages(),
        _provisioned(settings),
        _memory(settings),
        _disk("disk of TICK_HOME", settings.home, DISK_NEEDED_GB),
        _disk("disk of TICK_CACHE", settings.cache, CACHE_NEEDED_GB if missing_parts(settings) else 0.2),
        _secrets(settings),
        *_ports(settings),
    ]


def _python() -> Finding:
    ok = (3, 11) <= sys.version_info[:2] <= (3, 12)
    remedy = "Run `make setup` where python3.11 or python3.12 can be found."
    return Finding("python", ok, f"{platform.python_version()} on {platform.system()} {platform.machine()}", remedy)


def _packages() -> Iterator[Finding]:
    for name in VERSIONS:
        try:
            yield Finding(name, True, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, False, "not installed", "Run `make setup`.")


def _provisioned(settings: Settings) -> Finding:
    missing = missing_parts(settings)
    return Finding("downloads", not missing, f"missing: {', '.join(missing)}" if missing else "complete", "Run `make setup`.")


def _memory(settings: Settings) -> Finding:
    """Compare what the stack and one Spark session take with what is there, counting what the stack has already."""
    supervisor = Supervisor(settings)
    taken = sum(status.memory_mb for status in supervisor.status())
    needed = sum(service.memory_mb for service in ALL_SERVICES if _counts(service, settings)) + _spark_mb(settings)
    there = round(psutil.virtual_memory().available / 1e6) + taken
    remedy = "Close programs, lower TICK_SPARK_DRIVER_MEMORY, or start less with `tick up --only postgres,s3,trino,mlflow`."
    return Finding("memory", there >= needed, f"needed {needed} MB, there {there} MB", remedy)


def _counts(service: Service, settings: Settings) -> bool:
    return not service.is_optional and not service.is_elsewhere(settings)


def _spark_mb(settings: Settings) -> int:
    """Return what a local Spark session may take: its heap and what lies beside it."""
    if settings.spark_remote or not settings.spark_master.startswith("local"):
        return 0
    text = settings.spark_driver_memory.lower().removesuffix("b")
    units = {"k": 1e-3, "m": 1.0, "g": 1e3, "t": 1e6}
    return round(float(text[:-1]) * units[text[-1]] if text[-1] in units else float(text) / 1e6) + SPARK_OVERHEAD_MB


def _disk(name: str, path: Path, needed_gb: float) -> Finding:
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    free_gb = shutil.disk_usage(there).free / 1e9
    ok = free_gb >= needed_gb and os.access(there, os.W_OK)
    remedy = "Free some, or set the variable to another folder."
    return Finding(name, ok, f"{free_gb:.1f} GB free at {there}, needed {needed_gb:g} GB", remedy)


def _secrets(settings: Settings) -> Finding:
    if not settings.secrets_file.exists():
        return Finding("secrets", True, "none yet; the first `tick up` generates them")
    private = settings.secrets_file.stat().st_mode & 0o077 == 0
    found = "readable by their owner only" if private else "readable by others"
    return Finding("secrets", private, found, f"Run chmod 600 '{settings.secrets_file}'.")


def _ports(settings: Settings) -> Iterator[Finding]:
    states = {status.name: status for status in Supervisor(settings).status()}
    for service in ALL_SERVICES:
        port = service.port(settings)
        if port is None or service.is_elsewhere(settings):
            continue
        status = states[service.name]
        ours = status.state in ("running", "unhealthy") and status.port == port
        free = is_port_free(settings.host, port)
        found = f"{port}: {status.state}" if ours else f"{port}: {'free' if free else 'taken by another process'}"
        healthy = not status.is_broken and (ours or free)
        remedy = f"Run `tick up`, stop the other process, or set TICK_{str(service.port_setting).upper()}."
        yield Finding(f"port of {service.name}", healthy, found, remedy)
