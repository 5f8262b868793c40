"""Leaks on purpose: kernels, labellers, fits and folds, each of which knows one thing that it could not know.

What belongs here: the leaks, each named as people name them. What must not: the checks that find them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.kernel import FEATURE_NAMES, KernelBatch, run_features
from tick_assets.domain.labels import LabelBatch
from tick_assets.domain.leak_firewall import kernel_of_clean_ticks
from tick_assets.domain.leakage import History, HistoryKernel, SampledHistory
from tick_assets.domain.splits import Fold, purged_folds
from tick_assets.domain.ticks import Float64Array, Int64Array, Ticks
from tick_assets.domain.training import BoosterParams, matrix, train_booster

CULPRIT = "log_return_1m_bps"
COLUMN = FEATURE_NAMES.index(CULPRIT)
OTHER = "SYNOTHER"
Column = Callable[[History, SampledHistory], Float64Array]


def planted(column: Column) -> HistoryKernel:
    """Return the honest kernel with one feature replaced."""
    honest = kernel_of_clean_ticks()

    def run(history: History) -> SampledHistory:
        sampled = honest(history)
        features = sampled.features.copy()
        features[:, COLUMN] = column(history, sampled)
        return replace(sampled, features=features)

    return run


def _mids(history: History, sampled: SampledHistory, row_of: Callable[[Ticks, Int64Array], Int64Array]) -> Float64Array:
    """Return the mid price of the row that a rule finds for each event."""
    parts = []
    for place, ticks in enumerate(history.ticks):
        rows = row_of(ticks, sampled.event_row[sampled.date_index == place])
        parts.append((ticks.bid_points[rows] + ticks.ask_points[rows]) / 2)
    return np.concatenate(parts)


# Features.


def shift_minus_one(_: History, sampled: SampledHistory) -> Float64Array:
    values = sampled.features[:, COLUMN]
    return np.append(values[1:], values[-1])


def centred_window(_: History, sampled: SampledHistory) -> Float64Array:
    return np.convolve(sampled.features[:, COLUMN], np.ones(5) / 5, mode="same")


def back_fill(history: History, sampled: SampledHistory) -> Float64Array:
    """The size at the event; where it is missing, the next one that came."""

    def sizes(ticks: Ticks, rows: Int64Array) -> Float64Array:
        known = np.flatnonzero(np.isfinite(ticks.bid_size))
        following = np.searchsorted(known, rows)
        return np.append(ticks.bid_size[known], np.nan)[following]

    return np.concatenate([sizes(ticks, sampled.event_row[sampled.date_index == i]) for i, ticks in enumerate(history.ticks)])


def global_z_score(_: History, sampled: SampledHistory) -> Float64Array:
    values = sampled.features[:, COLUMN]
    return (values - values.mean()) / values.std()


def same_millisecond(history: History, sampled: SampledHistory) -> Float64Array:
    """A join on the stamp: the last quote of the event's millisecond."""
    return _mids(history, sampled, lambda ticks, rows: np.searchsorted(ticks.ts_us // 1000, ticks.ts_us[rows] // 1000, side="right") - 1)


def daily_bar_of_tomorrow(history: History, sampled: SampledHistory) -> Float64Array:
    """A join of daily bars that is one date off."""
    closes = np.array([(ticks.bid_points[-1] - ticks.bid_points[0]) for ticks in history.ticks], np.float64)
    return np.append(closes, np.nan)[sampled.date_index + 1]


def bar_close_at_its_open(history: History, sampled: SampledHistory) -> Float64Array:
    """A one-minute bar's close in the row that is sampled at its open."""
    return _mids(history, sampled, _last_of_minute)


def _last_of_minute(ticks: Ticks, rows: Int64Array) -> Int64Array:
    return np.searchsorted(ticks.ts_us // 60_000_000, ticks.ts_us[rows] // 60_000_000, side="right") - 1


def other_symbol_by_stamp(history: History, sampled: SampledHistory) -> Float64Array:
    """The other symbol's quote by its own stamp, though it was known only later."""
    ticks = history.others[OTHER].ticks
    rows = np.searchsorted(ticks.ts_us, sampled.ts_event_us, side="right") - 1
    return (ticks.bid_points[rows] + ticks.ask_points[rows]) / 2.0


def other_symbol_as_known(history: History, sampled: SampledHistory) -> Float64Array:
    """The other symbol's newest quote that was known: no leak."""
    other = history.others[OTHER]
    rows = np.searchsorted(other.known_at_us, sampled.ts_event_us, side="right") - 1
    return (other.ticks.bid_points[rows] + other.ticks.ask_points[rows]) / 2.0


def beside_a_leader(seconds: int) -> Callable[[Ticks, Ticks], KernelBatch]:
    """Return a kernel of one date with a feature that is the leader's bid, so many seconds from the event."""

    def run(ticks: Ticks, leader: Ticks) -> KernelBatch:
        batch = run_features(ticks)
        features = batch.features.copy()
        rows = np.searchsorted(leader.ts_us, ticks.ts_us[batch.event_row] + seconds * 1_000_000, side="right")
        features[:, COLUMN] = np.append(0, leader.bid_points)[rows]
        return replace(batch, features=features)

    return run


def stamp_at_bar_open(history: History) -> SampledHistory:
    """Rows that are sampled at each minute's close and stamped with its first tick."""
    sampled = kernel_of_clean_ticks()(history)
    rows = [_last_of_minute(ticks, sampled.event_row[sampled.date_index == i]) for i, ticks in enumerate(history.ticks)]
    return replace(sampled, event_row=np.concatenate(rows))


def label_in_a_feature(events: TrainingSet) -> TrainingSet:
    """A stored feature that is the outcome with a little noise on it."""
    features = events.features.copy()
    noise = np.random.default_rng(1).normal(0, 0.01, len(events))
    features[:, COLUMN] = events.target + noise
    return replace(events, features=features)


# Fits.


def scaler_on_all(events: TrainingSet) -> bytes:
    return np.concatenate([events.features.mean(axis=0), events.features.std(axis=0)]).tobytes()


def scaler_on_train(train: tuple[str, ...]) -> Callable[[TrainingSet], bytes]:
    return lambda events: scaler_on_all(events.on_dates(train))


def threshold_on(dates: tuple[str, ...]) -> Callable[[TrainingSet], bytes]:
    """Return the fit that takes the threshold of one feature at which the profit over some dates is largest."""

    def fit(events: TrainingSet) -> bytes:
        seen = events.on_dates(dates)
        said, earned = seen.features[:, FEATURE_NAMES.index("quote_imbalance_ewma_90s")], np.nan_to_num(seen.long_net_bps)
        grid = np.quantile(said, np.linspace(0.05, 0.95, 181))
        best = max(grid, key=lambda threshold: float(earned[said >= threshold].sum()))
        return json.dumps(float(best)).encode()

    return fit


def choice_of_features_on(dates: tuple[str, ...]) -> Callable[[TrainingSet], bytes]:
    """Return the fit that takes the five features which go with the outcome best over some dates."""

    def fit(events: TrainingSet) -> bytes:
        seen = events.on_dates(dates)
        strength = [abs(np.corrcoef(column, seen.target)[0, 1]) for column in seen.features.T]
        return json.dumps([FEATURE_NAMES[i] for i in np.argsort(strength)[-5:]]).encode()

    return fit


def folds_without_embargo(events: TrainingSet) -> dict[str, Fold]:
    """Purged folds that lack the embargo."""
    rows = np.flatnonzero(events.is_labelled)
    cut = purged_folds(events.ts_event_us[rows], events.ts_label_end_us[rows], embargo_us=0)
    return {f"fold {i + 1}": Fold(rows[fold.train], rows[fold.test], fold.overlaps) for i, fold in enumerate(cut)}


def folds_without_purge(events: TrainingSet) -> dict[str, Fold]:
    """Contiguous folds that train on all the rest."""
    rows = np.flatnonzero(events.is_labelled)
    return {f"fold {i + 1}": Fold(np.setdiff1d(rows, test), test, 0) for i, test in enumerate(np.array_split(rows, 4))}


def fit_on_what_it_predicts(events: TrainingSet) -> Float64Array:
    """A cross-validation that forgot to leave the test events out."""
    rows = np.flatnonzero(events.is_labelled)
    everything = matrix(events, rows)
    prediction = np.full(len(events), np.nan)
    prediction[rows] = train_booster(everything, BoosterParams(max_depth=4, rounds=40, min_child_weight=1.0)).predict(everything)
    return prediction


# Labels.


Labeller = Callable[[Ticks, Int64Array, Float64Array], LabelBatch]


def outcome_of_the_day(labeller: Labeller) -> Labeller:
    """Return a labeller that adds what the date's last tick earned: it looks beyond its stated end."""

    def label(ticks: Ticks, rows: Int64Array, sigma_points: Float64Array) -> LabelBatch:
        batch = labeller(ticks, rows, sigma_points)
        return replace(batch, long_net_bps=batch.long_net_bps + (ticks.bid_points[-1] - ticks.ask_points[rows[batch.event]]))

    return label


def end_too_early(labeller: Labeller) -> Labeller:
    """Return a labeller that states its ends a minute early: purge would leave overlaps."""

    def label(ticks: Ticks, rows: Int64Array, sigma_points: Float64Array) -> LabelBatch:
        batch = labeller(ticks, rows, sigma_points)
        return replace(batch, ts_label_end_us=np.maximum(batch.ts_label_end_us - 60_000_000, ticks.ts_us[rows[batch.event]]))

    return label


def scaled_by_the_past(labeller: Labeller) -> Labeller:
    """Return a labeller whose outcome depends on the date's first tick: it begins before its event."""

    def label(ticks: Ticks, rows: Int64Array, sigma_points: Float64Array) -> LabelBatch:
        batch = labeller(ticks, rows, sigma_points)
        return replace(batch, short_net_bps=batch.short_net_bps * (1.0 + ticks.bid_points[0] / 1e9))

    return label
