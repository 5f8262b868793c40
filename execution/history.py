"""Past ticks and minute bars, as a terminal's port gives them.

What belongs here: frozen columns in market words and UTC. What must not: server time or MetaTrader's layouts (`adapters/mt5`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PastTicks:
    """Ticks in the terminal's order: microseconds UTC (a terminal may keep milliseconds only) and prices."""

    ts_us: Int64Array
    bid_price: Float64Array
    ask_price: Float64Array

    def __len__(self) -> int:
        return len(self.ts_us)

    def between(self, start_us: int, end_us: int) -> PastTicks:
        """Return the ticks with start <= stamp < end."""
        rows = (self.ts_us >= start_us) & (self.ts_us < end_us)
        return PastTicks(self.ts_us[rows], self.bid_price[rows], self.ask_price[rows])


@dataclass(frozen=True)
class PastBars:
    """Minute bars by bid in order: the opening in microseconds UTC, prices, number of ticks."""

    ts_us: Int64Array
    open_price: Float64Array
    high_price: Float64Array
    low_price: Float64Array
    close_price: Float64Array
    tick_count: Int64Array

    def __len__(self) -> int:
        return len(self.ts_us)

    def between(self, start_us: int, end_us: int) -> PastBars:
        """Return the bars that open at start <= stamp < end."""
        rows = (self.ts_us >= start_us) & (self.ts_us < end_us)
        return PastBars(*(getattr(self, field.name)[rows] for field in fields(self)))


def join_ticks(parts: Sequence[PastTicks]) -> PastTicks:
    """Return ticks of following ranges as one."""
    return PastTicks(
        np.concatenate([np.empty(0, np.int64), *(part.ts_us for part in parts)]),
        np.concatenate([np.empty(0, np.float64), *(part.bid_price for part in parts)]),
        np.concatenate([np.empty(0, np.float64), *(part.ask_price for part in parts)]),
    )
