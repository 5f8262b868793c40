"""The statistics as a whole: a real edge passes, a weak and an absent one do not."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files

import numpy as np
import pytest

from tick_assets.domain import evaluation, gates, splits, training, walk_forward
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.signals import Strategy

Build = Callable[[float, int, int], TrainingSet]
POLICY = gates.parse_policy((files("tick_assets") / "policy.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Outcome:
    result: training.SearchResult
    validation: evaluation.ValidationFigures
    test: evaluation.TestResult
    windows: tuple[walk_forward.WindowRow, ...]
    verdict: gates.GateVerdict


def _road(events: TrainingSet, market: Market) -> Outcome:
    split, strategy = splits.split_dates(events.dates), Strategy()
    seen, ahead = events.on_dates(split.search), events.on_dates(split.test)
    result = training.search(seen, strategy, market, n_trials=20, seed=1)
    chosen = result.best.configuration
    model = training.fit_final(seen, chosen.booster, ahead)
    validation = evaluation.evaluate_validation(result)
    test = evaluation.evaluate_test(ahead, model, replace(strategy, threshold=chosen.threshold), market, POLICY.scenarios)
    windows = walk_forward.walk_forward(events, chosen, strategy, market, POLICY.walk_forward_train_days)
    figures = evaluation.gate_figures(validation, result, test, windows, 1.0, 0, 0, 1)
    return Outcome(result, validation, test, windows, gates.evaluate(POLICY, figures))


@pytest.fixture(scope="module")
def strong(build_events: Build, syn_market: Market) -> Outcome:
    return _road(build_events(2.0, 11, 10), syn_market)


@pytest.fixture(scope="module")
def weak(build_events: Build, syn_market: Market) -> Outcome:
    return _road(build_events(0.8, 11, 10), syn_market)


def test_strong_edge_passes(strong: Outcome) -> None:
    assert strong.verdict.passed, strong.verdict.answer


def test_weak_edge_trades_and_is_rejected(weak: Outcome) -> None:
    assert weak.test.figures.n_trades > 100
    assert not weak.verdict.passed


def test_absent_edge_is_rejected(build_events: Build, syn_market: Market) -> None:
    assert not _road(build_events(0.0, 11, 10), syn_market).verdict.passed


def test_dearer_fills_only_make_it_worse(strong: Outcome) -> None:
    plain = strong.test.stress[0].net_pnl
    assert plain == pytest.approx(strong.test.figures.net_pnl)
    assert all(row.net_pnl < plain for row in strong.test.stress if row.spread_multiple > 1 or row.extra_slippage_points)
    assert [row.name for row in strong.test.stress] == [scenario.name for scenario in POLICY.scenarios]


def test_break_even_lies_between_profit_and_loss_of_the_stress_table(strong: Outcome) -> None:
    by_spread = {
        row.spread_multiple: row.net_pnl for row in strong.test.stress if row.latency_multiple == 1 and not row.extra_slippage_points
    }
    for multiple, net_pnl in by_spread.items():
        assert (net_pnl > 0) is (multiple < strong.test.figures.break_even_spread)


def test_validation_counts_the_whole_ledger(strong: Outcome) -> None:
    ledger = {evaluation.ledger_hash(trial.configuration, "d", "c") for trial in strong.result.trials} | {f"old{i}" for i in range(80)}
    figures = evaluation.evaluate_validation(strong.result, ledger)
    assert figures.n_configurations == 100
    assert figures.dsr <= strong.validation.dsr


def test_ledger_hash_depends_on_configuration_dataset_and_commit(strong: Outcome) -> None:
    configuration = strong.result.best.configuration
    hashes = {evaluation.ledger_hash(configuration, dataset, commit) for dataset in "ab" for commit in "xy"}
    assert len(hashes) == 4


def test_walk_forward_windows_trade_every_later_date_once(strong: Outcome, build_events: Build) -> None:
    dates = build_events(2.0, 11, 10).dates
    assert [row.test_date for row in strong.windows] == list(dates[5:])
    assert all(row.train_to < row.test_date for row in strong.windows)
    assert "hourly_pnl" not in strong.windows[0].to_row()


def test_calibration_covers_every_labelled_event(strong: Outcome) -> None:
    rows = strong.test.calibration
    assert len(rows) == evaluation.CALIBRATION_BINS
    assert [row.predicted for row in rows] == sorted(row.predicted for row in rows)
    assert rows[-1].observed > rows[0].observed


def test_drawdown_share_without_profit_refuses() -> None:
    assert evaluation.drawdown_share(np.array([-1.0]), np.array([0.5])) == evaluation.NO_PROFIT_DRAWDOWN_SHARE


def test_drawdown_share_of_both_series() -> None:
    assert evaluation.drawdown_share(np.array([4.0, -1.0]), np.array([-1.0, 2.0])) == pytest.approx(2.0 / 4.0)


def test_walk_forward_share_without_windows_is_not_fed() -> None:
    assert walk_forward.walk_forward_share([]) is None


def test_figures_are_finite_or_none(strong: Outcome) -> None:
    for value in vars(strong.validation).values():
        assert value is None or isinstance(value, str) or math.isfinite(value)
