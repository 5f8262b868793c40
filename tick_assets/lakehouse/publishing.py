"""Write, audit, publish: a partition is replaced on a branch, looked at there, and becomes visible by one fast-forward.

What belongs here: the branch protocol for tables that Spark writes. What must not: what the rows are (`silver`) or Dagster.

One writer per table at a time (a Dagster pool sees to it), so an `audit_` branch found at the start is what a killed run left: it is
dropped. A failed audit's branch is kept as `failed_…` for inspection. `overwrite` names whole partitions: an empty result empties them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tick_assets.settings import CATALOG

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class AuditError(RuntimeError):
    """A staged partition failed its audit; the branch named in the message is kept for inspection."""


@dataclass(frozen=True)
class Staged:
    """One table's replacement, written to `branch` and not visible yet."""

    table: str
    branch: str
    condition: str

    @property
    def identifier(self) -> str:
        return f"{CATALOG}.{self.table}"


def drop_leftovers(spark: SparkSession, table: str) -> list[str]:
    """Drop the `audit_` branches of runs that died, and return their names."""
    rows = spark.sql(f"select name from {CATALOG}.{table}.refs where type = 'BRANCH' and name like 'audit\\\\_%'").collect()
    for row in rows:
        spark.sql(f"alter table {CATALOG}.{table} drop branch `{row.name}`")
    return [row.name for row in rows]


def stage(spark: SparkSession, table: str, rows: DataFrame, condition: str, run: str) -> Staged:
    """Replace the partitions that `condition` names, on a branch of its own."""
    from pyspark.sql import functions as f

    drop_leftovers(spark, table)
    staged = Staged(table, f"audit_{run}", condition)
    spark.sql(f"alter table {staged.identifier} create or replace branch `{staged.branch}`")
    rows.writeTo(f"{staged.identifier}.branch_{staged.branch}").overwrite(f.expr(condition))
    return staged


def audit_outside(spark: SparkSession, staged: Staged) -> None:
    """Refuse a replacement that changed the number of rows outside the partitions it names."""
    counts = [
        spark.read.format("iceberg").option("branch", branch).load(staged.identifier).where(f"not ({staged.condition})").count()
        if has_branch(spark, staged.table, branch)
        else 0
        for branch in ("main", staged.branch)
    ]
    if counts[0] != counts[1]:
        reject(spark, staged, f"expected {counts[0]} rows outside the written partitions, was {counts[1]}")


def has_branch(spark: SparkSession, table: str, branch: str) -> bool:
    """Tell whether a table has the branch; an empty table has no `main` yet."""
    return bool(spark.sql(f"select 1 from {CATALOG}.{table}.refs where name = '{branch}'").take(1))


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
