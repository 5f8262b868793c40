"""A search that is killed and started again ends as one that was not."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tick_assets.domain import training, trial_logs
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.signals import Strategy

Build = Callable[[float, int, int], TrainingSet]
KILLED_AT = 7


class Killed(RuntimeError):
    """Stands for the end of the process."""


class CountingLog(trial_logs.MemoryTrialLog):
    """A log that counts what was computed anew."""

    appended = 0

    def append(self, trial: training.Trial) -> None:
        self.appended += 1
        super().append(trial)


def search(events: TrainingSet, market: Market, **more: object) -> training.SearchResult:
    """Search with failures (a negative lambda) and pruned trials (a threshold that nothing reaches) among the choices."""
    space = training.SearchSpace((2, 3), (0.06,), (20, 40), (20.0,), (1.0, 10.0, -1.0), (0.52, 0.55, 0.97))
    return training.search(events, Strategy(), market, n_trials=12, seed=5, space=space, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(build_events: Build, syn_market: Market) -> training.SearchResult:
    return search(build_events(2.0, 0, 3), syn_market)


def kill(trial: training.Trial) -> None:
    if trial.number == KILLED_AT:
        raise Killed


def test_search_killed_after_a_trial_goes_on_and_ends_bit_equal(
    whole: training.SearchResult, build_events: Build, syn_market: Market
) -> None:
    events, log = build_events(2.0, 0, 3), CountingLog()
    with pytest.raises(Killed):
        search(events, syn_market, log=log, on_trial=kill)
    assert log.appended == KILLED_AT + 1
    told: list[training.Trial] = []
    resumed = search(events, syn_market, log=log, on_trial=told.append)
    assert log.appended == len(whole.trials)
    assert [trial.number for trial in told] == list(range(len(whole.trials)))
    for one, other in zip(whole.trials, resumed.trials, strict=True):
        assert trial_logs.encode_trial(one) == trial_logs.encode_trial(other)
    assert resumed.best.number == whole.best.number
    assert resumed.out_of_fold.tobytes() == whole.out_of_fold.tobytes()
    assert resumed.trades.net_pnl_account.tobytes() == whole.trades.net_pnl_account.tobytes()
    models = [training.fit_final(events, result.best.configuration.booster) for result in (whole, resumed)]
    assert models[0] == models[1]


def test_search_counts_failed_and_pruned_trials_with_zero_series(whole: training.SearchResult) -> None:
    states = {trial.state for trial in whole.trials}
    assert states == {training.COMPLETE, training.FAILED, training.PRUNED}
    idle = [trial for trial in whole.trials if trial.state != training.COMPLETE]
    assert all(not trial.hourly_pnl.any() and trial.n_trades == 0 and trial.sharpe == 0.0 for trial in idle)
    assert all(trial.configuration.threshold == 0.97 for trial in idle if trial.state == training.PRUNED)
    assert whole.profit_series.shape[1] == len(whole.trials) == 12


def test_search_never_prunes_before_a_trial_completed(build_events: Build, syn_market: Market) -> None:
    space = training.SearchSpace((2,), (0.06,), (20,), (20.0,), (1.0,), (0.97, 0.98))
    result = training.search(build_events(2.0, 0, 3), Strategy(), syn_market, n_trials=2, space=space)
    assert [trial.state for trial in result.trials] == [training.COMPLETE, training.PRUNED]
    assert result.best.n_trades == len(result.trades) == 0


def test_search_ignores_a_known_trial_of_another_number(whole: training.SearchResult, build_events: Build, syn_market: Market) -> None:
    log = CountingLog()
    log.append(replace(whole.trials[0], number=3, sharpe=99.0))
    again = search(build_events(2.0, 0, 3), syn_market, log=log)
    assert [trial.sharpe for trial in again.trials] == [trial.sharpe for trial in whole.trials]


def test_trial_survives_its_encoding_in_every_bit() -> None:
    series = np.array([0.1 + 0.2, -0.0, 1e-310, -7.25])
    configuration = training.Configuration(training.BoosterParams(eta=0.1), 0.55)
    trial = training.Trial(4, configuration, training.FAILED, 0, 1 / 3, math.nan, -2e-17, series, "why")
    found = trial_logs.decode_trial(trial_logs.encode_trial(trial))
    assert found.hourly_pnl.tobytes() == series.tobytes()
    assert math.isnan(found.log_loss)
    assert (found.configuration, found.sharpe, found.net_pnl, found.error) == (configuration, 1 / 3, -2e-17, "why")


@pytest.mark.parametrize(
    "change",
    [
        {"dataset_id": "e" * 64},
        {"code": "other"},
        {"seed": 2},
        {"space": training.SearchSpace(threshold=(0.5,))},
        {"strategy": Strategy("x")},
    ],
)
def test_search_key_changes_with_whatever_changes_a_trial(syn_market: Market, change: dict[str, object]) -> None:
    base: dict[str, object] = {"strategy": Strategy(), "market": syn_market, "dataset_id": "d" * 64, "code": "commit", "seed": 1}
    key = trial_logs.search_key("SYN", **base)  # type: ignore[arg-type]
    assert key == trial_logs.search_key("SYN", **base)  # type: ignore[arg-type]
    assert key != trial_logs.search_key("SYN", **(base | change))  # type: ignore[arg-type]


def test_search_key_changes_with_the_costs_of_the_symbol(syn_market: Market) -> None:
    dearer = replace(syn_market, instruments={"SYN": replace(syn_market.instrument("SYN"), commission_per_lot_side=4.0)})
    keys = {trial_logs.search_key("SYN", Strategy(), market, "d" * 64, "commit", 1) for market in (syn_market, dearer)}
    assert len(keys) == 2
