"""`tick report data`: what it prints and writes, over a catalog in a folder and without a stack."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.lakehouse.local_catalog import DAY, local_lakehouse, silver_rows
from tests.unit.lakehouse.test_data_statistics import publish
from tick_assets.cli.errors import CommandError
from tick_assets.cli.main import build_app
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.settings import load_settings
from tick_assets.stack.secrets import ensure_secrets


def run(*arguments: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(build_app(), ["report", "data", *arguments])
    return result.stdout, result.exception


@pytest.fixture
def lakehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lakehouse:
    """An empty lake that the command opens."""
    lakehouse = local_lakehouse(tmp_path)
    monkeypatch.setenv("TICK_HOME", str(tmp_path / ".tick"))
    monkeypatch.setattr(Lakehouse, "from_settings", classmethod(lambda cls, settings: lakehouse))
    return lakehouse


def test_empty_lake_says_what_to_run(lakehouse: Lakehouse, tmp_path: Path) -> None:
    output, error = run()
    assert error is None
    assert output.startswith("Nothing has been ingested yet.\n`tick backfill --symbols EURUSD")
    assert output.endswith(f"report: {tmp_path}/.tick/reports/data.html\n")
    assert (tmp_path / ".tick" / "reports" / "data.html").is_file()


def test_lines_name_each_symbol_and_what_to_do(lakehouse: Lakehouse, tmp_path: Path) -> None:
    lakehouse.append("silver.ticks", silver_rows())
    publish(lakehouse, "SYNEDGE", {DAY: 200})
    page = tmp_path / "elsewhere" / "page.html"
    output, _ = run("--symbols", "SYNEDGE,EURUSD", "--out", str(page))
    assert output.splitlines() == [
        "23 of 24 open hours are missing. 23 of them can still be had.",
        "SYNEDGE: 23 hours missing: 2024-01-08 01h to 23h UTC (pending)",
        "   to do: `tick backfill --symbols SYNEDGE --from 2024-01-08 --to 2024-01-08`",
        "EURUSD: nothing yet: `tick backfill --symbols EURUSD --from DATE --to DATE` asks for it",
        f"report: {page}",
    ]
    assert "<b>SYNEDGE</b>: synthetic" in page.read_text()


def test_json_is_one_document(lakehouse: Lakehouse, tmp_path: Path) -> None:
    lakehouse.append("silver.ticks", silver_rows())
    publish(lakehouse, "SYNEDGE", {DAY: 200})
    found = json.loads(run("--json")[0])
    assert found["path"] == f"{tmp_path}/.tick/reports/data.html"
    (symbol,) = found["symbols"]
    assert (symbol["symbol"], symbol["hours_expected"], symbol["total"]["tick_count"]) == ("SYNEDGE", 24, 200)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "2024-01-09", "--to", "2024-01-08"), "Expected --from before --to, was 2024-01-09 and 2024-01-08"),
        (("--symbols", "NOSUCH"), "Add a section [symbols.NOSUCH] to the market file"),
    ],
)
def test_wrong_questions_are_refused(lakehouse: Lakehouse, arguments: tuple[str, ...], message: str) -> None:
    error = run(*arguments)[1]
    assert isinstance(error, CommandError)
    assert message in str(error)


def test_silent_object_store_is_named(lakehouse: Lakehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_secrets(load_settings())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nothing answers here
        port = taken.getsockname()[1]
        monkeypatch.setenv("TICK_S3_PORT", str(port))

        def unreachable(*_: object, **__: object) -> None:
            raise OSError("AWS Error NETWORK_CONNECTION")

        monkeypatch.setattr(Lakehouse, "frame", unreachable)
        error = run()[1]
    assert isinstance(error, CommandError)
    assert f"s3 at 127.0.0.1:{port}" in str(error)
    assert str(error).endswith("to answer, was silent. Run `tick up`.")


def run_index(*arguments: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(build_app(), ["report", "index", *arguments])
    return result.stdout, result.exception


def verdict(model: str, day: int, passed: bool) -> dict[str, object]:
    return {
        "model_id": model,
        "symbol": "SYNEDGE",
        "strategy": "direction",
        "version": model[-1],
        "verdict_id": model,
        "passed": passed,
        "refused_by": "" if passed else "dsr",
        "first_line": "PASSED" if passed else "REJECTED by dsr",
        "gates_json": '[{"name": "break_even_spread", "figure": 2.5}]',
        "is_synthetic": True,
        "decided_at": datetime(2024, 1, day, tzinfo=UTC),
    }


def test_index_of_an_empty_lake_says_what_to_run(lakehouse: Lakehouse, tmp_path: Path) -> None:
    output, error = run_index()
    assert error is None
    assert output == f"No verdicts yet: `tick train SYMBOL` makes one.\nindex: {tmp_path}/.tick/reports/index.html\n"


def test_index_lists_every_verdict_newest_first(lakehouse: Lakehouse, tmp_path: Path) -> None:
    lakehouse.append("evidence.verdicts", [verdict("SYNEDGE.direction@1", 8, False), verdict("SYNEDGE.direction@2", 9, True)])
    found = json.loads(run_index("--json")[0])
    assert [line["model_id"] for line in found["verdicts"]] == ["SYNEDGE.direction@2", "SYNEDGE.direction@1"]
    assert found["headline"] == "1 of 2 models passed on synthetic markets."
    page = (tmp_path / ".tick" / "reports" / "index.html").read_text()
    assert page.index("SYNEDGE.direction@2") < page.index("SYNEDGE.direction@1")
    assert "2.50" in page
