"""Fed tick by tick, the kernel gives on a real day, and on one of the twin, what it gives at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import numpy as np
import pytest

from tests.recorded import recorded_day
from tick_assets.domain.kernel import OnlineKernel, run_kernel
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import Ticks


def twin_day() -> Ticks:
    return generate_day(SyntheticMarket(k=2.0), 3, "SYNEDGE", date(2024, 2, 6)).ticks


def real_day() -> Ticks:
    return recorded_day("EURUSD", datetime(2019, 2, 4, tzinfo=UTC))


@pytest.mark.parametrize(("day_of", "at_least"), [(twin_day, 20_000), (real_day, 100_000)], ids=["twin", "recorded"])
def test_online_equals_batch(day_of: Callable[[], Ticks], at_least: int) -> None:
    ticks = day_of()
    batch = run_kernel(ticks, 100_000)
    kernel = OnlineKernel("EURUSD", 100_000)
    steps = [kernel.push(int(ts), int(bid), int(ask), float(b), float(a)) for ts, bid, ask, b, a in zip(*ticks.columns, strict=True)]
    assert len(ticks) > at_least
    assert len(batch.event_row) > 1000
    assert [step.seq for step in steps if step.sampled] == batch.event_row.tolist()
    assert np.array([step.features for step in steps if step.sampled]).tobytes() == batch.features.tobytes()
