"""Assembly of the Dagster project, nothing else."""

from __future__ import annotations

import dagster as dg

from tick_assets import asset_checks
from tick_assets.assets import (
    backtests,
    bars,
    data_report,
    datasets,
    deployment,
    evidence,
    gold,
    live,
    maintenance,
    models,
    raw,
    side,
    silver,
)
from tick_assets.jobs import ALL_JOBS
from tick_assets.resources import build_resources
from tick_assets.schedules import ALL_SCHEDULES
from tick_assets.sensors import ALL_SENSORS


def build_defs() -> dg.Definitions:
    """Return all definitions of the project."""
    modules = [raw, live, side, silver, bars, gold, data_report, datasets, models, backtests, deployment, evidence, maintenance]
    return dg.Definitions(
        assets=dg.with_source_code_references([*dg.load_assets_from_modules(modules), *evidence.ledgers]),
        asset_checks=dg.load_asset_checks_from_modules([asset_checks]),
        jobs=ALL_JOBS,
        schedules=ALL_SCHEDULES,
        sensors=ALL_SENSORS,
        resources=build_resources(),
        executor=dg.in_process_executor,
    )


defs = build_defs()
