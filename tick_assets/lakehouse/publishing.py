"""Write, audit, publish: a partition is replaced on a branch, looked at there, and becomes visible by one fast-forward.

What belongs here: the branch protocol for tables that Spark writes. What must not: what the rows are (`silver`) or Dagster.

One writer per table at a time (a Dagster pool sees to it), so an `audit_` branch found at the start is what a killed run left: it is
dropped. A failed audit's branch is kept as `failed_…` for inspection. `overwrite` names whole partitions: an empty result empties them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tick_assets.lakehouse.catalog import MAIN, Lakehouse
from tick_assets.lakehouse.spark import partition_filter
from tick_assets.settings import CATALOG

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PartitionKey = tuple[str, date]


class AuditError(RuntimeError):
    """A staged partition failed its audit; the branch named in the message is kept for inspection."""


@dataclass(frozen=True)
class Staged:
    """One table's replacement, written to `branch` and not visible yet."""

    table: str
    branch: str
    keys: frozenset[PartitionKey]
    """Every (symbol, date) that the replacement names, empty ones too."""

    @property
    def identifier(self) -> str:
        return f"{CATALOG}.{self.table}"


def drop_leftovers(spark: SparkSession, table: str) -> list[str]:
    """Drop the `audit_` branches of runs that died, and return their names."""
    rows = spark.sql(f"select name from {CATALOG}.{table}.refs where type = 'BRANCH' and name like 'audit\\\\_%'").collect()
    for row in rows:
        spark.sql(f"alter table {CATALOG}.{table} drop branch `{row.name}`")
    return [row.name for row in rows]


def stage(spark: SparkSession, table: str, rows: DataFrame, symbols: Sequence[str], dates: Sequence[date], run: str) -> Staged:
    """Replace the partitions of all symbols and dates, on a branch of its own."""
    from pyspark.sql import functions as f

    drop_leftovers(spark, table)
    condition = partition_filter(symbols, dates)
    staged = Staged(table, f"audit_{run}", frozenset((symbol, day) for symbol in symbols for day in dates))
    spark.sql(f"alter table {staged.identifier} create or replace branch `{staged.branch}`")
    rows.writeTo(f"{staged.identifier}.branch_{staged.branch}").overwrite(f.expr(condition))
    return staged


def audit_outside(spark: SparkSession, lakehouse: Lakehouse, staged: Staged) -> None:
    """Refuse a replacement that changed the number of rows of any partition that it does not name."""
    before, after = (
        {key: rows for key, rows in lakehouse.partition_rows(staged.table, ref).items() if key not in staged.keys}
        for ref in (MAIN, staged.branch)
    )
    if before != after:
        differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        reject(spark, staged, f"expected the rows of other partitions to stay, was a change of {len(differing)}, first {differing[0]}")


def reject(spark: SparkSession, staged: Staged, finding: str) -> None:
    """Keep the staged branch under a `failed_` name and raise `AuditError`."""
    kept = staged.branch.replace("audit_", "failed_", 1)
    spark.sql(f"alter table {staged.identifier} create or replace branch `{kept}` as of version {_tip(spark, staged)} retain 7 days")
    spark.sql(f"alter table {staged.identifier} drop branch `{staged.branch}`")
    raise AuditError(f"Audit of {staged.table} failed: {finding}. Nothing was published; look at branch {kept}, then run again.")


def publish(spark: SparkSession, staged: Staged) -> int:
    """Make the branch what readers see, drop it, and return the new snapshot's id."""
    tip = _tip(spark, staged)
    spark.sql(f"call {CATALOG}.system.fast_forward('{staged.table}', 'main', '{staged.branch}')")
    spark.sql(f"alter table {staged.identifier} drop branch `{staged.branch}`")
    return tip


def _tip(spark: SparkSession, staged: Staged) -> int:
    row = spark.sql(f"select snapshot_id from {staged.identifier}.refs where name = '{staged.branch}'").first()
    if row is None:
        raise AuditError(f"Expected the branch {staged.branch} on {staged.table}, found none. Run again: one writer per table at a time.")
    return int(row.snapshot_id)
