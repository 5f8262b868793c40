"""The account over its open hours: balance, equity, margin, drawdown, and how much of what was held.

What belongs here: marks at the end of every open hour and sums over positions. What must not: which trades there are (`account`).

An hour's mark is its last microsecond; a position counts from its entry's stamp to before its exit's. Equity is the balance and what open
positions have earned at the last bid (long) or ask (short) by then, swap so far included; the exit's commission is due at the exit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tick_assets.domain.account import AccountRun, AccountTrades
from tick_assets.domain.backtest import HOUR_US, open_hours
from tick_assets.domain.costs import gross_pnl_account, swap_account
from tick_assets.domain.ticks import Float64Array, Int64Array


@dataclass(frozen=True)
class EquityCurve:
    """One value per open hour, in account currency; `opening` is the balance before the first trade."""

    opening: float
    hours: Int64Array
    balance: Float64Array
    equity: Float64Array
    margin: Float64Array

    @property
    def drawdown(self) -> Float64Array:
        """How far equity lies below its highest mark so far, the opening balance among them; zero or more."""
        peaks = np.maximum.accumulate(np.concatenate([[self.opening], self.equity]))[1:]
        return np.asarray(peaks - self.equity)

    @property
    def drawdown_share(self) -> Float64Array:
        """The drawdown over the highest mark so far."""
        peaks = np.maximum.accumulate(np.concatenate([[self.opening], self.equity]))[1:]
        return np.asarray(self.drawdown / peaks)

    @property
    def lowest_margin_level_pct(self) -> float | None:
        """Equity over margin in per cent where it was lowest at a mark; None when no position was ever open at one."""
        used = self.margin > 0
        return float((100.0 * self.equity[used] / self.margin[used]).min()) if used.any() else None


@dataclass(frozen=True)
class Exposure:
    """What was held, by open hour and symbol: [hours, symbols] at the hour's mark, in lots and in account currency at entry prices.

    `mean_gross_notional` [hours, symbols] is weighted with the time in the hour, `peak_gross_notional` [hours] the most at any moment.
    """

    hours: Int64Array
    symbols: tuple[str, ...]
    long_lots: Float64Array
    short_lots: Float64Array
    long_notional: Float64Array
    short_notional: Float64Array
    mean_gross_notional: Float64Array
    peak_gross_notional: Float64Array

    @property
    def gross_lots(self) -> Float64Array:
        return self.long_lots + self.short_lots

    @property
    def net_lots(self) -> Float64Array:
        return self.long_lots - self.short_lots

    @property
    def gross_notional(self) -> Float64Array:
        return self.long_notional + self.short_notional

    @property
    def net_notional(self) -> Float64Array:
        return self.long_notional - self.short_notional


@dataclass(frozen=True)
class AccountFigures:
    """The run in one row; money is in account currency, `net = gross - commission + swap`."""

    n_trades: int
    n_refused: int
    gross: float
    commission: float
    swap: float
    net: float
    final_equity: float
    max_drawdown: float
    max_drawdown_pct: float
    peak_gross_notional: float
    peak_margin: float
    lowest_margin_level_pct: float | None


@dataclass(frozen=True)
class AccountView:
    """A run with its curve, exposure and figures."""

    run: AccountRun
    curve: EquityCurve
    exposure: Exposure
    figures: AccountFigures


def view_account(run: AccountRun) -> AccountView:
    """Mark a run at every hour in which any of its symbols has ticks."""
    hours = open_hours([day for line in run.lines for day in line.ticks])
    curve, exposure = equity_curve(run, hours), exposure_of(run, hours)
    return AccountView(run, curve, exposure, _figures(run, curve, exposure))


def _figures(run: AccountRun, curve: EquityCurve, exposure: Exposure) -> AccountFigures:
    trades = run.trades
    return AccountFigures(
        n_trades=len(trades),
        n_refused=sum(run.refusals().values()),
        gross=float(trades.gross.sum()),
        commission=float(trades.commission.sum()),
        swap=float(trades.swap.sum()),
        net=float(trades.net.sum()),
        final_equity=float(curve.equity[-1]) if len(curve.equity) else curve.opening,
        max_drawdown=float(curve.drawdown.max(initial=0.0)),
        max_drawdown_pct=float(100.0 * curve.drawdown_share.max(initial=0.0)),
        peak_gross_notional=float(exposure.peak_gross_notional.max(initial=0.0)),
        peak_margin=float(curve.margin.max(initial=0.0)),
        lowest_margin_level_pct=curve.lowest_margin_level_pct,
    )


def equity_curve(run: AccountRun, hours: Int64Array) -> EquityCurve:
    """Return balance, equity and margin at the mark of each hour (hours since 1970, ascending). Margin is notional over leverage."""
    trades, marks, opening = run.trades, _marks(hours), run.market.account.balance
    balance = opening + _booked_until(trades, marks)
    trade, hour = _open_at(trades, marks)
    floating = np.bincount(hour, weights=_floating(run, trade, marks[hour]), minlength=len(hours))
    leverage = run.limits.leverage or run.market.account.leverage
    margin = np.bincount(hour, weights=trades.notional[trade], minlength=len(hours)) / leverage
    return EquityCurve(opening, hours, balance, balance + floating, margin)


def _marks(hours: Int64Array) -> Int64Array:
    return (hours + 1) * HOUR_US - 1


def _booked_until(trades: AccountTrades, marks: Int64Array) -> Float64Array:
    """Return what was booked by each mark: half the commission at the entry, all else at the exit."""
    stamps = np.concatenate([trades.entry_ts_us, trades.exit_ts_us])
    amounts = np.concatenate([-trades.commission / 2.0, trades.gross - trades.commission / 2.0 + trades.swap])
    in_time = np.argsort(stamps, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(amounts[in_time])])
    return np.asarray(total[np.searchsorted(stamps[in_time], marks, side="right")])


def _open_at(trades: AccountTrades, marks: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return every (trade, mark) at which the trade is open."""
    return _pairs(np.searchsorted(marks, trades.entry_ts_us), np.searchsorted(marks, trades.exit_ts_us))


def _pairs(first: Int64Array, behind: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return (i, j) of every j in first[i] <= j < behind[i], row by row."""
    counts = np.maximum(behind - first, 0)
    rows = np.repeat(np.arange(len(first), dtype=np.int64), counts)
    before = np.cumsum(counts) - counts
    return rows, np.arange(len(rows), dtype=np.int64) - before[rows] + first[rows]


def _floating(run: AccountRun, trade: Int64Array, mark_us: Int64Array) -> Float64Array:
    """Return what each open trade has earned at its mark."""
    trades, earned = run.trades.take(trade), np.zeros(len(trade))
    for i, line in enumerate(run.lines):
        own = np.flatnonzero(trades.line == i)
        if not len(own):
            continue
        instrument, side, opened = line.instrument, trades.side[own], trades.entry_ts_us[own]
        price = _prices_at(run, i, side, mark_us[own])
        nights = run.rollovers.nights_held(instrument.triple_swap_weekday, opened, mark_us[own])
        earned[own] = gross_pnl_account(instrument, run.market, side, trades.entry_points[own], price, line.lots)
        earned[own] += swap_account(instrument, run.market, side, nights, price, line.lots)
    return earned


def _prices_at(run: AccountRun, place: int, side: npt.NDArray[np.int8], mark_us: Int64Array) -> Float64Array:
    """Return what closing would get at the last quote of a line at or before each mark."""
    ticks = run.lines[place].ticks
    stamps = np.concatenate([day.ts_us for day in ticks])
    bid, ask = np.concatenate([day.bid_points for day in ticks]), np.concatenate([day.ask_points for day in ticks])
    row = np.searchsorted(stamps, mark_us, side="right") - 1
    return np.where(side > 0, bid[row], ask[row]).astype(np.float64)


def exposure_of(run: AccountRun, hours: Int64Array) -> Exposure:
    """Return lots and notional by hour and symbol."""
    symbols = tuple(sorted({line.symbol for line in run.lines}))
    trades = run.trades
    column_of_line = np.array([symbols.index(line.symbol) for line in run.lines], np.int64)
    column = column_of_line[trades.line] if len(trades) else np.empty(0, np.int64)
    trade, hour = _open_at(trades, _marks(hours))

    def at_marks(weights: Float64Array, side: int) -> Float64Array:
        chosen = trades.side[trade] == side
        return _by_hour_and_symbol(hour[chosen], column[trade[chosen]], weights[trade[chosen]], len(hours), len(symbols))

    return Exposure(
        hours=hours,
        symbols=symbols,
        long_lots=at_marks(trades.lots, 1),
        short_lots=at_marks(trades.lots, -1),
        long_notional=at_marks(trades.notional, 1),
        short_notional=at_marks(trades.notional, -1),
        mean_gross_notional=_mean_notional(trades, column, hours, len(symbols)),
        peak_gross_notional=_peak_notional(trades, hours),
    )


def _by_hour_and_symbol(hour: Int64Array, column: Int64Array, weights: Float64Array, n_hours: int, n_symbols: int) -> Float64Array:
    sums = np.bincount(hour * n_symbols + column, weights=weights, minlength=n_hours * n_symbols)
    return sums.astype(np.float64).reshape(n_hours, n_symbols)


def _mean_notional(trades: AccountTrades, column: Int64Array, hours: Int64Array, n_symbols: int) -> Float64Array:
    """Return notional weighted with the share of each hour in which it was held."""
    first = np.searchsorted(hours, trades.entry_ts_us // HOUR_US)
    trade, hour = _pairs(first, np.searchsorted(hours, trades.exit_ts_us // HOUR_US, side="right"))
    start = hours[hour] * HOUR_US
    held = np.minimum(trades.exit_ts_us[trade], start + HOUR_US) - np.maximum(trades.entry_ts_us[trade], start)
    return _by_hour_and_symbol(hour, column[trade], trades.notional[trade] * held / HOUR_US, len(hours), n_symbols)


def _peak_notional(trades: AccountTrades, hours: Int64Array) -> Float64Array:
    """Return the most notional open at any moment of each hour; at equal stamps ends come before entries."""
    stamps = np.concatenate([trades.exit_ts_us, trades.entry_ts_us])
    changes = np.concatenate([-trades.notional, trades.notional])
    in_time = np.argsort(stamps, kind="stable")
    level = np.concatenate([[0.0], np.cumsum(changes[in_time])])
    stamps = stamps[in_time]
    peaks = level[np.searchsorted(stamps, hours * HOUR_US)]
    np.maximum.at(peaks, np.searchsorted(hours, stamps // HOUR_US), level[1:])
    return np.asarray(np.maximum(peaks, 0.0))
