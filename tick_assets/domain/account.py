"""Several symbols' orders in one account: who may still trade, what is filled, and what each trade earned.

What belongs here: limits, the global order of events, trades with commission and swap. What must not: fill rules (`fills`, unchanged),
contract arithmetic (`costs`), when a market closes (`session_closes`), the curve of equity (`equity`).

Rules:
    order of events  by stamp; at equal stamps ends of positions come first, then orders in the order of the lines
    one line         an order is skipped while an earlier one is in flight or its position is open, exactly as `backtest` does
    limits           are asked when an order is sent, on what is open and in flight then; nobody knows yet whether that will fill
    notional         lots in account currency at the quote that the order saw; margin is notional over leverage
    swap             points a lot for every server midnight that a position was held over, converted as profit is, booked at the end
    dates            a position ends with its UTC date, unless `crosses_dates`: then the dates of a line are one tape, and a stop that the
                     market jumped over (a weekend, say) fills at the first tick behind the gap
Stop-outs are not played: `equity` says how low the margin level went.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from tick_assets.domain.backtest import NO_STRESS, Orders, Stress, delayed, stressed_quotes
from tick_assets.domain.costs import gross_pnl_account, notional_account, swap_account
from tick_assets.domain.fills import EXIT_REASONS, fill_trade, first_at_or_after
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.rollovers import Rollovers, rollovers
from tick_assets.domain.session_closes import SessionRule, before_closes
from tick_assets.domain.ticks import Float64Array, Int64Array, Ticks

NOT_SENT, LIMIT_SYMBOL, LIMIT_POSITIONS, LIMIT_EXPOSURE, LIMIT_MARGIN, SESSION_CLOSING = range(len(EXIT_REASONS), len(EXIT_REASONS) + 6)
OUTCOMES = (*EXIT_REASONS, "NOT_SENT", "LIMIT_SYMBOL", "LIMIT_POSITIONS", "LIMIT_EXPOSURE", "LIMIT_MARGIN", "SESSION_CLOSING")
"""What became of an order: how its trade ended, or why there is none."""
_UNLIMITED = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Line:
    """What one strategy on one symbol brings to the account: its ticks by date, its orders on them, and its size."""

    instrument: Instrument
    ticks: Sequence[Ticks]
    orders: Orders
    lots: float

    @property
    def symbol(self) -> str:
        return self.instrument.symbol


@dataclass(frozen=True)
class AccountLimits:
    """What the account allows at most; None allows all. Gross exposure is in account currency. Without leverage margin is not asked."""

    positions_per_symbol: int = 1
    positions: int | None = None
    gross_exposure: float | None = None
    leverage: float | None = None
    session: SessionRule | None = None


NO_LIMITS = AccountLimits()


@dataclass(frozen=True)
class AccountTrades:
    """Filled trades in the order in which they were sent. `line` and `event_index` name the order; rows are rows of their date's ticks.

    Money is in account currency: `net = gross - commission + swap`, where swap is negative when it is paid. `reason` indexes `OUTCOMES`.
    """

    line: npt.NDArray[np.int32]
    event_index: Int64Array
    side: npt.NDArray[np.int8]
    entry_date_index: npt.NDArray[np.int32]
    exit_date_index: npt.NDArray[np.int32]
    entry_row: Int64Array
    exit_row: Int64Array
    entry_ts_us: Int64Array
    exit_ts_us: Int64Array
    entry_points: Float64Array
    exit_points: Float64Array
    reason: npt.NDArray[np.int8]
    lots: Float64Array
    notional: Float64Array
    nights: Int64Array
    gross: Float64Array
    commission: Float64Array
    swap: Float64Array
    net: Float64Array

    def __len__(self) -> int:
        return len(self.line)

    def take(self, rows: npt.NDArray[np.bool_] | Int64Array) -> AccountTrades:
        """Return the chosen trades."""
        return AccountTrades(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class AccountRun:
    """One run of the account: its lines, its trades, and what became of each order (`OUTCOMES` by line and order)."""

    lines: tuple[Line, ...]
    market: Market
    limits: AccountLimits
    trades: AccountTrades
    outcomes: tuple[npt.NDArray[np.int8], ...]
    rollovers: Rollovers

    def refusals(self) -> dict[str, int]:
        """Return how many sent orders found no fill, by reason."""
        codes = np.concatenate([np.empty(0, np.int8), *self.outcomes])
        counts = np.bincount(codes, minlength=len(OUTCOMES))
        reasons = ("PRICE_OFF", "INVALID_STOPS", *OUTCOMES[LIMIT_SYMBOL:])
        return {name: int(counts[OUTCOMES.index(name)]) for name in reasons if counts[OUTCOMES.index(name)]}


def trade_account(
    lines: Sequence[Line], market: Market, limits: AccountLimits = NO_LIMITS, stress: Stress = NO_STRESS, *, crosses_dates: bool = False
) -> AccountRun:
    """Run all lines in one account. With one line and no limits the trades are those of `backtest`, with swap added to the net."""
    tape = _tape(lines, stress)
    orders = _order_columns(lines, tape, limits, stress, crosses_dates)
    midnights = _midnights(tape, market)
    found = run_account(tape.quotes, orders, _line_columns(lines, market, midnights), _limit_values(limits, market))
    sent = np.flatnonzero(found.entry_row >= 0)
    outcomes = tuple(_in_event_order(found.outcome, orders, i, len(line.orders)) for i, line in enumerate(lines))
    return AccountRun(tuple(lines), market, limits, _trades(lines, market, tape, orders, found, sent, midnights), outcomes, midnights)


class _Quotes(NamedTuple):
    """All ticks of all lines, one after the other."""

    ts_us: Int64Array
    bid: npt.NDArray[Any]
    ask: npt.NDArray[Any]


@dataclass(frozen=True)
class _Tape:
    """Quotes, and for each line the first row of each of its dates and the row after its last."""

    quotes: _Quotes
    start: tuple[Int64Array, ...]

    @property
    def ts_us(self) -> Int64Array:
        return self.quotes.ts_us


class _OrderColumns(NamedTuple):
    """All orders in the order of their events; rows are rows of the tape, `first` and `last` bound the ticks that may fill an order."""

    line: npt.NDArray[np.int32]
    event_index: Int64Array
    row: Int64Array
    first: Int64Array
    last: Int64Array
    side: npt.NDArray[np.int8]
    stop: npt.NDArray[Any]
    target: npt.NDArray[Any]
    exit_at_us: Int64Array
    entry_latency_us: Int64Array
    exit_latency_us: Int64Array
    entry_slip: Int64Array
    exit_slip: Int64Array
    is_late: npt.NDArray[np.bool_]


class _LineColumns(NamedTuple):
    """What the loop knows of each line. `size` is lots times contract size, `nights_before` counts nights by line and midnight."""

    symbol: Int64Array
    size: Float64Array
    price_factor: Float64Array
    is_foreign: npt.NDArray[np.bool_]
    commission: Float64Array
    swap_long: Float64Array
    swap_short: Float64Array
    midnight_us: Int64Array
    nights_before: Int64Array


class _LimitValues(NamedTuple):
    """Limits as numbers. A leverage of zero asks for no margin."""

    positions_per_symbol: int
    positions: int
    gross_exposure: float
    leverage: float
    balance: float
    quote_wait_us: int


class _Found(NamedTuple):
    """What became of each order; rows are rows of the tape, -1 without a fill. From `free_row` and `free_us` on it takes no room."""

    outcome: npt.NDArray[np.int8]
    entry_row: Int64Array
    exit_row: Int64Array
    entry_points: Float64Array
    exit_points: Float64Array
    free_row: Int64Array
    free_us: Int64Array
    notional: Float64Array


@nb.njit(cache=True, nogil=True)
def run_account(quotes, orders, lines, limits):  # type: ignore[no-untyped-def]  # numba infers
    """Send all orders in order, each one if the limits leave room then. Returns `_Found`."""
    ts_us, bid, ask = quotes.ts_us, quotes.bid, quotes.ask
    m = len(orders.row)
    found = _Found(
        np.full(m, NOT_SENT, np.int8), np.full(m, -1, np.int64), np.full(m, -1, np.int64), np.zeros(m), np.zeros(m),
        np.zeros(m, np.int64), np.zeros(m, np.int64), np.zeros(m),
    )  # fmt: skip
    held = np.empty(m, np.int64)
    n_held = 0
    balance = limits.balance
    for k in range(m):
        if orders.side[k] == 0:
            continue
        row, now = orders.row[k], ts_us[orders.row[k]]
        n_held, earned = _release(held, n_held, k, now, orders, lines, found, ts_us)
        balance += earned
        quote = ask[row] if orders.side[k] > 0 else bid[row]
        found.notional[k] = _value(lines, orders.line[k], quote)
        refusal = _refusal(held, n_held, k, now, balance, quotes, orders, lines, limits, found)
        if refusal != 0:
            found.outcome[k] = refusal
            continue
        first, last = orders.first[k], orders.last[k]
        entered, left, paid, received, why = fill_trade(
            ts_us[first:last], bid[first:last], ask[first:last], row - first, orders.side[k], orders.stop[k], orders.target[k],
            orders.exit_at_us[k], orders.entry_latency_us[k], orders.exit_latency_us[k], orders.entry_slip[k], orders.exit_slip[k],
            limits.quote_wait_us,
        )  # fmt: skip
        found.outcome[k] = why
        if entered >= 0:
            found.entry_row[k], found.exit_row[k] = first + entered, first + left
            found.entry_points[k], found.exit_points[k] = paid, received
            found.free_row[k], found.free_us[k] = first + left, ts_us[first + left]
        else:
            found.free_us[k] = now + orders.entry_latency_us[k]
            found.free_row[k] = first + first_at_or_after(ts_us[first:last], row - first, found.free_us[k])
        held[n_held] = k
        n_held += 1
    return found


@nb.njit(cache=True, nogil=True)
def _release(held, n_held, k, now, orders, lines, found, ts_us):  # type: ignore[no-untyped-def]
    """Drop what has ended before order k from `held`; returns how many stay, and what the ended trades earned.

    Several ticks may share a stamp: within a line rows decide, as in `backtest`, between lines stamps.
    """
    kept = 0
    earned = 0.0
    for place in range(n_held):
        each = held[place]
        is_own = orders.line[each] == orders.line[k]
        if (is_own and found.free_row[each] <= orders.row[k]) or (not is_own and found.free_us[each] <= now):
            if found.entry_row[each] >= 0:
                opened, closed = ts_us[found.entry_row[each]], ts_us[found.exit_row[each]]
                earned += _profit(lines, orders, found, each, found.exit_points[each], opened, closed)
                earned -= lines.commission[orders.line[each]]
        else:
            held[kept] = each
            kept += 1
    return kept, earned


@nb.njit(cache=True, nogil=True)
def _refusal(held, n_held, k, now, balance, quotes, orders, lines, limits, found):  # type: ignore[no-untyped-def]
    """Return the outcome that keeps order k from being sent, 0 for none."""
    if orders.is_late[k]:
        return SESSION_CLOSING
    of_symbol = 0
    exposure = found.notional[k]
    for place in range(n_held):
        of_symbol += lines.symbol[orders.line[held[place]]] == lines.symbol[orders.line[k]]
        exposure += found.notional[held[place]]
    if of_symbol >= limits.positions_per_symbol:
        return LIMIT_SYMBOL
    if n_held >= limits.positions:
        return LIMIT_POSITIONS
    if exposure > limits.gross_exposure:
        return LIMIT_EXPOSURE
    if limits.leverage > 0 and exposure / limits.leverage > balance + _floating(held, n_held, k, now, quotes, orders, lines, found):
        return LIMIT_MARGIN
    return 0


@nb.njit(cache=True, nogil=True)
def _floating(held, n_held, k, now, quotes, orders, lines, found):  # type: ignore[no-untyped-def]
    """Return what open positions have earned by the last quote at or before `now`, entry commissions and swap so far included."""
    total = 0.0
    for place in range(n_held):
        each = held[place]
        entry = found.entry_row[each]
        if entry < 0:
            continue
        if orders.line[each] == orders.line[k]:
            mark = orders.row[k]
        else:
            mark = entry + np.searchsorted(quotes.ts_us[entry : orders.last[each]], now, side="right") - 1
        if mark < entry:
            continue
        price = quotes.bid[mark] if orders.side[each] > 0 else quotes.ask[mark]
        total += _profit(lines, orders, found, each, price, quotes.ts_us[entry], now)
    return total


@nb.njit(cache=True, nogil=True)
def _profit(lines, orders, found, k, price, opened_us, now):  # type: ignore[no-untyped-def]
    """Return gross profit and swap of order k's position at a price, less one commission: `costs` in scalars, for the margin check."""
    line = orders.line[k]
    side = orders.side[k]
    until = np.searchsorted(lines.midnight_us, now, side="right")
    since = np.searchsorted(lines.midnight_us, opened_us, side="right")
    nights = lines.nights_before[line, until] - lines.nights_before[line, since]
    points = side * (price - found.entry_points[k]) + (lines.swap_long[line] if side > 0 else lines.swap_short[line]) * nights
    earned = points / lines.price_factor[line] * lines.size[line]
    if lines.is_foreign[line]:
        earned /= price / lines.price_factor[line]
    return earned - lines.commission[line]


@nb.njit(cache=True, nogil=True)
def _value(lines, line, points):  # type: ignore[no-untyped-def]
    """Return a line's notional in account currency at a quote."""
    return lines.size[line] if lines.is_foreign[line] else lines.size[line] * points / lines.price_factor[line]


def _tape(lines: Sequence[Line], stress: Stress) -> _Tape:
    """Lay the ticks of all lines out in one block, line by line and date by date."""
    days = [day for line in lines for day in line.ticks]
    quotes = [stressed_quotes(day, stress.spread_multiple) for day in days]
    ends = np.cumsum([0, *(len(day) for day in days)], dtype=np.int64)
    places = np.cumsum([0, *(len(line.ticks) for line in lines)])
    start = tuple(ends[places[i] : places[i + 1] + 1] for i in range(len(lines)))
    kind = np.int64 if stress.spread_multiple == 1.0 else np.float64
    bid, ask = (np.concatenate([np.empty(0, kind), *(quote[side] for quote in quotes)]) for side in (0, 1))
    ts_us = np.concatenate([np.empty(0, np.int64), *(day.ts_us for day in days)])
    return _Tape(_Quotes(ts_us, bid, ask), start)


def _order_columns(lines: Sequence[Line], tape: _Tape, limits: AccountLimits, stress: Stress, crosses_dates: bool) -> _OrderColumns:
    """Return all orders in the order of their events."""
    each = [_line_orders(i, line, tape, limits, stress, crosses_dates) for i, line in enumerate(lines)]
    columns = [np.concatenate(column) for column in zip(*each, strict=True)] if each else [np.empty(0, np.int64)] * 14
    joined = _OrderColumns(*columns)
    in_time = np.argsort(tape.ts_us[joined.row], kind="stable")
    return _OrderColumns(*(column[in_time] for column in joined))


def _line_orders(place: int, line: Line, tape: _Tape, limits: AccountLimits, stress: Stress, crosses_dates: bool) -> _OrderColumns:
    orders, start = line.orders, tape.start[place]
    dates = orders.date_index.astype(np.int64)
    row = start[dates] + orders.row
    is_late = np.zeros(len(orders), np.bool_)
    if limits.session is not None:
        orders, is_late = before_closes(orders, tape.ts_us[row], line.instrument.asset_class, limits.session)
    return _OrderColumns(
        line=np.full(len(orders), place, np.int32),
        event_index=np.arange(len(orders), dtype=np.int64),
        row=row,
        first=np.full(len(orders), start[0]) if crosses_dates else start[dates],
        last=np.full(len(orders), start[-1]) if crosses_dates else start[dates + 1],
        side=orders.side,
        stop=orders.stop_points,
        target=orders.target_points,
        exit_at_us=orders.exit_at_us,
        entry_latency_us=delayed(orders.entry_latency_us, stress),
        exit_latency_us=delayed(orders.exit_latency_us, stress),
        entry_slip=orders.entry_slippage_points + stress.extra_slippage_points,
        exit_slip=orders.exit_slippage_points + stress.extra_slippage_points,
        is_late=is_late,
    )


def _midnights(tape: _Tape, market: Market) -> Rollovers:
    span = (int(tape.ts_us.min()), int(tape.ts_us.max())) if len(tape.ts_us) else (0, 0)
    return rollovers(market.server_clock, *span)


def _line_columns(lines: Sequence[Line], market: Market, midnights: Rollovers) -> _LineColumns:
    symbols = sorted({line.symbol for line in lines})
    nights = [midnights.nights_before(line.instrument.triple_swap_weekday) for line in lines]
    return _LineColumns(
        symbol=np.array([symbols.index(line.symbol) for line in lines], np.int64),
        size=np.array([line.lots * line.instrument.contract_size for line in lines], np.float64),
        price_factor=np.array([line.instrument.price_factor for line in lines], np.float64),
        is_foreign=np.array([line.instrument.profit_currency != market.account_currency for line in lines], np.bool_),
        commission=np.array([line.instrument.commission_per_lot_side * line.lots for line in lines], np.float64),
        swap_long=np.array([line.instrument.swap_long_points for line in lines], np.float64),
        swap_short=np.array([line.instrument.swap_short_points for line in lines], np.float64),
        midnight_us=midnights.ts_us,
        nights_before=np.array(nights, np.int64).reshape(len(lines), len(midnights.ts_us) + 1),
    )


def _limit_values(limits: AccountLimits, market: Market) -> _LimitValues:
    return _LimitValues(
        positions_per_symbol=limits.positions_per_symbol,
        positions=_UNLIMITED if limits.positions is None else limits.positions,
        gross_exposure=np.inf if limits.gross_exposure is None else limits.gross_exposure,
        leverage=float(limits.leverage or 0.0),
        balance=market.account.balance,
        quote_wait_us=market.quote_wait_ms * 1000,
    )


def _in_event_order(outcome: npt.NDArray[np.int8], orders: _OrderColumns, line: int, count: int) -> npt.NDArray[np.int8]:
    own = orders.line == line
    found = np.full(count, NOT_SENT, np.int8)
    found[orders.event_index[own]] = outcome[own]
    return found


def _trades(
    lines: Sequence[Line], market: Market, tape: _Tape, orders: _OrderColumns, found: _Found, sent: Int64Array, midnights: Rollovers
) -> AccountTrades:
    """Value the filled orders line by line, in the order in which they were sent."""
    line, entry, leave = orders.line[sent], found.entry_row[sent], found.exit_row[sent]
    entry_date, leave_date = np.zeros(len(sent), np.int32), np.zeros(len(sent), np.int32)
    entry_row, exit_row = entry.copy(), leave.copy()
    lots, nights = np.zeros(len(sent)), np.zeros(len(sent), np.int64)
    notional, gross, commission, swap = (np.zeros(len(sent)) for _ in range(4))
    opened, closed = tape.ts_us[entry], tape.ts_us[leave]
    side, paid, received = orders.side[sent], found.entry_points[sent], found.exit_points[sent]
    for i, each in enumerate(lines):
        own, start = line == i, tape.start[i]
        entry_date[own], leave_date[own] = _date_of(start, entry[own]), _date_of(start, leave[own])
        entry_row[own] -= start[entry_date[own]]
        exit_row[own] -= start[leave_date[own]]
        lots[own] = each.lots
        nights[own] = midnights.nights_held(each.instrument.triple_swap_weekday, opened[own], closed[own])
        notional[own] = notional_account(each.instrument, market, paid[own], each.lots)
        gross[own] = gross_pnl_account(each.instrument, market, side[own], paid[own], received[own], each.lots)
        commission[own] = 2.0 * each.instrument.commission_per_lot_side * each.lots
        swap[own] = swap_account(each.instrument, market, side[own], nights[own], received[own], each.lots)
    return AccountTrades(
        line=line,
        event_index=orders.event_index[sent],
        side=side,
        entry_date_index=entry_date,
        exit_date_index=leave_date,
        entry_row=entry_row,
        exit_row=exit_row,
        entry_ts_us=opened,
        exit_ts_us=closed,
        entry_points=paid,
        exit_points=received,
        reason=found.outcome[sent],
        lots=lots,
        notional=notional,
        nights=nights,
        gross=gross,
        commission=commission,
        swap=swap,
        net=gross - commission + swap,
    )


def _date_of(start: Int64Array, row: Int64Array) -> npt.NDArray[np.int32]:
    return (np.searchsorted(start, row, side="right") - 1).astype(np.int32)
