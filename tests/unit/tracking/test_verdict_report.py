"""What a case gives to its report: test events are explained, and compared with the search's; the card states the record's facts."""

from __future__ import annotations

import pytest

from tests.unit.domain.report_values import ISSUED_AT, POLICY
from tests.unit.lakehouse.fake_s3 import FakeS3Client
from tests.unit.lakehouse.local_catalog import local_lakehouse
from tick_assets.domain import calibration
from tick_assets.domain.leak_findings import FEATURE, Statement
from tick_assets.domain.model_card import card_to_markdown
from tick_assets.domain.report import render_report
from tick_assets.domain.report_data import ReportData
from tick_assets.lakehouse.datasets import Dataset
from tick_assets.lakehouse.object_store import ObjectStore
from tick_assets.tracking import judgement
from tick_assets.tracking.judgement import Bench, Case
from tick_assets.tracking.verdict_report import report_data
from tick_assets.tracking.walk_forwards import run_walk_forward

CLEARED = Statement(FEATURE, "spread_bps", "prefix_invariance", True, 12, 0.0, None, "")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, ReportData]:
    """Return the case of a judged market on a local lake, as the report asks it, and its report."""
    events, market = calibration.draw_edge(2.0, 6, 5)
    bench = Bench(local_lakehouse(tmp_path_factory.mktemp("lake")), ObjectStore(FakeS3Client(), "bucket"), market, POLICY, "c0ffee")
    case = Case(bench, events.symbol, "direction")
    days = [[events.symbol, day, 24, 24] for day in events.dates]
    manifest = {"symbols": [events.symbol], "is_synthetic": True, "label_set": "labels_x", "completeness": days}
    vars(case).update(dataset=Dataset(manifest), events=events)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judgement, "N_TRIALS", 2)
        judgement.keep_candidate(case, judgement.make_candidate(case, lambda trial: None), "7", "r1", ISSUED_AT)
    validation = judgement.validate(case)
    judgement.learn(case)
    judgement.test(case, ISSUED_AT)
    windows = run_walk_forward(case, lambda row: None)
    decision = judgement.decide(case, validation, windows, 1.0, 0, 0)
    return case, report_data(case, decision, validation, windows, ISSUED_AT, [CLEARED])


def test_report_data_explains_test_events_and_compares_them_with_the_search_s(made: tuple[Case, ReportData]) -> None:
    case, data = made
    ahead, seen = case.events.on_dates(case.split.test), case.events.on_dates(case.split.search)
    assert data.attribution is not None
    assert data.drift is not None
    assert data.attribution.events == len(ahead)
    assert (data.drift.reference_events, data.drift.new_events) == (len(seen), len(ahead))


def test_report_data_card_states_the_record(made: tuple[Case, ReportData]) -> None:
    case, data = made
    assert data.card is not None
    text = card_to_markdown(data.card)
    assert "labels_x: what a long and a short" in text
    assert f"| seed | {judgement.SEED} |" in text
    assert f"Dataset {case.dataset.id}, code c0ffee" in text
    assert "| validation | 2024-01-11 |" in text
    assert "| spread_bps | bps of mid | (ask - bid) / mid * 1e4 |" in text


def test_report_data_identities_and_reasons_are_the_case_s(made: tuple[Case, ReportData]) -> None:
    case, data = made
    assert {name: value for name, value in data.identities.items() if name != "verdict"} == {
        "model sha-256": case.record["model_sha256"],
        "dataset": case.dataset.id,
        "code": "c0ffee",
        "MLflow run": "r1",
    }
    assert data.gate_reasons["trades"].startswith("Below about 200 trades")


def test_report_of_a_case_has_every_section(made: tuple[Case, ReportData]) -> None:
    page = render_report(made[1])
    titles = ("Gates", "How often this gate is wrong", "Equity", "Walk-forward", "Learning curve", "Stress", "What the model looks at")
    titles += ("The test dates in one account", "Leak firewall", "Model card", "Where it comes from")
    places = [page.find(title) for title in titles]
    assert min(places) > 0, dict(zip(titles, places, strict=True))
    assert "1 of 1 cleared" in page
