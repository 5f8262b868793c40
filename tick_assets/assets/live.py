"""Live ticks: what the signal service recorded, as raw files beside the vendor's.

What belongs here: calls and what they report. What must not: which hours are complete, the raw store's layout.
"""

from collections.abc import Sequence

import dagster as dg

from tick_assets.assets.reporting import OWNERS, bar_plot, day_range, now, reporting, table
from tick_assets.lakehouse import hour_ledger, live_recordings
from tick_assets.partitions import DAILY, dates_of
from tick_assets.resources import Road, Scope

LIVE_TICKS_CSV = dg.AssetKey(["raw", "live_ticks_csv"])
EVERY_RECORDING_WAS_READ = "every_recording_was_read"


@dg.asset(
    key=LIVE_TICKS_CSV,
    group_name="raw",
    owners=OWNERS,
    kinds={"python", "csv"},
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="live_recordings",
    check_specs=[dg.AssetCheckSpec(EVERY_RECORDING_WAS_READ, asset=LIVE_TICKS_CSV, blocking=False)],
)
def live_ticks_csv(context: dg.AssetExecutionContext, road: Road, scope: Scope) -> dg.MaterializeResult:
    """Recordings of the signal service as write-once CSV: source `live-<account>`, complete hours only, by default of all symbols.

    A date without recordings is done at once. A recording that can't be read turns the check red and holds up nothing else. Recorded
    symbols that the rest of the run leaves out are named in `not_in_this_run`.
    """
    dates = dates_of(context.partition_keys)
    root, order = road.settings.recordings_dir, road.settings.sources_in_order
    with reporting(context, "raw/live_ticks_csv") as report:
        ingested = live_recordings.ingest_recordings(
            root, road.raw_store, road.market, dates, now=now(), symbols=scope.symbols, progress=context.log.info
        )
        symbols = sorted({day.symbol for day in ingested.dates})
        recorded = sorted({day.date for day in ingested.dates})
        if ingested.dates:
            hour_ledger.publish(road.lakehouse, road.raw_store, symbols, recorded, order)
    others = {recording.symbol for recording in live_recordings.find_recordings(root, dates)} - set(scope.active(road.settings))
    report.values |= {
        "dagster/row_count": sum(day.rows for day in ingested.dates),
        "time_range": day_range(dates),
        "recordings": table([_row(day, road, order) for day in ingested.dates]),
        "malformed": table([{"line": text} for day in ingested.dates for text in day.malformed]),
        "refused": table([{"recording": text} for text in ingested.refused]),
        "not_in_this_run": ", ".join(sorted(others)) or "none",
        "rows_per_recording": bar_plot(
            "rows by recording",
            [f"{day.symbol} {day.date}" for day in ingested.dates],
            {"rows": [float(day.rows) for day in ingested.dates]},
        ),
    }
    return dg.MaterializeResult(metadata=report.metadata(), check_results=[_check(ingested.failures)])


def _row(day: live_recordings.RecordedDate, road: Road, order: Sequence[str]) -> dict[str, object]:
    states = {state: count for state, count in day.states.items() if count}
    return {
        "source": day.source,
        "symbol": day.symbol,
        "date": day.date,
        "rows": day.rows,
        "malformed": len(day.malformed),
        "complete": day.is_complete,
        "hours": ", ".join(f"{count} {state}" for state, count in states.items()),
        "new_revision": day.new_revision,
        "current_source": road.raw_store.current_source(day.symbol, day.date, order) or "none",
    }


def _check(failures: Sequence[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=EVERY_RECORDING_WAS_READ,
        passed=not failures,
        metadata={"failures": table([{"recording": failure} for failure in failures])},
    )
