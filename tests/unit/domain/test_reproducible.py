"""Two trainings in two fresh processes of different surroundings give the same bytes and the same figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.domain.fresh_training import train
from tick_assets.domain.passports import finite

PROJECT_ROOT = Path(__file__).resolve().parents[3]
SURROUNDINGS = (
    {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TZ": "UTC"},
    {"PYTHONHASHSEED": "4242", "OMP_NUM_THREADS": "4", "NUMBA_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "3", "TZ": "Asia/Tokyo"},
)


def train_afresh(surroundings: dict[str, str]) -> str:
    """Train in a fresh process and return what it printed."""
    command = [sys.executable, "-m", "tests.unit.domain.fresh_training"]
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env={**os.environ, **surroundings}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def printed() -> list[str]:
    return [train_afresh(surroundings) for surroundings in SURROUNDINGS]


def test_fresh_processes_give_the_same_model_and_figures(printed: list[str]) -> None:
    first, second = (json.loads(text) for text in printed)
    assert first["model_sha256"] == second["model_sha256"]
    assert first["gates"] == second["gates"]
    assert printed[0] == printed[1]


def test_fresh_process_agrees_with_this_one(printed: list[str]) -> None:
    assert json.loads(json.dumps(finite(train(2.0, 9, 4, 5)))) == json.loads(printed[0])


def test_another_seed_is_another_training(printed: list[str]) -> None:
    assert train(2.0, 10, 4, 2)["model_sha256"] != json.loads(printed[0])["model_sha256"]
