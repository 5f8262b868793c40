"""The tester's expert is sound as C++ under a shim of MetaTrader's names: a lint, because MetaEditor runs on Windows alone."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

SHIM = Path(__file__).parents[2] / "mql5" / "shim.h"
SOURCE = resources.files("execution").joinpath("mql5", "TickAssetsTester.mq5").read_text()
pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


def to_cpp(source: str) -> str:
    """Return MQL5 that keeps to the common subset as C++: no properties, no `input`, dynamic arrays as a type."""
    source = re.sub(r"^#property .*$", "", source, flags=re.MULTILINE)
    source = re.sub(r"^input ", "", source, flags=re.MULTILINE)
    return re.sub(r"\b(\w+)\s+(\w+)\[\];", r"mql_array<\1> \2;", source)


def lint(source: str, folder: Path) -> str:
    """Return the compiler's errors; none for a sound source."""
    path = folder / "expert.cpp"
    path.write_text(to_cpp(source))
    command = ["g++", "-std=c++17", "-fsyntax-only", "-include", str(SHIM), str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr


def test_expert_has_no_error(tmp_path: Path) -> None:
    assert lint(SOURCE, tmp_path) == ""


@pytest.mark.parametrize(
    ("sound", "faulty"),
    [
        ("if(!ReadSignals())", "if(!ReadSignals()"),
        ("request.volume = lots;", "request.volumes = lots;"),
        ("SymbolInfoTick(_Symbol, tick)", "SymbolInfoTicks(_Symbol, tick)"),
        ("OrderSend(request, result)", "OrderSend(request)"),
        ("exit_at_msc = signal.exit_msc;", "exit_at_msc = signal.exit_msc; }"),
    ],
)
def test_lint_finds_a_planted_fault(tmp_path: Path, sound: str, faulty: str) -> None:
    assert sound in SOURCE
    assert "error" in lint(SOURCE.replace(sound, faulty), tmp_path)


def test_expert_reads_the_columns_that_are_written() -> None:
    from execution.adapters.mt5.tester_files import SIGNAL_COLUMNS

    cells = [int(place) for place in re.findall(r"cells\[(\d)\]", SOURCE)]
    assert sorted(set(cells)) == list(range(len(SIGNAL_COLUMNS)))
    assert f"!= {len(SIGNAL_COLUMNS)})" in SOURCE
