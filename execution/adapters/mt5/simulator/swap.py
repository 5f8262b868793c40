"""Swap of the simulated broker: how many nights a position was held, and what they cost in the points mode.

What belongs here: nights by the server's clock and their worth. What must not: when a position is opened or ends (`server`).
"""

from __future__ import annotations

from execution.adapters.mt5 import constants as mt5
from execution.adapters.mt5.server_clock import ServerClock, to_server_us
from execution.market import SymbolSpec

_DAY_US = 86_400_000_000
_EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; weekdays count from Monday."""
_SATURDAY = 5
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def nights_held(clock: ServerClock, triple_weekday: str, opened_us: int, closed_us: int) -> int:
    """Count the server midnights after the opening, up to and on the close: three for the triple weekday's, none for a weekend's.

    With `none` as the triple weekday every one of the seven counts once.
    """
    first, last = (to_server_us(clock, stamp) // _DAY_US for stamp in (opened_us, closed_us))
    return sum(_nights(day, triple_weekday) for day in range(first, last))


def _nights(day: int, triple_weekday: str) -> int:
    """Return how many nights the end of a server date (days since 1970) counts."""
    weekday = (day + _EPOCH_WEEKDAY) % 7
    if triple_weekday == "none":
        return 1
    if weekday == WEEKDAYS.index(triple_weekday):
        return 3
    return 1 if weekday < _SATURDAY else 0


def swap_in_account(spec: SymbolSpec, currency: str, sign: int, lot_nights: float, points: float) -> float:
    """Return swap in account currency, negative where it is paid; a foreign quote currency is converted at this price, as profit is."""
    rate = spec.swap_long_points if sign > 0 else spec.swap_short_points
    swap = rate * lot_nights / spec.price_factor * spec.contract_size
    return swap if spec.profit_currency == currency else swap / (points / spec.price_factor)


def rollover_weekday(triple_weekday: str) -> int:
    """Return MetaTrader's number of the triple weekday (0 is Sunday); Wednesday's where there is none."""
    return mt5.DAY_OF_WEEK_WEDNESDAY if triple_weekday == "none" else (WEEKDAYS.index(triple_weekday) + 1) % 7
