"""The compiled kernel lies on disk: a fresh process takes it from there, and a changed feature is compiled anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = """
from tick_assets.domain import kernel
from tick_assets.domain.ticks import empty_ticks
kernel.run_features(empty_ticks())
compiled = (kernel._advance_valid_many, kernel._reset)
print(sum(sum(each.stats.cache_misses.values()) for each in compiled), sum(sum(each.stats.cache_hits.values()) for each in compiled))
"""


def _compilations(checkout: Path, cache: Path) -> list[int]:
    """Return (compiled, taken from the cache) of the entry points that a fresh process of a checkout needs."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    said = subprocess.run([sys.executable, "-c", SCRIPT], cwd=checkout, env=environment, check=True, capture_output=True, text=True)
    return [int(word) for word in said.stdout.split()]


@pytest.mark.full
def test_fresh_process_compiles_nothing_until_a_feature_changes(tmp_path: Path) -> None:
    checkout, cache = tmp_path / "checkout", tmp_path / "cache"
    shutil.copytree(ROOT / "tick_assets", checkout / "tick_assets", ignore=shutil.ignore_patterns("__pycache__"))
    assert _compilations(checkout, cache) == [2, 0]
    assert _compilations(checkout, cache) == [0, 2]
    features = checkout / "tick_assets" / "domain" / "features.py"
    features.write_text(features.read_text().replace("event.ticks_1m / 60.0", "event.ticks_1m / 61.0"))
    assert _compilations(checkout, cache) == [2, 0]
