"""Simple rivals: rules that anyone could trade without a model, on the model's own events and at the same costs.

What belongs here: the rules and their backtest. What must not: the comparison (`superiority`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tick_assets.domain.backtest import backtest, hourly_pnl, open_hours
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.orders import FillDraws, Views, draw_fills, orders_from_views
from tick_assets.domain.signals import Strategy
from tick_assets.domain.ticks import Float64Array

FLAT, ALWAYS_LONG = "flat", "always long"
RETURN, IMBALANCE = "log_return_5m_bps", "quote_imbalance"
"""The features that the rules read: the move over the last horizon, and the displayed sizes."""


@dataclass(frozen=True)
class Rival:
    """What one rule earned: net profit per open hour in account currency, zeros included."""

    name: str
    n_trades: int
    net_pnl: float
    hourly_pnl: Float64Array


def rival_views(events: TrainingSet) -> dict[str, Views]:
    """Return the view of every rule on every event; a rule whose feature the set lacks is left out."""
    views = {FLAT: np.zeros(len(events), np.int8), ALWAYS_LONG: np.ones(len(events), np.int8)}
    for name, (feature, sign) in _RULES.items():
        if feature in events.feature_names:
            views[name] = sign(events.features[:, events.feature_names.index(feature)])
    return views


def _sign(values: Float64Array) -> Views:
    return np.nan_to_num(np.sign(values)).astype(np.int8)


def _opposite(values: Float64Array) -> Views:
    return (-_sign(values)).astype(np.int8)


_RULES: Mapping[str, tuple[str, Callable[[Float64Array], Views]]] = {
    "momentum": (RETURN, _sign),
    "reversal": (RETURN, _opposite),
    "quote imbalance": (IMBALANCE, _sign),
}


def trade_rivals(events: TrainingSet, strategy: Strategy, market: Market) -> tuple[Rival, ...]:
    """Backtest every rule with the strategy's stops, targets and horizon; draws are keyed by event, spread and costs are charged."""
    draws = draw_fills(events.event_id, market.instrument(events.symbol), market)
    return tuple(_traded(name, views, events, draws, strategy, market) for name, views in rival_views(events).items())


def _traded(name: str, views: Views, events: TrainingSet, draws: FillDraws, strategy: Strategy, market: Market) -> Rival:
    orders = orders_from_views(events, views, draws, strategy)
    trades = backtest(events.ticks, orders, market.instrument(events.symbol), market, strategy.max_position)
    series = hourly_pnl(trades, open_hours(events.ticks))
    return Rival(name, len(trades), float(trades.net_pnl_account.sum()), series)
