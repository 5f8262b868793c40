"""How often the gate is wrong: markets without an edge, and with a known one, judged by the functions that judge models.

What belongs here: the statistical road in one call, nulls, and the count of passes. What must not: tables, processes, commands.
Gates that need the lake or a terminal are fed their best figure, so that the statistics alone decide.

The nulls trade, each in its own way, and none of them can earn:
    break_even       the twin without an edge, spread, commission or slippage: gross edge and costs are equal, zero
    block_bootstrap  blocks of real quotes in random order, each move with a random sign, at the same zero costs
    shuffled_labels  the twin with a strong edge and zero costs, where each date's features went to other events of that date
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from tick_assets.domain import evaluation, gates, metrics, splits, training, walk_forward
from tick_assets.domain.dataset import TrainingSet, day_from_ticks, training_set
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.signals import Strategy, strategy_of
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import Ticks

BREAK_EVEN, BOOTSTRAP, SHUFFLED, EDGE = "break_even", "block_bootstrap", "shuffled_labels", "edge"
NULLS = (BREAK_EVEN, BOOTSTRAP, SHUFFLED)
POWER_AT = (1.0, 1.5, 2.0, 3.0)
DAYS = 10
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
    windows: tuple[walk_forward.WindowRow, ...]
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
    windows = walk_forward.walk_forward(events, chosen, strategy, market, policy.walk_forward_train_days, n_threads)
    figures = evaluation.gate_figures(validation, result, test, windows, 1.0, 0, 0, 1)
    return Outcome(result, validation, test, windows, model, gates.evaluate(policy, figures, events.symbol))


@dataclass(frozen=True, order=True)
class Subject:
    """One market to judge; `k` is the edge strength where the market has one."""

    market: str
    k: float
    seed: int


def subjects(n_null: int, n_power: int) -> list[Subject]:
    """Return every market of a calibration, kinds taking turns, so that an interrupted one has some of each."""
    kinds = [(name, 0.0, n_null) for name in NULLS] + [(EDGE, k, n_power) for k in POWER_AT]
    return [Subject(name, k, seed) for seed in range(max(n_null, n_power)) for name, k, n in kinds if seed < n]


def draw(subject: Subject, quotes: Mapping[str, Ticks], days: int = DAYS) -> tuple[TrainingSet, Market]:
    """Return the market of one subject. `quotes` are the symbol-days that the bootstrap takes its blocks from, by ISO date."""
    if subject.market == BREAK_EVEN:
        return draw_break_even(subject.seed, days)
    if subject.market == SHUFFLED:
        return draw_shuffled(subject.seed, days)
    if subject.market == EDGE:
        return draw_edge(subject.k, subject.seed, days)
    return draw_bootstrap(choose_days(quotes, subject.seed, days), subject.seed)


def choose_days(quotes: Mapping[str, Ticks], seed: int, days: int) -> dict[str, Ticks]:
    """Return so many of the dates, drawn by the seed, or all of fewer."""
    names = sorted(quotes)
    chosen = np.random.default_rng(seed).choice(len(names), size=min(days, len(names)), replace=False)
    return {names[i]: quotes[names[i]] for i in sorted(chosen)}


def judge_subject(subject: Subject, quotes: Mapping[str, Ticks], policy: gates.Policy, n_trials: int = 20, days: int = DAYS) -> bool:
    """Tell whether the gate passes one market."""
    return judge(*draw(subject, quotes, days), policy, subject.seed, n_trials).verdict.passed


def table_of(verdicts: Mapping[Subject, bool]) -> list[Calibration]:
    """Return passes and bounds of each kind of market, nulls first."""
    kinds = [(name, 0.0) for name in NULLS] + sorted({(each.market, each.k) for each in verdicts if each.market == EDGE})
    found = [(name, k, [passed for each, passed in sorted(verdicts.items()) if (each.market, each.k) == (name, k)]) for name, k in kinds]
    return [count_passes(name, k if name == EDGE else None, passed) for name, k, passed in found if passed]


def gates_sha256(policy: gates.Policy) -> str:
    """Return the hash of what the policy's gates decide by; words and comments don't count. A calibration is one of this."""
    rules = [{name: value for name, value in asdict(rule).items() if name not in ("label", "reason")} for rule in policy.gates]
    decided = {"gates": rules, "walk_forward_train_days": policy.walk_forward_train_days}
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()


def count_passes(name: str, k: float | None, verdicts: Sequence[bool]) -> Calibration:
    """Return the share of passes with its bounds."""
    passed, n = sum(verdicts), len(verdicts)
    lower, upper = metrics.clopper_pearson(passed, n)
    return Calibration(name, k, n, passed, upper, lower)


def draw_edge(k: float, seed: int, days: int = DAYS) -> tuple[TrainingSet, Market]:
    """Return the design's base market with an edge of strength k."""
    return _drawn(SyntheticMarket(k=k), _market(commission=3.5, slippage=0.3), seed, days)


def draw_break_even(seed: int, days: int = DAYS) -> tuple[TrainingSet, Market]:
    """Return the null that trades: no edge and nothing to pay for it, so that gross edge and costs are exactly equal."""
    shape = SyntheticMarket(k=0.0, minimum_spread_points=0, spread_poisson_mean=0.0, commission_points=0.0)
    return _drawn(shape, _market(commission=0.0, slippage=0.0), seed, days)


def draw_shuffled(seed: int, days: int = DAYS) -> tuple[TrainingSet, Market]:
    """Return a market with an edge twice the usual costs, none to pay, and nothing to learn it from: features are other events' ones.

    Labels shuffled against their features, and the trades still those of the market: a model fitted on permuted labels alone could
    point along the real edge by chance, and its profit would be no false pass.
    """
    usual = SyntheticMarket(k=2.0)
    costless = replace(
        usual, minimum_spread_points=0, spread_poisson_mean=0.0, commission_points=usual.mean_spread_points + usual.commission_points
    )
    events, market = _drawn(costless, _market(commission=0.0, slippage=0.0), seed, days)
    return shuffle_features(events, seed), market


def shuffle_features(events: TrainingSet, seed: int) -> TrainingSet:
    """Permute the feature rows among the events of each date; what an event earns, its stamps and levels stay."""
    return replace(events, features=events.features[_permuted(events, seed, np.ones(len(events), np.bool_))])


def _permuted(events: TrainingSet, seed: int, among: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    random = np.random.default_rng(seed)
    source = np.arange(len(events))
    for place in range(len(events.dates)):
        rows = np.flatnonzero((events.date_index == place) & among)
        source[rows] = random.permutation(rows)
    return source


def shuffle_labels(events: TrainingSet, seed: int) -> TrainingSet:
    """Permute what events earned among the labelled events of each date; stamps and label ends stay."""
    source = _permuted(events, seed, events.is_labelled)
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
