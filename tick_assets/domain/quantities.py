"""Figures as text: as many digits as say something, a dash where there is none.

What belongs here: numbers, shares, durations, stamps. What must not: what they are figures of.
"""

from __future__ import annotations

from datetime import datetime

NONE = "\N{EN DASH}"


def number(value: float | None) -> str:
    """Return a figure with three significant digits, or as a whole number from 100 on."""
    if value is None:
        return NONE
    if abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3g}"


def price(value: float | None) -> str:
    """Return a price as it is quoted."""
    return NONE if value is None else f"{value:g}"


def percent(share: float | None) -> str:
    """Return a share with two decimals; a share that would round to nothing or all is not shown as such."""
    if share is None:
        return NONE
    if 0 < share < 0.00005:
        return "under 0.01 %"
    if 0.99995 <= share < 1:
        return "99.99 %"
    return f"{100 * share:.2f} %" if share not in (0.0, 1.0) else f"{100 * share:.0f} %"


def duration(seconds: float | None) -> str:
    """Return seconds as `0.4 s`, `76 s`, `12 min 5 s` or `4 h 0 min`."""
    if seconds is None:
        return NONE
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def stamp(at: datetime | None) -> str:
    """Return a stamp in UTC."""
    return NONE if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def clock(at: datetime | None) -> str:
    """Return a stamp's time of day in UTC."""
    return NONE if at is None else f"{at:%H:%M:%S}"
