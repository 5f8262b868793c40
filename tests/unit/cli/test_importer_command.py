"""`tick import`: what it prints, what it refuses, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tick_assets.cli import vendor
from tick_assets.cli.errors import CommandError

MT5 = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\r\n" + "".join(
    f"2024.01.08\t0{hour}:00:00.100\t{bid}\t1.10008\t\t\t6\r\n" for hour, bid in enumerate(["", "1.10000", "1.10001", "1.10002"])
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TICK_HOME", str(tmp_path / "state"))
    path = tmp_path / "ticks.csv"
    path.write_text(MT5, newline="")
    return path


def run(*arguments: str) -> tuple[str, BaseException | None]:
    app = typer.Typer()
    vendor.app_commands(app)
    result = CliRunner().invoke(app, ["import", *arguments])
    return result.output, result.exception


def test_import_prints_why_it_read_the_file_so_and_what_it_quarantined(file: Path) -> None:
    output, error = run(str(file), "--symbol", "EURUSD", "--utc-offset", "eet")
    assert error is None
    assert "mt5-export: the header of a MetaTrader 5 export" in output
    assert "--utc-offset eet" in output
    assert "1 rows kept as malformed: an unchanged price before both sides were known" in output


@pytest.mark.parametrize(("clock", "hours"), [("eet", [23, 0, 1]), ("ny+7", [23, 0, 1]), ("-5", [6, 7, 8]), ("5.5", [19, 20, 21])])
def test_import_clock_may_be_a_name_or_a_number(file: Path, clock: str, hours: list[int]) -> None:
    output, error = run(str(file), "--symbol", "EURUSD", "--utc-offset", clock, "--json")
    assert error is None
    report = json.loads(output)
    assert (report["rows"], report["malformed"]) == (4, {"SIDE_UNKNOWN": 1})
    manifests = sorted((file.parent / "state").rglob("*.manifest.json"))
    ok = [entry["hour"] for path in manifests for entry in json.loads(path.read_text())["hours"] if entry["state"] == "ok"]
    assert ok == hours


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((), "Give --utc-offset"),
        (("--utc-offset", "mars"), "ny+7"),
        (("--utc-offset", "auto"), "weekend"),
        (("--format", "histdata", "--utc-offset", "2"), "was mt5-export"),
        (("--format", "nonsense"), "Expected a format"),
    ],
)
def test_import_refusal_is_a_command_error_and_leaves_nothing(file: Path, options: tuple[str, ...], named: str) -> None:
    _, error = run(str(file), "--symbol", "EURUSD", *options)
    assert isinstance(error, CommandError)
    assert named in str(error)
    assert not (file.parent / "state" / "raw").exists()
