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
from tick_assets.domain.instruments import Market
from tick_assets.lakehouse import hour_ledger, ingestion, raw_ticks, replication, replication_evidence
from tick_assets.lakehouse.raw_verification import Verification, verify_raw
from tick_assets.lakehouse.replicator import DeadLetter
from tick_assets.partitions import DAILY, dates_of
from tick_assets.resources import Road, Scope

GROUP = "raw"
SINGLE_RUN = dg.BackfillPolicy.single_run()
SHOWN = 50
"""Mismatches that a check shows."""


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
        dg.AssetCheckSpec(
            "raw_files_are_unchanged",
            asset=["raw", "ticks_csv"],
            blocking=True,
            description="Files equal their manifests, and hours the rows that their deliveries give; nothing is built on a changed file.",
        ),
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
        verified = verify_raw(road.raw_store, symbols, min(dates), max(dates), progress=context.log.info)
        ledger = hour_ledger.publish(road.lakehouse, road.raw_store, symbols, dates, road.settings.sources_in_order)
    by_date = _by_date(ledger)
    for day in dates:
        context.add_asset_metadata(_day_metadata(by_date.get(day, []), road.market, day), partition_key=day.isoformat())
    report.values |= {
        "dagster/row_count": sum(row["rows"] for row in ledger),
        "time_range": day_range(dates),
        "symbols": ", ".join(symbols),
        "hours_by_state": table(_states(ledger, road.market, dates)),
        "rows_per_hour": bar_plot("rows by UTC hour", [f"{h:02d}" for h in range(24)], _rows_by_hour(ledger, symbols)),
    }
    checks = [
        _check_presence(hour_ledger.missing_symbols(ledger, road.market, symbols, dates)),
        _check_answers(ingested.failures),
        _check_files(verified),
    ]
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


def _check_files(verified: Verification) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="raw_files_are_unchanged",
        passed=not verified.mismatches,
        description="; ".join(str(mismatch) for mismatch in verified.mismatches[:SHOWN]),
        metadata={
            "mismatches": table([vars(mismatch) for mismatch in verified.mismatches[:SHOWN]]),
            "mismatch_count": len(verified.mismatches),
            "files": verified.files,
            "deliveries": verified.deliveries,
            "derived_hours": verified.derived_hours,
            "rows": verified.rows,
            "rows_per_s": round(verified.rows_per_s),
        },
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
    """The same bytes in S3: revisions, manifests and what was delivered. Judged by count, bytes and sha-256; S3 alone gives raw again."""
    dates, symbols = dates_of(context.partition_keys), scope.active(road.settings)
    store, objects, log = road.raw_store, road.object_store, context.log.info
    with reporting(context, "raw/replica") as report:
        with replication_evidence.recording(road.settings.replications_dir, context.run.run_id) as record:
            sent = replication.replicate(store, road.replicator(record, log), symbols, dates)
            lost, built_in = [letter.key for letter in sent.dead_letters], road.built_in_replicator(record, log)
            beside = replication.replicate_provenance(store, objects, built_in, symbols, dates, lost)
        log(sent.to_event("raw_replicated"))
        log(beside.to_event("raw_provenance_replicated"))
        attempts = replication_evidence.ingest(road.lakehouse, road.settings.replications_dir)
        judged = replication.reconcile(store, objects, symbols, dates)
        judged_beside = replication.reconcile_provenance(store, objects, symbols, dates)
    letters = [*sent.dead_letters, *beside.dead_letters]
    differences = [*judged.differences, *judged_beside.differences]
    report.values |= {
        "dagster/row_count": judged.files + judged_beside.files,
        "time_range": day_range(dates),
        "revisions": judged.files,
        "manifests_and_deliveries": judged_beside.files,
        "bytes": judged.bytes + judged_beside.bytes,
        "sent_files": sent.sent_files + beside.sent_files,
        "sent_bytes": sent.sent_bytes + beside.sent_bytes,
        "recorded_attempts": attempts,
        "replication": table([{"what": "revisions"} | sent.figures(), {"what": "manifests and deliveries"} | beside.figures()]),
        "dead_letters": table([vars(letter) for letter in letters]),
        "differences": table([vars(item) for item in differences]),
    }
    check = _check_replica(judged.files + judged_beside.files, differences, letters)
    return dg.MaterializeResult(metadata=report.metadata(), check_results=[check])


def _check_replica(files: int, differences: Sequence[replication.Difference], letters: Sequence[DeadLetter]) -> dg.AssetCheckResult:
    """Judge by the differences alone; a file that is not there is named with the reason why it could not be sent."""
    reasons = {letter.key: letter.reason for letter in letters}
    named = [f"{item.key}: {reasons[item.key]}" if item.key in reasons else f"{item.key}: {item.problem}" for item in differences]
    return dg.AssetCheckResult(
        check_name="replica_equals_raw",
        passed=not differences,
        description="; ".join(named[:SHOWN]),
        metadata={"files": files, "differences": len(differences), "dead_letters": len(letters)},
    )


@dg.asset(
    key=["raw", "ticks"],
    # The files are what it reads: without them here, a run that leaves the replica out could read before they are written.
    deps=[["raw", "replica"], ["raw", "ticks_csv"], ["raw", "live_ticks_csv"]],
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


def _day_metadata(rows: list[dict[str, Any]], market: Market, day: date) -> dict[str, Any]:
    symbols = sorted({row["symbol"] for row in rows})
    shares = {symbol: hour_ledger.completeness(rows, market, symbol, [day]) for symbol in symbols if _is_expected(market, symbol, day)}
    return {
        "dagster/partition_row_count": sum(row["rows"] for row in rows),
        "hours_ok": sum(row["state"] == "ok" for row in rows),
        "completeness": table([{"symbol": symbol, "completeness": share} for symbol, share in shares.items()]),
    }


def _is_expected(market: Market, symbol: str, day: date) -> bool:
    return bool(hour_ledger.expected_hours(market, symbol, day))


def _states(ledger: list[dict[str, Any]], market: Market, dates: Sequence[date]) -> list[dict[str, Any]]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in ledger:
        counts[row["symbol"]][row["state"]] += 1
    return [
        {"symbol": symbol}
        | {state: states[state] for state in ("ok", "closed", "vendor_empty", "failed", "pending")}
        | {"completeness": hour_ledger.completeness(ledger, market, symbol, dates)}
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
