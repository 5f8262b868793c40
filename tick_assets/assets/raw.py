"""Raw assets: the vendor's hours as write-once CSV, their replica in S3, and `raw.ticks`.

What belongs here: calls and what they report. What must not: wire formats, revisions, table logic.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from typing import Any

import dagster as dg

from tick_assets.assets.reporting import OWNERS, bar_plot, day_range, now, reporting, table
from tick_assets.lakehouse import hour_ledger, ingestion, raw_ticks, replication
from tick_assets.partitions import DAILY, dates_of
from tick_assets.resources import Road, Scope

GROUP = "raw"
SINGLE_RUN = dg.BackfillPolicy.single_run()


@dg.asset(
    key=["raw", "ticks_csv"],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "csv"},
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    pool="vendor",
    check_specs=[
        dg.AssetCheckSpec("configured_symbols_are_present", asset=["raw", "ticks_csv"], blocking=False),
        dg.AssetCheckSpec("every_hour_was_answered", asset=["raw", "ticks_csv"], blocking=False),
    ],
)
def ticks_csv(context: dg.AssetExecutionContext, road: Road, scope: Scope) -> dg.MaterializeResult:
    """Write-once CSV per source, symbol and UTC date, with manifest and hour ledger; only hours that lack an answer are asked for."""
    dates, symbols = dates_of(context.partition_keys), scope.active(road.settings)
    with reporting(context, "raw/ticks_csv") as report:
        with closing(road.vendor()) as vendor:
            ingested = ingestion.ingest_dates(
                vendor,
                road.raw_store,
                road.market,
                symbols,
                dates,
                source=road.settings.source,
                clock=now,
                refetch=scope.refetch,
                progress=context.log.info,
            )
        ledger = hour_ledger.publish(road.lakehouse, road.raw_store, symbols, dates, road.settings.sources_in_order)
    by_date = _by_date(ledger)
    for day in dates:
        context.add_asset_metadata(_day_metadata(by_date.get(day, [])), partition_key=day.isoformat())
    report.values |= {
        "dagster/row_count": sum(row["rows"] for row in ledger),
        "time_range": day_range(dates),
        "symbols": ", ".join(symbols),
        "hours_by_state": table(_states(ledger)),
        "rows_per_hour": bar_plot("rows by UTC hour", [f"{h:02d}" for h in range(24)], _rows_by_hour(ledger, symbols)),
    }
    checks = [_check_presence(hour_ledger.missing_symbols(ledger, road.market, symbols, dates)), _check_answers(ingested.failures)]
    return dg.MaterializeResult(metadata=report.metadata(), check_results=checks)


def _check_presence(missing: Sequence[tuple[str, date]]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="configured_symbols_are_present",
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"missing": table([{"symbol": symbol, "date": day} for symbol, day in missing])},
    )


def _check_answers(failures: Sequence[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="every_hour_was_answered",
        passed=not failures,
        metadata={"failures": table([{"hour": failure} for failure in failures])},
    )


@dg.asset(
    key=["raw", "replica"],
    deps=[["raw", "ticks_csv"], ["raw", "live_ticks_csv"]],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"s3"},
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    check_specs=[dg.AssetCheckSpec("replica_equals_raw", asset=["raw", "replica"], blocking=True)],
)
def replica(context: dg.AssetExecutionContext, road: Road, scope: Scope) -> dg.MaterializeResult:
    """The same bytes in S3, judged by count, bytes and sha-256 of every key."""
    dates, symbols = dates_of(context.partition_keys), scope.active(road.settings)
    with reporting(context, "raw/replica") as report:
        sent = replication.replicate(road.raw_store, road.object_store, symbols, dates, progress=context.log.info)
        judged = replication.reconcile(road.raw_store, road.object_store, symbols, dates)
    report.values |= {
        "dagster/row_count": judged.files,
        "time_range": day_range(dates),
        "bytes": judged.bytes,
        "sent_files": sent.sent_files,
        "sent_bytes": sent.sent_bytes,
        "differences": table([{"key": item.key, "problem": item.problem} for item in judged.differences]),
    }
    check = dg.AssetCheckResult(
        check_name="replica_equals_raw",
        passed=not judged.differences,
        metadata={"files": judged.files, "differences": len(judged.differences)},
    )
    return dg.MaterializeResult(metadata=report.metadata(), check_results=[check])


@dg.asset(
    key=["raw", "ticks"],
    deps=[["raw", "replica"]],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"iceberg", "parquet"},
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    pool="raw_ticks",
    metadata={"dagster/table_name": "lakehouse.raw.ticks"},
)
def ticks(context: dg.AssetExecutionContext, road: Road, scope: Scope) -> dg.MaterializeResult:
    """Iceberg `raw.ticks`: a row per vendor row, of every revision and source; `is_current` names those that count."""
    dates, symbols = dates_of(context.partition_keys), scope.active(road.settings)
    with reporting(context, "raw/ticks") as report:
        order, run = road.settings.sources_in_order, context.run.run_id.replace("-", "")[:12]
        written = raw_ticks.write_days(road.lakehouse, road.raw_store, symbols, dates, order, context.log.info, run)
    for day in dates:
        rows = sum(found.rows for found in written if found.date == day)
        context.add_asset_metadata({"dagster/partition_row_count": rows}, partition_key=day.isoformat())
    report.values |= {
        "dagster/row_count": sum(found.rows for found in written),
        "time_range": day_range(dates),
        "days": table([vars(found) for found in written]),
        "snapshot_id": str(road.lakehouse.snapshot_id("raw.ticks")),
        "rows_per_day": bar_plot("rows by date", [day.isoformat() for day in dates], _rows_by_day(written, symbols, dates)),
    }
    return dg.MaterializeResult(metadata=report.metadata())


def _by_date(ledger: Sequence[dict[str, Any]]) -> dict[date, list[dict[str, Any]]]:
    grouped: dict[date, list[dict[str, Any]]] = defaultdict(list)
    for row in ledger:
        grouped[row["date"]].append(row)
    return grouped


def _day_metadata(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"dagster/partition_row_count": sum(row["rows"] for row in rows), "hours_ok": sum(row["state"] == "ok" for row in rows)}


def _states(ledger: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in ledger:
        counts[row["symbol"]][row["state"]] += 1
    return [
        {"symbol": symbol} | {state: states[state] for state in ("ok", "closed", "vendor_empty", "failed", "pending")}
        for symbol, states in counts.items()
    ]


def _rows_by_hour(ledger: Sequence[dict[str, Any]], symbols: Sequence[str]) -> dict[str, list[float]]:
    return {
        symbol: [sum(row["rows"] for row in ledger if row["symbol"] == symbol and row["hour"] == hour) for hour in range(24)]
        for symbol in symbols
    }


def _rows_by_day(written: Sequence[raw_ticks.RawDay], symbols: Sequence[str], dates: Sequence[date]) -> dict[str, list[float]]:
    found = {(day.symbol, day.date): float(day.rows) for day in written}
    return {symbol: [found.get((symbol, day), 0.0) for day in dates] for symbol in symbols}
