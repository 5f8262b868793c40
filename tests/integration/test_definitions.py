"""The Dagster project as a whole: it loads, and every asset says what it is.

What belongs here: assembly. What must not: running assets (`test_road`). It lies here because loading dbt's manifest takes seconds.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import dagster as dg
import pytest

from tick_assets.settings import Settings

BARS = ("bars_1s", "bars_1m", "bars_1h", "bars_ticks")
KEYS = {
    *(f"raw/{name}" for name in ("ticks_csv", "live_ticks_csv", "replica", "ticks", "side_values")),
    *(f"silver/{name}" for name in ("ticks", "tick_rejects", "features", "labels", *BARS)),
    *(f"gold/{name}" for name in (*BARS, "symbol_days", "quality", "training_examples", "verdicts", "signals", "orders", "side_values")),
    "reports/data_report",
    "datasets/training_set",
    *(f"models/{name}" for name in ("candidate", "validation", "test", "walk_forward", "mt5_backtest", "gate_verdict")),
    "deployment/champion",
    *(f"evidence/{name}" for name in ("signals", "orders", "hour_ledger", "publications", "trials", "walk_forward_windows")),
    *(f"evidence/{name}" for name in ("leak_findings", "verdicts", "resources")),
    "maintenance/lakehouse",
}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    from tick_assets.definitions import build_defs

    return build_defs()


def test_definitions_hold_every_table_model_and_report(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)
    assert {key.to_user_string() for key in definitions.resolve_all_asset_keys()} == KEYS


def test_every_asset_has_group_kind_owner_and_description(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    bare = {
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if not (graph.get(key).group_name and graph.get(key).kinds and graph.get(key).owners and graph.get(key).description)
    }
    assert bare == set()


@pytest.mark.parametrize(
    ("asset", "parent"),
    [
        ("gold/symbol_days", "silver/ticks"),
        ("reports/data_report", "evidence/hour_ledger"),
        ("gold/training_examples", "silver/features"),
        ("gold/verdicts", "evidence/verdicts"),
        ("gold/side_values", "raw/side_values"),
        ("raw/replica", "raw/live_ticks_csv"),
        ("raw/ticks", "raw/ticks_csv"),
        ("datasets/training_set", "silver/labels"),
        ("models/gate_verdict", "models/mt5_backtest"),
        ("deployment/champion", "models/gate_verdict"),
    ],
)
def test_lineage_joins_what_reads_to_what_wrote(definitions: dg.Definitions, asset: str, parent: str) -> None:
    ancestors = definitions.resolve_asset_graph().get(dg.AssetKey(asset.split("/"))).parent_keys
    assert dg.AssetKey(parent.split("/")) in ancestors


def test_each_job_covers_one_kind_of_partition(definitions: dg.Definitions) -> None:
    partitions = {name: definitions.resolve_job_def(name).partitions_def for name in JOBS}
    assert {name: type(each).__name__ for name, each in partitions.items()} == JOBS


JOBS = {
    "ingest_ticks_job": "DailyPartitionsDefinition",
    "ingest_live_ticks_job": "DailyPartitionsDefinition",
    "ingest_side_values_job": "NoneType",
    "train_models_job": "MultiPartitionsDefinition",
    "deploy_champion_job": "MultiPartitionsDefinition",
    "ingest_evidence_job": "DailyPartitionsDefinition",
    "maintain_lakehouse_job": "NoneType",
}


def test_sensor_asks_once_for_a_passed_verdict_and_never_for_a_rejected_one(definitions: dg.Definitions) -> None:
    from tick_assets.sensors import gate_passed_sensor

    instance = dg.DagsterInstance.ephemeral()
    for partition, passed in (("direction|SYNNULL", False), ("direction|SYNEDGE", True)):
        verdict = {"passed": passed, "verdict_id": f"id-of-{partition}"}
        instance.report_runless_asset_event(dg.AssetMaterialization(["models", "gate_verdict"], partition=partition, metadata=verdict))
    context = dg.build_sensor_context(instance=instance, repository_def=definitions.get_repository_def())
    requests = [each for each in gate_passed_sensor(context) if isinstance(each, dg.RunRequest)]
    assert [(request.run_key, request.partition_key) for request in requests] == [("id-of-direction|SYNEDGE", "direction|SYNEDGE")]
    again = dg.build_sensor_context(instance=instance, cursor=context.cursor, repository_def=definitions.get_repository_def())
    assert [each for each in gate_passed_sensor(again) if isinstance(each, dg.RunRequest)] == []


def test_sensor_asks_once_for_a_closed_recording_of_a_known_symbol(definitions: dg.Definitions, tmp_path: Path) -> None:
    from tick_assets.resources import Road
    from tick_assets.sensors import recording_closed_sensor
    from tick_assets.settings import load_settings

    class RecordedRoad(Road):
        """A road over this test's recordings."""

        @cached_property
        def settings(self) -> Settings:
            return load_settings(home=tmp_path)

    for symbol in ("EURUSD", "ABCDEF"):
        folder = tmp_path / "recordings" / "live-demo" / symbol
        folder.mkdir(parents=True)
        (folder / "2024-01-10.csv").write_text("ts_event,ask_points,bid_points,ask_size,bid_size\n")
    context = dg.build_sensor_context(resources={"road": RecordedRoad()}, repository_def=definitions.get_repository_def())
    first, again = (list(recording_closed_sensor(context)) for _ in range(2))
    (request,) = first
    assert isinstance(request, dg.RunRequest)
    assert (request.partition_key, request.run_config["resources"]["scope"]["config"]["symbols"]) == ("2024-01-10", ["EURUSD"])
    assert [each.run_key for each in again if isinstance(each, dg.RunRequest)] == [request.run_key]


def test_gold_assets_show_what_their_columns_mean(definitions: dg.Definitions) -> None:
    gold = [asset for asset in definitions.assets or () if isinstance(asset, dg.AssetsDefinition) and asset.op.name == "gold_views"]
    schemas = {spec.key.to_user_string(): spec.metadata["dagster/column_schema"] for each in gold for spec in each.specs}
    described = {name: [bool(column.description) for column in schema.columns] for name, schema in schemas.items()}
    assert set(described) == {name for name in KEYS if name.startswith("gold/")}
    assert all(columns and all(columns) for columns in described.values())


def test_every_dbt_test_is_a_check_and_examples_are_none(definitions: dg.Definitions) -> None:
    names = {key.name for key in definitions.resolve_asset_graph().asset_check_keys if key.asset_key.path[0] == "gold"}
    assert {"bars_hold_every_tick", "current_raw_rows_are_silver_or_rejected", "examples_lie_on_published_days"} <= names
    assert not {name for name in names if "sample" in name or "asof" in name}


def test_maintenance_is_scheduled_by_itself_and_what_asks_a_vendor_is_not(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    running = {schedule.name for schedule in repository.schedule_defs if schedule.default_status is dg.DefaultScheduleStatus.RUNNING}
    assert running == {"maintain_lakehouse_weekly"}
