"""Fed tick by tick, the kernel gives on a real day what it gives at once."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tick_assets.domain.kernel import OnlineKernel, run_kernel
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse.vendors.bi5 import bi5_path, decode_bi5


def real_day(symbol: str, day: datetime, price_factor: int) -> Ticks:
    """Return a recorded vendor day; skip where the recordings are absent."""
    root = Path(os.environ.get("TICK_TEST_DATA") or Path(__file__).parents[2].parent / "shared" / "data") / "vendor" / "bi5"
    if not (root / symbol).is_dir():
        pytest.skip(f"no recorded vendor hours at {root}; set TICK_TEST_DATA")
    hours = [day + timedelta(hours=hour) for hour in range(24)]
    decoded = [decode_bi5((root / bi5_path(symbol, hour).lstrip("/")).read_bytes(), hour) for hour in hours]
    return Ticks(*(np.concatenate(column) for column in zip(*(ticks.columns for ticks in decoded), strict=True)))


def test_online_equals_batch_on_a_real_day() -> None:
    ticks = real_day("EURUSD", datetime(2019, 2, 4, tzinfo=UTC), 100_000)
    batch = run_kernel(ticks, 100_000)
    kernel = OnlineKernel("EURUSD", 100_000)
    steps = [kernel.push(int(ts), int(bid), int(ask), float(b), float(a)) for ts, bid, ask, b, a in zip(*ticks.columns, strict=True)]
    assert len(ticks) > 100_000
    assert [step.seq for step in steps if step.sampled] == batch.event_row.tolist()
    assert np.array([step.features for step in steps if step.sampled]).tobytes() == batch.features.tobytes()
