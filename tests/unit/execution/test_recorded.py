"""A terminal tells back the date that it was given, on days on which its clock changes too."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from execution.adapters.mt5.simulator.history import TickHistory
from execution.orders import to_us
from execution.recorded import DAY_US, holding_terminal, read_day
from tests.unit.execution.conftest import MARKET


def history(start: int, gap_s: int = 7) -> TickHistory:
    """Return a whole UTC date of quotes that move."""
    stamps = start + np.arange(DAY_US // (gap_s * 1_000_000), dtype=np.int64) * gap_s * 1_000_000
    bid = 110_000 + np.arange(len(stamps)) % 97
    return TickHistory(stamps, bid, bid + 3 + np.arange(len(stamps)) % 5, np.ones(len(stamps)), np.ones(len(stamps)))


@pytest.mark.parametrize(
    "section", [{"kind": "ny_plus_7"}, {"kind": "zoneinfo", "zone": "Europe/Athens"}, {"kind": "fixed", "offset_hours": 5.5}]
)
@pytest.mark.parametrize("date", ["2024-01-10", "2024-03-10", "2024-03-31", "2024-10-27", "2024-11-03"])
def test_read_day_gives_back_every_tick_and_minute(section: dict[str, object], date: str) -> None:
    start = to_us(datetime.fromisoformat(date).replace(tzinfo=UTC))
    given = history(start)
    told = read_day(holding_terminal(replace(MARKET, server_clock=section), {"EURUSD": given}), "EURUSD", start)
    placed = told.placed(100_000)
    assert placed.ts_us.tolist() == given.ts_us.tolist()
    assert (placed.bid_points.tolist(), placed.ask_points.tolist()) == (given.bid_points.tolist(), given.ask_points.tolist())
    assert told.bars.ts_us.tolist() == list(range(start, start + DAY_US, 60_000_000))
    assert int(told.bars.tick_count.sum()) == len(given)


def test_placed_sizes_are_unknown_and_prices_go_to_the_nearest_point() -> None:
    start = 1_704_844_800_000_000
    placed = read_day(holding_terminal(MARKET, {"EURUSD": history(start, 3600)}), "EURUSD", start).placed(10_000)
    assert np.isnan(placed.bid_size).all()
    assert placed.bid_points.tolist()[:3] == [11_000, 11_000, 11_000]
