"""Checks that another engine than the writer makes: Trino counts what Spark and PyIceberg wrote.

What belongs here: true statements about published tables. What must not: audits of staged branches (`assets.silver` makes those).
"""

import dagster as dg

from tick_assets.assets.reporting import table
from tick_assets.partitions import DAILY, dates_of
from tick_assets.resources import Road, Scope


def _scope_condition(context: dg.AssetCheckExecutionContext, road: Road, scope: Scope) -> str:
    from tick_assets.lakehouse.spark import partition_filter

    return partition_filter(scope.active(road.settings), dates_of(context.partition_keys))


def _no_rows(road: Road, statement: str) -> dg.AssetCheckResult:
    """Pass when a query for contradictions finds none."""
    found = road.query_engine.dicts(statement)
    return dg.AssetCheckResult(passed=not found, metadata={"contradictions": len(found), "rows": table(found[:50])})


@dg.asset_check(
    asset=["silver", "ticks"], name="published_counts_are_true", partitions_def=DAILY, description="Trino counts what Spark says it wrote."
)
def published_counts_are_true(context: dg.AssetCheckExecutionContext, road: Road, scope: Scope) -> dg.AssetCheckResult:
    condition = _scope_condition(context, road, scope)
    return _no_rows(
        road,
        f"""
        with listed as (
            select symbol, date, publication_id, raw_rows, silver_rows, reject_rows from evidence.publications where {condition}
        ),
        raw_rows as (select symbol, date, count_if(is_current) as n from raw.ticks where {condition} group by 1, 2),
        kept as (select symbol, date, publication_id, count(*) as n from silver.ticks where {condition} group by 1, 2, 3),
        refused as (select symbol, date, publication_id, count(*) as n from silver.tick_rejects where {condition} group by 1, 2, 3)
        select listed.symbol, listed.date, raw_rows, coalesce(raw_rows.n, 0) as raw_found,
            silver_rows, coalesce(kept.n, 0) as silver_found, reject_rows, coalesce(refused.n, 0) as rejects_found
        from listed
        left join raw_rows on raw_rows.symbol = listed.symbol and raw_rows.date = listed.date
        left join kept on kept.symbol = listed.symbol and kept.date = listed.date and kept.publication_id = listed.publication_id
        left join refused
            on refused.symbol = listed.symbol and refused.date = listed.date and refused.publication_id = listed.publication_id
        where listed.raw_rows <> coalesce(raw_rows.n, 0) or silver_rows <> coalesce(kept.n, 0)
            or reject_rows <> coalesce(refused.n, 0) or listed.raw_rows <> silver_rows + reject_rows
        """,
    )


@dg.asset_check(
    asset=["silver", "ticks"], name="ticks_are_ordered", partitions_def=DAILY, description="A later row of a date is never earlier in time."
)
def ticks_are_ordered(context: dg.AssetCheckExecutionContext, road: Road, scope: Scope) -> dg.AssetCheckResult:
    condition = _scope_condition(context, road, scope)
    return _no_rows(
        road,
        f"""
        with steps as (
            select symbol, date, seq, ts_event, lag(ts_event) over (partition by symbol, date order by seq) as before
            from silver.ticks where {condition}
        )
        select symbol, date, count(*) as disordered from steps where before > ts_event group by 1, 2
        """,
    )


@dg.asset_check(
    asset=["silver", "features"], name="every_event_is_a_tick", partitions_def=DAILY, description="Each sampled event is a published tick."
)
def every_event_is_a_tick(context: dg.AssetCheckExecutionContext, road: Road, scope: Scope) -> dg.AssetCheckResult:
    condition = _scope_condition(context, road, scope)
    return _no_rows(
        road,
        f"""
        with events as (select symbol, date, seq, ts_event from silver.features where {condition}),
        quotes as (select symbol, date, seq, ts_event from silver.ticks where {condition})
        select events.symbol, events.date, count(*) as orphans from events
        left join quotes
            on quotes.symbol = events.symbol and quotes.date = events.date
            and quotes.seq = events.seq and quotes.ts_event = events.ts_event
        where quotes.seq is null group by 1, 2
        """,
    )
