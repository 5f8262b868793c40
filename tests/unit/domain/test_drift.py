"""PSI and KS: numbers worked out by hand, words at the bounds, and no alarm where chance alone could have made it."""

import numpy as np
import pytest

from tick_assets.domain.drift import MODERATE, STABLE, STRONG, TOO_FEW, expected_psi, measure_drift, psi, psi_of_shares, word_of

THOUSAND = np.arange(1000.0)


def test_psi_of_shares_is_the_sum_by_hand() -> None:
    assert psi_of_shares(np.array([0.5, 0.5]), np.array([0.6, 0.4])) == pytest.approx(0.1 * np.log(1.2) - 0.1 * np.log(0.8))
    assert psi_of_shares(np.array([0.5, 0.5]), np.array([0.6, 0.4])) == pytest.approx(0.0405465, abs=1e-7)


def test_psi_of_equal_samples_is_zero() -> None:
    assert psi(THOUSAND, THOUSAND[::-1].copy()) == 0.0


def test_psi_of_the_upper_half_counts_empty_bins_as_one_in_ten_thousand() -> None:
    assert psi(THOUSAND, np.arange(500.0, 1000.0)) == pytest.approx(3.7969974, abs=1e-6)


def test_psi_of_few_distinct_values_uses_fewer_bins() -> None:
    assert psi(np.repeat([0.0, 1.0], 500), np.repeat([0.0, 1.0], [600, 400])) == pytest.approx(0.0405465, abs=1e-6)


def test_psi_of_missing_values_is_a_bin_of_its_own() -> None:
    half_missing = np.where(np.arange(1000) % 2 == 0, THOUSAND, np.nan)
    assert psi(THOUSAND, half_missing) == pytest.approx(0.5 * np.log(2) + (0.5 - 1e-4) * np.log(0.5 / 1e-4), rel=1e-6)


@pytest.mark.parametrize(("index", "word"), [(0.0999, STABLE), (0.1, MODERATE), (0.2499, MODERATE), (0.25, STRONG)])
def test_word_of_psi_by_the_usual_bounds(index: float, word: str) -> None:
    assert word_of(index) == word


def test_word_of_psi_that_chance_could_make_says_too_few() -> None:
    assert expected_psi(10_000, 100) == pytest.approx(9 * 0.0101)
    assert word_of(3.0, expected_psi(10_000, 100)) == TOO_FEW
    assert word_of(3.0, expected_psi(10_000, 1_000)) == STRONG


def test_measure_drift_names_the_shifted_feature_first() -> None:
    random = np.random.default_rng(7)
    old, new = random.normal(size=(40_000, 2)), random.normal(size=(10_000, 2))
    new[:, 1] += 1.0
    found = measure_drift(old, new, ["still", "shifted"])
    assert [(row.feature, row.word) for row in found.features] == [("shifted", STRONG), ("still", STABLE)]
    assert (found.alarms, found.worst) == (("shifted",), STRONG)
    assert found.features[0].ks == pytest.approx(0.383, abs=0.02)  # 2 Phi(1/2) - 1
    assert (found.reference_events, found.new_events) == (40_000, 10_000)


def test_measure_drift_ks_is_the_largest_distance() -> None:
    found = measure_drift(np.arange(10.0)[:, None], np.arange(5.0, 15.0)[:, None], ["x"])
    (row,) = found.features
    assert (row.ks, row.reference_median, row.new_median) == (0.5, 4.5, 9.5)
    assert (row.word, found.worst, found.alarms) == (TOO_FEW, TOO_FEW, ())


def test_measure_drift_all_missing_has_no_median_and_drifts() -> None:
    (row,) = measure_drift(THOUSAND[:, None], np.full((1000, 1), np.nan), ["x"]).features
    assert (row.missing_share, row.word, row.ks) == (1.0, STRONG, 0.0)
    assert np.isnan(row.new_median)


def test_measure_drift_other_feature_count_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expected 2 features, was 1 and 1"):
        measure_drift(THOUSAND[:, None], THOUSAND[:, None], ["a", "b"])
