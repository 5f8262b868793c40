"""How often the gate is wrong: markets without an edge, and with a known one, judged by the functions that judge models.

What belongs here: the statistical road in one call, nulls, and the count of passes. What must not: tables, processes, commands.
Gates that need the lake or a terminal are fed their best figure, so that the statistics alone decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from tick_assets.domain import evaluation, gates, metrics, splits, training
from tick_assets.domain.dataset import TrainingSet, day_from_ticks, training_set
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.signals import Strategy, strategy_of
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import Ticks

SYMBOL = "SYNCAL"
FIRST_DATE = date(2024, 1, 8)
BLOCK_US = 600_000_000
"""Twice the horizon, so that clusters of volatility as long as a trade survive."""


@dataclass(frozen=True)
class Outcome:
    """What the road made of one market."""

    result: training.SearchResult
    validation: evaluation.ValidationFigures
    test: evaluation.TestResult
    windows: tuple[evaluation.WindowRow, ...]
    model: bytes
    verdict: gates.GateVerdict


@dataclass(frozen=True)
class Calibration:
    """Passes of one kind of market with exact one-sided 95 % bounds."""

    market: str
    k: float | None
    n: int
    passed: int
    upper95: float
    lower95: float


def judge(
    events: TrainingSet, market: Market, policy: gates.Policy, seed: int, n_trials: int = 20, n_threads: int = training.N_THREADS
) -> Outcome:
    """Search, fit, test and walk forward on one market; completeness, leaks and terminal count as perfect."""
    split, strategy = splits.split_dates(events.dates), strategy_of(market.instrument(events.symbol))
    seen, ahead = events.on_dates(split.search), events.on_dates(split.test)
    result = training.search(seen, strategy, market, n_trials, seed, n_threads=n_threads)
    chosen = result.best.configuration
    model = training.fit_final(seen, chosen.booster, ahead, n_threads)
    validation = evaluation.evaluate_validation(result)
    test = evaluation.evaluate_test(ahead, model, replace(strategy, threshold=chosen.threshold), market, policy.scenarios)
    windows = evaluation.walk_forward(events, chosen, strategy, market, policy.walk_forward_train_days, n_threads)
    figures = evaluation.gate_figures(validation, result, test, windows, 1.0, 0, 0, 1)
    return Outcome(result, validation, test, windows, model, gates.evaluate(policy, figures, events.symbol))


def count_passes(name: str, k: float | None, verdicts: list[bool]) -> Calibration:
    """Return the share of passes with its bounds."""
    passed, n = sum(verdicts), len(verdicts)
    lower, upper = metrics.clopper_pearson(passed, n)
    return Calibration(name, k, n, passed, upper, lower)


def draw_edge(k: float, seed: int, days: int = 10) -> tuple[TrainingSet, Market]:
    """Return the design's base market with an edge of strength k."""
    return _drawn(SyntheticMarket(k=k), _market(commission=3.5, slippage=0.3), seed, days)


def draw_break_even(seed: int, days: int = 10) -> tuple[TrainingSet, Market]:
    """Return the null that trades: no edge and nothing to pay for it, so that gross edge and costs are exactly equal."""
    shape = SyntheticMarket(k=0.0, minimum_spread_points=0, spread_poisson_mean=0.0, commission_points=0.0)
    return _drawn(shape, _market(commission=0.0, slippage=0.0), seed, days)


def draw_shuffled(k: float, seed: int, days: int = 10) -> tuple[TrainingSet, Market]:
    """Return a market with an edge whose labels were shuffled within each date: there is nothing left to learn."""
    events, market = draw_edge(k, seed, days)
    return shuffle_labels(events, seed), market


def shuffle_labels(events: TrainingSet, seed: int) -> TrainingSet:
    """Permute what events earned among the labelled events of each date; stamps and label ends stay."""
    random = np.random.default_rng(seed)
    source = np.arange(len(events))
    for place in range(len(events.dates)):
        rows = np.flatnonzero((events.date_index == place) & events.is_labelled)
        source[rows] = random.permutation(rows)
    return replace(events, label=events.label[source], long_net_bps=events.long_net_bps[source], short_net_bps=events.short_net_bps[source])


def bootstrap_quotes(ticks: Ticks, seed: int, block_us: int = BLOCK_US) -> Ticks:
    """Rebuild one date from randomly ordered blocks of its own quotes, without an edge and without a spread.

    Gaps and sizes of moves keep their clusters. Each move gets a random sign, so none can be foretold; displayed sizes come from other
    blocks; bid and ask both stand on the mid, so that on a market without commission gross edge and costs are equal: zero.
    """
    random = np.random.default_rng(seed)
    starts = np.flatnonzero(np.diff((ticks.ts_us - ticks.ts_us[0]) // block_us, prepend=-1))
    blocks = np.split(np.arange(len(ticks)), starts[1:])
    rows, other = (np.concatenate([blocks[i] for i in random.permutation(len(blocks))]) for _ in range(2))
    gap = np.diff(ticks.ts_us, prepend=ticks.ts_us[0])
    twice_mid = ticks.bid_points + ticks.ask_points
    move = np.diff(twice_mid, prepend=twice_mid[0])
    mid = (twice_mid[0] + np.cumsum(random.choice((-1, 1), len(rows)) * move[rows])) // 2
    return Ticks(ticks.ts_us[0] + np.cumsum(gap[rows]), mid, mid.copy(), ticks.bid_size[other], ticks.ask_size[other])


def draw_bootstrap(symbol_days: Mapping[str, Ticks], seed: int) -> tuple[TrainingSet, Market]:
    """Return the null made of real quotes, keyed by ISO date."""
    market = _market(commission=0.0, slippage=0.0)
    made = [
        day_from_ticks(SYMBOL, day, bootstrap_quotes(ticks, seed + place), market, Strategy())
        for place, (day, ticks) in enumerate(sorted(symbol_days.items()))
        if len(ticks)
    ]
    return training_set(SYMBOL, made), market


def _drawn(shape: SyntheticMarket, market: Market, seed: int, days: int) -> tuple[TrainingSet, Market]:
    made = [
        day_from_ticks(SYMBOL, day.isoformat(), generate_day(shape, seed, SYMBOL, day).ticks, market, Strategy()) for day in weekdays(days)
    ]
    return training_set(SYMBOL, made), market


def weekdays(count: int, first: date = FIRST_DATE) -> list[date]:
    """Return so many Mondays to Fridays."""
    days = (first + timedelta(days=i) for i in range(count * 2 + 7))
    return [day for day in days if day.weekday() < 5][:count]


def _market(commission: float, slippage: float) -> Market:
    instrument = Instrument(SYMBOL, "fx", 100_000, 5, 100_000.0, "SYN", "USD", commission, slippage, 0.01, 0.01, 100.0, "")
    return Market("USD", 20240108, 100.0, 0.6, 60_000, {SYMBOL: instrument})
