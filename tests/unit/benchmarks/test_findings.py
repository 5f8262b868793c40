"""How a target is judged, and what a row says."""

from __future__ import annotations

import pytest

from benchmarks.findings import FIELDS, PEAK_MB, RATIO, VALUE, Condition, Finding

POLARS = (Condition(RATIO, "<=", 1.1), Condition(PEAK_MB, "<", 500, "MB"))


def finding(target: tuple[Condition, ...], value: float = 2.0, ratio: float | None = 1.0, peak_mb: float | None = 100.0) -> Finding:
    return Finding("csv.parquet", value, "s", "polars", 2.0, ratio, target, peak_mb, "three rounds", 1000)


@pytest.mark.parametrize(
    ("target", "value", "ratio", "peak_mb", "met", "missed"),
    [
        (POLARS, 2.0, 1.1, 499.9, True, []),
        (POLARS, 2.0, 1.1001, 499.9, False, ["ratio <= 1.1"]),
        (POLARS, 2.0, 1.1, 500.0, False, ["peak_mb < 500 MB"]),
        (POLARS, 2.0, 3.0, 900.0, False, ["ratio <= 1.1", "peak_mb < 500 MB"]),
        (POLARS, 2.0, None, 499.9, None, []),
        (POLARS, 2.0, None, 900.0, False, ["peak_mb < 500 MB"]),
        ((Condition(VALUE, ">=", 1.0, "Mt/s"),), 1.0, None, None, True, []),
        ((Condition(VALUE, ">=", 1.0, "Mt/s"),), 0.99, None, None, False, ["value >= 1 Mt/s"]),
        ((), 2.0, 1.0, 1.0, None, []),
    ],
)
def test_target_is_met_when_every_bound_holds(
    target: tuple[Condition, ...], value: float, ratio: float | None, peak_mb: float | None, met: bool | None, missed: list[str]
) -> None:
    judged = finding(target, value, ratio, peak_mb)
    assert (judged.met, judged.missed()) == (met, missed)


def test_row_has_the_fields_of_the_contract_and_names_what_is_missed() -> None:
    row = finding(POLARS, ratio=1.5).row()
    assert tuple(row) == FIELDS
    assert row["target"] == "ratio <= 1.1; peak_mb < 500 MB"
    assert row["met"] is False
    assert row["note"] == "MISSED: ratio <= 1.1. three rounds"
