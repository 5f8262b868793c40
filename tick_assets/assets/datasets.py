"""The training set of each model: tables pinned by tags, one id, versioned with DVC.

What belongs here: calls and what is reported. What must not: what a manifest is (`lakehouse.datasets`) or DVC (`tracking`).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from tick_assets.assets.reporting import MODEL_OWNERS, bar_plot, reporting, table
from tick_assets.domain.labels import label_set_of
from tick_assets.domain.signals import strategy_of
from tick_assets.lakehouse import datasets, hour_ledger
from tick_assets.lakehouse.dataset_folder import DatasetFolder, export
from tick_assets.partitions import ALL_DATES, MODELS, models_of
from tick_assets.resources import DBT_PROJECT, Road
from tick_assets.tracking.candidates import CandidateStore
from tick_assets.tracking.dataset_versions import DatasetVersions

PINNED = ("silver/ticks", "silver/features", "silver/labels")


@dg.asset(
    key=["datasets", "training_set"],
    deps=[dg.AssetDep(key.split("/"), partition_mapping=ALL_DATES) for key in PINNED],
    group_name="datasets",
    owners=MODEL_OWNERS,
    kinds={"iceberg", "dvc"},
    partitions_def=MODELS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="dvc",
)
def training_set(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """A manifest that pins silver tables at their tags; its id is the hash of its canonical JSON. A later append changes nothing in it.

    A symbol that `tick dataset rollback` took back keeps that dataset until `tick dataset release`; the others pin what is published.
    """
    rows: dict[str, Mapping[str, Any]] = {}
    with reporting(context, "datasets/training_set") as report:
        folder, versions = DatasetFolder(road.settings.datasets_dir), road.dataset_versions()
        for key, (symbol, strategy) in zip(context.partition_keys, models_of(context.partition_keys), strict=True):
            rows[key] = _pin(road, folder, versions, symbol, strategy)
            context.add_asset_metadata(dict(rows[key]), partition_key=key)
    report.values |= {
        "dagster/row_count": sum(row["events"] for row in rows.values()),
        "models": table(list(rows.values())),
        "plot": bar_plot(
            "events and labels", list(rows), {name: [float(row[name]) for row in rows.values()] for name in ("events", "labels")}
        ),
    }
    return dg.MaterializeResult(metadata=report.metadata())


def _pin(road: Road, folder: DatasetFolder, versions: DatasetVersions, symbol: str, strategy: str) -> dict[str, Any]:
    """Make, export and version the training set of one model, hand it to the candidate stage, and return its figures."""
    rolled_back = folder.selected(symbol)
    dataset = datasets.require_content(road.lakehouse, rolled_back) if rolled_back else _pin_published(road, symbol)
    export(road.lakehouse, dataset, folder)
    md5 = versions.add(dataset.id)
    CandidateStore(road.object_store, symbol, strategy).write_dataset(dataset.id)
    examples = datasets.read_examples(road.lakehouse, dataset, [symbol])
    return {
        "symbol": symbol,
        "dataset_id": dataset.id,
        "chosen_by": "tick dataset rollback" if rolled_back else "what is published",
        "dvc_md5": md5,
        "from": dataset.first.isoformat(),
        "to": dataset.last.isoformat(),
        "events": len(examples),
        "labels": int(examples["label"].is_not_null().sum()),
        "completeness": "not stated" if (share := dataset.completeness(symbol)) is None else f"{share:.4f}",
        "incomplete_days": sum(day.hours_ok < day.hours_expected for day in datasets.days_from(dataset.manifest)),
    }


def _pin_published(road: Road, symbol: str) -> datasets.Dataset:
    first, last = datasets.window_of(road.lakehouse, symbol, road.settings.train_from, road.settings.train_to)
    complete = hour_ledger.days_complete(road.lakehouse, road.market, (symbol,), first, last)
    instrument = road.market.instrument(symbol)
    request = datasets.DatasetRequest(
        (symbol,),
        first,
        last,
        datasets.view_sql_sha256(DBT_PROJECT.project_dir),
        feature_set=instrument.sampling.feature_set,
        label_set=label_set_of(strategy_of(instrument)),
        completeness=complete,
        sampling_clock=instrument.sampling.clock,
        leader=instrument.sampling.leader,
    )
    return datasets.create(road.lakehouse, road.object_store, request)
