"""Statistics against numbers from outside: papers, pypbo, the 2025 reference code and R's pbo."""

import math

import numpy as np
import pytest
from scipy.special import ndtri

from tick_assets.domain import metrics

SR_2012, G3, G4 = 1.585 / math.sqrt(12), -2.448, 10.164
SR_2025 = 0.036 / 0.079


def test_expected_max_normal_of_100_trials_matches_pypbo() -> None:
    assert metrics.expected_max_normal(100) == pytest.approx(2.5306028932016846, abs=1e-12)


def test_expected_max_normal_of_one_trial_is_zero() -> None:
    assert metrics.expected_max_normal(1) == 0.0


@pytest.mark.parametrize(("skewness", "kurtosis", "expected", "tolerance"), [(G3, G4, 0.9132343068848602, 1e-12), (0, 3, 0.98159, 5e-6)])
def test_psr_of_efficient_frontier_example(skewness: float, kurtosis: float, expected: float, tolerance: float) -> None:
    assert metrics.psr(SR_2012, 24, skewness, kurtosis) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(
    ("trials", "skewness", "kurtosis", "expected", "tolerance"),
    [(100, -3, 10, 0.9003968344493904, 1e-12), (46, -3, 10, 0.95050, 5e-6), (88, 0, 3, 0.95049, 5e-6)],
)
def test_dsr_of_2014_example(trials: int, skewness: float, kurtosis: float, expected: float, tolerance: float) -> None:
    m = metrics.Moments(1250, 2.5 / math.sqrt(250), skewness, kurtosis)
    assert metrics.dsr(m, trials, 0.5 / 250) == pytest.approx(expected, abs=tolerance)


def test_deflated_benchmark_of_2014_example() -> None:
    assert metrics.deflated_benchmark(100, 0.5 / 250) == pytest.approx(0.113172, abs=1e-6)


def test_dsr_without_variance_uses_the_one_under_the_null() -> None:
    m = metrics.Moments(200, 0.3, 0.0, 3.0)
    assert metrics.dsr(m, 20) == metrics.dsr(m, 20, 1 / 200)


@pytest.mark.parametrize(
    ("sharpe", "benchmark", "per_year", "skewness", "kurtosis", "years"),
    [
        (2.0, 1.0, 250, 0.0, 3.0, 2.7311878),
        (2.0, 1.0, 52, 0.0, 3.0, 2.8288336),
        (3.0, 2.5, 12, -0.72, 5.78, 27.3529202),
    ],
)
def test_min_track_record_matches_pypbo(
    sharpe: float, benchmark: float, per_year: int, skewness: float, kurtosis: float, years: float
) -> None:
    root = math.sqrt(per_year)
    needed = metrics.min_track_record(sharpe / root, skewness, kurtosis, benchmark / root)
    assert needed / per_year == pytest.approx(years, abs=1e-6)


def test_min_track_record_without_skill_is_infinite() -> None:
    assert metrics.min_track_record(0.0) == math.inf


def test_min_backtest_years_of_45_trials() -> None:
    assert metrics.min_backtest_years(45) == pytest.approx(4.998087, abs=1e-6)


@pytest.mark.parametrize(("skewness", "kurtosis", "expected"), [(G3, G4, 0.329), (0.0, 3.0, 0.214)])
def test_standard_error_of_2025_example(skewness: float, kurtosis: float, expected: float) -> None:
    assert round(metrics.sharpe_standard_error(SR_2025, 24, skewness, kurtosis), 3) == expected


@pytest.mark.parametrize(("benchmark", "expected"), [(0.0, 0.987), (0.1, 0.939)])
def test_psr_2025_example(benchmark: float, expected: float) -> None:
    assert round(metrics.psr_2025(SR_2025, 24, G3, G4, benchmark), 3) == expected


def test_min_track_record_2025_example() -> None:
    assert round(metrics.min_track_record_2025(SR_2025, G3, G4), 3) == 13.029


def test_false_discovery_rates_of_2025_example() -> None:
    assert round(metrics.planned_false_discovery_rate(0.05, 0.05, 0.315), 3) == 0.581
    assert round(metrics.observed_false_discovery_rate(0.05, SR_2025, 0.5, 24, G3, G4), 3) == 0.306


def test_psr_2025_positive_autocorrelation_lowers_it() -> None:
    assert metrics.psr_2025(0.2, 200, rho=0.3) < metrics.psr_2025(0.2, 200)


def test_moments_of_bernoulli_series_with_skewness_minus_three_and_kurtosis_ten() -> None:
    low = (1 + 3 / math.sqrt(13)) / 2  # kurtosis = skewness^2 + 1 is exactly a two-point law
    n = 100_000
    series = np.where(np.arange(n) < round(n * low), 1.0, 0.0)
    m = metrics.moments(series)
    assert (m.skewness, m.kurtosis) == (pytest.approx(-3.0, abs=1e-3), pytest.approx(10.0, abs=1e-2))


def test_dsr_of_a_two_point_series_agrees_with_two_libraries() -> None:
    from purgedcv import deflated_sharpe_ratio as purged_dsr
    from skfolio.measures import probabilistic_sharpe_ratio

    high = (1 + 3 / math.sqrt(13)) / 2
    series = np.where(np.arange(1250) < round(1250 * high), 1.0, 0.0)
    series = (series - series.mean()) / series.std(ddof=1) + 2.5 / math.sqrt(250)
    benchmark = metrics.deflated_benchmark(100, 0.5 / 250)
    ours = metrics.dsr(metrics.moments(series), 100, 0.5 / 250)
    assert ours == pytest.approx(0.9004, abs=1e-3)
    assert ours == pytest.approx(float(probabilistic_sharpe_ratio(series, benchmark)), abs=1e-3)
    assert ours == pytest.approx(float(purged_dsr(series, 100, 0.5 / 250)), abs=1e-3)


def test_moments_of_constant_series_have_no_ratio() -> None:
    assert metrics.moments(np.full(50, 0.1)).sharpe == 0.0


def _r_rnorm(seed: int, n: int) -> np.ndarray:
    """R's `set.seed(seed); rnorm(n)`: Mersenne Twister with R's scrambling, normals by inversion."""
    state = np.empty(625, np.uint32)
    for _ in range(50):
        seed = (69069 * seed + 1) % 2**32
    for j in range(625):
        seed = (69069 * seed + 1) % 2**32
        state[j] = seed
    twister = np.random.MT19937()
    twister.state = {"bit_generator": "MT19937", "state": {"key": state[1:], "pos": 624}}
    uniform = twister.random_raw(2 * n) * 2.3283064365386963e-10
    return ndtri((np.floor(uniform[0::2] * 134217728) + uniform[1::2]) / 134217728)


def test_r_generator_repeats_r() -> None:
    np.testing.assert_allclose(_r_rnorm(123, 3), [-0.560476, -0.230177, 1.558708], atol=1e-6)


def test_cscv_of_r_fixture_matches_r() -> None:
    result = metrics.cscv(_r_rnorm(852, 200 * 40).reshape(200, 40), blocks=4, risk_free=0.03 / 252)
    assert (result.pbo, result.loss_probability, result.combinations) == (0.5, 0.5, 6)
    assert round(result.adjusted_r2, 4) == -0.2344  # the same whichever side is regressed on the other; R regresses inside on outside


def test_cscv_of_degenerate_r_fixture_matches_r() -> None:
    result = metrics.cscv(_r_rnorm(852, 20 * 4).reshape(20, 4), blocks=2, risk_free=0.03 / 252)
    assert (result.pbo, result.loss_probability) == (0.0, 0.5)


def test_cscv_of_16_blocks_tries_12870_choices() -> None:
    assert metrics.cscv(np.random.default_rng(0).normal(size=(160, 3))).combinations == 12870


def test_cscv_of_columns_without_profit_is_always_overfitted() -> None:
    series = np.random.default_rng(1).normal(size=(320, 20))
    assert metrics.cscv(series - series.mean(axis=0)).pbo == 1.0


def test_cscv_of_one_skilled_column_is_never_overfitted() -> None:
    series = np.random.default_rng(2).normal(size=(320, 20))
    series[:, 7] += 1.0
    result = metrics.cscv(series)
    assert (result.pbo, result.loss_probability) == (0.0, 0.0)


def test_cscv_of_noise_is_near_one_half() -> None:
    values = [metrics.cscv(np.random.default_rng(seed).normal(size=(160, 20)), blocks=8).pbo for seed in range(20)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.12)


def test_cscv_equals_a_slow_loop() -> None:
    from itertools import combinations

    series = np.random.default_rng(3).normal(size=(50, 5))
    parts = np.array_split(series, 6)
    worse, lost = [], []
    for choice in combinations(range(6), 3):
        inside = np.concatenate([parts[i] for i in choice])
        outside = np.concatenate([parts[i] for i in range(6) if i not in choice])
        ratios = outside.mean(0) / outside.std(0, ddof=1)
        best = ratios[np.argmax(inside.mean(0) / inside.std(0, ddof=1))]
        worse.append(np.sum(ratios <= best) / 6 <= 0.5)
        lost.append(best < 0)
    result = metrics.cscv(series, blocks=6)
    assert (result.pbo, result.loss_probability) == (pytest.approx(np.mean(worse)), pytest.approx(np.mean(lost)))


def test_cscv_odd_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="even number"):
        metrics.cscv(np.zeros((100, 2)), blocks=5)


def test_plateau_of_cloned_trials() -> None:
    base = np.random.default_rng(4).normal(size=(200, 1))
    assert metrics.is_plateau(np.tile(base, 10))


def test_plateau_of_trials_far_apart_is_none() -> None:
    series = np.random.default_rng(5).normal(size=(200, 10)) + np.linspace(-1, 1, 10)
    assert not metrics.is_plateau(series)


@pytest.mark.parametrize(("series", "expected"), [([1.0, -3.0, 1.0, 5.0], 3.0), ([-2.0, -1.0], 3.0), ([1.0, 2.0], 0.0), ([], 0.0)])
def test_max_drawdown(series: list[float], expected: float) -> None:
    assert metrics.max_drawdown(np.array(series)) == expected


@pytest.mark.parametrize(("pnl", "hits", "factor"), [([2.0, -1.0], 0.5, 2.0), ([], 0.0, 0.0), ([1.0], 1.0, math.inf), ([-1.0], 0.0, 0.0)])
def test_hit_rate_and_profit_factor(pnl: list[float], hits: float, factor: float) -> None:
    assert (metrics.hit_rate(np.array(pnl)), metrics.profit_factor(np.array(pnl))) == (hits, factor)


@pytest.mark.parametrize(("at_zero", "slope", "expected"), [(10.0, 4.0, 2.5), (-1.0, 1.0, 0.0), (100.0, 1.0, 16.0)])
def test_break_even_of_linear_profit(at_zero: float, slope: float, expected: float) -> None:
    assert metrics.break_even(lambda m: at_zero - slope * m) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    ("passed", "n", "is_below"), [(0, 59, True), (0, 58, False), (1, 100, True), (4, 200, True), (8, 300, True), (9, 300, False)]
)
def test_clopper_pearson_upper_bound_of_five_percent(passed: int, n: int, is_below: bool) -> None:
    assert (metrics.clopper_pearson(passed, n)[1] <= 0.05) is is_below


def test_second_implementation_agrees_on_psr() -> None:
    from skfolio.measures import probabilistic_sharpe_ratio

    series = np.random.default_rng(6).normal(0.1, 1.0, 500)
    assert metrics.psr_of(series) == pytest.approx(float(probabilistic_sharpe_ratio(series)), abs=1e-3)
    assert 0.5 < metrics.psr_of(series) < 1.0


def test_second_implementation_agrees_on_dsr_over_trials() -> None:
    from skfolio.measures import deflated_sharpe_ratio

    random = np.random.default_rng(7)
    series, trials = random.normal(0.12, 1.0, 500), random.normal(0.0, 0.03, 40)
    ours = metrics.dsr(metrics.moments(series), len(trials), float(np.var(trials, ddof=1)))
    assert ours == pytest.approx(float(deflated_sharpe_ratio(series, trials)), abs=1e-3)
    assert 0.05 < ours < 0.999
