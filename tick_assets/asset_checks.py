"""Checks that another engine than the writer makes: Trino counts what Spark and PyIceberg wrote.

The leak firewall is one too: it makes again, from the published ticks, what was published beside them.

What belongs here: true statements about published tables. What must not: audits of staged branches (`assets.silver` makes those).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from tick_assets.assets.reporting import table
from tick_assets.domain.leak_findings import Examination, Statement, say_count, state
from tick_assets.partitions import DAILY, dates_of
from tick_assets.resources import Road, Scope


def _scope_condition(context: dg.AssetCheckExecutionContext, road: Road, scope: Scope) -> str:
    from tick_assets.lakehouse.spark import partition_filter

    return partition_filter(scope.active(road.settings), dates_of(context.partition_keys))


def _no_rows(road: Road, statement: str) -> dg.AssetCheckResult:
    """Pass when a query for contradictions finds none."""
    found = road.query_engine.dicts(statement)
    return dg.AssetCheckResult(passed=not found, metadata={"contradictions": len(found), "rows": table(found[:50])})


def count_contradictions(condition: str) -> str:
    """Return the query for symbols and dates whose rows are not those that `evidence.publications` lists.

    Rows without a publication, and rows of another publication than the listed one (`strangers`), are contradictions too.
    """
    return f"""
        with listed as (
            select symbol, date, publication_id, raw_rows, silver_rows, reject_rows from evidence.publications where {condition}
        ),
        parts as (
            select symbol, date, raw_rows, silver_rows, reject_rows, 0 as raw_found, 0 as silver_found, 0 as rejects_found, 0 as strangers
            from listed
            union all
            select symbol, date, 0, 0, 0, count_if(is_current), 0, 0, 0 from raw.ticks where {condition} group by 1, 2
            union all
            select ticks.symbol, ticks.date, 0, 0, 0, 0, sum(ticks.rows_found), 0, sum(if(listed.symbol is null, ticks.rows_found, 0))
            from (
                select symbol, date, publication_id, count(*) as rows_found from silver.ticks where {condition} group by 1, 2, 3
            ) as ticks
            left join listed
                on listed.symbol = ticks.symbol and listed.date = ticks.date and listed.publication_id = ticks.publication_id
            group by 1, 2
            union all
            select rejects.symbol, rejects.date, 0, 0, 0, 0, 0, sum(rejects.rows_found),
                sum(if(listed.symbol is null, rejects.rows_found, 0))
            from (
                select symbol, date, publication_id, count(*) as rows_found from silver.tick_rejects where {condition} group by 1, 2, 3
            ) as rejects
            left join listed
                on listed.symbol = rejects.symbol and listed.date = rejects.date and listed.publication_id = rejects.publication_id
            group by 1, 2
        ),
        days as (
            select symbol, date, sum(raw_rows) as raw_rows, sum(raw_found) as raw_found, sum(silver_rows) as silver_rows,
                sum(silver_found) as silver_found, sum(reject_rows) as reject_rows, sum(rejects_found) as rejects_found,
                sum(strangers) as strangers
            from parts group by 1, 2
        )
        select * from days
        where raw_rows <> raw_found or silver_rows <> silver_found or reject_rows <> rejects_found
            or raw_rows <> silver_rows + reject_rows or strangers > 0
        """


@dg.asset_check(
    asset=["silver", "ticks"], name="published_counts_are_true", partitions_def=DAILY, description="Trino counts what Spark says it wrote."
)
def published_counts_are_true(context: dg.AssetCheckExecutionContext, road: Road, scope: Scope) -> dg.AssetCheckResult:
    return _no_rows(road, count_contradictions(_scope_condition(context, road, scope)))


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


@dg.asset_check(
    asset=["silver", "features"],
    name="features_know_no_future",
    partitions_def=DAILY,
    blocking=True,
    description="Made again from ticks up to each event, and beside another future, every feature is the stored one, bit for bit.",
)
def features_know_no_future(context: dg.AssetCheckExecutionContext, road: Road, scope: Scope) -> dg.AssetCheckResult:
    from tick_assets.domain.leak_firewall import examine_events, kernel_of
    from tick_assets.lakehouse.leak_samples import read_others, read_samples

    samples = read_samples(road.lakehouse, road.market, scope.active(road.settings), dates_of(context.partition_keys))
    kernels = {each.symbol: kernel_of(road.market.sampling_of(each.symbol)) for each in samples}
    others = {each.symbol: read_others(road.lakehouse, road.market, each) for each in samples}
    return _leak_result({each.symbol: examine_events(each, kernels[each.symbol], others[each.symbol]) for each in samples})


@dg.asset_check(
    asset=["silver", "labels"],
    name="labels_know_no_future",
    partitions_def=DAILY,
    blocking=True,
    description="Labels end where they say, within their date, are what the ticks give, and hide in no feature.",
)
def labels_know_no_future(context: dg.AssetCheckExecutionContext, road: Road, scope: Scope) -> dg.AssetCheckResult:
    from tick_assets.domain.label_leakage import examine_labels, examine_telling, labeller_of
    from tick_assets.domain.leak_firewall import looked_at
    from tick_assets.domain.signals import strategy_of
    from tick_assets.lakehouse.leak_samples import read_samples

    samples = read_samples(road.lakehouse, road.market, scope.active(road.settings), dates_of(context.partition_keys))
    strategies = {each.symbol: strategy_of(road.market.instrument(each.symbol)) for each in samples}
    labellers = {each.symbol: labeller_of(each.symbol, road.market, strategies[each.symbol]) for each in samples}
    return _leak_result(
        {each.symbol: [*examine_labels(each, labellers[each.symbol], looked_at(each)), examine_telling(each)] for each in samples}
    )


def _leak_result(found: Mapping[str, Sequence[Examination]]) -> dg.AssetCheckResult:
    """Pass when no symbol has a finding; the table has a row for each feature or label of each symbol."""
    stated = {symbol: state(examined) for symbol, examined in found.items()}
    rows = [_leak_row(symbol, statement) for symbol, statements in stated.items() for statement in statements]
    failed = [row for row in rows if row["result"] == "leak"]
    return dg.AssetCheckResult(
        passed=not failed,
        description="; ".join(f"{row['symbol']} {row['culprit']} ({row['check']}): {row['mend']}" for row in failed[:5]) or None,
        metadata={"leaks": len(failed), "symbols": str({symbol: say_count(each) for symbol, each in stated.items()}), "rows": table(rows)},
    )


def _leak_row(symbol: str, statement: Statement) -> dict[str, Any]:
    at = statement.ts_event_us
    return {
        "symbol": symbol,
        "kind": statement.kind,
        "culprit": statement.suspect,
        "result": "cleared" if statement.passed else "leak",
        "check": statement.check,
        "looks": statement.looks,
        "figure": f"{statement.figure:.6g}",
        "moment": datetime.fromtimestamp(at / 1e6, UTC).isoformat() if at is not None else "",
        "mend": statement.mend,
    }
