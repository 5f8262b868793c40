"""The stages of a judgement on a local lake: a killed search goes on, every trial counts, and test dates are opened on record."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.lakehouse.fake_s3 import FakeS3Client
from tests.unit.tracking.local_judgement import AT, SYMBOL, Killed, bench_on, case_of, keep
from tick_assets.domain import calibration, learning
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.training import Trial
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.tracking import judgement, verification
from tick_assets.tracking.judgement import Bench
from tick_assets.tracking.stored_trials import logs_of, running_code
from tick_assets.tracking.walk_forwards import run_walk_forward


@pytest.fixture(scope="module")
def drawn() -> tuple[TrainingSet, Market]:
    return calibration.draw_edge(2.0, 4, days=5)


@pytest.fixture
def bench(tmp_path: Path, drawn: tuple[TrainingSet, Market], monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(judgement, "N_TRIALS", 5)
    return bench_on(tmp_path, drawn[1])


def kill(trial: Trial) -> None:
    if trial.number == 2:
        raise Killed


def test_killed_search_goes_on_and_gives_the_same_model(bench: Bench, drawn: tuple[TrainingSet, Market], tmp_path: Path) -> None:
    with pytest.raises(Killed):
        judgement.make_candidate(case_of(bench, drawn[0]), kill)
    (log,) = logs_of(bench.objects, SYMBOL, "direction")
    assert sorted(trial.number for trial in log.known().values()) == [0, 1, 2]
    assert log.identity() == {"dataset_id": case_of(bench, drawn[0]).dataset.id, "code_commit": "commit"}
    resumed = judgement.make_candidate(case_of(bench, drawn[0]), lambda trial: None)
    fresh = replace(bench, objects=ObjectStore(FakeS3Client(), "bucket"))
    whole = judgement.make_candidate(case_of(fresh, drawn[0]), lambda trial: None)
    assert resumed.model == whole.model
    assert resumed.result.profit_series.tobytes() == whole.result.profit_series.tobytes()
    assert resumed.record == whole.record


def test_kept_candidate_leaves_no_log_and_abandoned_searches_enter_the_ledger(bench: Bench, drawn: tuple[TrainingSet, Market]) -> None:
    abandoned = case_of(replace(bench, code_commit="older"), drawn[0])
    with pytest.raises(Killed):
        judgement.make_candidate(abandoned, kill)
    case = keep(bench, drawn[0], "1")
    assert list(bench.objects.list_keys("searches/")) == []
    trials = bench.lakehouse.frame("evidence.trials")
    assert sorted(trials["version"].unique()) == ["1", f"abandoned-{abandoned.trial_log.key[:12]}"]
    assert sorted(trials["code_commit"].to_list()) == ["commit"] * 5 + ["older"] * 3
    assert len(judgement.trial_ledger(case)) == 8


def test_log_of_other_code_is_another_log(bench: Bench, drawn: tuple[TrainingSet, Market]) -> None:
    keys = {case_of(replace(bench, code_commit=commit), drawn[0], name).trial_log.key for commit in "ab" for name in "xy"}
    assert len(keys) == 4
    assert running_code("a") == running_code("a") != running_code("b")


def test_test_dates_are_opened_once_for_a_decision(bench: Bench, drawn: tuple[TrainingSet, Market]) -> None:
    first = keep(bench, drawn[0], "1")
    assert judgement.test_openings(first) is None
    judgement.test(first, AT)
    assert judgement.test_openings(first) == 1
    again = keep(bench, drawn[0], "2")
    judgement.test(again, AT + timedelta(hours=1))
    assert again.record["model_sha256"] == first.record["model_sha256"]
    assert judgement.test_openings(again) == 1
    assert len(first.vault.all()) == 1


def test_second_model_on_the_same_test_dates_is_refused_by_the_vault_alone(bench: Bench, drawn: tuple[TrainingSet, Market]) -> None:
    first = keep(bench, drawn[0], "1")
    judgement.test(first, AT)
    other = keep(bench, calibration.draw_edge(2.0, 5, days=5)[0], "2", "two")
    judgement.test(other, AT + timedelta(hours=1))
    assert judgement.test_openings(other) == 2
    assert judgement.test_openings(first) == 1
    decisions = [judgement.decide(case, judgement.validate(case), (), 1.0, 0, 0).verdict.refused_by for case in (first, other)]
    assert set(decisions[1]) - set(decisions[0]) == {"test_vault"}


def test_opening_is_on_record_before_the_test_dates_are_traded(
    bench: Bench, drawn: tuple[TrainingSet, Market], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = keep(bench, drawn[0], "1")

    def fail(*arguments: object) -> None:
        raise Killed

    monkeypatch.setattr(judgement.evaluation, "evaluate_test", fail)
    with pytest.raises(Killed):
        judgement.test(case, AT)
    (opening,) = case.vault.all()
    assert (opening.test_dates, opening.opened_at, opening.purpose) == (case.split.test, AT, "verdict")
    assert (opening.model_sha256, opening.dataset_id) == (case.record["model_sha256"], case.dataset.id)


def test_learning_is_handed_on_and_read_back(bench: Bench, drawn: tuple[TrainingSet, Market]) -> None:
    case = keep(bench, drawn[0], "1")
    figures = judgement.learn(case)
    assert judgement.learning_of(case) == figures
    judgement.test(case, AT)
    assert judgement.test_reliability(case) == learning.reliability(case.events.on_dates(case.split.test), case.test.probability)


def test_verify_finds_what_is_stored_and_spends_nothing(
    bench: Bench, drawn: tuple[TrainingSet, Market], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = keep(bench, drawn[0], "1")
    judgement.learn(case)
    judgement.test(case, AT)
    validation, windows = judgement.validate(case), run_walk_forward(case)
    decision = judgement.decide(case, validation, windows, judgement.completeness_of(case), 0, 0)
    row = judgement.keep_decision(case, decision, validation, "file:///report", AT + timedelta(hours=1))
    row["gates"] = decision.verdict.to_dict()["gates"]
    monkeypatch.setattr(verification, "_dataset", lambda case, verdict: [])
    before = (sorted(bench.objects.list_keys("")), judgement.trial_ledger(case), case.vault.all())
    found = verification.verify(case_of(bench, drawn[0], "one", "1"), row, 0, lambda line: None)
    assert found.differences == ()
    assert found.compared["learning"] == 5
    assert (sorted(bench.objects.list_keys("")), judgement.trial_ledger(case), case.vault.all()) == before
    later = AT + timedelta(hours=2)
    judgement.test(keep(bench, calibration.draw_edge(2.0, 5, days=5)[0], "2", "two", later), later)
    assert verification.verify(case_of(bench, drawn[0], "one", "1"), row, 0, lambda line: None).differences == ()
