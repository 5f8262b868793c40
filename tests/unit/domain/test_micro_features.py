"""The set micro_v1: returns over ticks, hours of the cities, days of the week; the same in batch and live, and the base unchanged."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from tick_assets.domain import leakage, sessions
from tick_assets.domain.city_hours import in_london, in_new_york
from tick_assets.domain.kernel import OnlineKernel, feature_names, run_features, run_kernel
from tick_assets.domain.leak_firewall import kernel_of_clean_ticks
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import DAY_US, Ticks

MICRO = "micro_v1"
NAMES = feature_names(MICRO)
N_BASE = 19
MIDNIGHT = 19_730 * DAY_US
"""Monday 2024-01-08."""


@pytest.fixture(scope="module")
def day() -> Ticks:
    return generate_day(SyntheticMarket(k=2.0), 5, "SYNEDGE", date(2024, 1, 8)).ticks


def every_30_s(count: int, first_us: int = MIDNIGHT) -> Ticks:
    """Return quotes of mid 100000, 100001, ..., one every 30 seconds."""
    mid, ones = 100_000 + np.arange(count), np.ones(count)
    return Ticks(first_us + np.arange(count) * 30_000_000, mid - 1, mid + 1, ones, ones)


def last_values(ticks: Ticks) -> dict[str, float]:
    return dict(zip(NAMES, run_features(ticks, "ticks_1", feature_set=MICRO).features[-1].tolist(), strict=True))


def test_base_features_are_the_same_bits_in_the_set(day: Ticks) -> None:
    assert run_features(day, feature_set=MICRO).features[:, :N_BASE].tobytes() == run_features(day).features.tobytes()


def test_tick_returns_look_back_so_many_valid_ticks() -> None:
    found = last_values(every_30_s(151))
    assert found["log_return_20_ticks_bps"] == pytest.approx(math.log(100_150 / 100_130) * 1e4, rel=1e-12)
    assert found["log_return_100_ticks_bps"] == pytest.approx(math.log(100_150 / 100_050) * 1e4, rel=1e-12)


def test_tick_return_passes_over_refused_ticks() -> None:
    ticks = every_30_s(151)
    ticks.ask_points[140] = ticks.bid_points[140] - 1
    batch = run_kernel(ticks, 100_000, clock="ticks_1", feature_set=MICRO)
    found = batch.features[-1][NAMES.index("log_return_20_ticks_bps")]
    assert found == pytest.approx(math.log(100_150 / 100_129) * 1e4, rel=1e-12)


@pytest.mark.parametrize(("count", "is_known"), [(100, False), (101, True)])
def test_tick_return_is_unknown_before_the_date_has_as_many_ticks(count: int, is_known: bool) -> None:
    assert math.isfinite(last_values(every_30_s(count))["log_return_100_ticks_bps"]) is is_known


@pytest.mark.parametrize(("days", "weekday"), [(0, 0), (1, 1), (4, 4), (6, 6)])
def test_day_of_week_turns_once_a_week(days: int, weekday: int) -> None:
    found = last_values(every_30_s(40, MIDNIGHT + days * DAY_US))
    expected = (math.sin(2 * math.pi * weekday / 7), math.cos(2 * math.pi * weekday / 7))
    assert (found["day_of_week_sin"], found["day_of_week_cos"]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("hour", "expected"), [(7, (0.0, 0.0, 0.0)), (9, (1.0, 0.0, 0.0)), (14, (1.0, 1.0, 1.0)), (18, (0.0, 1.0, 0.0)), (23, (0.0, 0.0, 0.0))]
)
def test_session_flags_of_a_winter_monday(hour: int, expected: tuple[float, ...]) -> None:
    found = last_values(every_30_s(40, MIDNIGHT + hour * 3_600_000_000))
    assert (found["is_london"], found["is_new_york"], found["is_session_overlap"]) == expected


def test_city_hours_are_those_of_the_time_zone_database() -> None:
    """Every hour of the changes' months of years with either US rule, and one hour in seven of the rest."""
    hours = (datetime(1996, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(24 * 366 * 42))
    for hour in (hour for i, hour in enumerate(hours) if (hour.month in (3, 4, 10, 11) and hour.year % 5 == 2) or i % 7 == 0):
        ts_us = int(hour.timestamp()) * 1_000_000 + 59_000_000
        assert bool(in_london(ts_us)) == sessions.LONDON.has(hour), hour
        assert bool(in_new_york(ts_us)) == sessions.NEW_YORK.has(hour), hour


@pytest.mark.parametrize("clock", ["time_60s", "ticks_50"])
def test_online_equals_batch_bit_for_bit(day: Ticks, clock: str) -> None:
    batch = run_kernel(day, 100_000, clock=clock, feature_set=MICRO)
    kernel, chunked = OnlineKernel("SYNEDGE", 100_000, clock, MICRO), OnlineKernel("SYNEDGE", 100_000, clock, MICRO)
    steps = [kernel.push(*row) for row in zip(*(column.tolist() for column in day.columns), strict=True)]
    live = np.array([step.features for step in steps if step.features is not None])
    parts = [chunked.push_many(day.take(slice(i, i + 777))).features for i in range(0, len(day), 777)]
    assert len(live) > 100
    assert live.tobytes() == batch.features.tobytes() == np.concatenate(parts).tobytes()


def test_new_date_knows_no_ticks_of_the_date_before() -> None:
    kernel = OnlineKernel("EURUSD", 100_000, "ticks_1", MICRO)
    kernel.push_many(every_30_s(200))
    batch = kernel.push_many(every_30_s(90, MIDNIGHT + DAY_US))
    assert np.isnan(batch.features[:, NAMES.index("log_return_100_ticks_bps")]).all()
    assert len(batch.event_row) == 60


def test_set_knows_no_future(day: Ticks) -> None:
    history = leakage.History(("2024-01-08",), (day,))
    examined = leakage.examine_features(kernel_of_clean_ticks("time_60s", MICRO), history, NAMES, moments=4)
    assert [finding for each in examined for finding in each.findings] == []


def test_set_beside_a_leader_is_refused(day: Ticks) -> None:
    with pytest.raises(ValueError, match="leader's ticks for lead_v1 alone, was micro_v1 with True"):
        run_features(day, leader=day, feature_set=MICRO)
    with pytest.raises(ValueError, match="was lead_v1 with False"):
        run_features(day, feature_set="lead_v1")
