"""Several symbols' orders in one account: who may still trade, what is filled, and what each trade earned.

What belongs here: limits, the global order of events, trades with commission and swap. What must not: the loop over orders
(`account_loop`), fill rules (`fills`, unchanged), contract arithmetic (`costs`), closing hours (`session_closes`), equity (`equity`).

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

import numpy as np
import numpy.typing as npt

from tick_assets.domain.account_loop import (
    LIMIT_SYMBOL,
    LINE,
    ORDER,
    OUTCOMES,
    LimitValues,
    Nights,
    Quotes,
    run_account,
)
from tick_assets.domain.backtest import NO_STRESS, Orders, Stress, delayed, stressed_quotes
from tick_assets.domain.costs import gross_pnl_account, notional_account, swap_account
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.rollovers import Rollovers, rollovers
from tick_assets.domain.session_closes import SessionRule, before_closes
from tick_assets.domain.ticks import Float64Array, Int64Array, Ticks

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
_LIMIT_KEYS = ("positions_per_symbol", "positions", "gross_exposure", "no_entry_minutes", "flat_minutes")


def limits_of(market: Market) -> AccountLimits:
    """Return what the market file's `[limits]` allow, with its leverage; a key that is left out allows all, one a symbol by default."""
    unknown = sorted(market.limits.keys() - set(_LIMIT_KEYS))
    if unknown:
        raise ValueError(
            f"Expected the keys {', '.join(_LIMIT_KEYS)} in [limits] of the market file, was {', '.join(unknown)}. Correct it."
        )
    session = {name: int(market.limits[name]) for name in _LIMIT_KEYS[3:] if name in market.limits}
    return AccountLimits(
        positions_per_symbol=int(market.limits.get("positions_per_symbol", 1)),
        positions=market.limits.get("positions"),
        gross_exposure=market.limits.get("gross_exposure"),
        leverage=market.account.leverage,
        session=SessionRule(**session) if session else None,
    )


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
    orders = _order_rows(lines, tape, limits, stress, crosses_dates)
    midnights = _midnights(tape, market)
    found = run_account(tape.quotes, orders, _line_rows(lines, market), _nights(lines, midnights), _limit_values(limits, market))
    outcomes = tuple(_outcomes(orders, found, i) for i in range(len(lines)))
    return AccountRun(tuple(lines), market, limits, _trades(lines, market, tape, orders, found, midnights), outcomes, midnights)


@dataclass(frozen=True)
class _Tape:
    """Quotes, and for each line the first row of each of its dates and the row after its last."""

    quotes: Quotes
    start: tuple[Int64Array, ...]

    @property
    def ts_us(self) -> Int64Array:
        return self.quotes.ts_us


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
    return _Tape(Quotes(ts_us, bid, ask), start)


def _order_rows(lines: Sequence[Line], tape: _Tape, limits: AccountLimits, stress: Stress, crosses_dates: bool) -> npt.NDArray[np.void]:
    """Return all orders as `ORDER`, in the order of their events; equal stamps keep the order of the lines."""
    rows = np.concatenate(
        [np.empty(0, ORDER), *(_line_orders(i, line, tape, limits, stress, crosses_dates) for i, line in enumerate(lines))]
    )
    stamps = tape.ts_us[rows["row"]]
    return rows if bool(np.all(stamps[1:] >= stamps[:-1])) else np.asarray(rows[np.argsort(stamps, kind="stable")])


def _line_orders(place: int, line: Line, tape: _Tape, limits: AccountLimits, stress: Stress, crosses_dates: bool) -> npt.NDArray[np.void]:
    orders, start = line.orders, tape.start[place]
    dates = orders.date_index.astype(np.int64)
    rows = np.zeros(len(orders), ORDER)
    rows["line"], rows["event_index"], rows["row"] = place, np.arange(len(orders)), start[dates] + orders.row
    rows["first"] = start[0] if crosses_dates else start[dates]
    rows["last"] = start[-1] if crosses_dates else start[dates + 1]
    if limits.session is not None:
        orders, rows["is_late"] = before_closes(orders, tape.ts_us[rows["row"]], line.instrument.asset_class, limits.session)
    rows["side"], rows["stop"], rows["target"], rows["exit_at_us"] = (
        orders.side,
        orders.stop_points,
        orders.target_points,
        orders.exit_at_us,
    )
    rows["entry_latency_us"] = delayed(orders.entry_latency_us, stress)
    rows["exit_latency_us"] = delayed(orders.exit_latency_us, stress)
    rows["entry_slip"] = orders.entry_slippage_points + stress.extra_slippage_points
    rows["exit_slip"] = orders.exit_slippage_points + stress.extra_slippage_points
    return rows


def _midnights(tape: _Tape, market: Market) -> Rollovers:
    ends = [tape.ts_us[row] for start in tape.start if start[-1] > start[0] for row in (start[0], start[-1] - 1)]
    return rollovers(market.server_clock, int(min(ends, default=0)), int(max(ends, default=0)))


def _line_rows(lines: Sequence[Line], market: Market) -> npt.NDArray[np.void]:
    """Return what the loop knows of each line, as `LINE`."""
    symbols = sorted({line.symbol for line in lines})
    rows = np.zeros(len(lines), LINE)
    for row, line in zip(rows, lines, strict=True):
        instrument = line.instrument
        row["symbol"], row["is_foreign"] = symbols.index(line.symbol), instrument.profit_currency != market.account_currency
        row["size"], row["price_factor"] = line.lots * instrument.contract_size, instrument.price_factor
        row["commission"] = instrument.commission_per_lot_side * line.lots
        row["swap_long"], row["swap_short"] = instrument.swap_long_points, instrument.swap_short_points
    return rows


def _nights(lines: Sequence[Line], midnights: Rollovers) -> Nights:
    before = [midnights.nights_before(line.instrument.triple_swap_weekday) for line in lines]
    return Nights(midnights.ts_us, np.array(before, np.int64).reshape(len(lines), len(midnights.ts_us) + 1))


def _limit_values(limits: AccountLimits, market: Market) -> LimitValues:
    return LimitValues(
        positions_per_symbol=limits.positions_per_symbol,
        positions=_UNLIMITED if limits.positions is None else limits.positions,
        gross_exposure=np.inf if limits.gross_exposure is None else limits.gross_exposure,
        leverage=float(limits.leverage or 0.0),
        balance=market.account.balance,
        quote_wait_us=market.quote_wait_ms * 1000,
    )


def _outcomes(orders: npt.NDArray[np.void], found: npt.NDArray[np.void], place: int) -> npt.NDArray[np.int8]:
    """Return a line's outcomes by its own order of events."""
    own = orders["line"] == place
    codes = np.empty(int(own.sum()), np.int8)
    codes[orders["event_index"][own]] = found["outcome"][own]
    return codes


def _trades(
    lines: Sequence[Line],
    market: Market,
    tape: _Tape,
    orders: npt.NDArray[np.void],
    found: npt.NDArray[np.void],
    midnights: Rollovers,
) -> AccountTrades:
    """Value the filled orders line by line, in the order in which they were sent."""
    filled = found["entry_row"] >= 0
    orders, found = orders[filled], found[filled]
    count, line, entry, leave = len(found), orders["line"], found["entry_row"], found["exit_row"]
    entry_date, leave_date = np.zeros(count, np.int32), np.zeros(count, np.int32)
    entry_row, exit_row = entry.copy(), leave.copy()
    lots, nights = np.zeros(count), np.zeros(count, np.int64)
    notional, gross, commission, swap = (np.zeros(count) for _ in range(4))
    opened, closed = tape.ts_us[entry], tape.ts_us[leave]
    side, paid, received = orders["side"].astype(np.int8), found["entry_points"].copy(), found["exit_points"].copy()
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
        line=line.astype(np.int32),
        event_index=orders["event_index"].copy(),
        side=side,
        entry_date_index=entry_date,
        exit_date_index=leave_date,
        entry_row=entry_row,
        exit_row=exit_row,
        entry_ts_us=opened,
        exit_ts_us=closed,
        entry_points=paid,
        exit_points=received,
        reason=found["outcome"].astype(np.int8),
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
