"""`tick history`, `tick read`, `tick rollback-table`, `tick table`: over a local catalog."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse, silver_rows
from tests.unit.lakehouse.test_datasets import publish
from tick_assets.cli.main import build_app
from tick_assets.cli.runs import _selected
from tick_assets.lakehouse.catalog import Lakehouse

NEXT = DAY + timedelta(days=1)


@pytest.fixture
def lakehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lakehouse:
    """Two published dates; the first twice. Commands find this catalog."""
    opened = local_lakehouse(tmp_path)
    publish(opened, day=DAY, publication_id="p1")
    publish(opened, day=NEXT, publication_id="p1")
    opened.tag("silver.ticks", "before")
    publish(opened, day=DAY, publication_id="p2", count=150)
    monkeypatch.setattr(Lakehouse, "from_settings", classmethod(lambda cls, settings: opened))
    return opened


def tick(*arguments: str, code: int = 0) -> str:
    """Run a command that must end with this exit code; return what it printed, or its error."""
    result = CliRunner().invoke(build_app(), list(arguments))
    assert result.exit_code == code, result.output
    return str(result.exception) if code else result.stdout


def test_rollback_names_changed_dates_and_the_command_that_builds_them_again(lakehouse: Lakehouse) -> None:
    done: dict[str, Any] = json.loads(tick("rollback-table", "silver.ticks", "--to", "before", "--json"))
    assert done["changed"] == [{"symbol": "SYNEDGE", "date": "2024-01-08", "rows_before": 150, "rows_after": 0}]
    assert done["mend"] == "tick backfill --symbols SYNEDGE --from 2024-01-08 --to 2024-01-08 --select 'group:\"silver\"'"
    again = json.loads(tick("rollback-table", "silver.ticks", "--to", done["before"], "--json"))
    assert again["changed"][0]["rows_after"] == 150


def test_rollback_says_how_to_undo_it(lakehouse: Lakehouse) -> None:
    before = lakehouse.snapshot_id("silver.ticks")
    said = tick("rollback-table", "silver.ticks", "--to", "before")
    assert f"undo with `tick rollback-table silver.ticks --to {before}`" in said
    assert "published rows changed on 1 dates" in said


def test_rollback_that_changes_nothing_published_says_nothing_of_it(lakehouse: Lakehouse) -> None:
    lakehouse.append("silver.ticks", silver_rows("SYNNULL"))
    earlier = str(lakehouse.table("silver.ticks").history()[-2].snapshot_id)
    assert json.loads(tick("rollback-table", "silver.ticks", "--to", earlier, "--json")) | {"before": "", "after": ""} == {
        "table": "silver.ticks",
        "before": "",
        "after": "",
        "changed": [],
        "mend": None,
    }


def test_mending_selection_is_one_that_the_data_job_takes() -> None:
    from tick_assets.definitions import defs

    for selection in ('group:"silver"', 'group:"silver" or key:"raw/ticks"'):
        keys = {"/".join(key) for key in _selected(selection) or []}
        assert {"silver/ticks", "silver/tick_rejects", "silver/features", "silver/labels", "silver/bars_1m"} <= keys
        assert ("raw/ticks" in keys) is ("raw" in selection)
        assert keys <= {key.to_user_string() for key in defs.resolve_job_def("ingest_ticks_job").asset_layer.executable_asset_keys}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("read", "silver.ticks", "--as-of", "yesterday"), "Expected a tag or branch"),
        (("read", "silver.tick", "--as-of", "main"), "Expected a table such as silver.ticks"),
        (("rollback-table", "silver.ticks", "--to", "1"), "Expected a branch, tag or snapshot"),
        (("table", "add-column", "silver.ticks", "venue", "text"), "Expected a type such as string"),
        (("table", "add-column", "silver.ticks", "source", "string"), "source"),
        (("table", "widen-column", "silver.ticks", "seq", "int"), "Expected a wider type"),
    ],
)
def test_refusals_are_words_not_tracebacks(lakehouse: Lakehouse, arguments: tuple[str, ...], message: str) -> None:
    from tick_assets.cli.errors import CommandError

    result = CliRunner().invoke(build_app(), list(arguments))
    assert isinstance(result.exception, CommandError)
    assert message in str(result.exception)


def test_read_prints_the_rows_of_a_version(lakehouse: Lakehouse) -> None:
    where = "date == '2024-01-08' and seq >= 148"
    assert len(json.loads(tick("read", "silver.ticks", "--where", where, "--json"))) == 2
    assert len(json.loads(tick("read", "silver.ticks", "--as-of", "before", "--where", where, "--json"))) == 52


def test_history_prints_versions_and_how_to_read_one(lakehouse: Lakehouse) -> None:
    said = tick("history", "silver.ticks")
    assert "before" in said
    assert "for version as of SNAPSHOT" in said


def test_add_column_is_there_at_once(lakehouse: Lakehouse) -> None:
    assert json.loads(tick("table", "add-column", "silver.ticks", "venue", "string", "--json"))["column"] == "venue"
    assert json.loads(tick("read", "silver.ticks", "--limit", "1", "--json"))[0]["venue"] is None
