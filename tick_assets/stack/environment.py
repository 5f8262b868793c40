"""The variables that every process of one state folder needs: services, runs, tests and the demo alike.

What belongs here: names and values. What must not: setting them; a composition root does that.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from tick_assets.settings import PROJECT_ROOT, Settings
from tick_assets.stack.provision import missing_parts, provisioned

HOME_MARK = "TICK_STACK_HOME"
"""Set in every service and so in all that a service starts: `down` finds what is left by it."""
SERVICE_MARK = "TICK_STACK_SERVICE"
FOREIGN = (
    "PG",
    "MLFLOW_",
    "DAGSTER_",
    "SPARK_",
    "AWS_",
    "DBT_",
    "JAVA_TOOL_",
    "_JAVA_",
    "JDK_JAVA_",
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
)
"""Prefixes of the caller's variables that would lead a service astray, such as the address of another Postgres."""


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables to add to a process's environment; the secrets must exist (`ensure_secrets`)."""
    values = {
        **_configuration(settings),
        **_object_store(settings),
        **_tracking(settings),
        **_orchestration(settings),
        **_java(settings),
        **_catalog(settings),
        "TICK_CODE_COMMIT": os.environ.get("TICK_CODE_COMMIT") or code_commit(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "NUMBA_CACHE_DIR": str(settings.cache / "numba" / domain_digest()),
        "DVC_SITE_CACHE_DIR": str(settings.cache / "dvc"),
        "DVC_NO_ANALYTICS": "1",
        "GIT_PYTHON_REFRESH": "quiet",
        "MALLOC_ARENA_MAX": "2",
        "NO_PROXY": _no_proxy(settings),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
    }
    return {**values, "no_proxy": values["NO_PROXY"]}


def service_environment(settings: Settings, service: str, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the whole environment of one service: the caller's without what is foreign, ours, and the marks."""
    inherited = os.environ if base is None else base
    kept = {name: value for name, value in inherited.items() if not name.startswith(FOREIGN)}
    return {**kept, **environment(settings), HOME_MARK: str(settings.home), SERVICE_MARK: service}


def code_commit() -> str:
    """Return the checkout's commit, with `+changes` behind it when files differ; `unknown` outside a checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


@cache
def domain_digest(folder: Path = Path(__file__).parents[1] / "domain") -> str:
    """Return twelve digits that name the sources of compiled code.

    Numba compares a cached function with its own file only, so a changed fill rule would leave the backtest that calls it as it was: each
    state of the sources has a cache of its own.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(PROJECT_ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def _configuration(settings: Settings) -> dict[str, str]:
    """Repeat what was set explicitly, so that a child reads the very same configuration."""
    named = settings.model_dump(include=settings.model_fields_set | {"home", "cache"})
    return {f"TICK_{name.upper()}": _text(value) for name, value in named.items() if value is not None} | _jars(settings)


def _jars(settings: Settings) -> dict[str, str]:
    """Name the embedded jars unless a configuration names others or a cluster ships them."""
    if settings.spark_jars or settings.spark_remote or not settings.spark_master.startswith("local") or missing_parts(settings):
        return {}
    return {"TICK_SPARK_JARS": ",".join(str(jar) for jar in provisioned(settings).spark_jars)}


def _text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, (tuple, list)):
        return ",".join(str(part) for part in value)
    return str(value.value if isinstance(value, Enum) else value)


def _object_store(settings: Settings) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": settings.secrets.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": settings.secrets.s3_secret_key.get_secret_value(),
        "AWS_DEFAULT_REGION": settings.s3_region,
        "AWS_REGION": settings.s3_region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MLFLOW_S3_ENDPOINT_URL": settings.s3_address,
    }


def _tracking(settings: Settings) -> dict[str, str]:
    return {
        "MLFLOW_TRACKING_URI": settings.mlflow_address,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }


def _orchestration(settings: Settings) -> dict[str, str]:
    return {
        "DAGSTER_HOME": str(dagster_home(settings)),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DBT_TARGET_PATH": str(settings.home / "dbt" / "target"),
        "DBT_LOG_PATH": str(settings.home / "dbt" / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "TICK_DAGSTER_DATABASE": settings.postgres_database_url("dagster"),
        "TICK_COMPUTE_LOGS": str(dagster_home(settings) / "compute_logs"),
    }


def _catalog(settings: Settings) -> dict[str, str]:
    """Return what `deploy/trino/catalog/lakehouse.properties` reads."""
    account = urlsplit(settings.postgres_address)
    return {
        "TICK_CATALOG_JDBC": f"jdbc:postgresql://{account.netloc.rpartition('@')[2]}/catalog",
        "TICK_CATALOG_USER": unquote(account.username or ""),
        "TICK_CATALOG_PASSWORD": unquote(account.password or ""),
        "TICK_CATALOG_WAREHOUSE": settings.warehouse,
        "TICK_CATALOG_S3": settings.s3_address,
    }


def dagster_home(settings: Settings) -> Path:
    """Return the folder of `dagster.yaml`."""
    return settings.home / "dagster"


def _java(settings: Settings) -> dict[str, str]:
    """Name Spark's address and Java on this machine, and the Python of driver and executors."""
    values = {
        "SPARK_LOCAL_IP": settings.spark_driver_bind_address or settings.host,
        "PYSPARK_PYTHON": settings.spark_python or sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    if missing_parts(settings):
        return values
    return {**values, "JAVA_HOME": str(provisioned(settings).java21_home)}


def _no_proxy(settings: Settings) -> str:
    named = [name for name in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")).split(",") if name]
    return ",".join(dict.fromkeys([*named, "127.0.0.1", "localhost", settings.host]))
