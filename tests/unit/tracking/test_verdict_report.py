"""What a case gives to its report: test events are explained, and compared with the search's; the card states the record's facts."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from tests.unit.domain.report_values import ISSUED_AT, POLICY
from tick_assets.domain import calibration
from tick_assets.domain.kernel import FEATURE_SET, SAMPLING_CLOCK
from tick_assets.domain.model_card import card_to_markdown
from tick_assets.domain.report_data import ReportData
from tick_assets.domain.signals import Strategy
from tick_assets.domain.splits import split_dates
from tick_assets.tracking.judgement import Decision
from tick_assets.tracking.verdict_report import report_data


@lru_cache(maxsize=1)
def made() -> tuple[Any, ReportData]:
    """Return the case of a judged market, as the report asks it, and its report."""
    events, market = calibration.draw_edge(2.0, 6, 3)
    outcome = calibration.judge(events, market, POLICY, seed=6, n_trials=2)
    chosen = outcome.result.best.configuration
    record = {"model_sha256": "5a" * 32, "code_commit": "c0ffee", "mlflow_run_id": "r1", "feature_set": FEATURE_SET, "seed": 6}
    case: Any = SimpleNamespace(
        symbol=events.symbol,
        model_id="SYNCAL.direction@7",
        events=events,
        split=split_dates(events.dates),
        model=outcome.model,
        search_result=outcome.result,
        test=outcome.test,
        configuration=chosen,
        strategy=replace(Strategy(), threshold=chosen.threshold),
        record={**record, "sampling_clock": SAMPLING_CLOCK},
        dataset=SimpleNamespace(id="d7" * 32, is_synthetic=True, manifest={"label_set": "labels_x"}),
        bench=SimpleNamespace(market=market, policy=POLICY),
    )
    decision = Decision("ab" * 32, outcome.verdict, {})
    return case, report_data(case, decision, outcome.validation, outcome.windows, ISSUED_AT, ["<section></section>"])


def test_report_data_explains_test_events_and_compares_them_with_the_search_s() -> None:
    case, data = made()
    ahead, seen = case.events.on_dates(case.split.test), case.events.on_dates(case.split.search)
    assert data.attribution is not None
    assert data.drift is not None
    assert data.attribution.events == len(ahead)
    assert (data.drift.reference_events, data.drift.new_events) == (len(seen), len(ahead))


def test_report_data_card_states_the_record() -> None:
    _, data = made()
    assert data.card is not None
    text = card_to_markdown(data.card)
    assert "labels_x: what a long and a short" in text
    assert "| seed | 6 |" in text
    assert f"Dataset {'d7' * 32}, code c0ffee" in text
    assert "| validation | 2024-01-09 |" in text


def test_report_data_identities_and_reasons_are_the_case_s() -> None:
    _, data = made()
    assert data.identities == {
        "verdict": "ab" * 32,
        "model sha-256": "5a" * 32,
        "dataset": "d7" * 32,
        "code": "c0ffee",
        "MLflow run": "r1",
    }
    assert data.gate_reasons["trades"].startswith("Below about 200 trades")
    assert data.more == ["<section></section>"]
