"""Jobs: which assets run together, and with which hooks.

What belongs here: selections. What must not: when they run (`schedules`, `sensors`).
"""

from __future__ import annotations

import dagster as dg
from dagster_mlflow import end_mlflow_on_run_finished

IN_PROCESS = dg.in_process_executor
"""One process a run: assets share one Spark session, and three empty steps take 2 s instead of 24 (measured)."""

ingest_ticks_job = dg.define_asset_job(
    "ingest_ticks_job",
    selection=dg.AssetSelection.groups("raw", "silver", "gold"),
    executor_def=IN_PROCESS,
    description="From the vendor's hours to gold views, for a range of dates in one run.",
)

ingest_live_ticks_job = dg.define_asset_job(
    "ingest_live_ticks_job",
    selection=dg.AssetSelection.assets("raw/live_ticks_csv", "raw/replica", "raw/ticks") | dg.AssetSelection.groups("silver"),
    executor_def=IN_PROCESS,
    description="From closed recordings of the signal service to silver; no vendor is asked.",
)

ingest_side_values_job = dg.define_asset_job(
    "ingest_side_values_job",
    selection=dg.AssetSelection.groups("side"),
    executor_def=IN_PROCESS,
    description="Delivered files of side tables to raw.side_values.",
)

train_models_job = dg.define_asset_job(
    "train_models_job",
    selection=dg.AssetSelection.groups("datasets", "models"),
    executor_def=IN_PROCESS,
    hooks={end_mlflow_on_run_finished},
    description="From a pinned training set to a verdict, for one or several models in one run.",
)

deploy_champion_job = dg.define_asset_job(
    "deploy_champion_job",
    selection=dg.AssetSelection.groups("deployment"),
    executor_def=IN_PROCESS,
    description="Deploy the model whose verdict is a pass.",
)

ingest_evidence_job = dg.define_asset_job(
    "ingest_evidence_job",
    selection=dg.AssetSelection.groups("evidence"),
    executor_def=IN_PROCESS,
    description="Signals and order events of the service as tables.",
)

maintain_lakehouse_job = dg.define_asset_job(
    "maintain_lakehouse_job",
    selection=dg.AssetSelection.groups("maintenance"),
    executor_def=IN_PROCESS,
    description="What the runs cost, then compaction, expiry and sweeping of every table.",
)

ALL_JOBS = [
    ingest_ticks_job,
    ingest_live_ticks_job,
    ingest_side_values_job,
    train_models_job,
    deploy_champion_job,
    ingest_evidence_job,
    maintain_lakehouse_job,
]
