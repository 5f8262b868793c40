"""What travels between the judging of requests, the server and the account: a validated order, and what became of it.

What must not live here: anything that decides.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MarketOrder:
    """A validated market order. `closes` is the position it closes, 0 for none; levels are points, 0 for none."""

    symbol: str
    sign: int
    volume: float
    stop_points: int
    target_points: int
    magic: int
    comment: str
    filling: int
    closes: int
    draw_key: str
    asked_points: int = 0
    deviation: int = 0
    share: float = 1.0


@dataclass(frozen=True)
class Execution:
    """What the server did with an order; `points` is the fill."""

    retcode: int
    order: int = 0
    deal: int = 0
    volume: float = 0.0
    points: float = 0.0
