"""Spark over the lakehouse: the session's configuration on this machine, on a cluster and through Spark Connect.

What belongs here: addresses, jars, memory and tuning. What must not: table logic (`silver`, `publishing`), what runs in a task
(`day_files`, `executors`) or Dagster.

The road gives Spark one task for each symbol-day, without shuffle; a task reads and writes Parquet in Python, and the driver is told names
and statistics of files only. The defaults follow from that, and `spark_properties` overrides each of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import date
from ipaddress import ip_address
from urllib.parse import urlsplit

from tick_assets.settings import CATALOG, Settings

TASKS_PER_CORE, CLUSTER_TASKS = 4, 1024
WHOLE_FILE = str(10**12)
"""Split size and file-open cost that make one task of each file: settings alone don't reach an Iceberg scan (tried)."""


class SparkPlaceError(ValueError):
    """The configured addresses of Spark can't work together."""


def spark_config(settings: Settings) -> dict[str, str]:
    """Return the flat configuration of a session that reads and writes the `lakehouse` catalog."""
    return session_config(settings) | _catalog(settings) | settings.spark_properties


def session_config(settings: Settings) -> dict[str, str]:
    """Return the configuration without the catalog, and so without secrets of ours: what `tick doctor` prints."""
    if settings.spark_remote:
        return {"spark.remote": settings.spark_remote, **_SESSION, **settings.spark_properties}
    is_local = settings.spark_master.startswith("local")
    place = _on_this_machine(settings) if is_local else _on_a_cluster(settings)
    return {"spark.master": settings.spark_master, **_driver(settings), **_SESSION, **place, **settings.spark_properties}


_SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "200000",
}
"""What a session needs wherever it runs; all that a client of Spark Connect may set."""


def _driver(settings: Settings) -> dict[str, str]:
    """Return what the driver's own Java needs; a Connect server has its own."""
    return {
        "spark.app.name": "tick_assets",
        "spark.jars": settings.spark_jars,
        "spark.driver.host": settings.spark_driver_host or settings.host,
        "spark.driver.bindAddress": settings.spark_driver_bind_address or settings.host,
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.local.dir": str(settings.home / "spark"),
        "spark.sql.warehouse.dir": str(settings.home / "spark" / "warehouse"),
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


def _on_this_machine(settings: Settings) -> dict[str, str]:
    """Return the tuning of `local[n]`: driver and executor are one Java, and a shuffle of 200 parts would cost more than it gives."""
    return {"spark.sql.shuffle.partitions": "4"}


def _on_a_cluster(settings: Settings) -> dict[str, str]:
    """Return the tuning of executors elsewhere.

    A core works on one symbol-day at a time, so Polars in a task has one thread. Data are in S3 and near to no executor, so no task waits
    for a place. A small heap and room beside it: rows never enter Java. Adaptive execution joins the 200 parts of a shuffle that a
    person's own query may have. A dead executor's task is tried again (four times by Spark's default; `local[n]` never does).
    """
    _require_reachable_driver(settings)
    cores = {"spark.executor.cores": str(settings.spark_executor_cores)} if settings.spark_executor_cores else {}
    return {
        "spark.executor.memory": settings.spark_executor_memory,
        "spark.executor.memoryOverhead": settings.spark_executor_python_memory,
        "spark.executorEnv.POLARS_MAX_THREADS": "1",
        "spark.locality.wait": "0s",
        **cores,
    }


def _require_reachable_driver(settings: Settings) -> None:
    """Refuse a driver that only this machine reaches, for a master that is on another: its tasks would never start."""
    host = settings.spark_properties.get("spark.driver.host") or settings.spark_driver_host or settings.host
    master = urlsplit(settings.spark_master.removeprefix("k8s://"))
    if _is_loopback(host) and not _is_loopback(master.hostname or settings.spark_master):
        raise SparkPlaceError(
            f"Expected a driver that executors of {settings.spark_master} reach, was at {host}. "
            "Set spark_driver_host (and spark_driver_bind_address, or host) to an address of this machine."
        )


def most_tasks(settings: Settings) -> int:
    """Return how many Spark tasks one pass over symbol-days has at most.

    A task costs 0.1 s of its own, as much as a day of 100,000 ticks (measured on two cores), and four for each core still even out days of
    different sizes. A cluster's cores are not known here: there each symbol-day is a task until there are very many.
    """
    if settings.spark_most_tasks is not None:
        return settings.spark_most_tasks
    local = re.fullmatch(r"local\[(\d+|\*)(,\d+)?\]", settings.spark_master)
    if settings.spark_remote or local is None:
        return CLUSTER_TASKS
    return TASKS_PER_CORE * (os.cpu_count() or 1 if local[1] == "*" else int(local[1]))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _catalog(settings: Settings) -> dict[str, str]:
    """Return the `lakehouse` catalog: Iceberg by JDBC, files in S3."""
    secrets = settings.secrets
    catalog = f"spark.sql.catalog.{CATALOG}"
    jdbc = settings.postgres_database_url("catalog").replace("postgresql+psycopg2://", "")
    credentials, address = jdbc.rsplit("@", 1)
    user, password = credentials.split(":", 1)
    return {
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "jdbc",
        f"{catalog}.uri": f"jdbc:postgresql://{address}",
        f"{catalog}.jdbc.user": user,
        f"{catalog}.jdbc.password": password,
        f"{catalog}.jdbc.schema-version": "V1",
        f"{catalog}.cache-enabled": "false",
        f"{catalog}.warehouse": settings.warehouse,
        f"{catalog}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        f"{catalog}.s3.endpoint": settings.s3_address,
        f"{catalog}.s3.path-style-access": "true",
        f"{catalog}.s3.access-key-id": secrets.s3_access_key,
        f"{catalog}.s3.secret-access-key": secrets.s3_secret_key.get_secret_value(),
        f"{catalog}.client.region": settings.s3_region,
    }


def partition_filter(symbols: Sequence[str], dates: Sequence[date]) -> str:
    """Return the SQL condition that names whole partitions, for readers and for `overwrite` alike."""
    if not symbols or not dates:
        raise ValueError(f"Expected at least one symbol and one date, was {list(symbols)} and {list(dates)}.")
    names = ", ".join(f"'{name}'" for name in symbols)
    days = ", ".join(f"date '{day.isoformat()}'" for day in dates)
    return f"symbol in ({names}) and date in ({days})"
