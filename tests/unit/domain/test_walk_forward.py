"""Windows: what each may learn from, what a second start computes, and how fading is measured."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tick_assets.domain import splits, training, walk_forward
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.signals import Strategy
from tick_assets.domain.training import BoosterParams, Configuration

Build = Callable[[float, int, int], TrainingSet]
CHOSEN = Configuration(BoosterParams(rounds=12), 0.54)
OTHER = Configuration(BoosterParams(rounds=6), 0.99)
KINDS = (walk_forward.ROLLING, walk_forward.ANCHORED, walk_forward.RESELECTED)


def _walk(events: TrainingSet, market: Market, **more: object) -> tuple[walk_forward.WindowRow, ...]:
    wanted = {"kinds": KINDS, "candidates": (OTHER, CHOSEN), "searched": events.dates[:4], "ages": 3} | more
    return walk_forward.walk_forward(events, CHOSEN, Strategy(), market, 3, **wanted)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def events(build_events: Build) -> TrainingSet:
    return build_events(2.0, 5, 6)


@pytest.fixture(scope="module")
def windows(events: TrainingSet, syn_market: Market) -> tuple[walk_forward.WindowRow, ...]:
    return _walk(events, syn_market)


def test_walk_forward_kinds_trade_the_same_dates(windows: tuple[walk_forward.WindowRow, ...], events: TrainingSet) -> None:
    for kind in KINDS:
        assert [row.test_date for row in walk_forward.of_kind(windows, kind)] == list(events.dates[3:])


def test_walk_forward_rolling_window_drops_its_oldest_date_and_anchored_keeps_it(
    windows: tuple[walk_forward.WindowRow, ...], events: TrainingSet
) -> None:
    last = {row.kind: (row.train_from, row.train_to) for row in windows}
    assert last["rolling"] == last["reselected"] == (events.dates[2], events.dates[4])
    assert last["anchored"] == (events.dates[0], events.dates[4])


def test_walk_forward_first_window_of_both_kinds_is_the_same_model(windows: tuple[walk_forward.WindowRow, ...]) -> None:
    first = {row.kind: row.model_sha256 for row in windows if row.window == 0}
    second = {row.kind: row.model_sha256 for row in windows if row.window == 1}
    assert first["rolling"] == first["anchored"]
    assert second["rolling"] != second["anchored"]


def test_walk_forward_window_is_the_fit_that_is_deployed(
    windows: tuple[walk_forward.WindowRow, ...], events: TrainingSet, syn_market: Market
) -> None:
    import hashlib

    model = training.fit_final(events.on_dates(events.dates[:3]), CHOSEN.booster, events.on_dates(events.dates[3:4]))
    assert windows[0].model_sha256 == hashlib.sha256(model).hexdigest()


def test_walk_forward_future_changes_no_earlier_window(
    windows: tuple[walk_forward.WindowRow, ...], events: TrainingSet, syn_market: Market
) -> None:
    late = events.date_index >= 5
    spoiled = replace(events, features=np.where(late[:, None], 1e9, events.features), long_net_bps=np.where(late, 1e6, events.long_net_bps))
    again = _walk(spoiled, syn_market, ages=1)
    before = [(row.kind, row.model_sha256, row.net_pnl) for row in windows if row.test_date < events.dates[5]]
    assert [(row.kind, row.model_sha256, row.net_pnl) for row in again if row.test_date < events.dates[5]] == before


def test_walk_forward_label_that_reaches_into_the_test_date_is_not_learned_from(events: TrainingSet, syn_market: Market) -> None:
    few = events.on_dates(events.dates[:4])
    test_starts = few.ts_event_us[few.date_index == 3][0]
    last = np.flatnonzero((few.date_index == 2) & few.is_labelled)[-40:]
    reaching = few.ts_label_end_us.copy()
    reaching[last] = test_starts
    unlabelled = few.long_net_bps.copy()
    unlabelled[last] = np.nan
    purged = _walk(replace(few, ts_label_end_us=reaching), syn_market, kinds=("rolling",))[0]
    without = _walk(replace(few, long_net_bps=unlabelled), syn_market, kinds=("rolling",))[0]
    whole = _walk(few, syn_market, kinds=("rolling",))[0]
    assert purged.model_sha256 == without.model_sha256 != whole.model_sha256


def test_walk_forward_configuration_is_frozen_except_in_reselected_windows(windows: tuple[walk_forward.WindowRow, ...]) -> None:
    assert {row.config_sha256 for row in windows if row.kind != "reselected"} == {CHOSEN.hash}
    assert {row.config_sha256 for row in windows if row.kind == "reselected"} <= {CHOSEN.hash, OTHER.hash}


def test_walk_forward_windows_say_which_dates_the_search_saw(windows: tuple[walk_forward.WindowRow, ...]) -> None:
    assert [row.is_searched for row in walk_forward.of_kind(windows, "rolling")] == [True, False, False]
    assert [row.is_searched for row in walk_forward.of_kind(windows, "reselected")] == [False, False, False]


def test_choose_configuration_does_not_take_one_that_never_trades(events: TrainingSet, syn_market: Market) -> None:
    train = events.on_dates(events.dates[:3])
    assert walk_forward.choose_configuration(train, (OTHER, CHOSEN), Strategy(), syn_market) == CHOSEN


def test_choose_configuration_of_boosters_that_differ_in_rounds_equals_separate_fits(events: TrainingSet, syn_market: Market) -> None:
    train = events.on_dates(events.dates[:2])
    labelled = np.flatnonzero(train.is_labelled)
    folds = [
        splits.Fold(labelled[f.train], labelled[f.test], 0)
        for f in splits.purged_folds(train.ts_event_us[labelled], train.ts_label_end_us[labelled], 2)
    ]
    short, long = BoosterParams(rounds=3), BoosterParams(rounds=9)
    together = walk_forward._out_of_fold(train, folds, [short, long], 1)
    alone = walk_forward._out_of_fold(train, folds, [short], 1)
    np.testing.assert_array_equal(together[short], alone[short])
    assert not np.array_equal(together[short], together[long], equal_nan=True)


class Killed(RuntimeError):
    """The process ends here."""


def test_walk_forward_second_start_computes_only_what_is_missing_and_returns_the_same(
    windows: tuple[walk_forward.WindowRow, ...], events: TrainingSet, syn_market: Market
) -> None:
    kept: list[walk_forward.WindowRow] = []

    def keep_four(row: walk_forward.WindowRow) -> None:
        kept.append(row)
        if len(kept) == 4:
            raise Killed

    with pytest.raises(Killed):
        _walk(events, syn_market, on_window=keep_four)
    done = {(row.kind, row.window): walk_forward.window_of(row.to_document()) for row in kept}
    later: list[walk_forward.WindowRow] = []
    resumed = _walk(events, syn_market, done=done, on_window=later.append)
    assert len(later) == len(windows) - 4
    assert [row.to_document() for row in resumed] == [row.to_document() for row in windows]


def test_window_of_older_document_is_a_rolling_window_on_dates_that_the_search_saw() -> None:
    old = {"window": 0, "train_from": "a", "train_to": "b", "test_date": "c", "n_trades": 0, "net_pnl": 0.0, "sharpe": 0.0}
    row = walk_forward.window_of(old | {"log_loss": None, "is_profitable": False, "model_sha256": "", "hourly_pnl": [0.0, 1.5]})
    assert (row.kind, row.is_searched, row.ages) == ("rolling", True, ())
    assert np.isnan(row.log_loss)
    assert row.hourly_pnl.tolist() == [0.0, 1.5]


def test_walk_forward_ages_begin_with_the_windows_own_figures(windows: tuple[walk_forward.WindowRow, ...], events: TrainingSet) -> None:
    assert [len(row.ages) for row in walk_forward.of_kind(windows, "rolling")] == [3, 2, 1]
    for row in windows:
        assert [each.age for each in row.ages] == list(range(1, len(row.ages) + 1))
        assert (row.ages[0].test_date, row.ages[0].net_pnl, row.ages[0].sharpe) == (row.test_date, row.net_pnl, row.sharpe)


def test_walk_forward_share_counts_rolling_windows_only(windows: tuple[walk_forward.WindowRow, ...]) -> None:
    lost = tuple(replace(row, is_profitable=row.kind != "rolling" or row.window == 0) for row in windows)
    assert walk_forward.walk_forward_share(lost) == pytest.approx(1 / 3)


def test_summarize_counts_each_kind_and_the_windows_not_seen(windows: tuple[walk_forward.WindowRow, ...]) -> None:
    forced = tuple(replace(row, is_profitable=row.window == 1, net_pnl=float(row.window)) for row in windows)
    found = {each.kind: each for each in walk_forward.summarize(forced)}
    assert (found["rolling"].winning, found["rolling"].windows, found["rolling"].net_pnl) == (1, 3, 3.0)
    assert (found["rolling"].unseen_winning, found["rolling"].unseen_windows) == (1, 2)
    assert found["reselected"].unseen_windows == 3
    assert found["anchored"].share == pytest.approx(1 / 3)


def test_decay_of_a_falling_line_has_slope_rank_and_half_life() -> None:
    found = walk_forward.decay([1, 2, 3, 4], [0.8, 0.6, 0.4, 0.2])
    assert found is not None
    assert found.slope == pytest.approx(-0.2)
    assert found.rank_correlation == pytest.approx(-1.0)
    assert found.half_life == pytest.approx(2.0)


@pytest.mark.parametrize(("value", "slope"), [([0.1, 0.2, 0.3], 0.1), ([-0.1, -0.2, -0.3], -0.1), ([0.5, 0.5, 0.5], 0.0)])
def test_decay_without_a_height_to_lose_has_no_half_life(value: list[float], slope: float) -> None:
    found = walk_forward.decay([0, 1, 2], value)
    assert found is not None
    assert (found.slope, found.half_life) == (pytest.approx(slope), None)


@pytest.mark.parametrize("time", [[1.0, 2.0], [1.0, 1.0, 1.0]])
def test_decay_of_too_few_points_is_none(time: list[float]) -> None:
    assert walk_forward.decay(time, [0.1] * len(time)) is None


def _aged(window: int, sharpes: dict[int, float]) -> walk_forward.WindowRow:
    """Return a window whose model traded date `window + age` with the given ratio."""
    ages = tuple(walk_forward.AgeRow(age, str(window + age), 1, 0.0, sharpe) for age, sharpe in sharpes.items())
    return walk_forward.WindowRow(window, "", "", str(window + 1), 1, 0.0, 0.0, 0.0, False, "", np.zeros(0), ages=ages)


def test_age_decay_of_a_market_that_fades_is_none_of_the_models() -> None:
    fading = [_aged(window, {age: 5.0 - (window + age) for age in (1, 2, 3)}) for window in range(4)]
    found = walk_forward.age_decay(fading)
    assert found is not None
    assert found.slope == pytest.approx(0.0, abs=1e-12)


def test_age_decay_of_models_that_fade_is_their_slope_whatever_the_date() -> None:
    aging = [_aged(window, {age: 0.1 * (window + age) ** 2 - 0.3 * age for age in (1, 2, 3)}) for window in range(4)]
    found = walk_forward.age_decay(aging)
    assert found is not None
    assert found.slope == pytest.approx(-0.3)
    assert found.rank_correlation < -0.9


def test_age_decay_of_one_age_is_none() -> None:
    assert walk_forward.age_decay([_aged(window, {1: 0.5}) for window in range(4)]) is None


def _table(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    features = random.normal(size=(rows, 5))
    features[::17, 2] = np.nan
    features[:, 3] = np.round(features[:, 3])
    target = (features[:, 0] + random.normal(size=rows) > 0).astype(np.int8)
    return features, target, random.uniform(0.2, 1.0, rows)


def test_refit_windows_of_few_rows_are_plain_fits_to_the_byte() -> None:
    import xgboost as xgb

    features, target, weight = _table(900)
    train = np.arange(200, 800)
    model = walk_forward.refit_windows(features, target, weight, [(train, np.arange(800, 900))], BoosterParams(rounds=5))[0]
    plain = xgb.DMatrix(features[train], label=target[train], nthread=1)
    plain.set_weight(weight[train])
    assert model == bytes(training.train_booster(plain, BoosterParams(rounds=5)).save_raw("json"))


def test_refit_windows_give_the_same_models_with_any_number_of_threads_and_alone() -> None:
    features, target, weight = _table(900)
    windows = [(np.arange(i, i + 400), np.arange(i + 400, i + 500)) for i in (0, 200, 400)]
    one = walk_forward.refit_windows(features, target, weight, windows, BoosterParams(rounds=4), 1)
    assert walk_forward.refit_windows(features, target, weight, windows, BoosterParams(rounds=4), 3) == one
    assert walk_forward.refit_windows(features, target, weight, windows[1:2], BoosterParams(rounds=4)) == one[1:2]


def test_refit_windows_rows_in_pieces_are_the_rows_that_are_named() -> None:
    features, target, _ = _table(900)
    pieces = np.concatenate([np.arange(0, 300), np.arange(350, 600)])
    alone = walk_forward.refit_windows(
        features[pieces], target[pieces], None, [(np.arange(550), np.empty(0, np.int64))], BoosterParams(rounds=3)
    )
    assert walk_forward.refit_windows(features, target, None, [(pieces, np.arange(700, 900))], BoosterParams(rounds=3)) == alone


@pytest.mark.parametrize(("train", "message"), [(np.arange(50, 120), "no test row"), (np.empty(0, np.int64), "Expected train rows")])
def test_refit_windows_refuse_test_rows_and_nothing_to_learn_from(train: np.ndarray, message: str) -> None:
    features, target, _ = _table(200)
    with pytest.raises(ValueError, match=message):
        walk_forward.refit_windows(features, target, None, [(train, np.arange(100, 150))], BoosterParams(rounds=1))
