"""The stress surface: harsher markets, and what a commission multiple costs to the cent."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tick_assets.domain import evaluation, stress, training
from tick_assets.domain.backtest import Stress, backtest
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.orders import orders_from_views
from tick_assets.domain.signals import Strategy

Build = Callable[[float, int, int], TrainingSet]
STRATEGY = Strategy(threshold=0.53)


@pytest.fixture(scope="module")
def tested(build_events: Build, syn_market: Market) -> tuple[TrainingSet, evaluation.TestResult]:
    events = build_events(2.0, 5, 4)
    ahead = events.on_dates(events.dates[3:])
    model = training.fit_final(events.on_dates(events.dates[:3]), training.BoosterParams(rounds=20), ahead)
    return ahead, evaluation.evaluate_test(ahead, model, STRATEGY, syn_market)


@pytest.fixture(scope="module")
def cells(tested: tuple[TrainingSet, evaluation.TestResult], syn_market: Market) -> tuple[stress.SurfaceCell, ...]:
    ahead, test = tested
    return stress.stress_surface(ahead, test.views, test.draws, test.hours, STRATEGY, syn_market)


def test_stress_surface_has_every_combination_and_begins_with_the_market_as_it_is(
    cells: tuple[stress.SurfaceCell, ...], tested: tuple[TrainingSet, evaluation.TestResult]
) -> None:
    assert len({(c.spread_multiple, c.latency_multiple, c.commission_multiple) for c in cells}) == 4 * 3 * 3
    figures = tested[1].figures
    assert (cells[0].n_trades, cells[0].net_pnl, cells[0].sharpe) == (figures.n_trades, figures.net_pnl, figures.sharpe)


def test_stress_surface_dearer_spread_and_commission_only_make_it_worse(cells: tuple[stress.SurfaceCell, ...]) -> None:
    by_place = {(c.spread_multiple, c.latency_multiple, c.commission_multiple): c for c in cells}
    for (spread, latency, commission), cell in by_place.items():
        plain = by_place[1.0, latency, 1.0]
        if spread > 1.0 or commission > 1.0:
            assert cell.net_pnl < plain.net_pnl


def test_stress_surface_double_commission_costs_once_more_per_trade(cells: tuple[stress.SurfaceCell, ...], syn_market: Market) -> None:
    plain = next(c for c in cells if (c.spread_multiple, c.latency_multiple, c.commission_multiple) == (1.0, 1.0, 1.0))
    double = next(c for c in cells if (c.spread_multiple, c.latency_multiple, c.commission_multiple) == (1.0, 1.0, 2.0))
    per_trade = 2 * 3.5 * STRATEGY.max_position
    assert double.n_trades == plain.n_trades > 20
    assert plain.net_pnl - double.net_pnl == pytest.approx(per_trade * plain.n_trades)


def test_backtest_commission_multiple_equals_a_market_with_that_commission(
    tested: tuple[TrainingSet, evaluation.TestResult], syn_market: Market
) -> None:
    ahead, test = tested
    orders = orders_from_views(ahead, test.views, test.draws, STRATEGY)
    instrument = syn_market.instrument("SYN")
    stressed = backtest(ahead.ticks, orders, instrument, syn_market, 0.1, Stress(commission_multiple=1.5))
    dearer = backtest(ahead.ticks, orders, replace(instrument, commission_per_lot_side=5.25), syn_market, 0.1)
    np.testing.assert_array_equal(stressed.net_pnl_account, dearer.net_pnl_account)
    np.testing.assert_array_equal(stressed.net_bps, dearer.net_bps)


@pytest.mark.parametrize(("profits", "expected"), [([1.0, -1.0, 0.0, 2.0], 0.5), ([], None)])
def test_surviving_share_counts_markets_that_earn(profits: list[float], expected: float | None) -> None:
    assert stress.surviving_share([stress.SurfaceCell(1.0, 1.0, 1.0, 1, profit, 0.0) for profit in profits]) == expected
