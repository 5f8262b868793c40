"""Every benchmark at a tiny size: that it runs and says what it must, never how fast."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.findings import FIELDS
from benchmarks.plan import Plan
from benchmarks.registry import BENCHMARKS
from tick_assets.settings import load_settings

SMALL = {"decode.bi5": 3, "decode.json": 1, "csv.parquet": 2}
WITH_SPARK = {"silver": 1, "features": 1}


def rows_of(name: str, folder: Path, ticks: tuple[int, ...], rounds: int = 1) -> list[dict[str, object]]:
    """Run a benchmark over a market that is made for it; the environment of rivals is the cache's where it was made."""
    cache = load_settings().cache
    folder.mkdir(parents=True, exist_ok=True)
    if (cache / "rivals").is_dir():
        (folder / "rivals").symlink_to(cache / "rivals")
    plan = Plan(folder, folder / "work", lambda line: None, ticks, rounds=rounds)
    plan.work.mkdir()
    return [finding.row() for finding in BENCHMARKS[name].run(plan)]


def require_complete(rows: list[dict[str, object]], name: str) -> None:
    for row in rows:
        assert tuple(row) == FIELDS
        assert row["name"] == name
        assert isinstance(row["value"], float)
        assert row["value"] > 0
        assert isinstance(row["peak_mb"], float)
        assert row["peak_mb"] > 10
        assert row["note"]


def require_ratio(row: dict[str, object]) -> None:
    assert isinstance(row["ratio"], float)
    assert math.isfinite(row["ratio"])
    assert row["rival"]
    assert isinstance(row["rival_value"], float)
    assert row["met"] in (True, False)


@pytest.mark.parametrize(("name", "comparisons"), SMALL.items())
def test_benchmark_at_a_tiny_size_fills_every_field(name: str, comparisons: int, tmp_path: Path) -> None:
    rows = rows_of(name, tmp_path, (3000,), rounds=2)
    assert len(rows) == comparisons
    require_complete(rows, name)
    for row in rows:
        require_ratio(row)


@pytest.mark.full
@pytest.mark.parametrize(("name", "comparisons"), WITH_SPARK.items())
def test_benchmark_with_spark_at_a_tiny_size_fills_every_field(name: str, comparisons: int, tmp_path: Path) -> None:
    rows = rows_of(name, tmp_path, (30_000,))
    assert len(rows) == comparisons
    require_complete(rows, name)
    for row in rows:
        require_ratio(row)


@pytest.mark.full
@pytest.mark.stack
def test_road_of_two_sizes_counts_its_stages_and_its_cost_per_tick(tmp_path: Path) -> None:
    rows = rows_of("road", tmp_path, (6_000, 60_000))
    require_complete(rows, "road")
    stages = [str(row["unit"]).removeprefix("k ticks/s ") for row in rows if str(row["note"]).startswith("stage ")]
    assert {"raw/ticks", "silver/ticks", "silver/features", "silver/bars_1m"} <= set(stages)
    require_ratio(rows[-1])


@pytest.mark.full
@pytest.mark.stack
def test_gold_query_at_a_tiny_size_fills_every_field(tmp_path: Path) -> None:
    (row,) = rows_of("gold.query", tmp_path, (20_000,), rounds=5)
    require_complete([row], "gold.query")
    require_ratio(row)
