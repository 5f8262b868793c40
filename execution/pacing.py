"""How time passes: on its own, or by playing the simulated terminal's ticks.

What must not live here: decisions. Both are `Pacer`s; the engine cannot tell them apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from execution.adapters.mt5.simulator.history import first_row
from execution.adapters.mt5.simulator.module import SimulatedMetaTrader5
from execution.ports import Mark, Pacer


class RealTimePacer(Pacer):
    """`Pacer` of the wall clock: advancing does nothing, an exit is due when the clock says so."""

    def __init__(self, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us()

    def mark_of_quote(self, symbol: str, ts_us: int, bid_price: float, ask_price: float) -> Mark:
        return Mark(max(ts_us, self._now_us()))

    def mark_of_exit(self, symbol: str, exit_at_us: int) -> Mark | None:
        return Mark(exit_at_us)

    def advance(self, symbol: str, mark: Mark) -> None:
        return

    def advance_to(self, ts_us: int) -> None:
        return

    def mark_busy(self, symbol: str) -> None:
        return

    def was_busy_at(self, symbol: str, mark: Mark) -> bool:
        return False


class SimulatedPacer(Pacer):
    """`Pacer` of a simulated terminal: advancing plays its ticks; places are rows, so that quotes of one stamp stay apart."""

    def __init__(self, terminal: SimulatedMetaTrader5) -> None:
        self._terminal = terminal
        self._busy: dict[str, Mark] = {}

    def now_us(self) -> int:
        return self._terminal.now_us

    def mark_of_quote(self, symbol: str, ts_us: int, bid_price: float, ask_price: float) -> Mark:
        line = self._terminal.server.lines[symbol]
        factor = line.spec.price_factor
        row = first_row(line.history, ts_us, round(bid_price * factor), round(ask_price * factor))
        return Mark(ts_us, row if row >= 0 else line.history.last_at_or_before(ts_us))

    def mark_of_exit(self, symbol: str, exit_at_us: int) -> Mark | None:
        line = self._terminal.server.lines[symbol]
        row = line.history.first_at_or_after(exit_at_us, max(line.row, 0))
        return Mark(int(line.history.ts_us[row]), row) if row < len(line.history) else None

    def advance(self, symbol: str, mark: Mark) -> None:
        self._terminal.advance_to_row(symbol, mark.row)

    def advance_to(self, ts_us: int) -> None:
        self._terminal.advance_to(ts_us)

    def mark_busy(self, symbol: str) -> None:
        self._busy[symbol] = Mark(self._terminal.now_us, self._terminal.server.lines[symbol].row)

    def was_busy_at(self, symbol: str, mark: Mark) -> bool:
        busy = self._busy.get(symbol)
        return busy is not None and (mark.ts_us < busy.ts_us or mark.row < busy.row)
