"""The search: repeatable, honest about duplicates and failures, blind to what it must not see."""

import json
from collections.abc import Callable

import numpy as np
import optuna
import pytest
import xgboost as xgb

from tick_assets.domain import training
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.signals import Strategy

Build = Callable[[float, int, int], TrainingSet]
SMALL = training.SearchSpace(max_depth=(2,), eta=(0.1,), rounds=(20,), min_child_weight=(20.0,), reg_lambda=(1.0,), threshold=(0.52, 0.55))


def test_search_is_repeatable_by_seed(build_events: Build, syn_market: Market) -> None:
    events = build_events(2.0, 0, 3)
    one, two = (training.search(events, Strategy(), syn_market, n_trials=4, seed=3) for _ in range(2))
    assert [trial.configuration for trial in one.trials] == [trial.configuration for trial in two.trials]
    assert [trial.sharpe for trial in one.trials] == [trial.sharpe for trial in two.trials]
    assert one.out_of_fold.tobytes() == two.out_of_fold.tobytes()


def test_search_counts_identical_configurations_once(build_events: Build, syn_market: Market) -> None:
    told: list[training.Trial] = []
    result = training.search(build_events(2.0, 0, 3), Strategy(), syn_market, n_trials=10, on_trial=told.append, space=SMALL)
    assert len(result.trials) == 2
    assert told == list(result.trials)


def test_search_prediction_with_fewer_rounds_equals_a_fresh_fit(build_events: Build, syn_market: Market) -> None:
    events = build_events(2.0, 0, 3)
    wide = training.SearchSpace((2,), (0.1,), (10, 30), (20.0,), (1.0,), (0.52,))
    both = training.search(events, Strategy(), syn_market, n_trials=2, space=wide)
    for trial in both.trials:
        alone = training.SearchSpace((2,), (0.1,), (trial.configuration.booster.rounds,), (20.0,), (1.0,), (0.52,))
        again = training.search(events, Strategy(), syn_market, n_trials=1, space=alone)
        assert again.best.sharpe == trial.sharpe


def test_search_draws_from_a_given_sampler(build_events: Build, syn_market: Market) -> None:
    events = build_events(2.0, 0, 3)
    default, same, other = (
        [trial.configuration for trial in training.search(events, Strategy(), syn_market, n_trials=3, seed=3, sampler=sampler).trials]
        for sampler in (None, optuna.samplers.RandomSampler(seed=3), optuna.samplers.TPESampler(seed=4))
    )
    assert default == same != other


def test_search_reports_a_failed_trial_and_goes_on(build_events: Build, syn_market: Market) -> None:
    space = training.SearchSpace((2,), (0.1,), (10,), (20.0,), (-1.0, 1.0), (0.52,))
    result = training.search(build_events(2.0, 0, 3), Strategy(), syn_market, n_trials=2, space=space)
    assert sorted(trial.state for trial in result.trials) == [training.COMPLETE, training.FAILED]
    assert result.best.state == training.COMPLETE


def test_search_without_a_completed_trial_is_an_error(build_events: Build, syn_market: Market) -> None:
    space = training.SearchSpace((2,), (0.1,), (10,), (20.0,), (-1.0,), (0.52,))
    with pytest.raises(RuntimeError, match="at least one trial"):
        training.search(build_events(2.0, 0, 3), Strategy(), syn_market, n_trials=1, space=space)


def test_search_leaves_no_label_overlap(build_events: Build, syn_market: Market) -> None:
    assert training.search(build_events(2.0, 0, 3), Strategy(), syn_market, n_trials=1).overlaps == 0


def test_search_hourly_profit_adds_up_to_the_net_profit(build_events: Build, syn_market: Market) -> None:
    result = training.search(build_events(2.0, 0, 3), Strategy(), syn_market, n_trials=2)
    for trial in result.trials:
        assert trial.hourly_pnl.sum() == pytest.approx(trial.net_pnl)
        assert len(trial.hourly_pnl) == 72


def test_search_on_shuffled_labels_predicts_nothing(build_events: Build, syn_market: Market) -> None:
    events = build_events(2.0, 0, 3)
    order = np.random.default_rng(0).permutation(len(events))
    shuffled = TrainingSet(
        **{name: getattr(events, name) for name in TrainingSet.__dataclass_fields__ if not name.endswith("_net_bps")},
        long_net_bps=events.long_net_bps[order],
        short_net_bps=events.short_net_bps[order],
    )
    honest = training.search(events, Strategy(), syn_market, n_trials=1, space=SMALL).best.log_loss
    chance = training.search(shuffled, Strategy(), syn_market, n_trials=1, space=SMALL).best.log_loss
    assert honest < 0.64
    assert chance > 0.685


def test_configuration_hash_depends_on_every_parameter() -> None:
    base = training.Configuration(training.BoosterParams(), 0.55)
    others = [training.Configuration(training.BoosterParams(rounds=61), 0.55), training.Configuration(training.BoosterParams(), 0.56)]
    assert len({base.hash, *(other.hash for other in others)}) == 3
    assert base.hash == training.Configuration(training.BoosterParams(), 0.55).hash


def test_fit_final_is_byte_identical_and_loads_as_json(build_events: Build) -> None:
    events = build_events(2.0, 0, 3)
    model = training.fit_final(events, training.BoosterParams(rounds=10))
    assert model == training.fit_final(events, training.BoosterParams(rounds=10))
    assert json.loads(model)["learner"]["feature_names"] == list(events.feature_names)


def test_fit_final_does_not_learn_from_labels_that_meet_what_it_will_trade(build_events: Build) -> None:
    events = build_events(2.0, 0, 3)
    train, ahead = events.on_dates(events.dates[:2]), events.on_dates(events.dates[1:2])
    assert training.fit_final(train, training.BoosterParams(rounds=5), ahead) != training.fit_final(train, training.BoosterParams(rounds=5))


def test_predict_equals_the_booster(build_events: Build) -> None:
    events = build_events(2.0, 0, 3)
    model = training.fit_final(events, training.BoosterParams(rounds=10))
    booster = training.load_booster(model)
    expected = booster.predict(xgb.DMatrix(events.features[:50], feature_names=list(events.feature_names)))
    np.testing.assert_array_equal(training.predict(model, events.features[:50]), expected)


def test_golden_rows_repeat_after_a_load(build_events: Build) -> None:
    events = build_events(2.0, 0, 3)
    model = training.fit_final(events, training.BoosterParams(rounds=10))
    rows = training.golden(model, events.features, rows=16)
    assert len(rows["rows"]) == 16
    np.testing.assert_allclose(training.predict(model, np.array(rows["rows"])), rows["probabilities"], atol=1e-6)


def test_feature_ranges_hold_every_row(build_events: Build) -> None:
    events = build_events(2.0, 0, 3)
    ranges = training.feature_ranges(events)
    assert list(ranges) == list(events.feature_names)
    assert all(low <= high for low, high in ranges.values())
