"""The asset `reports/data_report`: one page over the whole lake, and plots in metadata."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from pathlib import Path

import dagster as dg
import pytest

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse, silver_rows
from tests.unit.lakehouse.test_data_statistics import publish
from tick_assets.assets.data_report import data_report
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.partitions import RANGE_END, RANGE_START
from tick_assets.resources import Road
from tick_assets.settings import Settings


def road_at(folder: Path) -> Road:
    """Return a road over a catalog in a folder."""

    class LocalRoad(Road):
        @cached_property
        def settings(self) -> Settings:
            return Settings(home=folder / ".tick")

        @cached_property
        def lakehouse(self) -> Lakehouse:
            return local_lakehouse(folder)

    return LocalRoad()


def materialize(folder: Path) -> dict[str, dg.MetadataValue]:
    """Materialize one date and return its metadata."""
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([data_report], partition_key=DAY.isoformat(), resources={"road": road_at(folder)}, instance=instance)
        (materialization,) = done.asset_materializations_for_node("reports__data_report")
    return dict(materialization.metadata)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lake with a published date of a known symbol, and one of a symbol without a section in the market file."""
    lakehouse = local_lakehouse(tmp_path)
    for symbol in ("SYNEDGE", "NOSUCH"):
        lakehouse.append("silver.ticks", silver_rows(symbol))
        publish(lakehouse, symbol, {DAY: 200})
    return tmp_path


def test_report_is_written_and_metadata_has_plots_by_date_and_session(folder: Path) -> None:
    metadata = materialize(folder)
    page = (folder / ".tick" / "reports" / "data.html").read_text()
    assert "23 of 24 open hours are missing." in page
    assert "<b>NOSUCH</b>: there is data, and no section in the market file" in page
    plots = {name for name, value in metadata.items() if str(value.value).startswith("![plot](data:image/png")}
    assert plots == {"ticks_by_date", "spread_by_date", "ticks_by_session", "spread_by_session"}
    assert metadata["dagster/row_count"].value == 200


def test_run_over_a_range_keeps_its_pictures_once(folder: Path) -> None:
    tags = {RANGE_START: DAY.isoformat(), RANGE_END: (DAY + timedelta(days=2)).isoformat()}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([data_report], resources={"road": road_at(folder)}, instance=instance, tags=tags)
        events = done.asset_materializations_for_node("reports__data_report")
    assert [(event.partition, "ticks_by_date" in event.metadata, "report" in event.metadata) for event in events] == [
        ("2024-01-08", False, True),
        ("2024-01-09", False, True),
        ("2024-01-10", True, True),
    ]


def test_report_of_an_empty_lake_is_a_page_that_says_so(tmp_path: Path) -> None:
    local_lakehouse(tmp_path)
    assert materialize(tmp_path)["dagster/row_count"].value == 0
    assert "Nothing has been ingested yet." in (tmp_path / ".tick" / "reports" / "data.html").read_text()
