"""The page: the answer comes first, everything is escaped, nothing is fetched."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files

import pytest

from tests.unit.domain.pages import Page
from tests.unit.domain.report_values import small_report
from tick_assets.domain import calibration, evaluation, gates, report, splits, training, walk_forward
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.kernel import FEATURE_NAMES
from tick_assets.domain.report_data import GateErrors
from tick_assets.domain.signals import Strategy

Build = Callable[[float, int, int], TrainingSet]
POLICY = gates.parse_policy((files("tick_assets") / "policy.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def data(build_events: Build, syn_market: Market) -> report.ReportData:
    events, strategy = build_events(2.0, 5, 4), Strategy()
    split = splits.split_dates(events.dates)
    seen, ahead = events.on_dates(split.search), events.on_dates(split.test)
    result = training.search(seen, strategy, syn_market, n_trials=3)
    chosen = result.best.configuration
    model = training.fit_final(seen, chosen.booster, ahead)
    validation = evaluation.evaluate_validation(result)
    test = evaluation.evaluate_test(ahead, model, replace(strategy, threshold=chosen.threshold), syn_market, POLICY.scenarios)
    windows = walk_forward.walk_forward(events, chosen, strategy, syn_market, 2)
    verdict = gates.evaluate(POLICY, evaluation.gate_figures(validation, result, test, windows, None, 0, 0), "SYN.direction@<1>")
    return report.ReportData(
        model_id="SYN.direction@<1>",
        verdict=verdict,
        result=result,
        validation=validation,
        test=test,
        windows=windows,
        dates=events.dates,
        account_currency="USD",
        lots=strategy.max_position,
        is_synthetic=True,
        issued_at=datetime(2024, 1, 20, 12, tzinfo=UTC),
        identities={"dataset id": "ab" * 32},
        gate_reasons={rule.name: rule.reason for rule in POLICY.gates},
        sources=("synthetic-base",),
    )


def test_report_is_well_nested_and_begins_with_the_answer(data: report.ReportData) -> None:
    parsed = Page(report.render_report(data))
    assert parsed.open == []
    assert parsed.text[0] == data.verdict.answer
    assert parsed.text[0].startswith("REJECTED by completeness")


def test_report_names_every_gate_and_its_result(data: report.ReportData) -> None:
    text = " ".join(Page(report.render_report(data)).text)
    assert all(rule.name in text and rule.label in text for rule in POLICY.gates)
    assert "no figure" in text


def test_report_needs_no_network_and_is_small(data: report.ReportData) -> None:
    page = report.render_report(data)
    assert "<script" not in page
    assert "src=" not in page
    assert page.count("http") == page.count('xmlns="http://www.w3.org/2000/svg"')
    assert len(page) < 200_000


def test_report_says_that_the_market_is_synthetic(data: report.ReportData) -> None:
    assert "The market is synthetic" in report.render_report(data)
    assert "The market is synthetic" not in report.render_report(replace(data, is_synthetic=False))


def test_report_of_a_model_that_never_traded(data: report.ReportData, build_events: Build, syn_market: Market) -> None:
    events = build_events(2.0, 5, 4)
    ahead = events.on_dates(events.dates[-1:])
    model = training.fit_final(events, training.BoosterParams(rounds=2, eta=0.01))
    silent = evaluation.evaluate_test(ahead, model, Strategy(threshold=0.99), syn_market, POLICY.scenarios)
    assert silent.figures.n_trades == 0
    assert Page(report.render_report(replace(data, test=silent, windows=()))).open == []


def test_report_shows_attribution_drift_and_card() -> None:
    page = Page(report.render_report(small_report()))
    assert page.open == []
    headings = [page.text.index(name) for name in ("What the model looks at", "Drift: test against training", "Model card")]
    assert headings == sorted(headings)
    text = " ".join(page.text)
    assert "Bias and contributions sum to each event's log-odds" in text
    assert "Not your broker's spreads" in text
    assert all(text.count(name) >= 3 for name in FEATURE_NAMES)


def test_report_with_everything_loads_nothing_and_is_small() -> None:
    page = report.render_report(small_report())
    parsed = Page(page)
    assert not [name for _, name, _ in parsed.attributes if name in ("src", "href", "srcset", "data")]
    assert "url(" not in page
    assert "@import" not in page
    assert page.count("http") == page.count('xmlns="http://www.w3.org/2000/svg"')
    assert len(page) < 200_000


def test_report_states_the_quotes_once() -> None:
    assert " ".join(Page(report.render_report(small_report())).text).count("Quotes are indicative") == 1
    assert "Quotes are indicative" in report.render_report(replace(small_report(), card=None))


def test_report_says_how_often_the_gate_is_wrong(data: report.ReportData) -> None:
    errors = GateErrors([calibration.count_passes("break_even", None, [False] * 200)], "2024-02-01", True)
    page = report.render_report(replace(data, gate_errors=errors))
    assert page.index("<h2>Gates</h2>") < page.index("How often this gate is wrong") < page.index("<h2>Equity</h2>")
    assert "How often this gate is wrong" not in report.render_report(data)


def test_report_says_when_contributions_do_not_add_up() -> None:
    made = small_report()
    assert made.attribution is not None
    broken = replace(made, attribution=replace(made.attribution, additivity_error=1e-3))
    assert "DO NOT sum to" in report.render_report(broken)
