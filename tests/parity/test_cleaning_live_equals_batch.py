"""Cleaning tick by tick refuses the same rows for the same reasons as cleaning the whole date, on generated dirt and on a real day.

What belongs here: the batch path (`run_kernel`) against the two live ones (`OnlineKernel.push` and `push_many`). What must not: Spark.
A live stream can't hold a row that did not parse, so such rows are sent as `replays.as_replayed` sends them.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recorded import recorded_day
from tick_assets.domain.kernel import REASONS, OnlineKernel, run_features, run_kernel
from tick_assets.domain.replays import as_replayed
from tick_assets.domain.ticks import DAY_US, MALFORMED_TS, Ticks

DAY = 19_730
FACTOR = 100_000
UNREADABLE = {REASONS.index("ROW_MALFORMED"), REASONS.index("TIMESTAMP_OUTSIDE_FILE")}
BOUNDED = settings(max_examples=80, deadline=None)


@st.composite
def dirty_days(draw: st.DrawFn) -> Ticks:
    """Return a day in stamp order with equal stamps, duplicates, crossings, spikes, gaps, and rows without a place in it."""
    seed, count = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 1500))
    dirt = draw(st.floats(0.0, 0.4))
    rng = np.random.default_rng(seed)
    gaps_ms = rng.choice([0, 1, 500, 3000, 400_000], count, p=[0.2, 0.2, 0.3, 0.29, 0.01])
    stamps = DAY * DAY_US + np.minimum(np.cumsum(gaps_ms), 86_399_999) * 1000
    bid = 110_000 + np.cumsum(rng.integers(-2, 3, count))
    ask = bid + rng.integers(0, 12, count)
    sizes = np.where(rng.random((2, count)) < 0.1, np.nan, rng.integers(0, 4, (2, count)).astype(float))
    given_rows = Ticks(stamps, bid, ask, *sizes)
    copies = np.sort(np.concatenate([np.arange(count), rng.integers(0, count, round(dirt * count))]), kind="stable")
    return with_dirt(given_rows.take(copies.astype(np.int64)), rng, dirt)


def with_dirt(ticks: Ticks, rng: np.random.Generator, share: float) -> Ticks:
    """Cross, zero, multiply or unplace a share of the rows."""
    dirty = Ticks(*(column.copy() for column in ticks.columns))
    kind = np.where(rng.random(len(dirty)) < share, rng.integers(1, 7, len(dirty)), 0)
    dirty.bid_points[kind == 1] = dirty.ask_points[kind == 1] + 1
    dirty.bid_points[kind == 2] = 0
    for column in (dirty.bid_points, dirty.ask_points):
        column[kind == 3] *= 10
        column[kind == 4] //= 10
    dirty.ts_us[kind == 5] = MALFORMED_TS
    dirty.ts_us[kind == 6] = (DAY if share < 0.2 else DAY - 1) * DAY_US - 1
    return dirty


def check_live_equals_batch(dirty: Ticks, day: int) -> set[str]:
    """Compare row by row and in chunks; return the reasons that were met."""
    batch = run_kernel(dirty, FACTOR, day)
    sent = as_replayed(dirty, day)
    kernel = OnlineKernel("EURUSD", FACTOR)
    steps = [kernel.push(int(ts), int(bid), int(ask), float(b), float(a)) for ts, bid, ask, b, a in zip(*sent.columns, strict=True)]
    is_readable = ~np.isin(batch.reason, list(UNREADABLE))
    live = np.array([step.reason for step in steps], np.int8)
    assert live[is_readable].tolist() == batch.reason[is_readable].tolist()
    assert (live[~is_readable] > 0).all()
    assert [step.seq for step in steps] == list(range(len(dirty)))
    assert [step.seq for step in steps if step.sampled] == batch.event_row.tolist()
    assert b"".join(step.features.tobytes() for step in steps if step.features is not None) == batch.features.tobytes()
    chunked = OnlineKernel("EURUSD", FACTOR)
    chunks = [chunked.push_many(sent.take(slice(start, start + 97))) for start in range(0, len(sent), 97)]
    assert np.concatenate([chunk.reason for chunk in chunks]).tolist() == live.tolist()
    assert run_features(dirty.take(batch.reason == 0)).features.tobytes() == batch.features.tobytes()
    return {REASONS[code] for code in batch.reason}


@BOUNDED
@given(dirty_days())
def test_live_equals_batch_on_generated_dirt(dirty: Ticks) -> None:
    assert check_live_equals_batch(dirty, DAY) <= set(REASONS)


def test_live_equals_batch_on_a_real_day_with_dirt() -> None:
    at = datetime(2019, 2, 4, tzinfo=UTC)
    rng = np.random.default_rng(20190204)
    clean = recorded_day("EURUSD", at)
    rows = np.sort(np.concatenate([np.arange(len(clean)), rng.integers(0, len(clean), 3000)]), kind="stable")
    dirty = with_dirt(clean.take(rows.astype(np.int64)), rng, 0.02)
    assert check_live_equals_batch(dirty, int(at.timestamp()) // 86_400) == set(REASONS)
