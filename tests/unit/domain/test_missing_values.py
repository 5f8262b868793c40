"""How the kernel treats what is not there: short windows, gaps, missing sizes, refused rows. The policy is docs/missing_values.md."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tick_assets.domain.kernel import FEATURE_NAMES, WARM_UP_S, KernelBatch, run_kernel
from tick_assets.domain.ticks import DAY_US, MALFORMED_TS, Ticks

DAY = 19_730
MIDNIGHT = DAY * DAY_US
SIZE_FEATURES = ("quote_imbalance", "quote_imbalance_ewma_10s", "quote_imbalance_ewma_30s", "quote_imbalance_ewma_90s")


def market(seconds: list[int], bids: list[int], size: float = 1.0) -> Ticks:
    """Return quotes with a spread of 10 points."""
    bid, sizes = np.array(bids, np.int64), np.full(len(bids), size)
    return Ticks(MIDNIGHT + np.array(seconds, np.int64) * 1_000_000, bid, bid + 10, sizes, sizes.copy())


def with_gap(gap_s: int) -> KernelBatch:
    """Return a warm market of a quote a second at one price, a gap, and one quote 50 points higher."""
    seconds = [*range(WARM_UP_S + 1), WARM_UP_S + gap_s]
    return run_kernel(market(seconds, [110_000] * (WARM_UP_S + 1) + [110_050]), 100_000, DAY)


def last_event(batch: KernelBatch) -> dict[str, float]:
    return dict(zip(FEATURE_NAMES, batch.features[-1].tolist(), strict=True))


@pytest.mark.parametrize("seconds", [[0], list(range(WARM_UP_S)), [0, WARM_UP_S - 1]])
def test_window_that_is_not_full_gives_no_event(seconds: list[int]) -> None:
    assert len(run_kernel(market(seconds, [110_000] * len(seconds)), 100_000, DAY).event_row) == 0


def test_warm_up_counts_from_the_first_valid_tick_not_from_midnight() -> None:
    seconds = [10 * 3600, 10 * 3600 + WARM_UP_S - 1, 10 * 3600 + WARM_UP_S]
    assert run_kernel(market(seconds, [110_000] * 3), 100_000, DAY).event_row.tolist() == [2]


def test_refused_rows_do_not_warm_up() -> None:
    ticks = market([0, 60, 60 + WARM_UP_S], [110_000] * 3)
    ticks.ask_points[0] = 109_000
    assert run_kernel(ticks, 100_000, DAY).event_row.tolist() == [2]


def test_minute_without_a_tick_has_no_event() -> None:
    batch = with_gap(240)
    assert ((batch.event_row == WARM_UP_S + 1).sum(), len(batch.event_row)) == (1, 2)


@pytest.mark.parametrize("gap_s", [120, 299, 301, 1_000, 1_100, 20_000])
def test_gap_carries_the_last_mid_forward_and_counts_no_tick(gap_s: int) -> None:
    """The last quote stands until the next one: the whole move falls on the first tick after the gap."""
    found = last_event(with_gap(gap_s))
    move = math.log(110_055 / 110_005) * 1e4
    assert [found[f"log_return_{window}_bps"] for window in ("10s", "30s", "1m")] == pytest.approx([move] * 3)
    assert found["tick_intensity_1m"] == pytest.approx(1 / 60)
    assert found["realized_volatility_1m_bps"] == pytest.approx(50 / 110_055 * 1e4)


@pytest.mark.parametrize(("gap_s", "ticks"), [(120, 181), (299, 2), (300, 1), (20_000, 1)])
def test_gap_means_are_over_the_ticks_that_there_are(gap_s: int, ticks: int) -> None:
    found = last_event(with_gap(gap_s))
    assert found["tick_intensity_5m"] == pytest.approx(ticks / 300)
    assert found["spread_mean_5m_bps"] == pytest.approx(10 / 110_055 * 1e4)


def test_still_market_has_a_floor_under_its_expected_move() -> None:
    seconds = list(range(WARM_UP_S + 1))
    assert run_kernel(market(seconds, [110_000] * len(seconds)), 100_000, DAY).sigma_points.tolist() == [1.0]


@pytest.mark.parametrize("size", [math.nan, 0.0])
def test_missing_or_zero_sizes_say_nothing(size: float) -> None:
    seconds = list(range(WARM_UP_S + 1))
    found = last_event(run_kernel(market(seconds, [110_000] * len(seconds), size), 100_000, DAY))
    assert [found[name] for name in SIZE_FEATURES] == [0.0] * 4


def test_one_missing_size_says_nothing_of_that_row() -> None:
    seconds = list(range(WARM_UP_S + 1))
    ticks = market(seconds, [110_000] * len(seconds))
    ticks.bid_size[:] = 3.0
    ticks.ask_size[-1] = math.nan
    found = last_event(run_kernel(ticks, 100_000, DAY))
    assert found["quote_imbalance"] == 0.0
    assert 0.0 < found["quote_imbalance_ewma_90s"] < 0.5


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.9))
def test_features_are_never_null_whatever_is_missing(seed: int, dirt: float) -> None:
    rng = np.random.default_rng(seed)
    count = 4000
    stamps = np.sort(rng.integers(0, 86_400_000, count)) * 1000 + MIDNIGHT
    bid = 110_000 + np.cumsum(rng.integers(-3, 4, count))
    sizes = np.where(rng.random((2, count)) < dirt, math.nan, rng.integers(0, 3, (2, count)).astype(float))
    ticks = Ticks(stamps, np.where(rng.random(count) < dirt / 2, 0, bid), bid + rng.integers(-2, 9, count), *sizes)
    ticks.ts_us[rng.random(count) < dirt / 2] = MALFORMED_TS
    batch = run_kernel(ticks, 100_000, DAY)
    assert np.isfinite(batch.features).all()
    assert (batch.reason[batch.event_row] == 0).all()
