"""Side tables: values of other feeds with the time from when on they were known.

What belongs here: calls and what they report. What must not: files, what counts of them.
"""

import dagster as dg

from tick_assets.assets.reporting import OWNERS, bar_plot, reporting, table
from tick_assets.lakehouse import side_tables
from tick_assets.resources import Road

SIDE_VALUES = dg.AssetKey(["raw", "side_values"])
TABLE_EQUALS_FILES = "table_equals_files"


@dg.asset(
    key=SIDE_VALUES,
    group_name="side",
    owners=OWNERS,
    kinds={"python", "iceberg"},
    pool="side_values",
    metadata={"dagster/table_name": "lakehouse.raw.side_values"},
    check_specs=[dg.AssetCheckSpec(TABLE_EQUALS_FILES, asset=SIDE_VALUES, blocking=True)],
)
def side_values(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """Iceberg `raw.side_values`: every value of every file that `tick side import` delivered, appended once and never changed."""
    folder = side_tables.SideFolder(road.settings.side_dir)
    with reporting(context, "raw/side_values") as report:
        published = side_tables.publish(road.lakehouse, folder, progress=context.log.info)
        differences = side_tables.differences(road.lakehouse, folder)
        feeds = [side_tables.summarize(folder, feed) for feed in folder.feeds()]
    report.values |= {
        "dagster/row_count": sum(feed["values"] for feed in feeds),
        "time_range": f"{min(feed['first_ts_event'] for feed in feeds)} .. {max(feed['last_ts_event'] for feed in feeds)}" if feeds else "",
        "feeds": table([{**feed, "keys": ", ".join(feed["keys"]), "names": ", ".join(feed["names"])} for feed in feeds]),
        "deliveries": table([_row(done) for done in published]),
        "snapshot_id": str(road.lakehouse.snapshot_id(side_tables.TABLE)),
        "values_by_feed": bar_plot(
            "values by feed", [feed["feed"] for feed in feeds], {"values": [float(feed["values"]) for feed in feeds]}
        ),
    }
    check = dg.AssetCheckResult(check_name=TABLE_EQUALS_FILES, passed=not differences, metadata={"differences": table(differences)})
    return dg.MaterializeResult(metadata=report.metadata(), check_results=[check])


def _row(done: side_tables.PublishedDelivery) -> dict[str, object]:
    delivery = done.delivery
    return {
        "feed": delivery.feed,
        "number": delivery.number,
        "file": delivery.file_name,
        "sha256": delivery.sha256,
        "rows": delivery.rows,
        "values": delivery.values,
        "repeated": delivery.repeated,
        "refused": delivery.refused,
        "delivered_at": delivery.delivered_at,
        "written_now": done.is_new,
    }
