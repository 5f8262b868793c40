"""The data report: statistics of the published ticks as metadata, and one page with the holes first.

What belongs here: which symbols and dates, and where the page goes. What must not: figures, words, HTML (`domain.data_report`).
"""

import dagster as dg

from tick_assets.assets.reporting import OWNERS, now, reporting, tick_statistics_metadata
from tick_assets.domain.data_report import DataReport, render_data_report
from tick_assets.lakehouse.data_statistics import read_statistics, symbols_with_data
from tick_assets.lakehouse.durable_files import write_file
from tick_assets.partitions import DAILY
from tick_assets.resources import Road


@dg.asset(
    key=["reports", "data_report"],
    deps=[["silver", "ticks"], ["silver", "tick_rejects"], ["evidence", "hour_ledger"], ["evidence", "publications"]],
    group_name="gold",
    owners=OWNERS,
    kinds={"polars", "html"},
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="data_report",
)
def data_report(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """One page on all symbols and all dates of the lake: what is missing, then spreads, quote rates, silences."""
    with reporting(context, "reports/data_report") as report:
        known = symbols_with_data(road.lakehouse)
        symbols = [symbol for symbol in known if symbol in road.market.instruments]
        statistics = read_statistics(road.lakehouse, road.market, symbols)
        unknown = sorted({*known} - {*symbols})
        page = render_data_report(DataReport(statistics, now(), road.code_commit, unknown))
        path = road.settings.reports_dir / "data.html"
        write_file(path, page.encode())
    report.values |= {"report": dg.MetadataValue.path(path), "symbols_not_in_market_file": ", ".join(unknown) or "none"}
    # Every date of a run gets its result's metadata; pictures of the whole lake are kept once, with the newest.
    context.add_asset_metadata(tick_statistics_metadata(statistics), partition_key=context.partition_keys[-1])
    return dg.MaterializeResult(metadata=report.metadata())
