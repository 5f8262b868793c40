"""Walk-forward: a frozen configuration refitted window by window, each model traded on dates that it had not seen.

What belongs here: windows' refits, their figures, resuming, decay and shares. What must not: dates of windows (`splits`), thresholds
(`gates`), tables.

What is frozen and what is not: the configuration is chosen once, by the search, on train and validation dates; the booster is refitted in
each window, purged and embargoed against what it trades next. A window whose test date the search saw is therefore out of sample for
the model and in sample for the configuration, and says so (`is_searched`). Windows of the kind `reselected` choose among the search's
list of configurations on their own train dates alone: that list is drawn by seed, whatever any date showed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
from scipy.stats import linregress, spearmanr

from tick_assets.domain import metrics
from tick_assets.domain.backtest import hourly_pnl, open_hours
from tick_assets.domain.dataset import Int8Array, TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.orders import FillDraws, draw_fills
from tick_assets.domain.quantisation import quantise
from tick_assets.domain.signals import Strategy
from tick_assets.domain.splits import FOLDS, Fold, WalkForwardWindow, anchored_windows, purged_folds, walk_forward_windows
from tick_assets.domain.ticks import Float64Array, Int64Array
from tick_assets.domain.training import (
    MAX_BIN,
    N_THREADS,
    BoosterParams,
    Configuration,
    Probabilities,
    fit_final,
    log_loss,
    matrix,
    predict,
    trade,
    train_booster,
    training_matrix,
)

ROLLING, ANCHORED, RESELECTED = "rolling", "anchored", "reselected"
AGES = 5
"""Trading dates behind its fit on which each model is traded, to see how fast it ages: a trading week."""


@dataclass(frozen=True)
class AgeRow:
    """One model on one date; `age` 1 is the first date behind its train dates."""

    age: int
    test_date: str
    n_trades: int
    net_pnl: float
    sharpe: float


@dataclass(frozen=True)
class WindowRow:
    """One walk-forward window: refitted on its train dates, traded on the next one (and, in `ages`, on later ones)."""

    window: int
    train_from: str
    train_to: str
    test_date: str
    n_trades: int
    net_pnl: float
    sharpe: float
    log_loss: float
    is_profitable: bool
    model_sha256: str
    hourly_pnl: Float64Array = field(repr=False)
    kind: str = ROLLING
    is_searched: bool = True
    config_sha256: str = ""
    ages: tuple[AgeRow, ...] = field(default=(), repr=False)

    def to_row(self) -> dict[str, Any]:
        """Return plain values for a table row."""
        return {name: value for name, value in asdict(self).items() if name not in ("hourly_pnl", "ages")}

    def to_document(self) -> dict[str, Any]:
        """Return everything as plain values, from which `window_of` makes an equal window."""
        return {**self.to_row(), "hourly_pnl": self.hourly_pnl.tolist(), "ages": [asdict(row) for row in self.ages]}


def window_of(document: Mapping[str, Any]) -> WindowRow:
    """Return the window that a document was made of; null is NaN, and fields that an older document lacks have their defaults."""
    loss, ages = document["log_loss"], document.get("ages", ())
    changed = {
        "log_loss": float("nan") if loss is None else loss,
        "hourly_pnl": np.asarray(document["hourly_pnl"], np.float64),
        "ages": tuple(AgeRow(**row) for row in ages),
    }
    return WindowRow(**{**document, **changed})


Key = tuple[str, int]
"""Kind and number of a window."""


def walk_forward(
    events: TrainingSet,
    configuration: Configuration,
    strategy: Strategy,
    market: Market,
    train_days: int,
    n_threads: int = N_THREADS,
    *,
    kinds: Sequence[str] = (ROLLING,),
    candidates: Sequence[Configuration] = (),
    searched: Collection[str] | None = None,
    ages: int = 1,
    done: Mapping[Key, WindowRow] | None = None,
    on_window: Callable[[WindowRow], None] | None = None,
) -> tuple[WindowRow, ...]:
    """Refit window by window and trade each next date; draws are keyed by event.

    `searched` are the dates on which the configuration was chosen (None: all of them); `candidates` what `reselected` windows choose
    from. Windows in `done` are taken as they are; each other one is handed to `on_window` as soon as it is finished, so that a second
    start with what was handed on computes only what is missing and returns the same.
    """
    walk = _Walk(events, configuration, strategy, market, n_threads, tuple(candidates), searched, ages)
    finished = done or {}
    rows = []
    for kind, number, window in planned_windows(events.dates, train_days, kinds):
        row = finished.get((kind, number))
        if row is None:
            row = walk.run(kind, number, window)
            if on_window is not None:
                on_window(row)
        rows.append(row)
    return tuple(rows)


def planned_windows(dates: Sequence[str], train_days: int, kinds: Sequence[str]) -> Iterator[tuple[str, int, WalkForwardWindow]]:
    """Yield kind, number and dates of every window: rolling ones fit on the newest `train_days`, anchored ones on all dates so far."""
    for kind in kinds:
        divide = anchored_windows if kind == ANCHORED else walk_forward_windows
        for number, window in enumerate(divide(dates, train_days)):
            yield kind, number, window


@dataclass(frozen=True)
class _Day:
    """One date to trade, with its draws: windows and kinds share them."""

    events: TrainingSet
    draws: FillDraws
    hours: Int64Array


@dataclass(frozen=True)
class _Walk:
    events: TrainingSet
    configuration: Configuration
    strategy: Strategy
    market: Market
    n_threads: int
    candidates: tuple[Configuration, ...]
    searched: Collection[str] | None
    ages: int
    days: dict[str, _Day] = field(default_factory=dict, repr=False)

    def run(self, kind: str, number: int, window: WalkForwardWindow) -> WindowRow:
        """Refit and trade one window."""
        train, ahead = self.events.on_dates(window.train), self._day(window.test)
        chosen = self.configuration if kind != RESELECTED else self._reselect(train)
        strategy = replace(self.strategy, threshold=chosen.threshold)
        model = fit_final(train, chosen.booster, ahead.events, self.n_threads)
        dates = self._dates_from(window.test)
        first, *later = [self._traded(model, strategy, age, date) for age, date in enumerate(dates, start=1)]
        row, series, probability = first
        return WindowRow(
            window=number,
            train_from=window.train[0],
            train_to=window.train[-1],
            test_date=window.test,
            n_trades=row.n_trades,
            net_pnl=row.net_pnl,
            sharpe=row.sharpe,
            log_loss=log_loss(probability, ahead.events.target, ahead.events.is_labelled),
            is_profitable=row.net_pnl > 0,
            model_sha256=hashlib.sha256(model).hexdigest(),
            hourly_pnl=series,
            kind=kind,
            is_searched=kind != RESELECTED and (self.searched is None or window.test in self.searched),
            config_sha256=chosen.hash,
            ages=(row, *(each for each, _, _ in later)),
        )

    def _dates_from(self, date: str) -> Sequence[str]:
        place = self.events.dates.index(date)
        return self.events.dates[place : place + self.ages]

    def _day(self, date: str) -> _Day:
        if date not in self.days:
            events = self.events.on_dates([date])
            draws = draw_fills(events.event_id, self.market.instrument(events.symbol), self.market)
            self.days[date] = _Day(events, draws, open_hours(events.ticks))
        return self.days[date]

    def _traded(self, model: bytes, strategy: Strategy, age: int, date: str) -> tuple[AgeRow, Float64Array, Probabilities]:
        day = self._day(date)
        probability = predict(model, day.events.features)
        trades = trade(day.events, probability, strategy, self.market, day.draws)
        series = hourly_pnl(trades, day.hours)
        net_pnl = float(trades.net_pnl_account.sum())
        return AgeRow(age, date, len(trades), net_pnl, metrics.sharpe_ratio(series)), series, probability

    def _reselect(self, train: TrainingSet) -> Configuration:
        return choose_configuration(train, self.candidates or (self.configuration,), self.strategy, self.market, self.n_threads)


def choose_configuration(
    events: TrainingSet,
    candidates: Sequence[Configuration],
    strategy: Strategy,
    market: Market,
    n_threads: int = N_THREADS,
    folds: int = FOLDS,
) -> Configuration:
    """Return the candidate with the best out-of-fold Sharpe ratio by purged cross-validation on these events; of equals the first."""
    if len(candidates) == 1:
        return candidates[0]
    labelled = np.flatnonzero(events.is_labelled)
    cut = purged_folds(events.ts_event_us[labelled], events.ts_label_end_us[labelled], folds)
    rows = [Fold(labelled[fold.train], labelled[fold.test], fold.overlaps) for fold in cut]
    draws = draw_fills(events.event_id, market.instrument(events.symbol), market)
    hours = open_hours(events.ticks)
    predicted = _out_of_fold(events, rows, [candidate.booster for candidate in candidates], n_threads)

    def ratio(candidate: Configuration) -> float:
        used = replace(strategy, threshold=candidate.threshold)
        return metrics.sharpe_ratio(hourly_pnl(trade(events, predicted[candidate.booster], used, market, draws), hours))

    return max(candidates, key=ratio)


def _out_of_fold(
    events: TrainingSet, folds: Sequence[Fold], wanted: Sequence[BoosterParams], n_threads: int
) -> dict[BoosterParams, Probabilities]:
    """Predict by the booster that did not see the event; boosters that differ in rounds alone are one, cut off earlier."""
    predicted = {params: np.full(len(events), np.nan, np.float32) for params in wanted}
    families: dict[BoosterParams, list[BoosterParams]] = {}
    for params in predicted:
        families.setdefault(replace(params, rounds=0), []).append(params)
    for fold in folds:
        train, test = training_matrix(events, fold.train), matrix(events, fold.test)
        for family in families.values():
            booster = train_booster(train, max(family, key=lambda params: params.rounds), n_threads)
            for params in family:
                predicted[params][fold.test] = booster.predict(test, iteration_range=(0, params.rounds))
    return predicted


def refit_windows(
    features: Float64Array,
    target: Int8Array,
    weight: Float64Array | None,
    windows: Sequence[tuple[Int64Array, Int64Array]],
    params: BoosterParams,
    n_threads: int = N_THREADS,
) -> list[bytes]:
    """Refit one configuration on the train rows of each (train, test) window and return the models' JSON bytes, `n_threads` at a time.

    Rows go straight into bins (`quantisation`), without a copy where they are consecutive. The cuts are quantiles of the window's *own*
    train rows: those of all rows would know the future, those of the first window be out of date. A model depends on its window alone,
    so it is the same with any number of threads and in any order. Windows must be purged already.
    """

    def refit(window: tuple[Int64Array, Int64Array]) -> bytes:
        train, test = window
        _refuse_overlap(train, test)
        rows = _as_slice(train)
        quantised = quantise(features[rows], target[rows], None if weight is None else weight[rows], max_bin=MAX_BIN)
        return bytes(train_booster(quantised, params, 1).save_raw("json"))

    with ThreadPoolExecutor(max(1, n_threads)) as pool:
        return list(pool.map(refit, windows))


def _as_slice(rows: Int64Array) -> slice | Int64Array:
    """Return consecutive rows as a slice, which copies nothing."""
    is_run = len(rows) > 0 and rows[-1] - rows[0] + 1 == len(rows) and bool(np.all(np.diff(rows) == 1))
    return slice(int(rows[0]), int(rows[-1]) + 1) if is_run else rows


def _refuse_overlap(train: Int64Array, test: Int64Array) -> None:
    if len(train) == 0:
        raise ValueError("Expected train rows in every window, was none. Widen the window.")
    if len(test) and train.max() >= test.min() and bool(np.isin(train, test).any()):
        raise ValueError("Expected no test row among the train rows of a window, was at least one. Purge first (`splits.purge`).")


def of_kind(windows: Sequence[WindowRow], kind: str) -> tuple[WindowRow, ...]:
    """Return the windows of one kind, in order."""
    return tuple(row for row in windows if row.kind == kind)


def walk_forward_share(windows: Sequence[WindowRow]) -> float | None:
    """Return the share of the rolling windows that earned, which the gate compares; one without trades did not. None without windows."""
    return winning_share(of_kind(windows, ROLLING))


def winning_share(windows: Sequence[WindowRow]) -> float | None:
    """Return the share of windows that earned; None without windows."""
    return sum(row.is_profitable for row in windows) / len(windows) if windows else None


@dataclass(frozen=True)
class Decay:
    """How a figure falls with time: slope of a straight line, Spearman's rank correlation and its two-sided p-value.

    `half_life` is the time in which the line loses half of its height at the first point; None where it doesn't fall or has none.
    """

    points: int
    slope: float
    rank_correlation: float
    p_value: float
    half_life: float | None


def decay(time: Sequence[float], value: Sequence[float]) -> Decay | None:
    """Return the decay of values over time; None where there are fewer than 3 points or one time only."""
    x, y = np.asarray(time, np.float64), np.asarray(value, np.float64)
    if len(x) < 3 or np.ptp(x) == 0:
        return None
    if np.ptp(y) == 0:
        return Decay(len(x), 0.0, 0.0, 1.0, None)
    line, rank = linregress(x, y), spearmanr(x, y)
    height = float(line.intercept + line.slope * x.min())
    half_life = height / 2.0 / -float(line.slope) if line.slope < 0 < height else None
    return Decay(len(x), float(line.slope), float(rank.statistic), float(rank.pvalue), half_life)


@dataclass(frozen=True)
class KindSummary:
    """What the windows of one kind show together; `unseen` are those whose test date played no part in choosing the configuration.

    `by_window` is the decay of a window's Sharpe ratio over the windows' numbers (does the edge fade), `by_age` over trading dates since
    the fit (does a model fade; `age_decay`).
    """

    kind: str
    windows: int
    winning: int
    net_pnl: float
    n_trades: int
    unseen_windows: int
    unseen_winning: int
    by_window: Decay | None
    by_age: Decay | None

    @property
    def share(self) -> float:
        """Share of the windows that earned."""
        return self.winning / self.windows

    def to_row(self) -> dict[str, Any]:
        """Return plain values for a table row."""
        plain = {name: value for name, value in asdict(self).items() if name not in ("by_window", "by_age")}
        return plain | {"share": self.share} | _named("by_window", self.by_window) | _named("by_age", self.by_age)


def _named(name: str, found: Decay | None) -> dict[str, Any]:
    return {f"{name}_{each.name}": None if found is None else getattr(found, each.name) for each in fields(Decay)}


def summarize(windows: Sequence[WindowRow]) -> tuple[KindSummary, ...]:
    """Return a summary of each kind, in the order in which the kinds appear."""
    return tuple(_summary(kind, of_kind(windows, kind)) for kind in dict.fromkeys(row.kind for row in windows))


def _summary(kind: str, windows: Sequence[WindowRow]) -> KindSummary:
    unseen = [row for row in windows if not row.is_searched]
    return KindSummary(
        kind=kind,
        windows=len(windows),
        winning=sum(row.is_profitable for row in windows),
        net_pnl=float(sum(row.net_pnl for row in windows)),
        n_trades=sum(row.n_trades for row in windows),
        unseen_windows=len(unseen),
        unseen_winning=sum(row.is_profitable for row in unseen),
        by_window=decay([row.window for row in windows], [row.sharpe for row in windows]),
        by_age=age_decay(windows),
    )


def age_decay(windows: Sequence[WindowRow]) -> Decay | None:
    """Return how Sharpe ratios fall with a model's age, on dates that models of several ages traded.

    Ages and ratios are taken from their date's mean (a fixed effect a date), so that a market that fades is no model that ages.
    """
    by_date: dict[str, list[AgeRow]] = {}
    for each in (each for row in windows for each in row.ages):
        by_date.setdefault(each.test_date, []).append(each)
    groups = [np.array([(each.age, each.sharpe) for each in rows], np.float64) for rows in by_date.values() if len(rows) > 1]
    if not groups:
        return None
    within = np.concatenate([group - group.mean(axis=0) for group in groups]) + np.concatenate(groups).mean(axis=0)
    return decay(within[:, 0].tolist(), within[:, 1].tolist())
