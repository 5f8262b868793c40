"""Trino, PyIceberg and Spark read the same rows as of a tag, a snapshot and a time, also after columns changed.

What belongs here: agreement of engines on a table of the test's own. What must not: rules that a local catalog shows too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from typer.testing import CliRunner

from tests.unit.lakehouse.local_catalog import DAY, silver_rows
from tick_assets.cli.main import build_app
from tick_assets.lakehouse import history
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.content_hash import PartitionHash, frame_hashes
from tick_assets.lakehouse.query import TrinoQuery
from tick_assets.lakehouse.tables import PROPERTIES, definition_of
from tick_assets.settings import Settings

pytestmark = pytest.mark.stack

TABLE = "silver.time_travel"
SILVER = definition_of("silver.ticks")
NEXT = DAY + timedelta(days=1)
FIRST = silver_rows()
SECOND = silver_rows(count=150)
THIRD = pl.concat([SECOND, silver_rows(day=NEXT)])
NEWEST = pl.concat([THIRD, silver_rows("SYNNULL")])
EXPECTED = {"tag": FIRST, "snapshot": SECOND, "time": THIRD, "newest": NEWEST}


@dataclass
class Travelled:
    """A table with four versions; a column was added and one widened before the last."""

    settings: Settings
    lakehouse: Lakehouse
    as_of: dict[str, str]
    at: datetime


@pytest.fixture(scope="module")
def travelled(stack_settings: Settings) -> Iterator[Travelled]:
    lakehouse = Lakehouse.from_settings(stack_settings)
    lakehouse.ensure_tables()
    lakehouse.catalog.create_table(TABLE, SILVER.schema, partition_spec=SILVER.partition_spec, properties=dict(PROPERTIES))
    lakehouse.append(TABLE, FIRST)
    lakehouse.tag(TABLE, "first")
    lakehouse.replace_rows(TABLE, SECOND, day_filter("SYNEDGE", DAY))
    second = lakehouse.snapshot_id(TABLE)
    lakehouse.append(TABLE, silver_rows(day=NEXT))
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    time.sleep(max((at - datetime.now(UTC)).total_seconds(), 0) + 0.05)
    history.add_column(lakehouse, TABLE, "venue", "string")
    history.widen_column(lakehouse, TABLE, "price_factor", "long")
    lakehouse.append(TABLE, silver_rows("SYNNULL").with_columns(pl.lit("here").alias("venue")))
    yield Travelled(stack_settings, lakehouse, {"tag": "first", "snapshot": str(second), "time": at.isoformat(), "newest": "main"}, at)
    lakehouse.catalog.drop_table(TABLE)


def hashes(rows: pl.DataFrame) -> list[PartitionHash]:
    return sorted(frame_hashes(SILVER, rows))


@pytest.mark.parametrize("version", EXPECTED)
def test_pyiceberg_reads_the_version(travelled: Travelled, version: str) -> None:
    assert hashes(history.read(travelled.lakehouse, TABLE, travelled.as_of[version], "seq >= 0")) == hashes(EXPECTED[version])


@pytest.mark.parametrize("version", EXPECTED)
def test_trino_reads_the_version(travelled: Travelled, version: str) -> None:
    clause = {
        "tag": "for version as of 'first'",
        "snapshot": f"for version as of {travelled.as_of['snapshot']}",
        "time": f"for timestamp as of timestamp '{travelled.at:%Y-%m-%d %H:%M:%S} UTC'",
        "newest": "",
    }[version]
    result = TrinoQuery.from_settings(travelled.settings).query(f"select * from {TABLE} {clause}")
    typed = result.frame().with_columns(pl.col("ts_event").cast(pl.Datetime("us", "UTC")))
    assert hashes(typed) == hashes(EXPECTED[version])


@pytest.mark.full
def test_spark_reads_every_version(travelled: Travelled) -> None:
    from dagster_pyspark import LazyPySparkResource

    from tick_assets.lakehouse.spark import spark_config

    clauses = {
        "tag": "version as of 'first'",
        "snapshot": f"version as of {travelled.as_of['snapshot']}",
        "time": f"timestamp as of '{travelled.at:%Y-%m-%d %H:%M:%S}'",
        "newest": "",
    }
    spark = LazyPySparkResource(spark_config=spark_config(travelled.settings)).spark_session
    try:
        found = {name: pl.DataFrame(spark.sql(f"select * from lakehouse.{TABLE} {clause}").toArrow()) for name, clause in clauses.items()}
    finally:
        spark.stop()
    assert {name: hashes(rows) for name, rows in found.items()} == {name: hashes(rows) for name, rows in EXPECTED.items()}
    assert found["newest"]["venue"].null_count() == len(THIRD)


def test_trino_old_rows_are_null_in_an_added_column(travelled: Travelled) -> None:
    trino = TrinoQuery.from_settings(travelled.settings)
    assert trino.rows(f"select venue, count(*) from {TABLE} group by 1 order by 1 nulls first") == [(None, 350), ("here", 200)]
    files = trino.scalar(f'select count(distinct "$path") from {TABLE} where venue is null')
    assert files == 2  # one of each date, as they were written before the column was there


def tick(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(build_app(), list(arguments))
    return result.exit_code, result.stdout, str(result.exception or "")


def test_tick_read_and_history_agree(travelled: Travelled) -> None:
    code, out, _ = tick("history", TABLE, "--json")
    versions = json.loads(out)
    assert (code, [each["total_rows"] for each in versions if each["was_current"]]) == (0, [200, 150, 350, 550])
    code, out, _ = tick("read", TABLE, "--as-of", str(versions[0]["snapshot_id"]), "--where", "seq >= 190", "--json")
    assert (code, len(json.loads(out))) == (0, 10)


@pytest.mark.parametrize(
    "arguments",
    [
        ("read", "gold.symbol_days", "--as-of", "first"),
        ("history", "gold.symbol_days"),
        ("rollback-table", "gold.symbol_days", "--to", "first"),
        ("sql", "select * from gold.symbol_days for version as of 'first'"),
    ],
)
def test_tick_version_of_a_view_is_refused_with_its_tables(travelled: Travelled, arguments: tuple[str, ...]) -> None:
    code, _, error = tick(*arguments)
    assert code == 1
    assert "views have no versions" in error
    assert "evidence.publications, silver.ticks" in error
