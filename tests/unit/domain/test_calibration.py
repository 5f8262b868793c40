"""Nulls hold nothing to find, and the count of passes has exact bounds."""

from datetime import date
from importlib.resources import files

import numpy as np
import pytest

from tick_assets.domain import calibration, gates
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import Ticks

POLICY = gates.parse_policy((files("tick_assets") / "policy.toml").read_text(encoding="utf-8"))


def test_break_even_null_trades_and_is_rejected() -> None:
    outcome = calibration.judge(*calibration.draw_break_even(1, days=5), POLICY, seed=1, n_trials=6)
    assert outcome.validation.n_trades > 100
    assert not outcome.verdict.passed


def test_shuffled_labels_keep_their_values_within_each_date() -> None:
    events, _ = calibration.draw_edge(2.0, 1, days=3)
    shuffled = calibration.shuffle_labels(events, 3)
    for place in range(3):
        rows = events.date_index == place
        np.testing.assert_array_equal(np.sort(shuffled.long_net_bps[rows]), np.sort(events.long_net_bps[rows]))
    assert np.array_equal(shuffled.is_labelled, events.is_labelled)
    assert not np.array_equal(shuffled.long_net_bps, events.long_net_bps)


def test_shuffled_features_go_to_other_events_of_their_date() -> None:
    events, _ = calibration.draw_edge(2.0, 1, days=3)
    shuffled = calibration.shuffle_features(events, 3)
    for place in range(3):
        rows = events.date_index == place
        np.testing.assert_array_equal(np.sort(shuffled.features[rows], axis=0), np.sort(events.features[rows], axis=0))
    assert not np.array_equal(shuffled.features, events.features)
    np.testing.assert_array_equal(shuffled.long_net_bps, events.long_net_bps)


def test_shuffled_market_costs_nothing_and_is_rejected() -> None:
    events, market = calibration.draw_shuffled(2, days=5)
    assert all((day.bid_points == day.ask_points).all() for day in events.ticks)
    outcome = calibration.judge(events, market, POLICY, seed=2, n_trials=6)
    assert outcome.validation.n_trades > 100
    assert not outcome.verdict.passed


def test_bootstrapped_quotes_have_no_spread_and_no_memory() -> None:
    ticks = generate_day(SyntheticMarket(k=4.0), 1, "SYN", date(2024, 1, 9)).ticks
    made = calibration.bootstrap_quotes(ticks, 5)
    assert len(made) == len(ticks)
    assert (made.bid_points == made.ask_points).all()
    assert (np.diff(made.ts_us) >= 0).all()
    assert made.ts_us[-1] == ticks.ts_us[-1]
    assert abs(_foretold(made)) < 0.1 < _foretold(ticks)


def _foretold(ticks: Ticks) -> float:
    """Correlation of displayed imbalance with the move of the next hundred quotes."""
    imbalance = (ticks.bid_size - ticks.ask_size) / (ticks.bid_size + ticks.ask_size)
    return float(np.corrcoef(imbalance[:-100], ticks.bid_points[100:] - ticks.bid_points[:-100])[0, 1])


@pytest.mark.parametrize(("passed", "n", "is_calibrated"), [(0, 59, True), (4, 200, True), (5, 100, False)])
def test_count_passes_bounds(passed: int, n: int, is_calibrated: bool) -> None:
    counted = calibration.count_passes("null", None, [i < passed for i in range(n)])
    assert (counted.upper95 <= 0.05) is is_calibrated
    assert counted.lower95 <= passed / n <= counted.upper95


def test_weekdays_skip_the_weekend() -> None:
    assert [day.isoformat() for day in calibration.weekdays(6)][-1] == "2024-01-15"
