"""What a model learned and what it keeps: learning curve, degradation, reliability and the band in which it abstains.

What belongs here: figures that explain a verdict. What must not: figures that gates compare (`evaluation`), or words (`report_learning`).
Nothing here sees test dates but `sample_of_test`, which reads what the one opening of them gave (`vault`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import xgboost as xgb

from tick_assets.domain import metrics
from tick_assets.domain.backtest import Trades, hourly_pnl, open_hours
from tick_assets.domain.dataset import BoolArray, TrainingSet
from tick_assets.domain.evaluation import CALIBRATION_BINS, CalibrationRow, TestResult, calibration
from tick_assets.domain.instruments import Market
from tick_assets.domain.orders import draw_fills, views_of
from tick_assets.domain.signals import Strategy
from tick_assets.domain.splits import DateSplit, purge
from tick_assets.domain.ticks import Float64Array, Int64Array
from tick_assets.domain.training import (
    N_THREADS,
    Configuration,
    Probabilities,
    SearchResult,
    log_loss,
    matrix,
    to_xgboost,
    trade,
    training_matrix,
)

TRAIN, VALIDATION, TEST = "train", "validation", "test"


@dataclass(frozen=True)
class LearningCurve:
    """Log loss after each boosting round of a model fitted on train dates alone; `validation` is empty without such dates."""

    train: tuple[float, ...]
    validation: tuple[float, ...]

    @property
    def best_round(self) -> int | None:
        """The round, counted from one, after which the validation loss was lowest; None without validation dates."""
        return int(np.argmin(self.validation)) + 1 if self.validation else None


@dataclass(frozen=True)
class SampleFigures:
    """What a model showed on one sample of dates; `net_per_trade` is in account currency, `sharpe` per open hour."""

    sample: str
    dates: int
    n_trades: int
    sharpe: float
    hit_rate: float
    log_loss: float
    net_per_trade: float


@dataclass(frozen=True)
class Reliability:
    """How far probabilities can be taken at their word.

    `brier` is the mean squared difference of probability and outcome (chance: 0.25); `expected_calibration_error` the mean distance of
    predicted and observed share over bins of equally many events, each weighed by its events (Naeini et al. 2015, equal-mass bins).
    """

    brier: float
    expected_calibration_error: float
    events: int
    bins: tuple[CalibrationRow, ...]


@dataclass(frozen=True)
class AbstainBand:
    """The probabilities, ends excluded, at which the model has no view, and what events on both sides of its ends were worth.

    `net_bps` is what a trade on the likelier side would have netted at the label's own exits, by event: None where there was no event.
    """

    low: float
    high: float
    events: int
    abstained_share: float
    net_bps_inside: float | None
    net_bps_outside: float | None


@dataclass(frozen=True)
class LearningFigures:
    """All of it, from train and validation dates. The samples are train and validation of the model that saw train dates only."""

    configuration: str
    curve: LearningCurve
    samples: tuple[SampleFigures, ...]
    reliability: Reliability
    abstain: AbstainBand

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LearningFigures:
        """Return the figures that `to_dict` gave; null is NaN where a number is needed."""
        reliability, curve = values["reliability"], values["curve"]
        return cls(
            configuration=values["configuration"],
            curve=LearningCurve(tuple(curve["train"]), tuple(curve["validation"])),
            samples=tuple(SampleFigures(**_numbers(row)) for row in values["samples"]),
            reliability=Reliability(**_numbers({**reliability, "bins": tuple(CalibrationRow(**row) for row in reliability["bins"])})),
            abstain=AbstainBand(**values["abstain"]),
        )


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float("nan") if value is None else value for name, value in row.items()}


def evaluate_learning(
    result: SearchResult, events: TrainingSet, split: DateSplit, strategy: Strategy, market: Market, n_threads: int = N_THREADS
) -> LearningFigures:
    """Return the figures of a search's best configuration. `events` are those of the search: no test dates.

    Reliability and abstain band stand on the out-of-fold predictions of the validation dates; without such dates, on those of all.
    """
    chosen = result.best.configuration
    used = replace(strategy, threshold=chosen.threshold)
    booster, curve = _fit_on_train(events, split, chosen, n_threads)
    held_out = split.validation or split.train
    rows = events.rows_of(held_out)
    probability = np.where(rows, result.out_of_fold, np.float32("nan")).astype(np.float32)
    samples = [(TRAIN, split.train), (VALIDATION, split.validation)]
    return LearningFigures(
        configuration=chosen.hash,
        curve=curve,
        samples=tuple(_sample(name, events.on_dates(dates), booster, used, market) for name, dates in samples if dates),
        reliability=reliability(events, probability),
        abstain=abstain_band(events, probability, chosen.threshold),
    )


def learning_curve(events: TrainingSet, split: DateSplit, configuration: Configuration, n_threads: int = N_THREADS) -> LearningCurve:
    """Fit on the train dates, purged and embargoed against the validation dates, and return the log loss on both after each round.

    Events weigh by their uniqueness in the fit, and equally in the losses.
    """
    return _fit_on_train(events, split, configuration, n_threads)[1]


def _fit_on_train(events: TrainingSet, split: DateSplit, configuration: Configuration, n_threads: int) -> tuple[xgb.Booster, LearningCurve]:
    train, validation = _labelled_rows(events, split.train), _labelled_rows(events, split.validation)
    train = purge(events.ts_event_us, events.ts_label_end_us, train, validation)
    watched = [(matrix(events, train), TRAIN), (matrix(events, validation), VALIDATION)][: 2 if len(validation) else 1]
    losses: dict[str, dict[str, list[float]]] = {}
    params = to_xgboost(configuration.booster, n_threads) | {"eval_metric": "logloss"}
    booster = xgb.train(
        params,
        training_matrix(events, train),
        num_boost_round=configuration.booster.rounds,
        evals=watched,
        evals_result=losses,
        verbose_eval=False,
    )
    shown = {name: tuple(losses.get(name, {}).get("logloss", ())) for name in (TRAIN, VALIDATION)}
    return booster, LearningCurve(shown[TRAIN], shown[VALIDATION])


def _labelled_rows(events: TrainingSet, dates: Sequence[str]) -> Int64Array:
    return np.flatnonzero(events.rows_of(dates) & events.is_labelled)


def _sample(name: str, events: TrainingSet, booster: xgb.Booster, strategy: Strategy, market: Market) -> SampleFigures:
    """Trade some dates by a booster; draws are keyed by event."""
    probability = np.asarray(booster.inplace_predict(events.features, validate_features=False), np.float32)
    trades = trade(events, probability, strategy, market, draw_fills(events.event_id, market.instrument(events.symbol), market))
    series = hourly_pnl(trades, open_hours(events.ticks))
    return _sample_figures(name, len(events.dates), trades, series, log_loss(probability, events.target, events.is_labelled))


def sample_of_test(test: TestResult, dates: int) -> SampleFigures:
    """Return what the final model showed on the test dates, as the third row of the degradation."""
    return _sample_figures(TEST, dates, test.trades, test.hourly_pnl, test.figures.log_loss)


def _sample_figures(name: str, dates: int, trades: Trades, series: Float64Array, loss: float) -> SampleFigures:
    net = trades.net_pnl_account
    return SampleFigures(
        sample=name,
        dates=dates,
        n_trades=len(trades),
        sharpe=metrics.sharpe_ratio(series),
        hit_rate=metrics.hit_rate(net),
        log_loss=loss,
        net_per_trade=float(net.mean()) if len(net) else 0.0,
    )


def reliability(events: TrainingSet, probability: Probabilities, bins: int = CALIBRATION_BINS) -> Reliability:
    """Return how predicted and observed shares agree over the labelled events that have a prediction; NaN without one."""
    rows = _predicted(events, probability)
    error = probability[rows].astype(np.float64) - events.target[rows]
    found = calibration(events, probability, bins)
    events_in = np.array([row.events for row in found], np.float64)
    distance = np.array([abs(row.predicted - row.observed) for row in found])
    return Reliability(
        brier=float(np.mean(error**2)) if len(error) else float("nan"),
        expected_calibration_error=float(distance @ events_in / events_in.sum()) if found else float("nan"),
        events=len(error),
        bins=found,
    )


def abstain_band(events: TrainingSet, probability: Probabilities, threshold: float) -> AbstainBand:
    """Return the band between 1 - threshold and threshold with what its labelled, predicted events would have netted, and the others'.

    The threshold is a part of the configuration, which the search chose on out-of-fold predictions of train and validation dates.
    """
    rows = _predicted(events, probability)
    is_outside = views_of(probability, threshold)[rows] != 0
    net_bps = np.where(probability[rows] >= 0.5, events.long_net_bps[rows], events.short_net_bps[rows])
    return AbstainBand(
        low=1.0 - threshold,
        high=threshold,
        events=int(rows.sum()),
        abstained_share=float(np.mean(~is_outside)) if len(net_bps) else float("nan"),
        net_bps_inside=_mean(net_bps[~is_outside]),
        net_bps_outside=_mean(net_bps[is_outside]),
    )


def _predicted(events: TrainingSet, probability: Probabilities) -> BoolArray:
    return np.asarray(events.is_labelled & np.isfinite(probability), np.bool_)


def _mean(values: Float64Array) -> float | None:
    return float(values.mean()) if len(values) else None
