"""`tick maintain`: over a local catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse, silver_rows
from tests.unit.lakehouse.test_datasets import REQUEST, MemoryObjects, publish
from tick_assets.cli.main import build_app
from tick_assets.lakehouse import compaction, datasets
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.datasets import Dataset
from tick_assets.lakehouse.object_store import ObjectStore


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Lakehouse, Dataset]:
    """A pinned day, another one in two files, and a file that nothing names. Commands find this lake."""
    opened, objects = local_lakehouse(tmp_path), MemoryObjects()
    publish(opened)
    dataset = datasets.create(opened, objects, REQUEST)
    for half in (slice(0, 100), slice(100, 200)):
        opened.append("silver.ticks", silver_rows("SYNNULL")[half])
    compaction._write(opened.table("silver.ticks"), silver_rows("SYNWEAK", count=5))
    monkeypatch.setattr(Lakehouse, "from_settings", classmethod(lambda cls, settings: opened))
    monkeypatch.setattr(ObjectStore, "from_settings", classmethod(lambda cls, settings: objects))
    return opened, dataset


def tick(*arguments: str, code: int = 0) -> str:
    """Run a command that must end with this exit code; return what it printed on standard output, or its error."""
    result = CliRunner().invoke(build_app(), list(arguments))
    assert result.exit_code == code, result.output
    return str(result.exception) if code else result.stdout


def ticks_of(text: str) -> dict[str, Any]:
    return {each["table"]: each for each in json.loads(text)["tables"]}["silver.ticks"]


def test_dry_run_counts_what_a_run_then_does(lake: tuple[Lakehouse, Dataset]) -> None:
    before = lake[0].snapshot_id("silver.ticks")
    planned = ticks_of(tick("maintain", "--dry-run", "--grace", "0", "--json"))
    assert lake[0].snapshot_id("silver.ticks") == before
    done = ticks_of(tick("maintain", "--grace", "0", "--json"))
    assert planned == done
    assert (done["files_before"], done["files_after"], done["orphans"]) == (3, 2, 1)
    again = ticks_of(tick("maintain", "--grace", "0", "--json"))
    assert (again["files_before"], again["files_after"], again["orphans"]) == (2, 2, 0)


def test_default_grace_leaves_young_objects(lake: tuple[Lakehouse, Dataset]) -> None:
    assert ticks_of(tick("maintain", "--json"))["orphans"] == 0


def test_dataset_without_its_tag_is_an_error_that_says_what_to_do(lake: tuple[Lakehouse, Dataset]) -> None:
    lakehouse, dataset = lake
    lakehouse.drop_tag("silver.labels", dataset.tag("silver.labels"))
    assert f"tick dataset repin {dataset.id[:12]}" in tick("maintain", code=1)


def test_live_write_is_named_and_the_exit_code_says_that_something_was_left(lake: tuple[Lakehouse, Dataset]) -> None:
    with lake[0].locks.hold(["silver.ticks"], ["SYNNULL"], [DAY], "writer", str):
        said = tick("maintain", "--grace", "0", code=1)
    assert "run writer" in said
    assert len(lake[0].frame("silver.ticks")) == 400
