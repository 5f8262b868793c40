"""A recorded date as a terminal tells it: ticks and minute bars through the terminal port's own history calls.

What belongs here: a simulated terminal that holds the date, and reading a date off any terminal. What must not: comparing it with what
was recorded (the pipeline's `domain.terminal_history`). On the host of a real terminal `read_day` takes the native port as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from execution.history import Float64Array, Int64Array, PastBars, PastTicks
from execution.market import MarketFile
from execution.ports import TerminalPort
from execution.simulate import TickColumns, open_simulator, terminal_on

DAY_US = 86_400_000_000


@dataclass(frozen=True)
class PlacedTicks:
    """A terminal's ticks as columns to trade on: integer points, sizes unknown."""

    ts_us: Int64Array
    bid_points: Int64Array
    ask_points: Int64Array
    bid_size: Float64Array
    ask_size: Float64Array


@dataclass(frozen=True)
class RecordedDay:
    """What a terminal has of one symbol and UTC date."""

    ticks: PastTicks
    bars: PastBars

    def placed(self, price_factor: int) -> PlacedTicks:
        """Return the ticks in points of 1 / price_factor; a price between two points goes to the nearest."""
        nothing = np.full(len(self.ticks), np.nan)
        bid, ask = (np.rint(prices * price_factor).astype(np.int64) for prices in (self.ticks.bid_price, self.ticks.ask_price))
        return PlacedTicks(self.ticks.ts_us, bid, ask, nothing, nothing)


def holding_terminal(market: MarketFile, ticks_by_symbol: Mapping[str, TickColumns]) -> TerminalPort:
    """Return a simulated terminal to which these ticks have come, all of them: its history calls show what has been played."""
    module = open_simulator(market, ticks_by_symbol)
    terminal = terminal_on(module)
    module.finish()
    return terminal


def read_day(terminal: TerminalPort, symbol: str, start_us: int) -> RecordedDay:
    """Ask a terminal for the ticks and minute bars of the UTC date that begins at `start_us`."""
    end_us = start_us + DAY_US
    return RecordedDay(terminal.ticks_between(symbol, start_us, end_us), terminal.minute_bars_between(symbol, start_us, end_us))
