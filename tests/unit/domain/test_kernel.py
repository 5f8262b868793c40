"""The kernel: cleaning by reason, the sampling clock, and what its state forgets."""

from __future__ import annotations

import numpy as np
import pytest

from tick_assets.domain.kernel import FEATURE_NAMES, REASONS, WARM_UP_S, OnlineKernel, run_features, run_kernel
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import DAY_US, MALFORMED_TS, Ticks

DAY = 19_730
MIDNIGHT = DAY * DAY_US
Row = tuple[int, int, int, float, float]


def ticks(*rows: Row) -> Ticks:
    """Return rows of (milliseconds since midnight, bid, ask, bid size, ask size)."""
    columns = list(zip(*rows, strict=True))
    stamps = np.array([MIDNIGHT + ms * 1000 for ms in columns[0]], np.int64)
    return Ticks(stamps, *(np.array(c, np.int64) for c in columns[1:3]), *(np.array(c, np.float64) for c in columns[3:]))


def quiet_rows(count: int, first_ms: int = 0, step_ms: int = 1000) -> list[Row]:
    """Return quotes that move by a point up and down."""
    return [(first_ms + i * step_ms, 110_000 + i % 2, 110_010 + i % 2, 1.0 + i, 2.0) for i in range(count)]


def reasons_of(given: Ticks) -> list[str]:
    return [REASONS[code] for code in run_kernel(given, 100_000, DAY).reason]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((1000, 110_000, 110_010, 1.0, 2.0), ""),
        ((1000, 110_010, 110_010, 1.0, 2.0), ""),  # locked is valid
        ((1000, 110_011, 110_010, 1.0, 2.0), "QUOTE_CROSSED"),
        ((1000, 0, 110_010, 1.0, 2.0), "QUOTE_NON_POSITIVE"),
        ((1000, -5, -3, 1.0, 2.0), "QUOTE_NON_POSITIVE"),
        ((86_400_000, 110_000, 110_010, 1.0, 2.0), "TIMESTAMP_OUTSIDE_FILE"),
        ((-1, 110_000, 110_010, 1.0, 2.0), "TIMESTAMP_OUTSIDE_FILE"),
        ((0, 110_000, 110_010, 5.0, 5.0), "ROW_DUPLICATED"),
        ((0, 110_000, 110_010, 5.0, 6.0), ""),  # equal stamps alone are no duplicate
    ],
)
def test_second_row_gets_its_reason(row: Row, reason: str) -> None:
    assert reasons_of(ticks((0, 110_000, 110_010, 5.0, 5.0), row)) == ["", reason]


def test_row_that_did_not_parse_keeps_its_rank() -> None:
    good = ticks(*quiet_rows(3))
    good.ts_us[1] = MALFORMED_TS
    assert reasons_of(good) == ["", "ROW_MALFORMED", ""]


def test_duplicate_is_found_behind_another_row_of_its_stamp() -> None:
    first, other = (0, 110_000, 110_010, 5.0, 5.0), (0, 110_001, 110_010, 5.0, 5.0)
    assert reasons_of(ticks(first, other, first)) == ["", "", "ROW_DUPLICATED"]


def test_duplicate_without_sizes_is_found() -> None:
    row = (0, 110_000, 110_010, np.nan, np.nan)
    assert reasons_of(ticks(row, row)) == ["", "ROW_DUPLICATED"]


def test_spike_is_refused_and_a_new_level_believed_at_the_sixth() -> None:
    calm = quiet_rows(100)
    jump = [(100_000 + i * 1000, 120_000, 120_010, 1.0, 2.0 + i) for i in range(7)]
    assert reasons_of(ticks(*calm, *jump))[100:] == ["PRICE_SPIKE"] * 5 + ["", ""]


def test_jump_after_a_gap_of_five_minutes_is_no_spike() -> None:
    assert reasons_of(ticks(*quiet_rows(100), (500_000, 120_000, 120_010, 1.0, 2.0)))[-1] == ""


def test_one_event_a_minute_after_warm_up() -> None:
    batch = run_kernel(ticks(*quiet_rows(1200, first_ms=3_600_000)), 100_000, DAY)
    seconds = (batch.event_row + 3600).tolist()
    assert seconds == [3600 + WARM_UP_S + 60 * i for i in range(5)]
    assert np.isfinite(batch.features).all()


def test_features_of_a_steady_market_are_what_they_say() -> None:
    batch = run_kernel(ticks(*quiet_rows(1000)), 100_000, DAY)
    row = dict(zip(FEATURE_NAMES, batch.features[0], strict=True))
    mid = 110_005.0
    assert row["spread_bps"] == pytest.approx(10 / mid * 1e4, rel=1e-9)
    assert row["tick_intensity_1m"] == 1.0
    assert row["realized_volatility_1m_bps"] == pytest.approx(np.sqrt(60) / mid * 1e4, rel=1e-9)
    assert row["sigma_horizon_points"] == pytest.approx(np.sqrt(300.0), rel=1e-9)
    assert row["log_return_10s_bps"] == 0.0
    assert row["quote_imbalance"] == pytest.approx((901.0 - 2.0) / (901.0 + 2.0))


@pytest.fixture(scope="module")
def dirty_day() -> Ticks:
    """A synthetic day with duplicates, crossed quotes, spikes and rows that did not parse."""
    clean = generate_day(SyntheticMarket(k=2.0), 5, "SYNEDGE", np.datetime64("2024-01-08").item()).ticks
    chosen = np.random.default_rng(1).integers(1000, len(clean) - 1, 200)
    rows = np.sort(np.concatenate([np.arange(len(clean)), chosen]), kind="stable")
    dirty = clean.take(rows.astype(np.int64))
    dirty.bid_points[chosen[:50]] += 20_000
    dirty.ask_points[chosen[50:100]] -= 500
    dirty.ts_us[chosen[100:120]] = MALFORMED_TS
    return dirty


def test_online_equals_batch_bit_for_bit(dirty_day: Ticks) -> None:
    batch = run_kernel(dirty_day, 100_000, 19_730)
    assert len(set(batch.reason.tolist())) >= 4
    kernel = OnlineKernel("SYNEDGE", 100_000)
    parsed = dirty_day.ts_us != MALFORMED_TS
    columns = [column[parsed] for column in dirty_day.columns]
    steps = [kernel.push(int(ts), int(bid), int(ask), float(b), float(a)) for ts, bid, ask, b, a in zip(*columns, strict=True)]
    again = run_kernel(dirty_day.take(parsed), 100_000, 19_730)
    assert [step.reason for step in steps] == again.reason.tolist()
    assert [step.seq for step in steps if step.sampled] == again.event_row.tolist()
    assert np.array([step.features for step in steps if step.sampled]).tobytes() == again.features.tobytes()
    assert again.features.tobytes() == batch.features.tobytes()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunks_equal_batch_bit_for_bit(dirty_day: Ticks, size: int) -> None:
    parsed = dirty_day.take(dirty_day.ts_us != MALFORMED_TS)
    whole = run_kernel(parsed, 100_000)
    kernel = OnlineKernel("SYNEDGE", 100_000)
    chunks = [kernel.push_many(parsed.take(slice(start, start + size))) for start in range(0, len(parsed), size)]
    assert np.concatenate([chunk.features for chunk in chunks]).tobytes() == whole.features.tobytes()
    assert np.concatenate([chunk.reason for chunk in chunks]).tolist() == whole.reason.tolist()


def test_features_of_clean_rows_equal_those_of_raw_rows(dirty_day: Ticks) -> None:
    raw = run_kernel(dirty_day, 100_000, 19_730)
    assert run_features(dirty_day.take(raw.reason == 0)).features.tobytes() == raw.features.tobytes()


def test_state_forgets_at_midnight() -> None:
    kernel = OnlineKernel("EURUSD", 100_000)
    for ms, bid, ask, bid_size, ask_size in quiet_rows(1000):
        kernel.push(MIDNIGHT + ms * 1000, bid, ask, bid_size, ask_size)
    assert kernel.is_warm
    step = kernel.push(MIDNIGHT + DAY_US, 110_000, 110_010, 1.0, 1.0)
    assert (step.seq, step.sampled, kernel.is_warm) == (0, False, False)


def test_batch_over_midnight_is_refused() -> None:
    with pytest.raises(ValueError, match="one UTC date"):
        OnlineKernel("EURUSD", 100_000).push_many(ticks((0, 1, 2, 1.0, 1.0), (86_400_000, 1, 2, 1.0, 1.0)))
