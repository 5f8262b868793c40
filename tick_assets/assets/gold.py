"""Gold: the dbt project's models as assets; its tests appear as their checks.

What belongs here: names and ownership of the dbt models. What must not: SQL.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, dbt_assets

from tick_assets.assets.reporting import OWNERS, naming_servers
from tick_assets.partitions import DAILY, dates_of
from tick_assets.resources import DBT_PROJECT, Road, dbt_window, ensure_dbt_manifest, keep_parsed


class GoldTranslator(DagsterDbtTranslator):
    """Sources are the tables that Spark and the pipeline write, so their keys are `<schema>/<table>`; models are `gold/<name>`."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey([dbt_resource_props["source_name"], dbt_resource_props["name"]])
        return dg.AssetKey(["gold", dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return "gold"

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return OWNERS


@dbt_assets(
    manifest=ensure_dbt_manifest(),
    dagster_dbt_translator=GoldTranslator(settings=DagsterDbtTranslatorSettings(enable_code_references=True)),
    project=DBT_PROJECT,
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="trino",
    name="gold_views",
)
def gold_views(context: dg.AssetExecutionContext, dbt: DbtCliResource, road: Road):  # type: ignore[no-untyped-def]
    """Build the views and run their tests on the run's dates; the views themselves show every date at once."""
    # Unit tests are about the code, not about this run's rows: pytest runs them.
    with naming_servers(context, "postgres", "s3", "trino"):
        with dbt_window(dates_of(context.partition_keys)):
            started = dbt.cli(["build", "--exclude-resource-type", "unit_test"], context=context)
        yield from started.stream()
    keep_parsed(started.target_path)
