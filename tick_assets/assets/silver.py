"""Silver assets: clean ticks and rejects, features and labels; written by Spark, audited on a branch, then published.

What belongs here: the order of stage, audit and publish, and what is reported. What must not: rules about ticks, SQL.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import dagster as dg

from tick_assets.assets.reporting import bar_plot, day_plot, day_range, day_rows, now, reporting, silver_spec, table
from tick_assets.lakehouse import publications, silver, tick_audit
from tick_assets.lakehouse.publishing import AuditError, audit_outside, publish, stage, writing
from tick_assets.partitions import DAILY, dates_of
from tick_assets.resources import Road, Scope, SparkEngine

SINGLE_RUN = dg.BackfillPolicy.single_run()
NO_ROW_IS_LOST, TICKS_ARE_ORDERED = "no_row_is_lost", "ticks_are_ordered"


@dg.multi_asset(
    specs=[
        silver_spec("tick_rejects", ["raw/ticks"], "One refused row with its reason code."),
        silver_spec("ticks", ["raw/ticks"], "One valid quote; `seq` is its rank in vendor order before cleaning."),
    ],
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    pool="silver_ticks",
    check_specs=[
        dg.AssetCheckSpec(NO_ROW_IS_LOST, asset=["silver", "ticks"], blocking=True),
        dg.AssetCheckSpec(
            TICKS_ARE_ORDERED, asset=["silver", "ticks"], blocking=True, description="A later row of a date is never earlier in time."
        ),
    ],
)
def clean_ticks(
    context: dg.AssetExecutionContext, road: Road, scope: Scope, spark: SparkEngine
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Clean the current raw rows; rejects are published before ticks, and `evidence.publications` last."""
    dates, symbols = dates_of(context.partition_keys), scope.active(road.settings)
    run = context.run.run_id.replace("-", "")[:12]
    tables = ("silver.ticks", "silver.tick_rejects")
    with (
        reporting(context, "silver/ticks") as report,
        writing(road.lakehouse, tables, symbols, dates, run, context.log.info) as lock,
    ):
        partitions = publications.partitions_of(road.raw_store, symbols, dates, road.settings.sources_in_order)
        raw = road.lakehouse.snapshot_id("raw.ticks")
        runner = spark.runner
        files = silver.tick_files(runner, road.lakehouse, partitions, raw)
        rejects, ticks = (stage(road.lakehouse, name, files[name], symbols, dates, run) for name in (silver.REJECTS, silver.TICKS))
        try:
            counts, hashes = tick_audit.audit_ticks(runner, road.lakehouse, partitions, raw, ticks, rejects)
            for staged in (rejects, ticks):
                audit_outside(road.lakehouse, staged)
        except AuditError as error:
            failed = TICKS_ARE_ORDERED if isinstance(error, tick_audit.DisorderError) else NO_ROW_IS_LOST
            yield dg.AssetCheckResult(asset_key=["silver", "ticks"], check_name=failed, passed=False, metadata={"finding": str(error)})
            raise dg.Failure(str(error), allow_retries=False) from error
        snapshots = {staged.table: publish(road.lakehouse, staged, lock) for staged in (rejects, ticks)}
        publications.record(road.lakehouse, partitions, counts, hashes, now())
    _attach_rows_to_dates(context, counts, dates)
    shared: dict[str, Any] = {
        "time_range": day_range(dates),
        "days": table([vars(found) | {"content_hash": hashes[found.symbol, found.date][:12]} for found in counts]),
        "snapshots": str(snapshots),
    }
    yield dg.MaterializeResult(
        asset_key=["silver", "tick_rejects"],
        metadata=report.metadata() | shared | {"dagster/row_count": sum(found.reject_rows for found in counts)},
    )
    plot = bar_plot("valid ticks by date", [day.isoformat() for day in dates], _by_symbol(counts, symbols, dates))
    total = sum(found.raw_rows for found in counts)
    yield dg.MaterializeResult(
        asset_key=["silver", "ticks"],
        metadata=report.metadata() | shared | {"dagster/row_count": sum(found.silver_rows for found in counts), "ticks_per_day": plot},
        check_results=[
            dg.AssetCheckResult(check_name=name, passed=True, metadata={"raw_rows": total}) for name in (NO_ROW_IS_LOST, TICKS_ARE_ORDERED)
        ],
    )


def _attach_rows_to_dates(context: dg.AssetExecutionContext, counts: Sequence[tick_audit.DayCounts], dates: Sequence[date]) -> None:
    for day in dates:
        rows = sum(found.silver_rows for found in counts if found.date == day)
        context.add_asset_metadata(
            {"dagster/partition_row_count": rows}, asset_key=dg.AssetKey(["silver", "ticks"]), partition_key=day.isoformat()
        )


def _by_symbol(counts: Sequence[tick_audit.DayCounts], symbols: Sequence[str], dates: Sequence[date]) -> dict[str, list[float]]:
    found = {(day.symbol, day.date): float(day.silver_rows) for day in counts}
    return {symbol: [found[symbol, day] for day in dates] for symbol in symbols}


@dg.multi_asset(
    specs=[
        silver_spec("features", ["silver/ticks"], "One sampled event with the features of the domain kernel."),
        silver_spec(
            "labels", ["silver/ticks"], "What a trade decided at an event would have earned, by the triple barrier at bid and ask."
        ),
    ],
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    pool="silver_features",
)
def sample_events(context: dg.AssetExecutionContext, road: Road, scope: Scope, spark: SparkEngine) -> Iterator[dg.MaterializeResult]:
    """Run the kernel over the clean ticks of each symbol and date; rows are sampled events, not ticks."""
    dates, symbols = dates_of(context.partition_keys), scope.active(road.settings)
    run = context.run.run_id.replace("-", "")[:12]
    tables = ("silver.features", "silver.labels")
    with (
        reporting(context, "silver/features") as report,
        writing(road.lakehouse, tables, symbols, dates, run, context.log.info) as lock,
    ):
        partitions = silver.Partitions(symbols, dates, {})
        unled = silver.days_without_leader(road.lakehouse, partitions, road.market)
        if unled:
            context.log.warning(f"event=leader_not_published days={len(unled)} first={unled[0]}: the leader's features are NaN there")
        files = silver.event_files(spark.runner, road.lakehouse, partitions, road.market)
        staged = [stage(road.lakehouse, name, files[name], symbols, dates, run) for name in (silver.FEATURES, silver.LABELS)]
        for each in staged:
            audit_outside(road.lakehouse, each)
        snapshots = {each.table: publish(road.lakehouse, each, lock) for each in staged}
        counts = silver.count_days(road.lakehouse, [each.table for each in staged], partitions)
    said = {"days_without_leader": table(unled)} if unled else {}
    for name in ("features", "labels"):
        rows = [row for row in counts if row["table"] == f"silver.{name}"]
        shown = day_rows(rows, dates) | {"snapshots": str(snapshots), "rows_per_day": day_plot(name, rows)}
        yield dg.MaterializeResult(asset_key=["silver", name], metadata=report.metadata() | shown | (said if name == "features" else {}))
