"""Bars of the clean ticks, written by Spark beside silver, audited on a branch, then published.

What belongs here: the order of stage, audit and publish, and what is reported. What must not: how a bar is made, SQL.
"""

from collections.abc import Iterator

import dagster as dg

from tick_assets.assets.reporting import day_plot, day_rows, reporting, silver_spec
from tick_assets.lakehouse import bars as bars_of_ticks
from tick_assets.lakehouse import silver
from tick_assets.lakehouse.publishing import audit_outside, publish
from tick_assets.partitions import DAILY, dates_of
from tick_assets.resources import Road, Scope, SparkEngine


@dg.multi_asset(
    specs=[
        silver_spec("bars_1m", ["silver/ticks"], "Minute bars of the mid price, in price units."),
        silver_spec("bars_1h", ["silver/ticks"], "Hour bars of the mid price, in price units."),
    ],
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="silver_bars",
)
def bars(context: dg.AssetExecutionContext, road: Road, scope: Scope, spark: SparkEngine) -> Iterator[dg.MaterializeResult]:
    """Bars in one commit a grain; the gold views only present them."""
    dates, symbols = dates_of(context.partition_keys), scope.active(road.settings)
    partitions = silver.Partitions(symbols, dates, {})
    run = context.run.run_id.replace("-", "")[:12]
    minutes = bars_of_ticks.minute_bars(spark.session, partitions).persist()
    for grain, rows in (("1m", minutes), ("1h", bars_of_ticks.hour_bars(spark.session, minutes))):
        name = f"bars_{grain}"
        with reporting(context, f"silver/{name}") as report:
            staged = bars_of_ticks.stage_bars(spark.session, partitions, grain, rows, run)
            audit_outside(spark.session, road.lakehouse, staged)
            snapshot = publish(spark.session, staged)
            counts = silver.count_days(road.lakehouse, [staged.table], partitions)
        shown = day_rows(counts, dates) | {"snapshot_id": str(snapshot), "bars_per_day": day_plot(name, counts)}
        yield dg.MaterializeResult(asset_key=["silver", name], metadata=report.metadata() | shown)
    minutes.unpersist()
