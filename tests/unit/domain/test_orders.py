"""The array forms of views, levels and draws equal the scalar ones that the service uses."""

from collections.abc import Callable

import numpy as np
import pytest

from tick_assets.domain import orders, signals
from tick_assets.domain.backtest import Stress
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.draws import latency_us, slippage_points
from tick_assets.domain.instruments import Market

Build = Callable[[float, int, int], TrainingSet]


@pytest.mark.parametrize("threshold", [0.5, 0.55, 0.6])
def test_views_equal_the_scalar_rule(threshold: float) -> None:
    probability = np.array([0.0, 0.39, 0.4, 0.44999, 0.45, 0.5, 0.55, 0.6, 1.0])
    assert orders.views_of(probability, threshold).tolist() == [signals.view_of(float(p), threshold) for p in probability]


def test_views_of_nan_are_flat() -> None:
    assert orders.views_of(np.array([np.nan]), 0.5).tolist() == [0]


def test_orders_equal_the_scalar_levels_and_times(build_events: Build, syn_market: Market) -> None:
    events, strategy = build_events(2.0, 0, 3), signals.Strategy()
    views = np.resize(np.array([1, -1, 0], np.int8), len(events))
    draws = orders.draw_fills(events.event_id, syn_market.instrument("SYN"), syn_market)
    made = orders.orders_from_views(events, views, draws, strategy)
    for i in range(0, len(events), 97):
        ticks, row, view = events.ticks[events.date_index[i]], int(events.event_row[i]), int(views[i])
        ts_us = int(events.ts_event_us[i])
        assert made.side[i] == (view if signals.entry_allowed(ts_us, strategy) else 0)
        assert made.exit_at_us[i] == signals.exit_at_us(ts_us, strategy)
        if view:
            quote = int(ticks.bid_points[row]), int(ticks.ask_points[row])
            assert (made.stop_points[i], made.target_points[i]) == signals.levels(view, *quote, float(events.sigma_points[i]), strategy)


def test_draws_equal_the_scalar_ones(syn_market: Market) -> None:
    instrument = syn_market.instrument("SYN")
    drawn = orders.draw_fills(["a", "b"], instrument, syn_market)
    assert drawn.entry_latency_us.tolist() == [latency_us(syn_market, key, "entry") for key in "ab"]
    assert drawn.exit_slippage_points.tolist() == [
        slippage_points(instrument.slippage_mean_points, syn_market.seed, key, "exit_slippage") for key in "ab"
    ]


def test_orders_late_in_the_date_are_not_sent(build_events: Build, syn_market: Market) -> None:
    events = build_events(2.0, 0, 3)
    views = np.ones(len(events), np.int8)
    draws = orders.draw_fills(events.event_id, syn_market.instrument("SYN"), syn_market)
    sides = orders.orders_from_views(events, views, draws, signals.Strategy()).side
    is_late = (events.ts_event_us % 86_400_000_000) >= (24 * 3600 - 360) * 1_000_000
    assert sides[is_late].tolist() == [0] * int(is_late.sum())
    assert int(is_late.sum()) > 0


def test_levels_follow_stressed_quotes(build_events: Build, syn_market: Market) -> None:
    events = build_events(2.0, 0, 3)
    views = np.ones(len(events), np.int8)
    draws = orders.draw_fills(events.event_id, syn_market.instrument("SYN"), syn_market)
    plain = orders.orders_from_views(events, views, draws, signals.Strategy())
    wide = orders.orders_from_views(events, views, draws, signals.Strategy(), Stress(spread_multiple=3.0))
    first = events.ticks[0]
    row = int(events.event_row[0])
    assert plain.stop_points[0] - wide.stop_points[0] == first.ask_points[row] - first.bid_points[row]
