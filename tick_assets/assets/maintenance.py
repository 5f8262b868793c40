"""Maintenance assets: what the runs cost as a table, and the upkeep of every table of the lake.

What belongs here: calls and what they report. What must not: how anything is compacted, expired or swept (`lakehouse.maintenance`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl

from tick_assets.assets.reporting import OWNERS, bar_plot, line_plot, now, reporting, row_plot, table
from tick_assets.lakehouse import maintenance, resources_ledger
from tick_assets.lakehouse.dataset_folder import DatasetFolder
from tick_assets.lakehouse.maintenance import TableUpkeep
from tick_assets.resources import Road

GROUP = "maintenance"
RESOURCES, LAKEHOUSE = dg.AssetKey(["evidence", "resources"]), dg.AssetKey(["maintenance", "lakehouse"])
DATASETS_ARE_READABLE = "datasets_are_readable"
FIGURES = {
    "seconds_per_million_ticks": ("seconds per million ticks", "seconds_per_million"),
    "mb_per_million_ticks": ("written MB per million ticks", "mb_per_million"),
    "peak_memory": ("peak memory, MB", "peak_mb"),
    "peak_memory_per_million_ticks": ("peak memory, MB per million ticks", "peak_mb_per_million"),
}
"""What is plotted of the ledger: title and column. Memory per tick falls with the size of a run, for it has a floor; so both are shown."""


@dg.asset(
    key=RESOURCES,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "iceberg"},
    pool="resources",
    metadata={"dagster/table_name": "lakehouse.evidence.resources"},
)
def resources(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """What each step of each run cost: seconds, written MB, memory of all its processes, per million ticks; one append for all runs."""
    with reporting(context, "evidence/resources") as report:
        ingested = resources_ledger.ingest(road.lakehouse, road.settings.resources_dir, now())
        steps = resources_ledger.per_million_ticks(road.lakehouse)
    stages = resources_ledger.by_stage(steps)
    report.values |= {
        "dagster/row_count": len(steps),
        "ingested": ingested,
        "stages": table(stages),
        "newest": table(steps.tail(50).drop("detail_json").to_dicts()),
        **{name: _stages_plot(title, stages, figure) for name, (title, figure) in FIGURES.items()},
        **{f"{name}_over_time": _lines(title, steps, figure) for name, (title, figure) in FIGURES.items()},
    }
    return dg.MaterializeResult(metadata=report.metadata())


def _stages_plot(title: str, stages: Sequence[Mapping[str, Any]], figure: str) -> dg.MetadataValue:
    """Plot one figure of each stage; those without it are left out."""
    return row_plot(title, {row["stage"]: float(row[figure]) for row in stages if row[figure] is not None})


def _lines(title: str, steps: pl.DataFrame, figure: str) -> dg.MetadataValue:
    """Plot one figure of each stage over time."""
    known = steps.filter(pl.col(figure).is_not_null(), pl.col("ticks").is_not_null())
    stages = known.partition_by("stage", as_dict=True, maintain_order=True)
    lines = {str(key[0]): (part["started_at"].to_list(), part[figure].to_list()) for key, part in sorted(stages.items())}
    return line_plot(title, lines, is_log=True)


@dg.asset(
    key=LAKEHOUSE,
    deps=[RESOURCES],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "iceberg"},
    pool="maintenance",
    check_specs=[dg.AssetCheckSpec(DATASETS_ARE_READABLE, asset=LAKEHOUSE, blocking=False)],
)
def lakehouse(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """Every table with its small files compacted, manifests merged, old snapshots expired and orphans swept; pinned datasets stay."""
    with reporting(context, "maintenance/lakehouse") as report:
        known = maintenance.known_datasets(DatasetFolder(road.settings.datasets_dir), road.object_store)
        upkeep, run = maintenance.Upkeep.from_settings(road.settings), context.run.run_id.replace("-", "")[:12]
        done = maintenance.maintain(road.lakehouse, known, upkeep, now(), run, context.log.info)
        unreadable = maintenance.unreadable(road.lakehouse, known)
    report.values |= {
        "dagster/row_count": sum(each.files_after for each in done),
        "kept": f"{upkeep.keep_snapshots} snapshots, all of the last {upkeep.keep_for}; grace of orphans {upkeep.grace}",
        "tables": table([vars(each) | {"left": "; ".join(each.left)} for each in done]),
        "snapshots_expired": sum(each.snapshots_expired for each in done),
        "orphans_mb": round(sum(each.orphans_mb for each in done), 3),
        "files": _files_plot(done),
    }
    check = dg.AssetCheckResult(
        check_name=DATASETS_ARE_READABLE,
        passed=not unreadable,
        metadata={"datasets": len(known), "unreadable": table(unreadable)},
    )
    return dg.MaterializeResult(metadata=report.metadata(), check_results=[check])


def _files_plot(done: Sequence[TableUpkeep]) -> dg.MetadataValue:
    names = [each.table for each in done]
    series = {"before": [float(each.files_before) for each in done], "after": [float(each.files_after) for each in done]}
    return bar_plot("data files by table", names, series)
