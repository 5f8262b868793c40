"""The gate's calibration: it goes on where it was stopped, its table is published, and it judges as the assets do."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from tests.unit.lakehouse.fake_s3 import FakeS3Client
from tests.unit.lakehouse.local_catalog import local_lakehouse
from tick_assets.domain import calibration, gates
from tick_assets.domain.calibration import Subject
from tick_assets.domain.leak_findings import count_leaks
from tick_assets.domain.passports import sha256_hex
from tick_assets.domain.signals import Strategy
from tick_assets.domain.walk_forward import ROLLING, of_kind
from tick_assets.lakehouse.datasets import Dataset
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.lakehouse.vendors.bi5 import bi5_path, encode_bi5
from tick_assets.settings import PROJECT_ROOT
from tick_assets.tracking import gate_calibration, judgement
from tick_assets.tracking.gate_calibration import CalibrationPlan, calibrate, read_days, read_log
from tick_assets.tracking.judgement import Bench, Case
from tick_assets.tracking.walk_forwards import run_walk_forward

POLICY_TEXT = (files("tick_assets") / "policy.toml").read_text(encoding="utf-8")
POLICY = gates.parse_policy(POLICY_TEXT)
AT = datetime(2024, 2, 1, tzinfo=UTC)
SMALL = CalibrationPlan(POLICY_TEXT, n_null=1, n_power=0, n_trials=2, days=4)


def test_twenty_markets_without_an_edge_are_rejected() -> None:
    """A gate that is wrong in one of twenty would pass three or more of these in 8 % of all draws; these seeds pass none."""
    verdicts = [calibration.judge_subject(Subject(calibration.BREAK_EVEN, 0.0, seed), {}, POLICY) for seed in range(1000, 1020)]
    assert calibration.count_passes("break_even", None, verdicts).passed == 0


def test_assets_and_calibration_come_to_the_same_model_figures_and_gates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One market through what the model assets call, and through `calibration.judge`: nothing but the lake's own figures may differ."""
    events, market = calibration.draw_edge(2.0, 7, days=6)
    monkeypatch.setattr(judgement, "N_TRIALS", 4)
    outcome = calibration.judge(events, market, POLICY, judgement.SEED, n_trials=4)
    case = Case(
        Bench(local_lakehouse(tmp_path), ObjectStore(FakeS3Client(), "bucket"), market, POLICY, "c0ffee"), events.symbol, Strategy().name
    )
    window = {"from": events.dates[0], "to": events.dates[-1]}
    days = [[events.symbol, day, 24, 24] for day in events.dates]
    case.__dict__["dataset"] = Dataset({"symbols": [events.symbol], "window": window, "is_synthetic": True, "completeness": days})
    case.__dict__["events"] = events

    fitted = judgement.make_candidate(case, lambda trial: None)
    judgement.keep_candidate(case, fitted, "1", "run", AT)
    validation = judgement.validate(case)
    judgement.test(case, AT)
    windows = run_walk_forward(case, lambda row: None)
    decision = judgement.decide(case, validation, windows, 1.0, count_leaks(judgement.find_leaks(case, AT)), 0)

    assert sha256_hex(fitted.model) == sha256_hex(outcome.model)
    assert replace(validation, ledger_sha256="") == replace(outcome.validation, ledger_sha256="")
    assert decision.verdict.gates == outcome.verdict.gates
    assert [window.model_sha256 for window in of_kind(windows, ROLLING)] == [window.model_sha256 for window in outcome.windows]


def test_calibration_that_was_stopped_judges_only_what_is_missing(tmp_path: Path) -> None:
    seen: list[int] = []

    def stop_after_two(done: int, of: int) -> None:
        seen.append(done)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(SMALL, tmp_path, 1, stop_after_two)
    path = tmp_path / f"{SMALL.identity}.jsonl"
    with path.open("a") as log:
        log.write('{"market": "shuffl')
    rows = calibrate(SMALL, tmp_path, 1, lambda done, of: seen.append(done))
    assert seen == [1, 2, 3]
    assert [(row.market, row.n) for row in rows] == [("break_even", 1), ("block_bootstrap", 1), ("shuffled_labels", 1)]
    assert len(read_log(path)) == 3


def test_subjects_take_turns_and_are_counted_by_kind() -> None:
    wanted = calibration.subjects(2, 1)
    assert [(each.market, each.k, each.seed) for each in wanted[:7]] == [
        ("break_even", 0.0, 0),
        ("block_bootstrap", 0.0, 0),
        ("shuffled_labels", 0.0, 0),
        ("edge", 1.0, 0),
        ("edge", 1.5, 0),
        ("edge", 2.0, 0),
        ("edge", 3.0, 0),
    ]
    assert len(wanted) == 10
    table = calibration.table_of({each: each.market == "edge" for each in wanted})
    assert [(row.market, row.k, row.n, row.passed) for row in table] == [
        ("break_even", None, 2, 0),
        ("block_bootstrap", None, 2, 0),
        ("shuffled_labels", None, 2, 0),
        ("edge", 1.0, 1, 1),
        ("edge", 1.5, 1, 1),
        ("edge", 2.0, 1, 1),
        ("edge", 3.0, 1, 1),
    ]


def test_identity_changes_with_a_threshold_and_not_with_a_reason() -> None:
    reworded = POLICY_TEXT.replace("The usual 5 % error", "The customary 5 % error")
    moved = POLICY_TEXT.replace("threshold = 200", "threshold = 199")
    assert reworded != POLICY_TEXT != moved
    assert CalibrationPlan(reworded).identity == CalibrationPlan(POLICY_TEXT).identity != CalibrationPlan(moved).identity


def test_quotes_of_a_vendor_folder_are_weekdays_with_ticks(tmp_path: Path) -> None:
    ticks = gate_calibration.synthetic_days(1)["2024-01-08"]
    for day in (datetime(2024, 1, 6, tzinfo=UTC), datetime(2024, 1, 8, tzinfo=UTC), datetime(2024, 1, 9, tzinfo=UTC)):
        hour = day + timedelta(hours=9)
        within = ticks.take(ticks.ts_us // 3_600_000_000 % 24 == 9)
        path = tmp_path / bi5_path("USDSGD", hour).lstrip("/")
        path.parent.mkdir(parents=True)
        path.write_bytes(encode_bi5(within, datetime(2024, 1, 8, 9, tzinfo=UTC)) if day.day != 9 else b"")
    days = read_days(tmp_path, "USDSGD")
    assert list(days) == ["2024-01-08"]
    np.testing.assert_array_equal(days["2024-01-08"].bid_points, within.bid_points)
    with pytest.raises(FileNotFoundError, match="bi5 hours of EURUSD"):
        read_days(tmp_path, "EURUSD")


def test_published_table_reads_back_and_names_its_gates(tmp_path: Path) -> None:
    rows = [calibration.count_passes("break_even", None, [False] * 59)]
    made = gate_calibration.publish(SMALL, rows, AT, tmp_path / "table.json")
    assert gate_calibration.published(tmp_path / "table.json") == made
    assert made.gates_sha256 == calibration.gates_sha256(POLICY)
    assert json.loads((tmp_path / "table.json").read_text())["calibrated_at"] == "2024-02-01"
    assert gate_calibration.published(tmp_path / "none.json") is None


def test_published_table_is_of_the_shipped_policy_and_in_the_readme() -> None:
    """A changed threshold needs a new calibration: `tick gate calibrate --publish`, and the README's table after it."""
    found = gate_calibration.published()
    assert found is not None
    assert found.gates_sha256 == calibration.gates_sha256(POLICY)
    assert [(row.n >= 200, row.upper95 <= 0.05) for row in found.rows if row.k is None] == [(True, True)] * 3
    assert [row.k for row in found.rows if row.k is not None] == list(calibration.POWER_AT)
    readme = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
    for row in found.rows:
        assert f"| {row.n} | {row.passed} | {row.lower95:.1%} | {row.upper95:.1%} |" in readme
