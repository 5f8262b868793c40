"""The stress surface: one model's decisions on the test dates in a grid of harsher markets.

What belongs here: the grid and its figures. What must not: how a market is made harsher (`backtest`, `costs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from tick_assets.domain import metrics
from tick_assets.domain.backtest import Stress, backtest, hourly_pnl
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.orders import FillDraws, Views, orders_from_views
from tick_assets.domain.signals import Strategy
from tick_assets.domain.ticks import Int64Array

SPREADS = (1.0, 1.25, 1.5, 2.0)
LATENCIES = (1.0, 5.0, 20.0)
COMMISSIONS = (1.0, 1.5, 2.0)


@dataclass(frozen=True)
class SurfaceCell:
    """The same decisions at one multiple each of spread, latency and commission; net profit in account currency."""

    spread_multiple: float
    latency_multiple: float
    commission_multiple: float
    n_trades: int
    net_pnl: float
    sharpe: float


def stress_surface(
    events: TrainingSet,
    views: Views,
    draws: FillDraws,
    hours: Int64Array,
    strategy: Strategy,
    market: Market,
    spreads: Sequence[float] = SPREADS,
    latencies: Sequence[float] = LATENCIES,
    commissions: Sequence[float] = COMMISSIONS,
) -> tuple[SurfaceCell, ...]:
    """Trade the views in every combination, the spread changing slowest; `hours` are the open hours of the profit series."""
    return tuple(
        _cell(events, views, draws, hours, strategy, market, Stress(spread, latency, commission_multiple=commission))
        for spread, latency, commission in product(spreads, latencies, commissions)
    )


def _cell(
    events: TrainingSet, views: Views, draws: FillDraws, hours: Int64Array, strategy: Strategy, market: Market, stress: Stress
) -> SurfaceCell:
    orders = orders_from_views(events, views, draws, strategy, stress)
    trades = backtest(events.ticks, orders, market.instrument(events.symbol), market, strategy.max_position, stress)
    return SurfaceCell(
        spread_multiple=stress.spread_multiple,
        latency_multiple=stress.latency_multiple,
        commission_multiple=stress.commission_multiple,
        n_trades=len(trades),
        net_pnl=float(trades.net_pnl_account.sum()),
        sharpe=metrics.sharpe_ratio(hourly_pnl(trades, hours)),
    )


def surviving_share(cells: Sequence[SurfaceCell]) -> float | None:
    """Return the share of the grid that still earns; None of an empty one."""
    return sum(cell.net_pnl > 0 for cell in cells) / len(cells) if cells else None
