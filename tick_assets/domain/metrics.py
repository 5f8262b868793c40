"""Statistics of a profit series and of a search over many: Sharpe ratios, their deflation, overfitting, drawdown.

What belongs here: formulas on arrays, each with its source. What must not: thresholds (`gates`) or how the series came to be.
A Sharpe ratio here is per period of its series; nothing is annualised.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import beta

from tick_assets.domain.ticks import Float64Array

EULER_GAMMA = 0.5772156649015329
CSCV_BLOCKS = 16


@dataclass(frozen=True)
class Moments:
    """Sharpe ratio, skewness and non-excess kurtosis of a series of `observations`; a constant series has a ratio of zero."""

    observations: int
    sharpe: float
    skewness: float
    kurtosis: float


@dataclass(frozen=True)
class Overfitting:
    """What combinatorially symmetric cross-validation says about a search (Bailey et al. 2017)."""

    pbo: float
    loss_probability: float
    slope: float
    combinations: int
    adjusted_r2: float


def sharpe_ratio(series: Float64Array) -> float:
    """Return mean over standard deviation (n - 1); zero for a constant series."""
    return moments(series).sharpe


def moments(series: Float64Array) -> Moments:
    """Return the moments that the probabilistic Sharpe ratio needs."""
    n = len(series)
    deviation = series - series.mean() if n else series
    variance = float(np.mean(deviation**2)) if n else 0.0
    if n < 2 or variance <= 1e-24:
        return Moments(n, 0.0, 0.0, 3.0)
    sharpe = float(series.mean()) / math.sqrt(variance * n / (n - 1))
    return Moments(n, sharpe, float(np.mean(deviation**3)) / variance**1.5, float(np.mean(deviation**4)) / variance**2)


def psr(sharpe: float, observations: float, skewness: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio exceeds `benchmark` (Bailey & Lopez de Prado 2012)."""
    if observations < 2:
        return 0.0
    scale = math.sqrt(max(1e-12, 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2))
    return float(ndtr((sharpe - benchmark) * math.sqrt(observations - 1.0) / scale))


def psr_of(series: Float64Array, benchmark: float = 0.0) -> float:
    """Return `psr` of a series' own moments."""
    m = moments(series)
    return psr(m.sharpe, m.observations, m.skewness, m.kurtosis, benchmark)


def min_track_record(sharpe: float, skewness: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0, alpha: float = 0.05) -> float:
    """Return the observations needed for `psr` >= 1 - alpha (2012); infinite when the ratio does not exceed the benchmark."""
    if sharpe <= benchmark:
        return math.inf
    scale = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    return float(1.0 + scale * (ndtri(1.0 - alpha) / (sharpe - benchmark)) ** 2)


def expected_max_normal(trials: int) -> float:
    """Return the expected maximum of N independent standard normals (Bailey & Lopez de Prado 2014); zero for one."""
    if trials <= 1:
        return 0.0
    upper = (1.0 - EULER_GAMMA) * ndtri(1.0 - 1.0 / trials)
    return float(upper + EULER_GAMMA * ndtri(1.0 - 1.0 / (trials * math.e)))


def min_backtest_years(trials: int, sharpe_per_year: float = 1.0) -> float:
    """Return the years below which the best of N worthless trials is expected to show this annual ratio (Notices AMS 2014)."""
    return (expected_max_normal(trials) / sharpe_per_year) ** 2


def deflated_benchmark(trials: int, variance: float) -> float:
    """Return SR0, the Sharpe ratio expected of the best of N worthless trials whose ratios have this variance."""
    return math.sqrt(variance) * expected_max_normal(trials)


def dsr(m: Moments, trials: int, variance: float | None = None) -> float:
    """Return the deflated Sharpe ratio. Without a variance it is 1/T, that of an estimated ratio under the null: the gated form."""
    if m.observations < 2:
        return 0.0
    spread = 1.0 / m.observations if variance is None else variance
    return psr(m.sharpe, m.observations, m.skewness, m.kurtosis, deflated_benchmark(trials, spread))


def sharpe_standard_error(sharpe: float, observations: float, skewness: float, kurtosis: float, rho: float = 0.0) -> float:
    """Return the standard error of a Sharpe ratio under first-order autocorrelation (Lopez de Prado, Lipton & Zoonekynd 2025)."""
    once, twice = rho / (1.0 - rho), rho**2 / (1.0 - rho**2)
    a, b, c = 1.0 + 2.0 * once, 1.0 + once + twice, 1.0 + 2.0 * twice
    return math.sqrt(max(1e-12, a - b * skewness * sharpe + c * (kurtosis - 1.0) / 4.0 * sharpe**2) / observations)


def psr_2025(
    sharpe: float, observations: float, skewness: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0, rho: float = 0.0
) -> float:
    """Return the 2025 form: the variance is the one under the null, so it stands on the benchmark, and T replaces T - 1."""
    if observations < 2:
        return 0.0
    return float(ndtr((sharpe - benchmark) / sharpe_standard_error(benchmark, observations, skewness, kurtosis, rho)))


def min_track_record_2025(
    sharpe: float, skewness: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0, rho: float = 0.0, alpha: float = 0.05
) -> float:
    """Return the observations needed for `psr_2025` >= 1 - alpha."""
    if sharpe <= benchmark:
        return math.inf
    return float((sharpe_standard_error(benchmark, 1.0, skewness, kurtosis, rho) * ndtri(1.0 - alpha) / (sharpe - benchmark)) ** 2)


def planned_false_discovery_rate(prior_skill: float, alpha: float, beta_error: float) -> float:
    """Return the share of nulls among the accepted, planned from the share of skilled ones, test size and type II error (2025)."""
    null = alpha * (1.0 - prior_skill)
    return null / (null + (1.0 - beta_error) * prior_skill)


def observed_false_discovery_rate(
    prior_skill: float, sharpe: float, skilled_sharpe: float, observations: float, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Return the share of nulls among those that reach this ratio, when skilled ones truly have `skilled_sharpe` (2025)."""
    null = (1.0 - prior_skill) * (1.0 - psr_2025(sharpe, observations, skewness, kurtosis))
    return null / (null + prior_skill * (1.0 - psr_2025(sharpe, observations, skewness, kurtosis, skilled_sharpe)))


def autocorrelation(series: Float64Array) -> float:
    """Return the first-order autocorrelation; zero for a constant or very short series."""
    deviation = series - series.mean() if len(series) else series
    total = float(deviation @ deviation)
    return float(deviation[1:] @ deviation[:-1]) / total if len(series) > 2 and total > 1e-24 else 0.0


def cscv(series: Float64Array, blocks: int = CSCV_BLOCKS, risk_free: float = 0.0) -> Overfitting:
    """Run combinatorially symmetric cross-validation over the T x N profit series of all configurations.

    Blocks are contiguous and as equal as T allows; the metric is the Sharpe ratio. `pbo` is the share of choices in which the best in
    sample ranks in the lower half outside; `loss_probability` the share in which its ratio there is below zero; `slope` and `adjusted_r2`
    those of a regression of the best's outside ratio on its ratio in sample. A constant series has a ratio of zero.
    """
    periods, configurations = series.shape
    if blocks % 2 or blocks < 2 or periods < 2 * blocks:
        raise ValueError(f"Expected an even number of blocks of 2 periods or more, was {blocks} blocks of {periods} periods.")
    count, total, squares = _block_sums(series - risk_free, blocks)
    chosen = _half_choices(blocks)
    inside = _ratios(chosen @ count, chosen @ total, chosen @ squares)
    outside = _ratios((1 - chosen) @ count, (1 - chosen) @ total, (1 - chosen) @ squares)
    best = np.argmax(inside, axis=1)
    rows = np.arange(len(chosen))
    best_outside = outside[rows, best]
    rank = np.sum(outside < best_outside[:, None], axis=1) + (np.sum(outside == best_outside[:, None], axis=1) + 1) / 2.0
    share = rank / (configurations + 1.0)
    return Overfitting(
        pbo=float(np.mean(share <= 0.5)),
        loss_probability=float(np.mean(best_outside < 0)),
        slope=_slope(inside[rows, best], best_outside),
        combinations=len(chosen),
        adjusted_r2=_adjusted_r2(inside[rows, best], best_outside),
    )


def _block_sums(series: Float64Array, blocks: int) -> tuple[Float64Array, Float64Array, Float64Array]:
    parts = np.array_split(series, blocks)
    count = np.array([[len(part)] for part in parts], np.float64)
    return count, np.array([part.sum(axis=0) for part in parts]), np.array([(part**2).sum(axis=0) for part in parts])


def _half_choices(blocks: int) -> Float64Array:
    chosen = list(combinations(range(blocks), blocks // 2))
    matrix = np.zeros((len(chosen), blocks))
    matrix[np.repeat(np.arange(len(chosen)), blocks // 2), np.ravel(chosen)] = 1.0
    return matrix


def _ratios(count: Float64Array, total: Float64Array, squares: Float64Array) -> Float64Array:
    mean = total / count
    variance = (squares - count * mean**2) / (count - 1.0)
    constant = variance <= 1e-12 * squares / count
    return np.where(constant, 0.0, mean / np.sqrt(np.where(constant, 1.0, variance)))


def _slope(x: Float64Array, y: Float64Array) -> float:
    deviation = x - x.mean()
    total = float(deviation @ deviation)
    return float(deviation @ (y - y.mean())) / total if total > 1e-24 else 0.0


def _adjusted_r2(x: Float64Array, y: Float64Array) -> float:
    """Return the adjusted R squared of a straight line; zero where a side is constant or there are too few points."""
    left, right = x - x.mean(), y - y.mean()
    total = float((left @ left) * (right @ right))
    if len(x) < 3 or total <= 1e-24:
        return 0.0
    return 1.0 - (1.0 - float(left @ right) ** 2 / total) * (len(x) - 1) / (len(x) - 2)


def mean_correlation(series: Float64Array) -> float:
    """Return the mean pairwise correlation of the columns; a constant column correlates with nothing."""
    columns = series.shape[1]
    if columns < 2:
        return 1.0
    deviation = series - series.mean(axis=0)
    norm = np.sqrt((deviation**2).sum(axis=0))
    unit = np.where(norm > 1e-12, deviation / np.where(norm > 1e-12, norm, 1.0), 0.0)
    return float(((unit.T @ unit).sum() - np.count_nonzero(norm > 1e-12)) / (columns * (columns - 1)))


def is_plateau(series: Float64Array) -> bool:
    """Tell whether a search's trials hardly differ: correlation above .95, or ratios closer together than their own error."""
    ratios = np.array([sharpe_ratio(column) for column in series.T])
    spread = float(ratios.std(ddof=1)) if len(ratios) > 1 else 0.0
    return mean_correlation(series) > 0.95 or spread < 1.0 / math.sqrt(max(1, len(series)))


def drawdown(series: Float64Array) -> Float64Array:
    """Return how far cumulated profit lies below its highest point so far (from zero on), per period."""
    equity = np.cumsum(series)
    return np.asarray(np.maximum.accumulate(np.maximum(equity, 0.0)) - equity)


def max_drawdown(series: Float64Array) -> float:
    """Return the largest drawdown, in the series' units."""
    return float(drawdown(series).max()) if len(series) else 0.0


def hit_rate(pnl: Float64Array) -> float:
    """Return the share of trades that earned; zero without trades."""
    return float(np.mean(pnl > 0)) if len(pnl) else 0.0


def profit_factor(pnl: Float64Array) -> float:
    """Return gains over losses; zero without gains, infinite without losses."""
    gains, losses = float(pnl[pnl > 0].sum()), float(-pnl[pnl < 0].sum())
    if losses == 0.0:
        return math.inf if gains > 0 else 0.0
    return gains / losses


def break_even(profit_at: Callable[[float], float], upper: float = 16.0, tolerance: float = 0.005) -> float:
    """Return the multiple of the spread at which profit is gone, by bisection; 0 when it loses without any spread, at most `upper`."""
    if profit_at(0.0) <= 0:
        return 0.0
    if profit_at(upper) > 0:
        return upper
    low, high = 0.0, upper
    while high - low > tolerance:
        middle = (low + high) / 2.0
        low, high = (middle, high) if profit_at(middle) > 0 else (low, middle)
    return (low + high) / 2.0


def clopper_pearson(passed: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact one-sided (lower, upper) bounds of a share, each at the given confidence."""
    alpha = 1.0 - confidence
    lower = 0.0 if passed == 0 else float(beta.ppf(alpha, passed, n - passed + 1))
    upper = 1.0 if passed == n else float(beta.ppf(1.0 - alpha, passed + 1, n - passed))
    return lower, upper
