"""Spark over the lakehouse: the session's configuration and the partition-at-a-time reader.

What belongs here: addresses, jars and read options. What must not: table logic (`silver`, `publishing`) or Dagster.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from tick_assets.settings import CATALOG, Settings

if TYPE_CHECKING:
    pass

WHOLE_FILE = str(10**12)
"""Split size and file-open cost that make one task of each file: settings alone don't reach an Iceberg scan (tried)."""


def spark_config(settings: Settings) -> dict[str, Any]:
    """Return the flat configuration of a session that reads and writes the `lakehouse` catalog."""
    secrets = settings.secrets
    catalog = f"spark.sql.catalog.{CATALOG}"
    jdbc = settings.postgres_database_url("catalog").replace("postgresql+psycopg2://", "")
    credentials, address = jdbc.rsplit("@", 1)
    user, password = credentials.split(":", 1)
    return {
        "spark.master": settings.spark_master,
        "spark.app.name": "tick_assets",
        "spark.jars": settings.spark_jars,
        "spark.driver.host": settings.host,
        "spark.driver.bindAddress": settings.host,
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.local.dir": str(settings.home / "spark"),
        "spark.sql.warehouse.dir": str(settings.home / "spark" / "warehouse"),
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "200000",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
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
