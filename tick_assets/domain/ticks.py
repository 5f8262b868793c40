"""Ticks as columns: the one in-memory shape that kernel, labels and backtests share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
MALFORMED_TS = np.iinfo(np.int64).min
"""Stands for the stamp of a row that did not parse, so that such a row keeps its place and its `seq`."""


@dataclass(frozen=True)
class Ticks:
    """Rows of one symbol and UTC date, in vendor order.

    `ts_us` is microseconds since 1970 UTC; prices are integer points; sizes are in units and may be NaN when the feed gives none.
    """

    ts_us: Int64Array
    bid_points: Int64Array
    ask_points: Int64Array
    bid_size: Float64Array
    ask_size: Float64Array

    def __post_init__(self) -> None:
        lengths = {len(column) for column in self.columns}
        if len(lengths) > 1:
            raise ValueError(f"Expected columns of one length, was {sorted(lengths)}.")

    @property
    def columns(self) -> tuple[Int64Array, Int64Array, Int64Array, Float64Array, Float64Array]:
        return self.ts_us, self.bid_points, self.ask_points, self.bid_size, self.ask_size

    def __len__(self) -> int:
        return len(self.ts_us)

    def take(self, rows: npt.NDArray[np.bool_] | Int64Array | slice) -> Ticks:
        """Return the chosen rows, in order."""
        return Ticks(self.ts_us[rows], self.bid_points[rows], self.ask_points[rows], self.bid_size[rows], self.ask_size[rows])


def day_start_us(date_iso: str) -> int:
    """Return 00:00 of a UTC date in microseconds since 1970."""
    return (date.fromisoformat(date_iso) - _EPOCH).days * DAY_US


def join_ticks(parts: Sequence[Ticks]) -> Ticks:
    """Return the rows of the parts, one after the other."""
    return Ticks(*(np.concatenate(columns) for columns in zip(*(part.columns for part in (empty_ticks(), *parts)), strict=True)))


def empty_ticks() -> Ticks:
    """Return ticks without rows."""
    i, f = np.empty(0, np.int64), np.empty(0, np.float64)
    return Ticks(i, i, i, f, f)
