"""Sides in turn: real processes of a small benchmark of this file."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from benchmarks.side import Work, serve
from benchmarks.turns import Measured, Round, Side, SideError, in_turn

MODULE = "tests.unit.benchmarks.test_turns"
HELD_MB = 200


def _rows(rows: int) -> Work:
    return Work(lambda: rows, lambda returned: returned)


def _busy(rows: int) -> Work:
    def run() -> int:
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        return rows

    return Work(run, lambda returned: returned, detail=lambda returned: {"half": returned / 2})


def _large(rows: int) -> Work:
    return Work(lambda: len(bytearray(b"x") * (HELD_MB * 10**6)) and rows, lambda returned: returned)


def _broken(rows: int) -> Work:
    raise ValueError(f"no such rows: {rows}")


SIDES = {"rows": _rows, "busy": _busy, "large": _large, "broken": _broken}


def side(name: str, rows: int = 5) -> Side:
    return Side(name, MODULE, {"rows": rows})


def test_sides_work_in_turn_and_warm_ups_are_not_counted(tmp_path: Path) -> None:
    lines: list[str] = []
    found = in_turn([side("rows"), side("busy")], 2, tmp_path, lines.append, warm_ups=1)
    assert [line.split()[0] for line in lines] == ["rows", "busy"] * 3
    assert [len(found[name].rounds) for name in ("rows", "busy")] == [2, 2]
    assert found["busy"].rows == 5
    assert found["busy"].detail("half") == 2.5


def test_wall_cpu_and_memory_are_those_of_the_process(tmp_path: Path) -> None:
    found = in_turn([side("rows"), side("busy"), side("large")], 1, tmp_path, lambda line: None, warm_ups=0)
    assert found["busy"].seconds >= 0.3 > found["rows"].seconds
    assert found["busy"].cpu_seconds >= 0.25
    assert found["large"].peak_mb > HELD_MB > found["rows"].peak_mb


def test_sides_with_other_rows_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SideError, match=r"to come to the same rows, was \{'rows': 5, 'busy': 6\}"):
        in_turn([side("rows"), side("busy", 6)], 1, tmp_path, lambda line: None)


def test_side_that_dies_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(SideError, match="ValueError: no such rows: 5"):
        in_turn([side("broken")], 1, tmp_path, lambda line: None)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 10.0), (0.95, 19.0), (1.0, 20.0), (0.01, 1.0)])
def test_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    rounds = tuple(Round(float(number), 0.0, 1, {}) for number in range(20, 0, -1))
    assert Measured("each", rounds, 1.0).percentile(share) == expected


if __name__ == "__main__":
    sys.exit(serve(SIDES))
