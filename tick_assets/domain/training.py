"""The search over configurations by purged cross-validation, and the final fit.

What belongs here: what a configuration is, how it is tried, and XGBoost. What must not: the test dates, thresholds of gates, tracking.
A configuration is the booster's parameters and the strategy's threshold. Its score is the Sharpe ratio of the net hourly profit of a
backtest on predictions that no model made for data it saw.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
import xgboost as xgb

from tick_assets.domain.backtest import Trades, backtest, hourly_pnl, open_hours
from tick_assets.domain.dataset import BoolArray, TrainingSet
from tick_assets.domain.instruments import Market
from tick_assets.domain.metrics import sharpe_ratio
from tick_assets.domain.orders import FillDraws, draw_fills, orders_from_views, views_of
from tick_assets.domain.quantisation import quantise
from tick_assets.domain.signals import Strategy
from tick_assets.domain.splits import EMBARGO_US, FOLDS, Fold, is_embargoed, meets_any, purged_folds
from tick_assets.domain.ticks import Float64Array, Int64Array
from tick_assets.domain.weights import sample_weights

Probabilities = npt.NDArray[np.float32]
COMPLETE, FAILED, PRUNED = "COMPLETE", "FAILED", "PRUNED"
MAX_BIN = 64
ASKS_PER_TRIAL = 5
GOLDEN_ROWS = 64
N_THREADS = 1
"""Trees are small and the same with any count. With two on two busy cores the threads wait for each other: 90 s instead of 3 (measured)."""


@dataclass(frozen=True)
class BoosterParams:
    """What XGBoost is told; everything else is fixed here."""

    max_depth: int = 3
    eta: float = 0.06
    rounds: int = 60
    min_child_weight: float = 40.0
    reg_lambda: float = 5.0


@dataclass(frozen=True)
class Configuration:
    """One thing that the search can try."""

    booster: BoosterParams
    threshold: float

    @property
    def hash(self) -> str:
        """The identity that counts in the trial ledger: equal parameters are one configuration."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class SearchSpace:
    """The choices of each parameter. Small on purpose: each configuration tried raises the bar that the best one has to clear."""

    max_depth: tuple[int, ...] = (2, 3, 4)
    eta: tuple[float, ...] = (0.03, 0.06, 0.1)
    rounds: tuple[int, ...] = (40, 80)
    min_child_weight: tuple[float, ...] = (20.0, 60.0)
    reg_lambda: tuple[float, ...] = (1.0, 10.0)
    threshold: tuple[float, ...] = (0.52, 0.54, 0.56, 0.58, 0.60)

    def suggest(self, trial: optuna.trial.BaseTrial) -> Configuration:
        """Ask a sampler for a configuration."""
        chosen: dict[str, Any] = {name: trial.suggest_categorical(name, choices) for name, choices in asdict(self).items()}
        return Configuration(threshold=chosen.pop("threshold"), booster=BoosterParams(**chosen))


@dataclass(frozen=True)
class Trial:
    """One distinct configuration that was tried. `hourly_pnl` and `sharpe` are zero when it failed or was pruned."""

    number: int
    configuration: Configuration
    state: str
    n_trades: int
    sharpe: float
    log_loss: float
    net_pnl: float
    hourly_pnl: Float64Array
    error: str = ""


class TrialLog(ABC):
    """Where the finished trials of one search are kept, so that a killed search goes on and does not begin again.

    A log belongs to one search: whoever opens it sees to it that data, code, seed and space are the same (`trial_logs.search_key`).
    """

    @abstractmethod
    def known(self) -> Mapping[str, Trial]:
        """Return the trials kept so far by the hash of their configuration."""

    @abstractmethod
    def append(self, trial: Trial) -> None:
        """Keep a trial durably: when this returns it survives the process."""


@dataclass(frozen=True)
class SearchResult:
    """Every trial, the best one and its out-of-fold predictions and trades (on the events given to `search`)."""

    trials: tuple[Trial, ...]
    best: Trial
    hours: Int64Array
    out_of_fold: Probabilities
    trades: Trades
    overlaps: int
    folds: tuple[Fold, ...] = field(repr=False, default=())

    @property
    def profit_series(self) -> Float64Array:
        """The T x N hourly profit of all configurations, failed and pruned ones as zeros."""
        return np.column_stack([trial.hourly_pnl for trial in self.trials])


def search(
    events: TrainingSet,
    strategy: Strategy,
    market: Market,
    n_trials: int = 20,
    seed: int = 0,
    on_trial: Callable[[Trial], None] | None = None,
    space: SearchSpace | None = None,
    n_threads: int = N_THREADS,
    folds: int = FOLDS,
    embargo_us: int = EMBARGO_US,
    log: TrialLog | None = None,
    sampler: optuna.samplers.BaseSampler | None = None,
) -> SearchResult:
    """Try `n_trials` distinct configurations on the train and validation dates, one after the other, repeatably by `seed`.

    `events` must not hold test dates. `on_trial` is called after each trial, failed and pruned ones too. With a `log` every trial is kept
    before `on_trial` hears of it; trials that the log knows are told to the sampler and not computed again, so that a search that was
    killed and started again ends as one that was not, bit for bit. Without a `sampler` the draws are random: docs/search.md
    has the figures. One that is given must be seeded and fresh.
    """
    judge = _Judge(events, strategy, market, n_threads, folds, embargo_us)
    known = log.known() if log else {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=sampler or optuna.samplers.RandomSampler(seed=seed))
    seen: dict[str, Trial] = {}
    for _ in range(n_trials * ASKS_PER_TRIAL):
        if len(seen) == n_trials:
            break
        asked = study.ask()
        configuration = (space or SearchSpace()).suggest(asked)
        if configuration.hash not in seen:
            trial = known.get(configuration.hash)
            if trial is None or trial.number != len(seen):
                trial = judge.try_configuration(len(seen), configuration, may_prune=_has_completed(seen.values()))
                if log is not None:
                    log.append(trial)
            seen[configuration.hash] = trial
            if on_trial is not None:
                on_trial(trial)
        _tell(study, asked, seen[configuration.hash])
    return judge.result(tuple(seen.values()))


def _has_completed(trials: Iterable[Trial]) -> bool:
    """Tell whether a trial completed: none is pruned before, so that there is always one to judge."""
    return any(trial.state == COMPLETE for trial in trials)


def _tell(study: optuna.Study, asked: optuna.Trial, trial: Trial) -> None:
    """Tell the sampler how a trial ended; the same words whether it was computed now or came from the log."""
    states = {FAILED: optuna.trial.TrialState.FAIL, PRUNED: optuna.trial.TrialState.PRUNED}
    if trial.state == COMPLETE:
        study.tell(asked, trial.sharpe)
    else:
        study.tell(asked, state=states[trial.state])


class _Judge:
    """Tries configurations on fixed folds and draws; boosters that differ in rounds or threshold only are fitted once."""

    def __init__(self, events: TrainingSet, strategy: Strategy, market: Market, n_threads: int, folds: int, embargo_us: int) -> None:
        self._events, self._strategy, self._market, self._n_threads = events, strategy, market, n_threads
        self._instrument = market.instrument(events.symbol)
        self._draws = draw_fills(events.event_id, self._instrument, market)
        self._hours = open_hours(events.ticks)
        labelled = np.flatnonzero(events.is_labelled)
        cut = purged_folds(events.ts_event_us[labelled], events.ts_label_end_us[labelled], folds, embargo_us)
        self._folds = tuple(Fold(labelled[fold.train], labelled[fold.test], fold.overlaps) for fold in cut)
        self._matrices = [(training_matrix(events, fold.train), matrix(events, fold.test)) for fold in self._folds]
        self._boosters: dict[tuple[int, BoosterParams], xgb.Booster] = {}

    def try_configuration(self, number: int, configuration: Configuration, may_prune: bool) -> Trial:
        """Backtest one configuration; `may_prune` lets it end PRUNED when it has no view in the first half of the folds."""
        try:
            if may_prune and not self._has_early_view(configuration):
                return self._without_trades(number, configuration, PRUNED)
            probability = self._out_of_fold(configuration.booster, len(self._folds))
        except xgb.core.XGBoostError as error:
            return self._without_trades(number, configuration, FAILED, str(error))
        trades = self._trade(probability, configuration.threshold)
        series = hourly_pnl(trades, self._hours)
        net_pnl = float(trades.net_pnl_account.sum())
        loss = log_loss(probability, self._events.target, self._events.is_labelled)
        return Trial(number, configuration, COMPLETE, len(trades), sharpe_ratio(series), loss, net_pnl, series)

    def _without_trades(self, number: int, configuration: Configuration, state: str, error: str = "") -> Trial:
        return Trial(number, configuration, state, 0, 0.0, float("nan"), 0.0, np.zeros(len(self._hours)), error)

    def result(self, trials: tuple[Trial, ...]) -> SearchResult:
        """Return the search with the best completed trial; none is a `RuntimeError`."""
        complete = [trial for trial in trials if trial.state == COMPLETE]
        if not complete:
            raise RuntimeError(f"Expected at least one trial to complete, was none of {len(trials)}. First error: {trials[0].error}")
        best = max(complete, key=lambda trial: (trial.sharpe, -trial.number))
        probability = self._out_of_fold(best.configuration.booster, len(self._folds))
        trades = self._trade(probability, best.configuration.threshold)
        overlaps = sum(fold.overlaps for fold in self._folds)
        return SearchResult(trials, best, self._hours, probability, trades, overlaps, self._folds)

    def _has_early_view(self, configuration: Configuration) -> bool:
        early = self._out_of_fold(configuration.booster, max(1, len(self._folds) // 2))
        return bool(np.any(views_of(early, configuration.threshold)))

    def _out_of_fold(self, params: BoosterParams, folds: int) -> Probabilities:
        """Predict the labelled events of the first folds by the booster that did not see them; all others are NaN, which is FLAT."""
        probability = np.full(len(self._events), np.nan, np.float32)
        for place in range(folds):
            predicted = self._booster(place, params).predict(self._matrices[place][1], iteration_range=(0, params.rounds))
            probability[self._folds[place].test] = predicted
        return probability

    def _booster(self, place: int, params: BoosterParams) -> xgb.Booster:
        """Return the booster that did not see the fold at `place`; it may have more rounds than asked for."""
        key = (place, replace(params, rounds=0))
        found = self._boosters.get(key)
        if found is None or found.num_boosted_rounds() < params.rounds:
            found = self._boosters[key] = train_booster(self._matrices[place][0], params, self._n_threads)
        return found

    def _trade(self, probability: Probabilities, threshold: float) -> Trades:
        return trade(self._events, probability, replace(self._strategy, threshold=threshold), self._market, self._draws)


def trade(events: TrainingSet, probability: Probabilities, strategy: Strategy, market: Market, draws: FillDraws) -> Trades:
    """Backtest one threshold on given probabilities."""
    orders = orders_from_views(events, views_of(probability, strategy.threshold), draws, strategy)
    return backtest(events.ticks, orders, market.instrument(events.symbol), market, strategy.max_position)


def matrix(events: TrainingSet, rows: Int64Array) -> xgb.DMatrix:
    """Return the rows as XGBoost wants them, with target and feature names."""
    return xgb.DMatrix(events.features[rows], label=events.target[rows], feature_names=list(events.feature_names), nthread=1)


def training_matrix(events: TrainingSet, rows: Int64Array) -> xgb.QuantileDMatrix:
    """Return the rows to learn from as bins, weighed by the average uniqueness of their labels among these very rows."""
    weights = sample_weights(events.ts_event_us[rows], events.ts_label_end_us[rows])
    return quantise(events.features[rows], events.target[rows], weights, max_bin=MAX_BIN, feature_names=events.feature_names)


def train_booster(train: xgb.DMatrix, params: BoosterParams, n_threads: int = N_THREADS) -> xgb.Booster:
    """Fit one booster; equal input gives equal trees, whatever ran before."""
    return xgb.train(to_xgboost(params, n_threads), train, num_boost_round=params.rounds)


def to_xgboost(params: BoosterParams, n_threads: int) -> dict[str, Any]:
    """Return XGBoost's own parameters: what is chosen and what is fixed."""
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "base_score": 0.5,
        "max_bin": MAX_BIN,
        "seed": 0,
        "nthread": n_threads,
        "verbosity": 0,
        "max_depth": params.max_depth,
        "eta": params.eta,
        "min_child_weight": params.min_child_weight,
        "reg_lambda": params.reg_lambda,
    }


def fit_final(
    events: TrainingSet, params: BoosterParams, before: TrainingSet | None = None, n_threads: int = N_THREADS, embargo_us: int = EMBARGO_US
) -> bytes:
    """Fit on all labelled events, purged and embargoed against those of `before` when given, and return the model's JSON bytes."""
    rows = np.flatnonzero(events.is_labelled & ~_meets(events, before, embargo_us))
    booster = train_booster(training_matrix(events, rows), params, n_threads)
    return bytes(booster.save_raw("json"))


def _meets(events: TrainingSet, other: TrainingSet | None, embargo_us: int) -> BoolArray:
    if other is None:
        return np.zeros(len(events), np.bool_)
    met = meets_any(events.ts_event_us, events.ts_label_end_us, other.ts_event_us, other.ts_label_end_us)
    return met | is_embargoed(events.ts_event_us, other.ts_label_end_us, embargo_us)


def load_booster(model: bytes) -> xgb.Booster:
    """Return the booster of model.json bytes."""
    booster = xgb.Booster({"nthread": 1})
    booster.load_model(bytearray(model))
    return booster


def predict(model: bytes, features: Float64Array) -> Probabilities:
    """Return the probability that a long is the better side, per row of features."""
    if len(features) == 0:
        return np.empty(0, np.float32)
    return np.asarray(load_booster(model).inplace_predict(features, validate_features=False), np.float32)


def golden(model: bytes, features: Float64Array, rows: int = GOLDEN_ROWS) -> Mapping[str, list[Any]]:
    """Return rows spread over the features that hold no NaN, and what the model says of them, to check after every load."""
    known = features[np.isfinite(features).all(axis=1)]
    chosen = known[np.unique(np.linspace(0, max(0, len(known) - 1), min(rows, len(known))).astype(np.int64))]
    return {"rows": chosen.tolist(), "probabilities": [float(p) for p in predict(model, chosen)]}


def feature_ranges(events: TrainingSet) -> dict[str, tuple[float, float]]:
    """Return the range in which the model may speak: what it was fitted on, widened by its own width on both sides.

    Beyond that an input is no tail of the market but a broken feed; service and backtest both stay FLAT there. A feature that is not known
    (NaN: no leader) is in no range, and widens none.
    """
    low, high = np.fmin.reduce(events.features, axis=0), np.fmax.reduce(events.features, axis=0)
    width = high - low
    return {name: (float(low[i] - width[i]), float(high[i] + width[i])) for i, name in enumerate(events.feature_names)}


def is_in_range(features: Float64Array, ranges: Mapping[str, Sequence[float]], names: Sequence[str]) -> BoolArray:
    """Tell for each row whether every feature lies in its range, ends included."""
    bounds = np.array([ranges[name] for name in names], np.float64)
    return np.asarray(((features >= bounds[:, 0]) & (features <= bounds[:, 1])).all(axis=1))


def log_loss(probability: Probabilities, target: npt.NDArray[np.integer], rows: BoolArray) -> float:
    """Return the mean negative log-likelihood over the rows that have a prediction."""
    used = rows & np.isfinite(probability)
    p = np.clip(probability[used].astype(np.float64), 1e-12, 1 - 1e-12)
    return float(-np.mean(np.where(target[used] == 1, np.log(p), np.log1p(-p)))) if len(p) else float("nan")
