"""Bars of the clean ticks, written by Spark beside silver, audited on a branch, then published.

What belongs here: the order of stage, audit and publish, and what is reported. What must not: how a bar is made, SQL.
"""

from collections.abc import Iterator

import dagster as dg

from tick_assets.assets.reporting import day_plot, day_rows, reporting, silver_spec
from tick_assets.lakehouse import silver
from tick_assets.lakehouse.bars import GRAINS, TABLES, bar_files, table_of
from tick_assets.lakehouse.publishing import audit_outside, publish, stage, writing
from tick_assets.partitions import DAILY, dates_of
from tick_assets.resources import Road, Scope, SparkEngine

DESCRIPTIONS = {
    "1s": "Bars of the mid price by second, in price units; a second without a tick has none.",
    "1m": "Bars of the mid price by minute, in price units; a minute without a tick has none.",
    "1h": "Bars of the mid price by hour, in price units; an hour without a tick has none.",
    "ticks": "Bars of a fixed number of ticks (`bar_ticks`); the last bar of a date holds what is left and is marked incomplete.",
}


@dg.multi_asset(
    specs=[silver_spec(f"bars_{grain}", ["silver/ticks"], text) for grain, text in DESCRIPTIONS.items()],
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="silver_bars",
)
def bars(context: dg.AssetExecutionContext, road: Road, scope: Scope, spark: SparkEngine) -> Iterator[dg.MaterializeResult]:
    """Make the bars of all grains in one pass over the ticks and publish each table in one commit; the gold views only present them."""
    dates, symbols = dates_of(context.partition_keys), scope.active(road.settings)
    partitions = silver.Partitions(symbols, dates, {})
    run = context.run.run_id.replace("-", "")[:12]
    with writing(road.lakehouse, TABLES, symbols, dates, run, context.log.info) as lock:
        files = bar_files(spark.runner, road.lakehouse, partitions, road.settings.bar_ticks)
        for grain in GRAINS:
            name = f"bars_{grain}"
            with reporting(context, f"silver/{name}") as report:
                staged = stage(road.lakehouse, table_of(grain), files[table_of(grain)], symbols, dates, run)
                audit_outside(road.lakehouse, staged)
                snapshot = publish(road.lakehouse, staged, lock)
                counts = silver.count_days(road.lakehouse, [staged.table], partitions)
            shown = day_rows(counts, dates) | {"snapshot_id": str(snapshot), "bars_per_day": day_plot(name, counts)}
            yield dg.MaterializeResult(asset_key=["silver", name], metadata=report.metadata() | shown)
