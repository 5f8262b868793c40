"""Literal fill cases: ticks, orders and the trades that the contract demands; any engine that fills can be held against them.

Times are milliseconds, latency is given per order, quotes are points. `quote_wait_us` is 60 s in all of them.
"""

from __future__ import annotations

from typing import NamedTuple


class FillCase(NamedTuple):
    """`ticks` (ms, bid, ask); `orders` (row, side, stop, target, exit_at_ms, entry ms, exit ms, entry slip, exit slip);
    `trades` (order, entry row, exit row, entry points, exit points, reason)."""

    name: str
    ticks: list[tuple[int, int, int]]
    orders: list[tuple[int, int, int, int, int, int, int, int, int]]
    trades: list[tuple[int, int, int, int, int, str]]


QUOTE_WAIT_US = 60_000_000

FILL_CASES = [
    FillCase(
        "long stop at the tick's own price",
        [(0, 100, 102), (150, 101, 103), (300, 89, 91)],
        [(0, 1, 90, 110, 9000, 100, 100, 1, 1)],
        [(0, 1, 2, 104, 89, "STOP")],
    ),
    FillCase(
        "long target at the level, not the gap",
        [(0, 100, 102), (150, 101, 103), (300, 115, 117)],
        [(0, 1, 90, 110, 9000, 100, 100, 0, 1)],
        [(0, 1, 2, 103, 110, "TARGET")],
    ),
    FillCase(
        "short is measured on the ask",
        [(0, 100, 102), (150, 100, 102), (300, 109, 111), (400, 110, 112)],
        [(0, -1, 112, 92, 9000, 100, 100, 2, 1)],
        [(0, 1, 3, 98, 112, "STOP")],
    ),
    FillCase(
        "short target at the level",
        [(0, 100, 102), (150, 100, 102), (300, 88, 90)],
        [(0, -1, 112, 92, 9000, 100, 100, 0, 0)],
        [(0, 1, 2, 100, 92, "TARGET")],
    ),
    FillCase(
        "fills at the first tick at the very arrival",
        [(0, 100, 102), (100, 101, 104), (101, 100, 102)],
        [(0, 1, 90, 110, 9000, 100, 100, 0, 0)],
        [(0, 1, 2, 104, 100, "END_OF_DATA")],
    ),
    FillCase("no quote within the wait", [(0, 100, 102), (60_101, 100, 102)], [(0, 1, 90, 110, 90_000, 100, 100, 0, 0)], []),
    FillCase(
        "quote at the end of the wait still fills",
        [(0, 100, 102), (60_100, 100, 102)],
        [(0, 1, 90, 110, 90_000, 100, 100, 0, 0)],
        [(0, 1, 1, 102, 100, "END_OF_DATA")],
    ),
    FillCase("stop equal to the bid at the fill is invalid", [(0, 100, 102), (150, 90, 92)], [(0, 1, 90, 110, 9000, 100, 100, 0, 0)], []),
    FillCase(
        "a refused entry frees the very tick",
        [(0, 100, 102), (150, 90, 92), (300, 90, 92), (400, 90, 92)],
        [(0, 1, 90, 110, 9000, 100, 100, 0, 0), (1, 1, 80, 110, 9000, 100, 100, 0, 0)],
        [(1, 2, 3, 92, 90, "END_OF_DATA")],
    ),
    FillCase(
        "time exit with slip",
        [(0, 100, 102), (150, 100, 102), (1000, 100, 102), (1050, 105, 107), (1100, 99, 101)],
        [(0, 1, 90, 110, 900, 100, 100, 0, 2)],
        [(0, 1, 4, 102, 97, "TIME")],
    ),
    FillCase(
        "stop wins on the tick of the close",
        [(0, 100, 102), (150, 100, 102), (1000, 100, 102), (1100, 89, 91)],
        [(0, 1, 90, 110, 900, 100, 100, 0, 2)],
        [(0, 1, 3, 102, 89, "STOP")],
    ),
    FillCase(
        "close that finds no tick ends at the last",
        [(0, 100, 102), (150, 100, 102), (1000, 99, 101)],
        [(0, 1, 90, 110, 900, 100, 100, 0, 2)],
        [(0, 1, 2, 102, 99, "END_OF_DATA")],
    ),
    FillCase(
        "signals while held or in flight are skipped, at the exit tick allowed",
        [(0, 100, 102), (50, 100, 102), (150, 100, 102), (200, 100, 102), (300, 111, 113), (450, 111, 113), (500, 111, 113)],
        [(row, 1, 90, 110 if row < 4 else 130, 9000, 100, 100, 0, 0) for row in range(6)],
        [(0, 2, 4, 102, 110, "TARGET"), (4, 5, 6, 113, 111, "END_OF_DATA")],
    ),
    FillCase(
        "a stop during the close's flight frees its tick",
        [(0, 100, 102), (150, 100, 102), (1000, 100, 102), (1020, 89, 91), (1200, 89, 91), (1300, 89, 91)],
        [(0, 1, 90, 110, 900, 100, 100, 0, 0), (3, 1, 80, 110, 9000, 100, 100, 0, 0)],
        [(0, 1, 3, 102, 89, "STOP"), (1, 4, 5, 91, 89, "END_OF_DATA")],
    ),
    FillCase(
        "ticks of one stamp keep their order",
        [(0, 100, 102), (150, 100, 102), (300, 89, 91), (300, 95, 97), (300, 111, 113)],
        [(0, 1, 90, 110, 9000, 100, 100, 0, 0)],
        [(0, 1, 2, 102, 89, "STOP")],
    ),
]
