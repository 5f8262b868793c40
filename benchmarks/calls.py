"""Many calls of one function, each under its own clock: what one of them takes.

What belongs here: the clock and its percentiles. What must not: anything but the standard library (rivals use it too).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any


def time_each(call: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[int]:
    """Call once for each tuple of arguments and return the nanoseconds of each call; the clock's own 40 to 80 are in them."""
    spent = []
    for each in arguments:
        began = perf_counter_ns()
        call(*each)
        spent.append(perf_counter_ns() - began)
    return spent


def percentiles_us(spent: Sequence[int]) -> Mapping[str, float]:
    """Return the 50th and 99th percentile in microseconds (nearest rank)."""
    ordered = sorted(spent)
    return {f"p{share}_us": ordered[max(0, -(-share * len(ordered) // 100) - 1)] / 1e3 for share in (50, 99)}
