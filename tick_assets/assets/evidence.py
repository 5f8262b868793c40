"""Evidence assets: what the service and execution did, as tables beside the data."""

from collections.abc import Callable
from typing import Any

import dagster as dg

from tick_assets.assets.reporting import MODEL_OWNERS, bar_plot, day_range, reporting, table
from tick_assets.lakehouse import evidence
from tick_assets.partitions import ALL_DATES, DAILY, dates_of
from tick_assets.resources import Road

WRITTEN_ALONG = {
    "hour_ledger": ("raw/ticks_csv", "The state of every symbol-hour."),
    "publications": ("silver/ticks", "What is published: one row per symbol and date, written last."),
    "trials": ("models/candidate", "Every configuration ever tried."),
    "walk_forward_windows": ("models/walk_forward", "One refit and its next date."),
    "leak_findings": ("models/gate_verdict", "What the leak firewall found."),
    "verdicts": ("models/gate_verdict", "Each gate's figure and the answer."),
}
"""Tables that another asset writes as a part of its own work."""

ledgers = [
    dg.AssetSpec(
        ["evidence", name],
        deps=[writer.split("/")],
        group_name="ledgers",
        owners=MODEL_OWNERS,
        kinds={"iceberg"},
        description=f"{text} Written by `{writer}`.",
        metadata={"dagster/table_name": f"lakehouse.evidence.{name}"},
    )
    for name, (writer, text) in WRITTEN_ALONG.items()
]


def _ingest(
    context: dg.AssetExecutionContext, road: Road, name: str, ingest: Callable[..., list[dict[str, Any]]], counted: str
) -> dg.MaterializeResult:
    dates = dates_of(context.partition_keys)
    with reporting(context, f"evidence/{name}") as report:
        rows = ingest(road.lakehouse, road.settings.home, dates)
    groups = sorted({str(row[counted]) for row in rows})
    report.values |= {
        "dagster/row_count": len(rows),
        "time_range": day_range(dates),
        "newest": table([{key: value for key, value in row.items() if key != "payload_json"} for row in rows[-50:]]),
        "plot": bar_plot(
            f"{name} by {counted}", groups, {name: [float(sum(str(row[counted]) == group for row in rows)) for group in groups]}
        ),
    }
    return dg.MaterializeResult(metadata=report.metadata())


def _evidence_asset(name: str, dep: dg.AssetDep) -> Callable[..., Any]:
    """Return the decorator that both assets share."""
    return dg.asset(
        key=["evidence", name],
        deps=[dep],
        group_name="evidence",
        owners=MODEL_OWNERS,
        kinds={"iceberg"},
        partitions_def=DAILY,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="evidence",
    )


@_evidence_asset("signals", dg.AssetDep(["deployment", "champion"], partition_mapping=ALL_DATES))
def signals(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """Every signal that the service issued, by the date of its tick."""
    return _ingest(context, road, "signals", evidence.ingest_signals, "view")


@_evidence_asset("orders", dg.AssetDep(["evidence", "signals"]))
def orders(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """Every order event that execution reported."""
    return _ingest(context, road, "orders", evidence.ingest_orders, "state")
