"""Sampling clocks: their names, when they strike, and that batch, chunks and single ticks agree bit for bit."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tick_assets.domain import leakage
from tick_assets.domain.clocks import CUSUM, TICK_COUNT, TIME, Clock, parse_clock
from tick_assets.domain.kernel import OnlineKernel, run_features, run_kernel
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import DAY_US, Ticks

DAY = 19_730
MIDNIGHT = DAY * DAY_US
CLOCKS = ("time_60s", "time_1s", "time_7s", "ticks_1", "ticks_50", "cusum_0.5", "cusum_3")


@pytest.fixture(scope="module")
def day() -> Ticks:
    return generate_day(SyntheticMarket(k=2.0), 5, "SYNEDGE", np.datetime64("2024-01-08").item()).ticks


def quotes(seconds: list[int], mids: list[int], half_spread: int = 5) -> Ticks:
    """Return quotes at seconds of the date with a spread of twice `half_spread` points."""
    mid = np.array(mids, np.int64)
    ones = np.ones(len(mids))
    return Ticks(MIDNIGHT + np.array(seconds, np.int64) * 1_000_000, mid - half_spread, mid + half_spread, ones, ones)


@pytest.mark.parametrize(
    ("name", "clock"),
    [
        ("time_60s", Clock("time_60s", TIME, 60_000_000)),
        ("time_86400s", Clock("time_86400s", TIME, DAY_US)),
        ("ticks_500", Clock("ticks_500", TICK_COUNT, 500)),
        ("cusum_2.5", Clock("cusum_2.5", CUSUM, threshold=2.5)),
    ],
)
def test_clock_of_a_name(name: str, clock: Clock) -> None:
    assert parse_clock(name) == clock


@pytest.mark.parametrize(
    "name", ["", "time_60", "time_0s", "time_86401s", "ticks_0", "ticks_1.5", "cusum_0", "cusum_-1", "cusum_1e3", "bars_1"]
)
def test_name_that_is_no_clock_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="Expected"):
        parse_clock(name)


@pytest.mark.parametrize("name", CLOCKS)
def test_online_and_chunks_equal_batch_bit_for_bit(day: Ticks, name: str) -> None:
    batch = run_kernel(day, 100_000, clock=name)
    assert len(batch.event_row) > 100
    kernel, chunked = OnlineKernel("SYNEDGE", 100_000, name), OnlineKernel("SYNEDGE", 100_000, name)
    steps = [kernel.push(*row) for row in zip(*(column.tolist() for column in day.columns), strict=True)]
    assert [step.seq for step in steps if step.sampled] == batch.event_row.tolist()
    assert np.array([step.features for step in steps if step.sampled]).tobytes() == batch.features.tobytes()
    chunks = [chunked.push_many(day.take(slice(start, start + 997))) for start in range(0, len(day), 997)]
    assert np.concatenate([chunk.features for chunk in chunks]).tobytes() == batch.features.tobytes()
    assert run_features(day, name).features.tobytes() == batch.features.tobytes()


@pytest.mark.parametrize("name", ["time_7s", "ticks_50", "cusum_3"])
def test_clock_knows_nothing_of_the_future(day: Ticks, name: str) -> None:
    assert leakage.find_leaks(partial(run_kernel, clock=name), day, 100_000, moments=4) == []


def test_time_clock_strikes_at_the_first_tick_of_each_of_its_parts_of_the_date() -> None:
    seconds = [0, 900, 905, 906, 909, 910, 930]
    batch = run_kernel(quotes(seconds, [110_000] * 7), 100_000, DAY, "time_7s")
    assert [seconds[row] for row in batch.event_row] == [900, 905, 910, 930]  # the parts begin at 896, 903, 910 and 924


def test_tick_clock_counts_valid_ticks_from_the_date_s_first() -> None:
    ticks = quotes([*range(10), *range(900, 920)], [110_000 + i % 2 for i in range(30)])
    ticks.bid_points[12] = 0  # refused: the count goes on without it
    batch = run_kernel(ticks, 100_000, DAY, "ticks_4")
    assert batch.event_row.tolist() == [11, 16, 20, 24, 28]  # the 12th, 16th, 20th, 24th and 28th valid tick


def test_cusum_clock_strikes_when_the_mid_has_gone_that_many_mean_spreads_one_way() -> None:
    """The spread is 10 points throughout, so that `cusum_2` needs more than 20 points one way since the last strike on that side."""
    seconds = [0, *range(900, 908)]
    mids = [110_000, 110_000, 110_010, 110_020, 110_021, 110_003, 110_000, 110_020, 110_021]
    batch = run_kernel(quotes(seconds, mids), 100_000, DAY, "cusum_2")
    assert [mids[row] for row in batch.event_row] == [110_021, 110_000, 110_021]


def test_cusum_crossing_of_a_cold_kernel_begins_again_without_an_event() -> None:
    seconds = [0, 1, 900, 901, 902]
    batch = run_kernel(quotes(seconds, [110_000, 110_021, 110_021, 110_041, 110_042]), 100_000, DAY, "cusum_2")
    assert [seconds[row] for row in batch.event_row] == [902]


def test_cusum_of_a_market_without_a_spread_takes_one_point_as_its_unit() -> None:
    seconds = [0, 900, 901, 902]
    batch = run_kernel(quotes(seconds, [110_000, 110_000, 110_002, 110_003], half_spread=0), 100_000, DAY, "cusum_2")
    assert [seconds[row] for row in batch.event_row] == [902]


@pytest.mark.parametrize("name", ["time_7s", "ticks_3", "cusum_1"])
def test_clock_begins_again_at_midnight(name: str) -> None:
    seconds, mids = list(range(2000)), [110_000 + 30 * (i % 2) for i in range(2000)]
    one, kernel = quotes(seconds, mids), OnlineKernel("EURUSD", 100_000, name)
    tomorrow = Ticks(one.ts_us + DAY_US, *one.columns[1:])
    first, second = kernel.push_many(one), kernel.push_many(tomorrow)
    assert len(first.event_row) > 10
    assert first.event_row.tolist() == second.event_row.tolist()


@pytest.mark.parametrize(
    ("name", "rows", "most"), [("time_60s", 10, 10), ("time_60s", 9999, 1441), ("ticks_50", 120, 3), ("cusum_1", 77, 77)]
)
def test_most_events_of_a_clock(name: str, rows: int, most: int) -> None:
    assert parse_clock(name).most_events(rows) == most
