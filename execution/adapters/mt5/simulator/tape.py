"""The ticks of a session, how far they have been played, and the time that this makes it.

What belongs here: lines, the clock, the last quote. What must not: orders, or what happens at a tick (`server`).
"""

from __future__ import annotations

from dataclasses import dataclass

from execution.adapters.mt5.simulator.history import TickHistory, empty_history
from execution.market import MarketFile, SymbolSpec


@dataclass
class Line:
    """One symbol's ticks and how far they have been played (`row` is the last played, -1 for none)."""

    spec: SymbolSpec
    history: TickHistory
    row: int = -1


class Tape:
    """One line of ticks per symbol and one clock, UTC microseconds; the server moves both on."""

    def __init__(self, market: MarketFile) -> None:
        self.lines = {name: Line(spec, empty_history()) for name, spec in market.symbols.items()}
        self.now_us = 0

    def quote(self, symbol: str) -> tuple[int, int, int] | None:
        """Return (ts_us, bid, ask) in points of the last tick played."""
        line = self.lines[symbol]
        if line.row < 0:
            return None
        history = line.history
        return int(history.ts_us[line.row]), int(history.bid_points[line.row]), int(history.ask_points[line.row])

    def quote_now(self, symbol: str) -> tuple[int, int, int]:
        """Return the last quote of a symbol of which one must have been played."""
        quote = self.quote(symbol)
        if quote is None:
            raise ValueError(f"Expected a tick of {symbol} to have been played, was none. Advance the clock first.")
        return quote
