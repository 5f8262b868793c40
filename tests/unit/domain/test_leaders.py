"""A leader's closes in a symbol's features: what is read, when it is unknown, and that arrival order and the future change nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tick_assets.domain import leakage
from tick_assets.domain.dataset import day_from_ticks, training_set
from tick_assets.domain.instruments import Market
from tick_assets.domain.kernel import KernelBatch, OnlineKernel, feature_names, run_features, run_kernel
from tick_assets.domain.sampling import Sampling
from tick_assets.domain.signals import strategy_of
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import DAY_US, Ticks
from tick_assets.domain.training import feature_ranges, is_in_range

DAY = 19_730
MIDNIGHT = DAY * DAY_US
NAMES = feature_names("lead_v1")
N_BASE = 19


def made(symbol: str, seed: int) -> Ticks:
    return generate_day(SyntheticMarket(k=2.0), seed, symbol, np.datetime64("2024-01-08").item()).ticks


@pytest.fixture(scope="module")
def day() -> Ticks:
    return made("SYNEDGE", 5)


@pytest.fixture(scope="module")
def leader() -> Ticks:
    return made("SYNWEAK", 6)


def quotes(*rows: tuple[float, int]) -> Ticks:
    """Return quotes of (seconds since midnight, mid) with a spread of two points."""
    mid = np.array([row[1] for row in rows], np.int64)
    ones = np.ones(len(rows))
    stamps = np.array([MIDNIGHT + round(row[0] * 1e6) for row in rows], np.int64)
    return Ticks(stamps, mid - 1, mid + 1, ones, ones)


FOLLOWER = [(float(second), 50_000) for second in (0, 3600, 3660)]


def lead_values(leader: Ticks, follower: Ticks | None = None) -> dict[str, float]:
    """Return the features of the follower's last event, at 3660 s."""
    batch = run_kernel(follower or quotes(*FOLLOWER), 100_000, DAY, leader=leader)
    return dict(zip(NAMES, batch.features[-1].tolist(), strict=True))


def test_leader_is_read_up_to_the_last_second_that_ended_two_seconds_before() -> None:
    """At 3660.0 the newest second read is 3657, which ended at 3658; ten and sixty seconds before it are 3647 and 3597."""
    found = lead_values(quotes((3597.2, 100_000), (3647.9, 100_100), (3657.99, 100_300), (3658.0, 999_999), (3660.0, 1)))
    assert found["leader_log_return_10s_bps"] == pytest.approx(math.log(100_300 / 100_100) * 1e4, rel=1e-12)
    assert found["leader_log_return_1m_bps"] == pytest.approx(math.log(100_300 / 100_000) * 1e4, rel=1e-12)


def test_gap_is_what_the_leader_moved_more_than_the_follower() -> None:
    follower = quotes((0.0, 50_000), (3600.0, 50_000), (3660.0, 50_050))
    found = lead_values(quotes((3590.0, 100_000), (3650.0, 100_300)), follower)
    assert found["leader_gap_1m_bps"] == pytest.approx((math.log(1.003) - math.log(1.001)) * 1e4, rel=1e-9)


@pytest.mark.parametrize(
    ("rows", "is_known"),
    [
        ([(3590.0, 100_000)], True),
        ([(3597.9, 100_000)], True),
        ([(3598.0, 100_000)], False),  # the second 3597 is not known yet
        ([(3357.0, 100_000)], True),  # carried for 300 s, to 3657
        ([(3356.9, 100_000)], False),
        ([(-30.0, 100_000)], False),  # yesterday's
        ([(3356.0, 100_000), (3657.0, 100_000)], True),
        ([(3000.0, 100_000), (3657.0, 100_000)], False),  # it was silent for too long at 3597
    ],
)
def test_leader_is_unknown_before_its_first_quote_and_after_a_long_silence(rows: list[tuple[float, int]], is_known: bool) -> None:
    assert math.isfinite(lead_values(quotes(*rows))["leader_log_return_1m_bps"]) is is_known


def test_base_features_do_not_change_with_a_leader(day: Ticks, leader: Ticks) -> None:
    plain, led = run_features(day), run_features(day, leader=leader)
    assert led.features.shape == (len(plain.features), 22)
    assert np.ascontiguousarray(led.features[:, :N_BASE]).tobytes() == plain.features.tobytes()
    assert np.isfinite(led.features[:, N_BASE:]).mean() > 0.99


def online(day: Ticks, leader: Ticks, late_us: np.ndarray, clock: str) -> KernelBatch:
    """Push both streams in the order of their arrival, the leader's ticks so much later than their stamps."""
    kernel = OnlineKernel("SYNEDGE", 100_000, clock, "lead_v1")
    order = np.argsort(np.concatenate([day.ts_us, np.maximum.accumulate(leader.ts_us + late_us)]), kind="stable")
    ours, theirs = (list(zip(*(column.tolist() for column in ticks.columns), strict=True)) for ticks in (day, leader))
    steps = []
    for place in order.tolist():
        if place < len(ours):
            steps.append(kernel.push(*ours[place]))
        else:
            kernel.push_leader(*theirs[place - len(ours)][:3])
    sampled = [step for step in steps if step.features is not None]
    reasons = np.array([step.reason for step in steps], np.int8)
    return KernelBatch(reasons, np.array([step.seq for step in sampled]), np.array([step.features for step in sampled]))


@pytest.mark.parametrize("clock", ["time_60s", "ticks_50", "cusum_2"])
@pytest.mark.parametrize("kind", ["early", "on time", "late"])
def test_online_equals_batch_whatever_the_order_of_arrival(day: Ticks, leader: Ticks, clock: str, kind: str) -> None:
    random = np.random.default_rng(1)
    lateness = {"early": (-500_000, 0), "on time": (0, 1), "late": (0, 1_999_999)}[kind]
    live = online(day, leader, random.integers(*lateness, len(leader)), clock)
    batch = run_kernel(day, 100_000, clock=clock, leader=leader)
    assert len(batch.event_row) > 100
    assert live.event_row.tolist() == batch.event_row.tolist()
    assert live.features.tobytes() == batch.features.tobytes()


def with_garbage(ticks: Ticks, rows: np.ndarray) -> Ticks:
    """Return the ticks with absurd prices in some rows."""
    return replace(ticks, bid_points=np.where(rows, 1, ticks.bid_points), ask_points=np.where(rows, 3, ticks.ask_points))


def test_leader_s_later_quotes_change_nothing(day: Ticks, leader: Ticks) -> None:
    whole = run_kernel(day, 100_000, leader=leader)
    for place in np.random.default_rng(2).choice(len(whole.event_row), 12, replace=False):
        settled_us = (int(day.ts_us[whole.event_row[place]]) // 1_000_000 - 2) * 1_000_000
        later = leader.ts_us >= settled_us
        for changed in (with_garbage(leader, later), leader.take(~later)):
            assert run_kernel(day, 100_000, leader=changed).features[place].tobytes() == whole.features[place].tobytes()


def test_leader_s_last_settled_quote_does_change_the_event(day: Ticks, leader: Ticks) -> None:
    """What the test above poisons begins right behind what is read, so it would find a leak of one second."""
    whole = run_kernel(day, 100_000, leader=leader)
    settled_us = (day.ts_us[whole.event_row] // 1_000_000 - 2) * 1_000_000
    newest = leader.ts_us[np.searchsorted(leader.ts_us, settled_us) - 1]
    place = int(np.flatnonzero(settled_us - newest <= 1_000_000)[50])
    again = run_kernel(day, 100_000, leader=with_garbage(leader, leader.ts_us >= newest[place]))
    assert again.features[place].tobytes() != whole.features[place].tobytes()


def test_follower_s_own_future_changes_nothing(day: Ticks, leader: Ticks) -> None:
    kernel = partial(run_kernel, leader=leader)
    assert leakage.find_leaks(kernel, day, 100_000, moments=4, feature_names=NAMES) == []


def test_leader_of_a_new_date_does_not_disturb_the_old_one() -> None:
    """The leader's first quote after midnight may arrive before the follower's last one of the date."""
    kernel = OnlineKernel("EURUSD", 100_000, "ticks_1", "lead_v1")
    kernel.push(MIDNIGHT, 50_000, 50_002, 1.0, 1.0)
    for second in range(86_000, 86_399):
        kernel.push_leader(MIDNIGHT + second * 1_000_000, 99_999 + second % 3, 100_001 + second % 3)
    kernel.push_leader(MIDNIGHT + DAY_US, 1, 3)
    step = kernel.push(MIDNIGHT + 86_399_900_000, 50_000, 50_002, 1.0, 1.0)
    assert step.features is not None
    assert np.isfinite(step.features[N_BASE:]).all()


def test_quote_of_a_leader_is_refused_by_a_kernel_without_one() -> None:
    with pytest.raises(ValueError, match="kernel with a leader"):
        OnlineKernel("EURUSD", 100_000).push_leader(MIDNIGHT, 1, 2)


def test_training_set_with_a_leader_has_its_names_and_unknown_values_are_in_no_range(syn_market: Market, day: Ticks, leader: Ticks) -> None:
    instrument = replace(syn_market.instrument("SYN"), sampling=Sampling(leader="SYNWEAK"))
    market = replace(syn_market, instruments={"SYN": instrument})
    late = leader.take(leader.ts_us >= leader.ts_us[0] + 3_600_000_000)
    events = training_set("SYN", [day_from_ticks("SYN", "2024-01-08", day, market, strategy_of(instrument), late)])
    assert events.feature_names == NAMES
    unknown = np.isnan(events.features[:, NAMES.index("leader_gap_1m_bps")])
    assert 30 < unknown.sum() < 100
    assert (is_in_range(events.features, feature_ranges(events), NAMES) == ~unknown).all()
    with pytest.raises(ValueError, match="clean ticks of the leader SYNWEAK"):
        day_from_ticks("SYN", "2024-01-08", day, market, strategy_of(instrument))
