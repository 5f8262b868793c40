"""What a model learned: curves fall where there is an edge, probabilities agree with shares, test dates stay unseen."""

import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.domain.pages import Page, drawings
from tick_assets.domain import evaluation, learning, report_learning, splits, training
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.passports import canonical_json, finite
from tick_assets.domain.signals import Strategy

Build = Callable[[float, int, int], TrainingSet]
SPLIT = splits.DateSplit(("2024-01-08", "2024-01-09", "2024-01-10"), ("2024-01-11",), ("2024-01-12",))


@pytest.fixture(scope="module")
def seen(build_events: Build) -> TrainingSet:
    """An edge of strength 2 on train and validation dates."""
    return build_events(2.0, 7, 5).on_dates(SPLIT.search)


@pytest.fixture(scope="module")
def result(seen: TrainingSet, syn_market: Market) -> training.SearchResult:
    return training.search(seen, Strategy(), syn_market, n_trials=4, seed=1)


@pytest.fixture(scope="module")
def figures(result: training.SearchResult, seen: TrainingSet, syn_market: Market) -> learning.LearningFigures:
    return learning.evaluate_learning(result, seen, SPLIT, Strategy(), syn_market)


def test_curve_of_an_edge_falls_on_train_and_validation(figures: learning.LearningFigures, result: training.SearchResult) -> None:
    curve = figures.curve
    assert len(curve.train) == len(curve.validation) == result.best.configuration.booster.rounds
    assert all(after <= before for before, after in zip(curve.train, curve.train[1:], strict=False))
    assert curve.validation[-1] < curve.validation[0] < math.log(2.0)
    assert curve.validation[curve.best_round - 1] == min(curve.validation) if curve.best_round else False


def test_curve_ends_at_the_loss_of_a_model_fitted_on_train_dates_alone(seen: TrainingSet, figures: learning.LearningFigures) -> None:
    chosen = training.BoosterParams(max_depth=2, eta=0.1, rounds=10)
    curve = learning.learning_curve(seen, SPLIT, training.Configuration(chosen, 0.55))
    train, ahead = seen.on_dates(SPLIT.train), seen.on_dates(SPLIT.validation)
    model = training.fit_final(train, chosen, ahead)
    assert curve.validation[-1] == pytest.approx(
        training.log_loss(training.predict(model, ahead.features), ahead.target, ahead.is_labelled), rel=1e-5
    )


def test_curve_does_not_learn_from_validation(seen: TrainingSet) -> None:
    configuration = training.Configuration(training.BoosterParams(rounds=5), 0.55)
    rows = seen.rows_of(SPLIT.validation)
    turned = replace(
        seen,
        long_net_bps=np.where(rows, seen.short_net_bps, seen.long_net_bps),
        short_net_bps=np.where(rows, seen.long_net_bps, seen.short_net_bps),
    )
    one, other = (learning.learning_curve(events, SPLIT, configuration) for events in (seen, turned))
    assert one.train == other.train
    assert one.validation[-1] < math.log(2.0) < other.validation[-1]


def test_curve_without_validation_dates_has_no_best_round(seen: TrainingSet) -> None:
    alone = splits.DateSplit(SPLIT.search, (), SPLIT.test)
    curve = learning.learning_curve(seen, alone, training.Configuration(training.BoosterParams(rounds=3), 0.55))
    assert (len(curve.train), curve.validation, curve.best_round) == (3, (), None)


def test_samples_trade_their_own_dates_and_validation_is_no_better_than_train(figures: learning.LearningFigures) -> None:
    train, validation = figures.samples
    assert [(each.sample, each.dates) for each in figures.samples] == [("train", 3), ("validation", 1)]
    assert train.n_trades > validation.n_trades > 50
    assert train.log_loss < validation.log_loss < math.log(2.0)


def test_reliability_of_known_probabilities_is_as_computed_by_hand(seen: TrainingSet) -> None:
    rows = np.flatnonzero(seen.is_labelled)[:8]
    few = replace(
        seen,
        long_net_bps=np.full(len(seen), np.nan),
        short_net_bps=np.zeros(len(seen)),
    )
    few.long_net_bps[rows] = [-1, -1, -1, 1, 1, 1, 1, -1]
    probability = np.full(len(seen), np.nan, np.float32)
    probability[rows] = [0.25, 0.25, 0.25, 0.25, 0.75, 0.75, 0.75, 0.75]
    found = learning.reliability(few, probability, bins=2)
    assert (found.brier, found.expected_calibration_error, found.events) == (0.1875, 0.0, 8)
    probability[rows[4:]] = 1.0
    assert learning.reliability(few, probability, bins=2).expected_calibration_error == pytest.approx(0.125)
    assert learning.reliability(few, probability, bins=2).brier == pytest.approx((3 * 0.0625 + 0.5625 + 1.0) / 8)


def test_reliability_agrees_with_scikit_learn(seen: TrainingSet, result: training.SearchResult) -> None:
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import brier_score_loss

    rows = seen.is_labelled
    target, probability = seen.target[rows], result.out_of_fold[rows].astype(np.float64)
    found = learning.reliability(seen, result.out_of_fold)
    assert found.brier == pytest.approx(brier_score_loss(target, probability), rel=1e-9)
    observed, predicted = calibration_curve(target, probability, n_bins=10, strategy="quantile")
    np.testing.assert_allclose([row.predicted for row in found.bins], predicted, atol=2e-3)
    np.testing.assert_allclose([row.observed for row in found.bins], observed, atol=2e-2)


def test_abstain_band_of_an_edge_earns_outside_and_not_inside(figures: learning.LearningFigures) -> None:
    band = figures.abstain
    assert 0.0 < band.abstained_share < 1.0
    assert band.net_bps_outside is not None
    assert band.net_bps_inside is not None
    assert band.net_bps_outside > 0.0 > band.net_bps_inside
    assert band.low == pytest.approx(1.0 - band.high)


def test_abstain_band_of_known_probabilities_is_as_computed_by_hand(seen: TrainingSet) -> None:
    rows = np.flatnonzero(seen.is_labelled)[:4]
    known = replace(seen, long_net_bps=seen.long_net_bps.copy(), short_net_bps=seen.short_net_bps.copy())
    known.long_net_bps[rows], known.short_net_bps[rows] = [3.0, 1.0, -5.0, -7.0], [-4.0, -2.0, 2.0, 4.0]
    probability = np.full(len(seen), np.nan, np.float32)
    probability[rows] = [0.60, 0.52, 0.48, 0.30]
    band = learning.abstain_band(known, probability, 0.55)
    assert (band.events, band.abstained_share, band.net_bps_inside, band.net_bps_outside) == (4, 0.5, 1.5, 3.5)
    assert learning.abstain_band(known, probability, 0.30 + 0.69).net_bps_outside is None


def test_figures_stand_on_validation_dates_and_never_on_test(
    build_events: Build, result: training.SearchResult, seen: TrainingSet, syn_market: Market, figures: learning.LearningFigures
) -> None:
    assert figures.reliability.events == figures.abstain.events == int((seen.is_labelled & seen.rows_of(SPLIT.validation)).sum())
    with pytest.raises(ValueError, match="Expected dates of the training set"):
        learning.evaluate_learning(result, seen, replace(SPLIT, validation=SPLIT.test), Strategy(), syn_market)


def test_figures_come_back_from_json(figures: learning.LearningFigures) -> None:
    assert learning.LearningFigures.from_dict(json.loads(canonical_json(finite(figures.to_dict())))) == figures


def test_section_says_every_figure_and_is_well_nested(
    build_events: Build, figures: learning.LearningFigures, result: training.SearchResult, seen: TrainingSet, syn_market: Market
) -> None:
    ahead = build_events(2.0, 7, 5).on_dates(SPLIT.test)
    model = training.fit_final(seen, result.best.configuration.booster, ahead)
    test = evaluation.evaluate_test(ahead, model, replace(Strategy(), threshold=result.best.configuration.threshold), syn_market)
    html = report_learning.learning_section(figures, test, 1, learning.reliability(ahead, test.probability), "USD")
    page = Page(f"<main>{html}</main>")
    text = " ".join(page.text)
    assert page.open == []
    assert len(drawings(html)) == 2
    assert all(word in text for word in ("train (3)", "validation (1)", "test (1)", f"{test.figures.n_trades:,}", "No view between"))
    assert f"{figures.abstain.abstained_share:.1%}" in text


def test_section_of_a_model_without_validation_dates_and_trades_is_well_nested(
    figures: learning.LearningFigures, build_events: Build, syn_market: Market
) -> None:
    ahead = build_events(2.0, 7, 5).on_dates(SPLIT.test)
    model = training.fit_final(ahead, training.BoosterParams(rounds=2, eta=0.01))
    silent = evaluation.evaluate_test(ahead, model, Strategy(threshold=0.99), syn_market)
    nothing = learning.Reliability(math.nan, math.nan, 0, ())
    bare = replace(
        figures,
        curve=replace(figures.curve, validation=()),
        samples=figures.samples[:1],
        reliability=nothing,
        abstain=learning.AbstainBand(0.4, 0.6, 0, math.nan, None, None),
    )
    page = Page(f"<main>{report_learning.learning_section(bare, silent, 1, nothing, 'USD')}</main>")
    assert page.open == []
    assert "There are no validation dates." in " ".join(page.text)
    assert "nan" not in " ".join(page.text)
