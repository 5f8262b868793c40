"""What a model showed: figures of validation and test, and the ones that gates compare.

What belongs here: putting backtest, search and metrics together into plain figures. What must not: thresholds (`gates`), tables.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tick_assets.domain import metrics
from tick_assets.domain.backtest import NO_STRESS, Stress, Trades, backtest, hourly_pnl, open_hours
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.gates import Scenario
from tick_assets.domain.instruments import Market
from tick_assets.domain.orders import FillDraws, Views, draw_fills, orders_from_views, signal_keys, views_of
from tick_assets.domain.signals import Strategy
from tick_assets.domain.ticks import Float64Array, Int64Array
from tick_assets.domain.training import Configuration, Probabilities, SearchResult, is_in_range, log_loss, predict
from tick_assets.domain.walk_forward import WindowRow, walk_forward_share

NO_PROFIT_DRAWDOWN_SHARE = 999.0
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class ValidationFigures:
    """What the search showed on train and validation dates; `dsr` is the gated form, two others are reported."""

    n_configurations: int
    ledger_sha256: str
    trials_variance: float
    observations: int
    sharpe: float
    skewness: float
    kurtosis: float
    psr: float
    dsr: float
    dsr_2014: float
    dsr_2025: float
    min_track_record: float
    min_backtest_years: float
    pbo: float | None
    out_of_sample_loss: float | None
    slope: float | None
    is_plateau: bool
    mean_correlation: float
    label_overlaps: int
    n_trades: int
    net_pnl: float
    max_drawdown: float
    log_loss: float


@dataclass(frozen=True)
class StressRow:
    """How the same decisions fared in one scenario."""

    name: str
    spread_multiple: float
    latency_multiple: float
    extra_slippage_points: int
    n_trades: int
    net_pnl: float
    sharpe: float


@dataclass(frozen=True)
class CalibrationRow:
    """Predicted against observed share of long-is-better in one bin of equally many events."""

    predicted: float
    observed: float
    events: int


@dataclass(frozen=True)
class TestFigures:
    """What one model showed on the test dates."""

    __test__ = False

    observations: int
    sharpe: float
    psr: float
    n_trades: int
    net_pnl: float
    hit_rate: float
    profit_factor: float | None
    max_drawdown: float
    break_even_spread: float
    log_loss: float


@dataclass(frozen=True)
class TestResult:
    """Figures of the test dates with what they were made of."""

    __test__ = False

    figures: TestFigures
    views: Views
    probability: Probabilities
    draws: FillDraws
    trades: Trades
    hours: Int64Array
    hourly_pnl: Float64Array
    stress: tuple[StressRow, ...]
    calibration: tuple[CalibrationRow, ...]


def ledger_hash(configuration: Configuration, dataset_id: str, code_commit: str) -> str:
    """Return the identity under which a configuration counts once in the trial ledger, however often it is run."""
    return hashlib.sha256(f"{configuration.hash}|{dataset_id}|{code_commit}".encode()).hexdigest()


def evaluate_validation(result: SearchResult, ledger: Collection[str] = ()) -> ValidationFigures:
    """Return the figures of a search. `ledger` holds the hashes of all configurations ever tried for the symbol and strategy family,
    these among them (`ledger_hash`); without one only the search's own count."""
    hashes = sorted(set(ledger)) or sorted(trial.configuration.hash for trial in result.trials)
    trials = max(len(hashes), len(result.trials))
    ratios = np.array([trial.sharpe for trial in result.trials])
    variance = float(ratios.var(ddof=1)) if len(ratios) > 1 else 0.0
    series, best = result.profit_series, result.best
    m = metrics.moments(best.hourly_pnl)
    overfitting = _overfitting(series)
    null = metrics.deflated_benchmark(trials, 1.0 / max(1, m.observations))
    rho = metrics.autocorrelation(best.hourly_pnl)
    return ValidationFigures(
        n_configurations=trials,
        ledger_sha256=hashlib.sha256("\n".join(hashes).encode()).hexdigest(),
        trials_variance=variance,
        observations=m.observations,
        sharpe=m.sharpe,
        skewness=m.skewness,
        kurtosis=m.kurtosis,
        psr=metrics.psr_of(best.hourly_pnl),
        dsr=metrics.dsr(m, trials),
        dsr_2014=metrics.dsr(m, trials, variance),
        dsr_2025=metrics.psr_2025(m.sharpe, m.observations, m.skewness, m.kurtosis, null, rho),
        min_track_record=metrics.min_track_record(m.sharpe, m.skewness, m.kurtosis),
        min_backtest_years=metrics.min_backtest_years(trials),
        pbo=overfitting.pbo if overfitting else None,
        out_of_sample_loss=overfitting.loss_probability if overfitting else None,
        slope=overfitting.slope if overfitting else None,
        is_plateau=metrics.is_plateau(series),
        mean_correlation=metrics.mean_correlation(series),
        label_overlaps=result.overlaps,
        n_trades=best.n_trades,
        net_pnl=best.net_pnl,
        max_drawdown=metrics.max_drawdown(best.hourly_pnl),
        log_loss=best.log_loss,
    )


def _overfitting(series: Float64Array) -> metrics.Overfitting | None:
    blocks = min(metrics.CSCV_BLOCKS, len(series) // 4 * 2)
    return metrics.cscv(series, blocks) if blocks >= 4 and series.shape[1] > 1 else None


def evaluate_test(
    events: TrainingSet,
    model: bytes,
    strategy: Strategy,
    market: Market,
    scenarios: Sequence[Scenario] = (),
    ranges: Mapping[str, Sequence[float]] | None = None,
) -> TestResult:
    """Trade the test dates with one fitted model. Draws are keyed by its signal ids, as the simulated terminal's are.

    `ranges` are the model's feature ranges: outside them it has no view, here as in the service.
    """
    instrument = market.instrument(events.symbol)
    probability = predict(model, events.features)
    views = views_of(probability, strategy.threshold)
    if ranges is not None:
        views = np.where(is_in_range(events.features, ranges, events.feature_names), views, 0).astype(np.int8)
    keys = signal_keys(events, views, hashlib.sha256(model).hexdigest(), strategy)
    draws = draw_fills(keys, instrument, market)
    hours = open_hours(events.ticks)

    def traded(stress: Stress = NO_STRESS) -> Trades:
        orders = orders_from_views(events, views, draws, strategy, stress)
        return backtest(events.ticks, orders, instrument, market, strategy.max_position, stress)

    trades = traded()
    series = hourly_pnl(trades, hours)
    break_even = metrics.break_even(lambda multiple: float(traded(Stress(spread_multiple=multiple)).net_pnl_account.sum()))
    loss = log_loss(probability, events.target, events.is_labelled)
    return TestResult(
        figures=_test_figures(trades, series, break_even, loss),
        views=views,
        probability=probability,
        draws=draws,
        trades=trades,
        hours=hours,
        hourly_pnl=series,
        stress=tuple(_stress_row(scenario, traded(scenario.stress), hours) for scenario in scenarios),
        calibration=calibration(events, probability),
    )


def _test_figures(trades: Trades, series: Float64Array, break_even: float, loss: float) -> TestFigures:
    factor = metrics.profit_factor(trades.net_pnl_account)
    return TestFigures(
        observations=len(series),
        sharpe=metrics.sharpe_ratio(series),
        psr=metrics.psr_of(series),
        n_trades=len(trades),
        net_pnl=float(trades.net_pnl_account.sum()),
        hit_rate=metrics.hit_rate(trades.net_pnl_account),
        profit_factor=factor if math.isfinite(factor) else None,
        max_drawdown=metrics.max_drawdown(series),
        break_even_spread=break_even,
        log_loss=loss,
    )


def _stress_row(scenario: Scenario, trades: Trades, hours: Int64Array) -> StressRow:
    stress = scenario.stress
    return StressRow(
        scenario.name,
        stress.spread_multiple,
        stress.latency_multiple,
        stress.extra_slippage_points,
        len(trades),
        float(trades.net_pnl_account.sum()),
        metrics.sharpe_ratio(hourly_pnl(trades, hours)),
    )


def calibration(events: TrainingSet, probability: Probabilities, bins: int = CALIBRATION_BINS) -> tuple[CalibrationRow, ...]:
    """Return predicted and observed shares in bins of equally many labelled, predicted events, by rising prediction."""
    rows = np.flatnonzero(events.is_labelled & np.isfinite(probability))
    ordered = rows[np.argsort(probability[rows], kind="stable")]
    parts = [part for part in np.array_split(ordered, bins) if len(part)]
    return tuple(CalibrationRow(float(probability[part].mean()), float(events.target[part].mean()), len(part)) for part in parts)


def drawdown_share(out_of_fold: Float64Array, test: Float64Array) -> float:
    """Return the largest drawdown over the net profit of both series in sequence."""
    series = np.concatenate([out_of_fold, test])
    profit = float(series.sum())
    return metrics.max_drawdown(series) / profit if profit > 0 else NO_PROFIT_DRAWDOWN_SHARE


def gate_figures(
    validation: ValidationFigures,
    result: SearchResult,
    test: TestResult,
    windows: Sequence[WindowRow],
    completeness: float | None,
    leak_findings: int | None,
    terminal_mismatches: int | None,
    test_openings: int | None = None,
) -> dict[str, float | bool | None]:
    """Return every figure that the policy's gates name."""
    return {
        "completeness": completeness,
        "leak_findings": leak_findings,
        "label_overlaps": validation.label_overlaps,
        "dsr": validation.dsr,
        "out_of_sample_loss": validation.out_of_sample_loss,
        "pbo": validation.pbo,
        "is_plateau": validation.is_plateau,
        "test_psr": test.figures.psr,
        "test_trades": test.figures.n_trades,
        "walk_forward_share": walk_forward_share(windows),
        "break_even_spread": test.figures.break_even_spread,
        "drawdown_share": drawdown_share(result.best.hourly_pnl, test.hourly_pnl),
        "terminal_mismatches": terminal_mismatches,
        "test_openings": test_openings,
    }
