"""Hansen's test the right way round, and rivals that pay what the model pays."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tick_assets.domain import rivals, superiority, training
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.rivals import Rival
from tick_assets.domain.signals import Strategy

Build = Callable[[float, int, int], TrainingSet]


def _noise(seed: int, mean: float, hours: int = 240) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1.0, hours)


def test_superiority_p_of_a_model_that_earns_is_small_and_turned_round_large() -> None:
    flat, model = np.zeros(240), _noise(1, 0.4)
    assert superiority.superiority_p(flat, model, 0, 500) < 0.01
    assert superiority.superiority_p(model, flat, 0, 500) == 1.0


def test_superiority_p_of_a_hardly_earning_model_is_large() -> None:
    assert superiority.superiority_p(np.zeros(240), _noise(2, 0.02), 0, 500) > 0.2


def test_superiority_p_of_the_null_is_rarely_small() -> None:
    found = [superiority.superiority_p(np.zeros(120), _noise(seed, 0.0, 120), 0, 200) for seed in range(60)]
    assert sum(p <= 0.05 for p in found) <= 7  # 7 of 60 has a chance of 3 % at a true rate of 5 %


def test_superiority_p_pays_for_the_choice_among_many_worthless_configurations() -> None:
    many = np.column_stack([_noise(seed, 0.0) for seed in range(40)])
    best = many[:, np.argmax(many.mean(axis=0))]
    alone = superiority.superiority_p(np.zeros(240), best, 0, 500)
    together = superiority.superiority_p(np.zeros(240), many, 0, 500)
    assert alone < 0.05 < together


def test_superiority_p_is_the_same_for_the_same_seed() -> None:
    flat, model = np.zeros(240), _noise(3, 0.1)
    assert superiority.superiority_p(flat, model, 7, 300) == superiority.superiority_p(flat, model, 7, 300)


@pytest.mark.parametrize(
    ("model", "expected"), [(np.zeros(100), 1.0), (np.full(100, -2.0), 1.0), (np.full(100, 2.0), 0.0), (np.ones(10), None)]
)
def test_superiority_p_of_series_without_variance_or_length(model: np.ndarray, expected: float | None) -> None:
    assert superiority.superiority_p(np.zeros(len(model)), model, 0, 100) == expected


def test_compare_puts_the_model_beside_every_rival_on_the_same_hours() -> None:
    before = [Rival("flat", 0, 0.0, np.zeros(200)), Rival("reversal", 9, -40.0, _noise(4, -0.2, 200))]
    ahead = [Rival("reversal", 3, -9.0, _noise(5, -0.2, 60)), Rival("flat", 0, 0.0, np.zeros(60))]
    model, test = _noise(6, 0.5, 200), _noise(7, 0.6, 60)
    found = superiority.compare(model, np.column_stack([model, -model]), test, before, ahead, 0, 300)
    assert [(row.rival, row.n_trades, row.net_pnl) for row in found.rows] == [("flat", 0, 0.0), ("reversal", 12, -49.0)]
    assert found.p_all == max(row.p_test for row in found.rows if row.p_test is not None) < 0.05
    assert found.p_beaten is not None
    assert found.p_beaten > 0.5
    assert found.hours == 260
    assert superiority.flat_p(found) == found.rows[0].p_test


def test_compare_finds_a_rival_that_earns_more() -> None:
    flat = [Rival("flat", 0, 0.0, np.zeros(200))]
    strong = Rival("momentum", 5, 80.0, _noise(8, 0.5, 200))
    found = superiority.compare(np.zeros(200), np.zeros((200, 2)), np.zeros(200), [*flat, strong], [*flat, strong], 0, 300)
    assert found.p_beaten is not None
    assert found.p_beaten < 0.05
    assert found.p_all == 1.0


def _search_p(events: TrainingSet, market: Market) -> float | None:
    """Return the p-value of "no configuration of a search earns more than staying flat", in a market without commission and slippage."""
    free = replace(market, instruments={"SYN": replace(market.instrument("SYN"), commission_per_lot_side=0.0, slippage_mean_points=0.0)})
    result = training.search(events, Strategy(), free, n_trials=6)
    return superiority.superiority_p(np.zeros(len(result.hours)), result.profit_series, 0, 500)


def test_superiority_of_a_search_on_labels_shuffled_within_the_day_is_gone(build_events: Build, syn_market: Market) -> None:
    events, random = build_events(2.0, 5, 4), np.random.default_rng(0)
    source = np.arange(len(events))
    for place in range(len(events.dates)):
        rows = np.flatnonzero((events.date_index == place) & events.is_labelled)
        source[rows] = random.permutation(rows)
    shuffled = replace(events, long_net_bps=events.long_net_bps[source], short_net_bps=events.short_net_bps[source])
    whole, gone = _search_p(events, syn_market), _search_p(shuffled, syn_market)
    assert whole is not None
    assert gone is not None
    assert whole < 0.01 < 0.05 < gone


def test_rival_views_follow_their_rules(build_events: Build) -> None:
    events = build_events(2.0, 5, 2)
    views = rivals.rival_views(events)
    moved = events.features[:, events.feature_names.index("log_return_5m_bps")]
    assert set(views) == {"flat", "always long", "momentum", "reversal", "quote imbalance"}
    assert np.all(views["momentum"][moved > 0] == 1)
    assert np.all(views["reversal"] == -views["momentum"])
    assert np.all(views["always long"] == 1)
    assert not views["flat"].any()


def test_rival_views_without_a_rules_feature_leave_the_rule_out(build_events: Build) -> None:
    events = build_events(2.0, 5, 2)
    renamed = replace(events, feature_names=tuple(f"other_{name}" for name in events.feature_names))
    assert set(rivals.rival_views(renamed)) == {"flat", "always long"}


def test_trade_rivals_pay_costs_and_the_planted_imbalance_earns(build_events: Build, syn_market: Market) -> None:
    found = {rival.name: rival for rival in rivals.trade_rivals(build_events(2.0, 5, 2), Strategy(), syn_market)}
    assert (found["flat"].n_trades, found["flat"].net_pnl) == (0, 0.0)
    assert found["momentum"].net_pnl + found["reversal"].net_pnl < 0
    assert found["quote imbalance"].net_pnl > found["always long"].net_pnl
    assert found["quote imbalance"].hourly_pnl.sum() == pytest.approx(found["quote imbalance"].net_pnl)
