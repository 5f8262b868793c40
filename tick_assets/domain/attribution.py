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
from dataclasses import dataclass

import numpy as np

from tick_assets.domain.backtest import Orders
from tick_assets.domain.costs import net_pnl_account
from tick_assets.domain.fills import fill_trade
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
    """Return the stepped profit of chosen rows of one date's orders, which stay the same; a step that fills nothing earns 0."""
    draws = (_rows(calm), _rows(disturbed))

    def profit(row: int, ticks: Ticks, latency: int, slippage: int) -> float:
        entry_latency, exit_latency = draws[latency][row][:2]
        entry_slip, exit_slip = draws[slippage][row][2:]
        entry, _, paid, received, _ = fill_trade(
            *ticks.columns[:3], int(orders.row[row]), int(orders.side[row]), orders.stop_points[row], orders.target_points[row],
            int(orders.exit_at_us[row]), entry_latency, exit_latency, entry_slip, exit_slip, market.quote_wait_ms * 1000,
        )  # fmt: skip
        return float(net_pnl_account(instrument, market, int(orders.side[row]), paid, received, lots)) if entry >= 0 else 0.0

    return {
        row: SteppedProfit(
            calm=profit(row, quoted.calm, 0, 0),
            with_latency=profit(row, quoted.calm, 1, 0),
            with_spread=profit(row, quoted.disturbed, 1, 0),
            with_slippage=profit(row, quoted.disturbed, 1, 1),
        )
        for row in rows
    }


def _rows(draws: FillDraws) -> list[tuple[int, int, int, int]]:
    columns = (draws.entry_latency_us, draws.exit_latency_us, draws.entry_slippage_points, draws.exit_slippage_points)
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in np.stack(columns, axis=1).tolist()]
