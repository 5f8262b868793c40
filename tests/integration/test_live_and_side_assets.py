"""The assets of live recordings and side tables over a catalog in a folder: what they report, and what turns their checks red."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from tests.unit.lakehouse.local_catalog import local_lakehouse
from tick_assets.assets.live import live_ticks_csv
from tick_assets.assets.side import side_values
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.row_filters import equal_to
from tick_assets.lakehouse.side_files import Reading
from tick_assets.lakehouse.side_tables import TABLE, SideFolder
from tick_assets.resources import Road, Scope
from tick_assets.settings import Settings, load_settings

DAY = "2024-01-10"
HEADER = "ts_event,ask_points,bid_points,ask_size,bid_size\n"
QUOTE = f"{DAY}T08:00:00.000Z,110003,110000,1,1\n"
SIDE = b"ts_event,known_at,rate\n2024-01-10T12:00:00Z,2024-01-10T12:00:00Z,5.3\n"


class LocalRoad(Road):
    """A road without servers."""

    folder: str

    @cached_property
    def settings(self) -> Settings:
        return load_settings(home=Path(self.folder))

    @cached_property
    def lakehouse(self) -> Lakehouse:
        return local_lakehouse(Path(self.folder))


@pytest.fixture
def road(tmp_path: Path) -> LocalRoad:
    return LocalRoad(folder=str(tmp_path))


def record(road: LocalRoad, symbol: str, text: str) -> None:
    folder = road.settings.recordings_dir / "live-demo" / symbol
    folder.mkdir(parents=True)
    (folder / f"{DAY}.csv").write_text(text)


def ingest_live(road: LocalRoad, symbols: list[str] | None = None) -> dg.ExecuteInProcessResult:
    return dg.materialize([live_ticks_csv], partition_key=DAY, resources={"road": road, "scope": Scope(symbols=symbols or [])})


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Return what a run told, tables as their rows."""
    (event,) = result.get_asset_materialization_events()
    told = event.materialization.metadata
    return {
        name: [row.data for row in value.records] if isinstance(value, dg.TableMetadataValue) else value.value
        for name, value in told.items()
    }


def test_unreadable_recordings_turn_the_check_red_and_hold_up_nothing(road: LocalRoad) -> None:
    record(road, "EURUSD", HEADER + QUOTE + "torn,TORN\n")
    record(road, "ABCDEF", HEADER + QUOTE)
    record(road, "GBPUSD", "other,columns\n")
    result = ingest_live(road)
    assert (result.success, checks(result)) == (True, {"every_recording_was_read": False})
    told = metadata(result)
    assert told["dagster/row_count"] == 2
    assert [row["recording"].partition(":")[0] for row in told["refused"]] == [
        "live-demo/ABCDEF/2024-01-10.csv",
        "live-demo/GBPUSD/2024-01-10.csv",
    ]
    ledger = road.lakehouse.frame("evidence.hour_ledger", "state == 'ok'")
    assert ledger.select("symbol", "source", "hour", "rows").rows() == [("EURUSD", "live-demo", 8, 2)]


def test_run_of_some_symbols_leaves_the_others_alone_and_names_them(road: LocalRoad) -> None:
    record(road, "EURUSD", HEADER + QUOTE)
    record(road, "GBPUSD", HEADER + QUOTE)
    told = metadata(ingest_live(road, ["EURUSD"]))
    assert (told["dagster/row_count"], told["not_in_this_run"]) == (1, "GBPUSD")
    assert road.raw_store.symbols("live-demo") == ("EURUSD",)


def test_date_without_recordings_is_green_and_empty(road: LocalRoad) -> None:
    result = ingest_live(road)
    assert (metadata(result)["dagster/row_count"], checks(result)) == (0, {"every_recording_was_read": True})


def ingest_side(road: LocalRoad) -> dg.ExecuteInProcessResult:
    return dg.materialize([side_values], resources={"road": road}, raise_on_error=False)


def test_side_values_are_written_and_rows_of_no_delivery_turn_the_check_red(road: LocalRoad) -> None:
    folder = SideFolder(road.settings.side_dir)
    delivery, _ = folder.deliver("rates", SIDE, "rates.csv", Reading(), now=datetime(2024, 1, 10, tzinfo=UTC))
    assert checks(ingest_side(road)) == {"table_equals_files": True}
    stranger = road.lakehouse.frame(TABLE).with_columns(source_file=pl.lit("rates/unknown.csv"))
    road.lakehouse.append(TABLE, stranger)
    assert checks(ingest_side(road)) == {"table_equals_files": False}
    road.lakehouse.replace_rows(TABLE, [], equal_to("feed", "rates"))
    assert checks(ingest_side(road)) == {"table_equals_files": True}
    assert road.lakehouse.frame(TABLE)["source_file"].to_list() == [delivery.source_file]
