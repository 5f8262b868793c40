"""`tick bench`: names, options, printing and exit codes, over benchmarks that measure nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import baseline, registry
from benchmarks.findings import RATIO, Condition, Finding
from benchmarks.plan import Benchmark, Plan
from tick_assets import settings
from tick_assets.cli.main import build_app

TARGET = (Condition(RATIO, "<=", 1.25),)


def measure(plan: Plan, size: int) -> list[Finding]:
    return [Finding("fake", 2.0, "Mt/s", "rival", 4.0, 2.0, TARGET, 12.0, f"{size} ticks", size)]


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """One fake benchmark, and a baseline file of its own."""
    path = tmp_path / "baseline.json"
    fake = Benchmark("fake", "data", "nothing", ["ratio"], (10,), (20,), measure)
    monkeypatch.setattr(registry, "BENCHMARKS", {"fake": fake})
    monkeypatch.setattr(baseline.read, "__defaults__", (path,))
    monkeypatch.setattr(baseline.update, "__defaults__", (path,))
    return path


def tick(*arguments: str, code: int = 0) -> str:
    """Run a command that must end with this exit code; return what it printed on standard output, or its error."""
    result = CliRunner().invoke(build_app(), ["bench", *arguments])
    assert result.exit_code == code, result.output
    return str(result.exception) if code else result.stdout


@pytest.mark.parametrize(
    ("options", "sizes"),
    [([], [10]), (["--full"], [20]), (["--ticks", "5"], [5]), (["--ticks", "2_000,20000"], [2000, 20000])],
)
@pytest.mark.parametrize("name", ["fake", "data"])
def test_bench_prints_a_row_a_comparison(accepted: Path, name: str, options: list[str], sizes: list[int]) -> None:
    rows = json.loads(tick(name, *options, "--json"))
    assert [row["note"] for row in rows] == [f"MISSED: ratio <= 1.25. {size} ticks" for size in sizes]
    assert {key: rows[0][key] for key in ("name", "ratio", "met")} == {"name": "fake", "ratio": 2.0, "met": False}


def test_bench_without_json_prints_a_table_and_the_notes(accepted: Path) -> None:
    printed = tick("fake")
    assert "rival_value" in printed.splitlines()[0]
    assert "fake against rival: MISSED: ratio <= 1.25. 10 ticks" in printed


def test_bench_of_an_unknown_name_lists_the_known_ones(accepted: Path) -> None:
    assert tick("nothing", code=1).startswith("Expected a benchmark or group among data, fake, was 'nothing'.")


def test_bench_of_an_unknown_group_names_what_there_is() -> None:
    assert "among data, models, decode.bi5" in tick("serving", code=1)


@pytest.mark.parametrize("text", ["0", "-5", "many", "5,x"])
def test_bench_with_a_size_that_is_none_is_refused(accepted: Path, text: str) -> None:
    assert tick("fake", f"--ticks={text}", code=1).startswith("Expected --ticks")


def test_check_without_a_baseline_says_what_to_do(accepted: Path) -> None:
    assert "Run `tick bench data --update-baseline`" in tick("fake", "--check", code=1)


def test_check_after_an_update_passes_and_a_worse_ratio_fails_by_name(accepted: Path) -> None:
    tick("fake", "--update-baseline", "--check")
    document = json.loads(accepted.read_text())
    document["ratios"]["fake | rival"]["ratio"] = 1.5
    accepted.write_text(json.dumps(document))
    assert "fake | rival: ratio 2, accepted 1.5 (+33% worse)" in tick("fake", "--check", code=1)


def test_list_names_the_targets_of_the_table() -> None:
    found = {row["name"]: row["targets"] for row in json.loads(tick("list", "--json"))}
    data = ["decode.bi5", "decode.json", "csv.parquet", "silver", "features", "road", "gold.query"]
    assert list(found) == [*data, "kernel.online", "predict.one", "backtest", "walkforward"]
    assert "polars: ratio <= 1.1; peak_mb < 500 MB" in found["csv.parquet"]


def test_bench_of_an_installed_package_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "PROJECT_ROOT", tmp_path)
    assert "an installed package has no benchmarks" in tick("list", code=1)
