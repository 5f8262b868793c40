"""The synthetic market: what it promises of its shape and its edge."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from tick_assets.domain.synthetic_market import SyntheticDay, SyntheticMarket, generate_day

MONDAY = date(2024, 1, 8)


@pytest.fixture(scope="module")
def edge_days() -> list[SyntheticDay]:
    return [generate_day(SyntheticMarket(k=2.0), 7, "SYNEDGE", MONDAY + timedelta(days=offset)) for offset in range(4)]


def test_generate_day_twice_gives_the_same_arrays() -> None:
    first, second = (generate_day(SyntheticMarket(k=2.0), 7, "SYNEDGE", MONDAY) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first.ticks.columns, second.ticks.columns, strict=True))


@pytest.mark.parametrize(("seed", "symbol", "day"), [(8, "SYNEDGE", MONDAY), (7, "SYNNULL", MONDAY), (7, "SYNEDGE", date(2024, 1, 9))])
def test_generate_day_other_seed_symbol_or_date_gives_other_ticks(seed: int, symbol: str, day: date) -> None:
    base = generate_day(SyntheticMarket(k=2.0), 7, "SYNEDGE", MONDAY)
    other = generate_day(SyntheticMarket(k=2.0), seed, symbol, day)
    assert not np.array_equal(base.mid_points[:100], other.mid_points[:100])


def test_generate_day_shape_is_the_base_shape(edge_days: list[SyntheticDay]) -> None:
    ticks = edge_days[0].ticks
    spread = ticks.ask_points - ticks.bid_points
    assert abs(len(ticks) - 28_800) < 900
    assert spread.min() == 4
    assert abs(spread.mean() - 8) < 0.1
    assert (np.diff(ticks.ts_us) >= 0).all()
    assert (np.diff(ticks.ts_us) == 0).any()
    assert (ticks.ts_us % 1000 == 0).all()


def test_generate_day_sizes_are_positive_hundredths_of_a_million(edge_days: list[SyntheticDay]) -> None:
    sizes = np.concatenate([edge_days[0].ticks.bid_size, edge_days[0].ticks.ask_size])
    assert sizes.min() >= 10_000
    assert (sizes % 10_000 == 0).all()


def test_expected_move_at_one_standard_deviation_is_k_times_costs(edge_days: list[SyntheticDay]) -> None:
    products, squares = 0.0, 0.0
    for day in edge_days:
        later = np.searchsorted(day.ticks.ts_us, day.ticks.ts_us + 300_000_000)
        known = later < len(later)
        products += float(day.signal[known] @ (day.mid_points[later[known]] - day.mid_points[known]))
        squares += float(day.signal[known] @ day.signal[known])
    assert products / squares == pytest.approx(2.0 * (8 + 7), rel=0.15)


def test_drift_without_edge_is_zero() -> None:
    assert SyntheticMarket(k=0.0).drift_points_per_s == 0.0


def test_displayed_sizes_show_the_signal(edge_days: list[SyntheticDay]) -> None:
    ticks, weight, level = edge_days[0].ticks, 1 - 0.5 ** (3 / 60), 0.0
    imbalance = (ticks.bid_size - ticks.ask_size) / (ticks.bid_size + ticks.ask_size)
    smooth = np.array([level := level + weight * (value - level) for value in imbalance])
    assert np.corrcoef(smooth[300:], edge_days[0].signal[300:])[0, 1] > 0.85


@pytest.mark.parametrize(
    ("day", "first_hour", "last_hour"), [(date(2024, 1, 12), 0, 21), (date(2024, 1, 14), 22, 23), (date(2024, 3, 10), 21, 23)]
)
def test_generate_day_stays_inside_fx_hours(day: date, first_hour: int, last_hour: int) -> None:
    hours = generate_day(SyntheticMarket(k=0.0), 7, "SYNNULL", day).ticks.ts_us // 3_600_000_000 % 24
    assert (hours.min(), hours.max()) == (first_hour, last_hour)


def test_generate_day_saturday_has_no_ticks() -> None:
    assert len(generate_day(SyntheticMarket(k=0.0), 7, "SYNNULL", date(2024, 1, 13)).ticks) == 0
