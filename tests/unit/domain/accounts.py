"""Instruments, ticks and orders that the account's tests share."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from tick_assets.domain.account import NO_LIMITS, AccountLimits, AccountRun, Line, trade_account
from tick_assets.domain.backtest import Orders
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.ticks import Ticks

EUR = Instrument("EURUSD", "fx", 100_000, 5, 100_000.0, "EUR", "USD", 3.5, 0.3, 0.01, 0.01, 100.0, "", -7.0, 2.0)
JPY = Instrument("USDJPY", "fx", 1_000, 3, 100_000.0, "USD", "JPY", 3.5, 0.3, 0.01, 0.01, 100.0, "", 8.0, -18.0)
MARKET = Market("USD", 1, 100.0, 0.6, 600_000, {"EURUSD": EUR, "USDJPY": JPY})
Quote = tuple[str, int, int]


def stamp(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def ticks_of(*quotes: Quote) -> Ticks:
    stamps, bid, ask = zip(*quotes, strict=True)
    sizes = np.ones(len(quotes))
    return Ticks(np.array([stamp(text) for text in stamps]), np.array(bid), np.array(ask), sizes, sizes)


def orders_of(*rows: tuple[int, int, str], width: int = 5_000, level: int = 110_000, date_index: Sequence[int] = ()) -> Orders:
    """Return orders (row, side, exit at) with stop and target far away, one microsecond of latency and no slippage."""
    row, side, exits = (np.array(column) for column in zip(*rows, strict=True))
    one, none = np.ones(len(rows), np.int64), np.zeros(len(rows), np.int64)
    return Orders(
        date_index=np.array(date_index or [0] * len(rows), np.int32),
        row=row.astype(np.int64),
        side=side.astype(np.int8),
        stop_points=level - side * width,
        target_points=level + side * width,
        exit_at_us=np.array([stamp(str(text)) for text in exits]),
        entry_latency_us=one,
        exit_latency_us=one,
        entry_slippage_points=none,
        exit_slippage_points=none,
    )


def held(side: int, opened: str, closed: str, points: int = 110_000, spread: int = 2, gain: int = 0) -> tuple[Ticks, Orders]:
    """Return ticks and an order whose position lasts from the minute `opened` to the minute `closed`, the bid `gain` points higher then."""
    later = points + gain
    quotes = [(opened + ":00", points, points + spread), (opened + ":30", points, points + spread)]
    quotes += [(closed + ":00", later, later + spread), (closed + ":30", later, later + spread)]
    return ticks_of(*quotes), orders_of((0, side, closed + ":00"), level=points)


def run_one(instrument: Instrument, ticks: Ticks, orders: Orders, limits: AccountLimits = NO_LIMITS, lots: float = 1.0) -> AccountRun:
    return trade_account([Line(instrument, [ticks], orders, lots)], MARKET, limits)


def euro(lots: float = 1.0, gain: int = 0) -> Line:
    ticks, orders = held(1, "2024-01-08T10:00", "2024-01-08T10:05", gain=gain)
    return Line(EUR, [ticks], orders, lots)


def yen(at: str, lots: float = 1.0) -> Line:
    ticks = ticks_of((at, 148_000, 148_010), ("2024-01-08T11:00:00", 148_000, 148_010), ("2024-01-08T11:30:00", 148_000, 148_010))
    return Line(JPY, [ticks], orders_of((0, -1, "2024-01-08T11:10:00"), level=148_000), lots)


PATIENT = replace(MARKET, quote_wait_ms=7_200_000)


def random_line(seed: int, instrument: Instrument, count: int = 60) -> Line:
    random = np.random.default_rng(seed)
    level = 110_000 if instrument is EUR else 148_000
    days, parts = [], []
    for day in range(3):
        n = 400
        gaps = random.exponential(300_000, n).astype(np.int64) * random.integers(0, 4, n)
        bid = level + np.cumsum(random.integers(-3, 4, n))
        days.append(
            Ticks(stamp(f"2024-01-{8 + day:02d}T21:58:00") + np.cumsum(gaps), bid, bid + random.integers(0, 9, n), np.ones(n), np.ones(n))
        )
        row = np.sort(random.choice(n, count, replace=False)).astype(np.int64)
        side = random.integers(-1, 2, count).astype(np.int8)
        anchor = np.where(side > 0, bid[row], days[-1].ask_points[row])
        parts.append(
            (np.full(count, day, np.int32), row, side,
             anchor - side * random.integers(1, 25, count), anchor + side * random.integers(1, 25, count),
             days[-1].ts_us[row] + random.integers(1, 20, count) * 1_000_000, random.integers(1, 900_000, count),
             random.integers(1, 900_000, count), random.integers(0, 3, count), random.integers(0, 3, count))
        )  # fmt: skip
    return Line(instrument, days, Orders(*(np.concatenate(column) for column in zip(*parts, strict=True))), 0.1)
