"""What an instrument's closing hours do to orders: none shortly before a close, and no position over it.

What belongs here: the next close of each order and the orders changed by it. What must not: opening hours themselves (`market_calendar`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from tick_assets.domain.backtest import HOUR_US, Orders
from tick_assets.domain.dataset import BoolArray
from tick_assets.domain.market_calendar import open_hours
from tick_assets.domain.ticks import DAY_US, Int64Array

MINUTE_US = 60_000_000
NEVER_US = int(np.iinfo(np.int64).max // 2)
_SEARCHED_DAYS = 8
"""A week and a day: an open market that does not close in that time does not close."""


@dataclass(frozen=True)
class SessionRule:
    """Minutes before a close from which no order is sent, and at which what is open is closed."""

    no_entry_minutes: int = 30
    flat_minutes: int = 5


def next_close_us(asset_class: str, ts_us: Int64Array) -> Int64Array:
    """Return the beginning of the first closed hour of each stamp's future, the running hour's own when that is closed already."""
    if not len(ts_us):
        return np.empty(0, np.int64)
    first, last = int(ts_us.min()) // DAY_US, int(ts_us.max()) // DAY_US + _SEARCHED_DAYS
    days = [date(1970, 1, 1) + timedelta(days=day) for day in range(first, last + 1)]
    is_open = np.array([hour for day in days for hour in open_hours(asset_class, day)], np.bool_)
    starts = first * DAY_US + np.arange(len(is_open), dtype=np.int64) * HOUR_US
    closes = np.where(is_open, NEVER_US, starts)
    ahead = np.minimum.accumulate(closes[::-1])[::-1]
    return np.asarray(ahead[(ts_us - first * DAY_US) // HOUR_US], np.int64)


def before_closes(orders: Orders, ts_us: Int64Array, asset_class: str, rule: SessionRule) -> tuple[Orders, BoolArray]:
    """Return the orders with exits brought forward to before the next close, and which of them come too late to be sent.

    `ts_us` is the stamp of each order's event. An exit is a close order like any other: it has its latency and slippage.
    """
    close = next_close_us(asset_class, ts_us)
    is_late = (orders.side != 0) & (ts_us >= close - rule.no_entry_minutes * MINUTE_US)
    exits = np.minimum(orders.exit_at_us, close - rule.flat_minutes * MINUTE_US)
    return replace(orders, exit_at_us=exits), is_late
