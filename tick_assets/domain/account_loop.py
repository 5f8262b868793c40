"""The compiled loop of the account: one order after the other, each if the limits leave room then.

What belongs here: the rows that the loop works on, limits, and who frees room when. What must not: fill rules (`fills`), building the
rows and valuing trades (`account`). Rows of ticks are rows of the tape: all ticks of all lines, one after the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from tick_assets.domain.fills import EXIT_REASONS, fill_trade, first_at_or_after
from tick_assets.domain.ticks import Int64Array

NOT_SENT, LIMIT_SYMBOL, LIMIT_POSITIONS, LIMIT_EXPOSURE, LIMIT_MARGIN, SESSION_CLOSING = range(len(EXIT_REASONS), len(EXIT_REASONS) + 6)
OUTCOMES = (*EXIT_REASONS, "NOT_SENT", "LIMIT_SYMBOL", "LIMIT_POSITIONS", "LIMIT_EXPOSURE", "LIMIT_MARGIN", "SESSION_CLOSING")
"""What became of an order: how its trade ended, or why there is none."""

ORDER = np.dtype(
    [
        *((name, np.int64) for name in ("line", "event_index", "row", "first", "last", "side", "is_late", "exit_at_us")),
        *((name, np.int64) for name in ("entry_latency_us", "exit_latency_us", "entry_slip", "exit_slip")),
        *((name, np.float64) for name in ("stop", "target")),
    ]
)
"""An order; `first` and `last` bound the ticks that may fill it."""

LINE = np.dtype(
    [
        *((name, np.int64) for name in ("symbol", "is_foreign")),
        *((name, np.float64) for name in ("size", "price_factor", "commission", "swap_long", "swap_short")),
    ]
)
"""What the loop knows of a line: `size` is lots times contract size, `commission` of one side, `is_foreign` its profit currency."""

FOUND = np.dtype(
    [
        *((name, np.int64) for name in ("outcome", "entry_row", "exit_row", "free_row", "free_us")),
        *((name, np.float64) for name in ("entry_points", "exit_points", "notional")),
    ]
)
"""What became of an order; rows are -1 without a fill. From `free_row` (in its line) or `free_us` (in others) on it takes no room."""


class Quotes(NamedTuple):
    """The tape."""

    ts_us: Int64Array
    bid: npt.NDArray[Any]
    ask: npt.NDArray[Any]


class Nights(NamedTuple):
    """Server midnights, and the nights counted before each of them by line."""

    midnight_us: Int64Array
    before: Int64Array


class LimitValues(NamedTuple):
    """Limits as numbers. A leverage of zero asks for no margin."""

    positions_per_symbol: int
    positions: int
    gross_exposure: float
    leverage: float
    balance: float
    quote_wait_us: int


@nb.njit(cache=True, nogil=True)
def run_account(quotes, orders, lines, nights, limits):  # type: ignore[no-untyped-def]  # numba infers
    """Send the orders (`ORDER`, in the order of their events). Returns a `FOUND` for each."""
    ts_us, bid, ask = quotes
    found = np.zeros(len(orders), FOUND)
    held = np.empty(len(orders), np.int64)
    n_held = 0
    balance = limits.balance
    for k in range(len(orders)):
        order, result = orders[k], found[k]
        result.outcome, result.entry_row, result.exit_row = NOT_SENT, -1, -1
        if order.side == 0:
            continue
        now = ts_us[order.row]
        n_held, earned = _release(held, n_held, order, now, ts_us, orders, lines, nights, found)
        balance += earned
        result.notional = _value(lines[order.line], ask[order.row] if order.side > 0 else bid[order.row])
        refusal = _refusal(held, n_held, order, result.notional, now, balance, quotes, orders, lines, nights, limits, found)
        if refusal != 0:
            result.outcome = refusal
            continue
        _fill(order, result, now, ts_us, bid, ask, limits.quote_wait_us)
        held[n_held] = k
        n_held += 1
    return found


@nb.njit(cache=True, nogil=True)
def _fill(order, result, now, ts_us, bid, ask, quote_wait_us):  # type: ignore[no-untyped-def]
    """Fill one order among its ticks, and note from when on it takes no room: in its line as `backtest.run_orders` has it.

    A refusal is known to other lines when the terminal says it: at the tick that was to fill it, or when the wait for one is over.
    """
    first, last = order.first, order.last
    entered, left, paid, received, why = fill_trade(
        ts_us[first:last], bid[first:last], ask[first:last], order.row - first, order.side, order.stop, order.target, order.exit_at_us,
        order.entry_latency_us, order.exit_latency_us, order.entry_slip, order.exit_slip, quote_wait_us,
    )  # fmt: skip
    result.outcome = why
    if entered >= 0:
        result.entry_row, result.exit_row = first + entered, first + left
        result.entry_points, result.exit_points = paid, received
        result.free_row, result.free_us = first + left, ts_us[first + left]
    else:
        arrival = now + order.entry_latency_us
        answer = first + first_at_or_after(ts_us[first:last], order.row - first, arrival)
        result.free_row = answer
        is_answered = answer < last and ts_us[answer] <= arrival + quote_wait_us
        result.free_us = ts_us[answer] if is_answered else arrival + quote_wait_us


@nb.njit(cache=True, nogil=True)
def _release(held, n_held, order, now, ts_us, orders, lines, nights, found):  # type: ignore[no-untyped-def]
    """Drop what has ended before an order from `held`; returns how many stay, and what the ended trades earned.

    Several ticks may share a stamp: within a line rows decide, as in `backtest`, between lines stamps.
    """
    kept = 0
    earned = 0.0
    for place in range(n_held):
        each = held[place]
        result, line = found[each], orders[each].line
        if (result.free_row <= order.row) if line == order.line else (result.free_us <= now):
            if result.entry_row >= 0:
                closed = ts_us[result.exit_row]
                earned += _profit(lines, nights, orders[each], result, result.exit_points, ts_us[result.entry_row], closed)
                earned -= lines[line].commission
        else:
            held[kept] = each
            kept += 1
    return kept, earned


@nb.njit(cache=True, nogil=True)
def _refusal(held, n_held, order, notional, now, balance, quotes, orders, lines, nights, limits, found):  # type: ignore[no-untyped-def]
    """Return the outcome that keeps an order from being sent, 0 for none."""
    if order.is_late:
        return SESSION_CLOSING
    of_symbol = 0
    exposure = notional
    for place in range(n_held):
        of_symbol += lines[orders[held[place]].line].symbol == lines[order.line].symbol
        exposure += found[held[place]].notional
    if of_symbol >= limits.positions_per_symbol:
        return LIMIT_SYMBOL
    if n_held >= limits.positions:
        return LIMIT_POSITIONS
    if exposure > limits.gross_exposure:
        return LIMIT_EXPOSURE
    if limits.leverage > 0:
        floating = _floating(held, n_held, order, now, quotes, orders, lines, nights, found)
        if exposure / limits.leverage > balance + floating:
            return LIMIT_MARGIN
    return 0


@nb.njit(cache=True, nogil=True)
def _floating(held, n_held, order, now, quotes, orders, lines, nights, found):  # type: ignore[no-untyped-def]
    """Return what open positions have earned by the last quote at or before `now`, entry commissions and swap so far included."""
    total = 0.0
    for place in range(n_held):
        each, entry = orders[held[place]], found[held[place]].entry_row
        if entry < 0:
            continue
        mark = order.row if each.line == order.line else entry + np.searchsorted(quotes.ts_us[entry : each.last], now, side="right") - 1
        if mark < entry:
            continue
        price = quotes.bid[mark] if each.side > 0 else quotes.ask[mark]
        total += _profit(lines, nights, each, found[held[place]], price, quotes.ts_us[entry], now)
    return total


@nb.njit(cache=True, nogil=True)
def _profit(lines, nights, order, result, price, opened_us, now):  # type: ignore[no-untyped-def]
    """Return gross profit and swap of a position at a price, less one commission: `costs` in scalars, for the margin check."""
    line = lines[order.line]
    until = np.searchsorted(nights.midnight_us, now, side="right")
    since = np.searchsorted(nights.midnight_us, opened_us, side="right")
    held_over = nights.before[order.line, until] - nights.before[order.line, since]
    points = order.side * (price - result.entry_points) + (line.swap_long if order.side > 0 else line.swap_short) * held_over
    earned = points / line.price_factor * line.size
    if line.is_foreign:
        earned /= price / line.price_factor
    return earned - line.commission


@nb.njit(cache=True, nogil=True)
def _value(line, points):  # type: ignore[no-untyped-def]
    """Return a line's notional in account currency at a quote."""
    return line.size if line.is_foreign else line.size * points / line.price_factor
