"""Where the difference between a calm and a disturbed run of the same signals comes from, to the last cent.

What belongs here: the arithmetic over profits by signal, and the profit of one signal as effects are switched on one after another.
What must not: running either run (`execution`), or deciding how rough the market is.

A signal that traded in both runs changes by latency, then spread, then slippage, in this order: each part is the change of its profit
when this effect is switched on besides those before it. A signal that traded in the calm run alone gave its profit away, to `rejects` when
the venue refused its order, else to `missed`: it was lost, or a position was open. One that traded in the disturbed run alone counts as
`missed` with its profit, because another's missing made room for it. The parts therefore add up to the whole; `residual` is what the fill
rules and the broker's books say differently, and is zero where they agree.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from tick_assets.domain.backtest import Orders, backtest
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.orders import FillDraws
from tick_assets.domain.ticks import Ticks


@dataclass(frozen=True)
class SteppedProfit:
    """Net profit of one signal in account currency: as in the calm run, then with each effect of the disturbed run besides."""

    calm: float
    with_latency: float
    with_spread: float
    with_slippage: float


@dataclass(frozen=True)
class Attribution:
    """Parts of the difference in account currency, disturbed minus calm. `total` = all parts and `residual`."""

    latency: float
    spread: float
    slippage: float
    rejects: float
    missed: float
    residual: float
    total: float


def attribute(
    calm: Mapping[str, float], disturbed: Mapping[str, float], steps: Mapping[str, SteppedProfit], rejected: Collection[str]
) -> Attribution:
    """Attribute the difference of two runs' net profits by signal id; `steps` holds every signal that traded in both."""
    both, gone, new = calm.keys() & disturbed.keys(), calm.keys() - disturbed.keys(), disturbed.keys() - calm.keys()
    shared = [steps[key] for key in both]
    latency = math.fsum(step.with_latency - step.calm for step in shared)
    spread = math.fsum(step.with_spread - step.with_latency for step in shared)
    slippage = math.fsum(step.with_slippage - step.with_spread for step in shared)
    rejects = -math.fsum(calm[key] for key in gone if key in rejected)
    missed = math.fsum([*(-calm[key] for key in gone if key not in rejected), *(disturbed[key] for key in new)])
    total = math.fsum([*disturbed.values(), *(-profit for profit in calm.values())])
    residual = math.fsum([total, -latency, -spread, -slippage, -rejects, -missed])
    return Attribution(latency, spread, slippage, rejects, missed, residual, total)


@dataclass(frozen=True)
class Quoted:
    """One date's quotes of both runs over the same stamps."""

    calm: Ticks
    disturbed: Ticks


def stepped_profits(
    quoted: Quoted,
    orders: Orders,
    calm: FillDraws,
    disturbed: FillDraws,
    rows: Iterable[int],
    instrument: Instrument,
    market: Market,
    lots: float,
) -> dict[int, SteppedProfit]:
    """Return the stepped profit of chosen rows of one date's orders, each alone; a step that fills nothing earns 0."""

    def profit(row: int, ticks: Ticks, latency: FillDraws, slippage: FillDraws) -> float:
        order = _one(orders, row, latency, slippage)
        return float(backtest([ticks], order, instrument, market, lots).net_pnl_account.sum())

    return {
        row: SteppedProfit(
            calm=profit(row, quoted.calm, calm, calm),
            with_latency=profit(row, quoted.calm, disturbed, calm),
            with_spread=profit(row, quoted.disturbed, disturbed, calm),
            with_slippage=profit(row, quoted.disturbed, disturbed, disturbed),
        )
        for row in rows
    }


def _one(orders: Orders, row: int, latency: FillDraws, slippage: FillDraws) -> Orders:
    """Return one row of the orders, alone, with the draws of one side or the other."""
    kept = slice(row, row + 1)
    alone = Orders(**{field.name: getattr(orders, field.name)[kept] for field in fields(orders)})
    return replace(
        alone,
        date_index=np.zeros(1, np.int32),
        entry_latency_us=latency.entry_latency_us[kept],
        exit_latency_us=latency.exit_latency_us[kept],
        entry_slippage_points=slippage.entry_slippage_points[kept],
        exit_slippage_points=slippage.exit_slippage_points[kept],
    )
