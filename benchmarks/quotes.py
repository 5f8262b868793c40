"""The quotes of benchmarks of models: dense synthetic dates as arrays, kept in the cache, and orders over them.

What belongs here: columns and orders that every side reads, in any environment with numpy. What must not: engines, measuring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import market

if TYPE_CHECKING:
    from benchmarks.plan import Plan

SYMBOL = "SYNNULL"
COLUMNS = ("ts_us", "bid_points", "ask_points", "bid_size", "ask_size")
LATENCY_US, QUOTE_WAIT_US = 50_000, 1_000_000
STOP_SIGMAS, TARGET_SIGMAS, LEAST_POINTS = 1.5, 2.0, 12
DAILY_VOLATILITY_POINTS = 500.0
"""The synthetic market's own."""


@dataclass(frozen=True)
class Pace:
    """How often a strategy trades: an order every so many ticks, held for so long at most. Both are of a dense date of a million ticks."""

    name: str
    ticks: int
    horizon_s: float


SPARSE, DENSE = Pace("sparse", 4_000, 300.0), Pace("dense", 40, 2.0)
"""5,000 and 500,000 orders in 20 million ticks."""
PACES = {pace.name: pace for pace in (SPARSE, DENSE)}


def files(plan: Plan, size: int) -> list[str]:
    """Return the files of as many dense dates as hold `size` ticks; what is missing is generated."""
    from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day

    chosen: list[str] = []
    dense = SyntheticMarket(k=0.0, mean_gap_s=market.DAY_S / market.DENSE_DAY)
    rows, days = 0, 0
    while rows < size:
        day = market.weekdays(days + 1)[-1]
        path = plan.cache / "bench" / f"quotes-{market.SEED}-{market.DENSE_DAY}" / f"{day.isoformat()}.npz"
        if not path.is_file():
            plan.report(f"  generating {market.DENSE_DAY:,} quotes of {day} in {path.parent}")
            _write(path, generate_day(dense, market.SEED, SYMBOL, day).ticks.columns)
        rows += _length(path)
        days += 1
        chosen.append(str(path))
    return chosen


def _write(path: Path, columns: Sequence[Any]) -> None:
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez(part, **dict(zip(COLUMNS, columns, strict=True)))
    part.replace(path)


def _length(path: Path) -> int:
    import numpy as np

    with np.load(path) as found:
        return len(found[COLUMNS[0]])


def read(paths: Sequence[str], size: int, columns: int = 3) -> list[tuple[Any, ...]]:
    """Return the first `size` ticks as the first `columns` arrays of each date: stamps, bid and ask in points, displayed sizes."""
    import numpy as np

    dates: list[tuple[Any, ...]] = []
    for path in paths:
        with np.load(path) as found:
            left = size - sum(len(date[0]) for date in dates)
            dates.append(tuple(found[name][:left] for name in COLUMNS[:columns]))
    return dates


@dataclass(frozen=True)
class DateOrders:
    """The orders of one date, in the order of `backtest.run_orders`' arguments."""

    row: Any
    side: Any
    stop: Any
    target: Any
    exit_at_us: Any
    entry_latency_us: Any
    exit_latency_us: Any
    entry_slip: Any
    exit_slip: Any

    @property
    def arguments(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__dataclass_fields__)


def orders(date: tuple[Any, ...], pace: Pace, number: int) -> DateOrders:
    """Return the orders of a pace over the date that is the `number`th: sides by a seeded draw, levels by the horizon's volatility."""
    import numpy as np

    ts_us, bid, ask = date[:3]
    row = np.arange(pace.ticks // 2, len(ts_us), pace.ticks, dtype=np.int64)
    side = np.where(np.random.default_rng(market.SEED + number).random(len(row)) < 0.5, 1, -1).astype(np.int8)
    sigma = DAILY_VOLATILITY_POINTS * (pace.horizon_s / market.DAY_S) ** 0.5
    stop, target = (max(LEAST_POINTS, round(sigmas * sigma)) for sigmas in (STOP_SIGMAS, TARGET_SIGMAS))
    anchor, sign = np.where(side > 0, bid[row], ask[row]), side.astype(np.int64)
    latency, slip = np.full(len(row), LATENCY_US, np.int64), np.zeros(len(row), np.int64)
    exit_at_us = ts_us[row] + np.int64(pace.horizon_s * 1e6)
    return DateOrders(row, side, anchor - sign * stop, anchor + sign * target, exit_at_us, latency, latency, slip, slip)
