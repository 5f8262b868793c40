"""What counts as a regression of a ratio."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.baseline import BaselineError, read, regressions, update
from benchmarks.findings import RATIO, Condition, Finding

LOWER, HIGHER = (Condition(RATIO, "<=", 1.25),), (Condition(RATIO, ">=", 1.3),)
KEY, TICKS = "decode.bi5 | liblzma alone", 1_000_000


def finding(ratio: float | None, target: tuple[Condition, ...] = LOWER, ticks: int = TICKS) -> Finding:
    return Finding("decode.bi5", 4.0, "Mt/s", "liblzma alone", 5.0, ratio, target, 40.0, "", ticks)


def baseline(ratio: float) -> dict[str, object]:
    return {"ratios": {KEY: {"ratio": ratio, "ticks": TICKS}}}


@pytest.mark.parametrize(
    ("target", "accepted", "found", "is_regression"),
    [
        (LOWER, 1.0, 1.0, False),
        (LOWER, 1.0, 1.25, False),
        (LOWER, 1.0, 1.26, True),
        (LOWER, 1.0, 0.2, False),
        ((), 1.0, 1.26, True),  # without a target a lower ratio is better
        (HIGHER, 2.0, 2.0, False),
        (HIGHER, 2.0, 1.61, False),
        (HIGHER, 2.0, 1.59, True),
        (HIGHER, 2.0, 9.0, False),
    ],
)
def test_regression_is_a_ratio_more_than_a_quarter_worse(
    target: tuple[Condition, ...], accepted: float, found: float, is_regression: bool
) -> None:
    named = [(each.key, each.accepted, each.found) for each in regressions([finding(found, target)], baseline(accepted))]
    assert named == ([(KEY, accepted, found)] if is_regression else [])


def test_regression_says_how_much_worse_it_is() -> None:
    (found,) = regressions([finding(1.5)], baseline(1.0))
    assert str(found) == f"{KEY}: ratio 1.5, accepted 1 (+50% worse)"


def test_finding_without_a_ratio_is_not_compared() -> None:
    assert regressions([finding(None)], {}) == []


def test_unknown_comparison_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(BaselineError, match=r"an accepted ratio of decode.bi5 \| liblzma alone, was none\. Run `tick bench decode.bi5"):
        regressions([finding(1.0)], {"ratios": {}})


def test_other_size_is_an_error_that_names_both() -> None:
    with pytest.raises(BaselineError, match="at 1,000,000 ticks as the baseline has it, was 20,000"):
        regressions([finding(1.0, ticks=20_000)], baseline(1.0))


def test_missing_baseline_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match=r"was none\. Run `tick bench data --update-baseline`"):
        read(tmp_path / "baseline.json")


def test_update_replaces_its_own_ratios_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"ratios": {KEY: {"ratio": 9.0, "ticks": 5}, "silver | polars": {"ratio": 2.0, "ticks": 7}}}))
    update([finding(1.04567), finding(None)], "2026-11-28", path)
    ratios = read(path)["ratios"]
    assert {key: (each["ratio"], each["ticks"]) for key, each in ratios.items()} == {KEY: (1.046, TICKS), "silver | polars": (2.0, 7)}


def test_committed_baseline_knows_benchmarks_only() -> None:
    from benchmarks.registry import BENCHMARKS

    keys = [key.partition(" | ")[0] for key in read()["ratios"]]
    assert keys
    assert set(keys) <= set(BENCHMARKS)
