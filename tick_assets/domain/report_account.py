"""The account of several models together as sections of a page: equity, drawdown, exposure, what was refused.

What belongs here: words, tables and which chart shows what. What must not: figures (`equity`), what the page around them says (`report`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

import numpy as np

from tick_assets.domain import charts
from tick_assets.domain.account import AccountLimits, AccountRun
from tick_assets.domain.backtest import HOUR_US
from tick_assets.domain.equity import AccountView
from tick_assets.domain.instruments import is_synthetic
from tick_assets.domain.page import document, legend, pairs, section, table_head, table_row
from tick_assets.domain.quantities import number
from tick_assets.domain.ticks import Int64Array

SHOWN_HOURS = 2000
"""A longer curve is drawn at so many hours evenly spaced, its last among them; figures stand on every hour."""
REFUSALS = {
    "PRICE_OFF": "no quote came in time",
    "INVALID_STOPS": "stop or target was crossed at the fill",
    "LIMIT_SYMBOL": "the symbol had a position or an order in flight",
    "LIMIT_POSITIONS": "as many positions as the account may hold",
    "LIMIT_EXPOSURE": "gross exposure would exceed its limit",
    "LIMIT_MARGIN": "not enough free margin",
    "SESSION_CLOSING": "too close to the end of the session",
}


SYNTHETIC_STATEMENT = "Symbols whose names begin with SYN are made-up markets: what they earn says nothing about any real one."


def account_page(view: AccountView, issued_at: datetime) -> str:
    """Return a whole page: what was earned in the first line, then `account_section`."""
    figures, currency = view.figures, view.run.market.account_currency
    answer = f"{_money(figures.net)} {currency} from {_counted(figures.n_trades, 'trade')} of {_lines_said(view.run)}, all costs charged"
    hours = f"{_counted(len(view.curve.hours), 'open hour')} · opening balance {number(view.curve.opening)} {currency}"
    synthetic = f" {SYNTHETIC_STATEMENT}" if any(is_synthetic(line.symbol, "") for line in view.run.lines) else ""
    head = f'<h1 class="answer">{escape(answer)}</h1><p class="sub">{hours} · issued {issued_at:%Y-%m-%d %H:%M UTC}.{synthetic}</p>'
    return document("Account", head + account_section(view))


def account_section(view: AccountView, title: str = "Account") -> str:
    """Return equity, drawdown, exposure and figures of all lines in one account, as HTML that needs no script and no style of its own."""
    note = f"{_lines_said(view.run)} in one account, in the order of events. {_limits_said(view.run.limits)}"
    tables = f'<div class="pair">{section("Account in figures", "", pairs(_figure_rows(view)))}{_refused(view.run)}</div>'
    if not len(view.curve.hours):
        return section(title, note, "<p>No open hours.</p>") + tables
    return section(title, note, _equity(view), _drawdown(view)) + _exposure(view) + tables


def _lines_said(run: AccountRun) -> str:
    symbols = sorted({line.symbol for line in run.lines})
    return f"{_counted(len(run.lines), 'model')} on {', '.join(symbols) or 'no symbol'}"


def _limits_said(limits: AccountLimits) -> str:
    said = [f"{_counted(limits.positions_per_symbol, 'position')} a symbol"]
    said += [f"{_counted(limits.positions, 'position')} in all"] if limits.positions is not None else []
    said += [f"{number(limits.gross_exposure)} gross exposure"] if limits.gross_exposure is not None else []
    said += [f"margin at 1:{limits.leverage:g}"] if limits.leverage else []
    if limits.session is not None:
        said += [f"no entry {limits.session.no_entry_minutes} min and no position {limits.session.flat_minutes} min before a close"]
    return f"Limits: {', '.join(said)}."


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _equity(view: AccountView) -> str:
    curve, currency = view.curve, view.run.market.account_currency
    shown = _shown(len(curve.hours))
    equity, balance = (values[shown] - curve.opening for values in (curve.equity, curve.balance))
    plot, y_ticks = charts.plot_of((0, max(1, len(shown) - 1)), [*equity, *balance], charts.WIDE, 280)
    key = legend([("var(--blue)", "equity, open positions at bid and ask"), ("var(--faint)", "balance, closed trades only")])
    xs = list(range(len(shown)))
    drawn = charts.line(plot, xs, balance.tolist(), "ideal") + charts.line(plot, xs, equity.tolist(), "oof")
    axes = charts.axes(plot, _date_ticks(curve.hours[shown]), y_ticks, "market-open hours", f"{currency} above {number(curve.opening)}")
    return key + charts.svg("Equity and balance of the account", plot, axes, drawn)


def _drawdown(view: AccountView) -> str:
    curve = view.curve
    shown = _shown(len(curve.hours))
    depth = -curve.drawdown[shown]
    plot, y_ticks = charts.plot_of((0, max(1, len(shown) - 1)), depth.tolist(), charts.WIDE, 150, 3)
    axes = charts.axes(plot, _date_ticks(curve.hours[shown]), y_ticks, "drawdown of equity", view.run.market.account_currency)
    return charts.svg("Drawdown of the account's equity", plot, charts.area(plot, list(range(len(shown))), depth.tolist(), "depth"), axes)


def _exposure(view: AccountView) -> str:
    exposure, currency = view.exposure, view.run.market.account_currency
    shown = _shown(len(exposure.hours))
    mean, peak = exposure.mean_gross_notional.sum(axis=1)[shown], exposure.peak_gross_notional[shown]
    plot, y_ticks = charts.plot_of((0, max(1, len(shown) - 1)), [*mean, *peak], charts.WIDE, 220, 4)
    xs = list(range(len(shown)))
    drawn = charts.line(plot, xs, peak.tolist(), "test") + charts.line(plot, xs, mean.tolist(), "oof")
    axes = charts.axes(plot, _date_ticks(exposure.hours[shown]), y_ticks, "market-open hours", currency)
    key = legend([("var(--violet)", "most at any moment of the hour"), ("var(--blue)", "mean over the hour")])
    note = f"Gross notional of open positions in {currency}, longs and shorts added up."
    return section("Exposure", note, key, charts.svg("Gross exposure by hour", plot, axes, drawn), _exposure_table(view))


def _exposure_table(view: AccountView) -> str:
    exposure, trades = view.exposure, view.run.trades
    head = table_head(["Symbol"], ["Trades", "Long lots", "Short lots", "Mean gross", "Most in an hour", "Swap", "Net"])
    rows = []
    for column, symbol in enumerate(exposure.symbols):
        own = trades.take(np.isin(trades.line, [i for i, line in enumerate(view.run.lines) if line.symbol == symbol]))
        mean = exposure.mean_gross_notional[:, column]
        numbers = [
            f"{len(own):,}",
            f"{own.lots[own.side > 0].sum():,.2f}",
            f"{own.lots[own.side < 0].sum():,.2f}",
            f"{mean.mean():,.0f}",
            f"{mean.max(initial=0.0):,.0f}",
            _money(float(own.swap.sum())),
            _money(float(own.net.sum())),
        ]
        rows.append(table_row([escape(symbol)], numbers))
    return f"<table>{head}{''.join(rows)}</table>"


def _figure_rows(view: AccountView) -> list[tuple[str, str]]:
    figures, currency = view.figures, view.run.market.account_currency
    level = figures.lowest_margin_level_pct
    return [
        ("Trades", f"{figures.n_trades:,}"),
        (f"Gross profit, {currency}", _money(figures.gross)),
        (f"Commission, {currency}", _money(-figures.commission)),
        (f"Swap, {currency}", _money(figures.swap)),
        (f"Net profit, {currency}", _money(figures.net)),
        (f"Equity at the end, {currency}", _money(figures.final_equity)),
        (f"Largest drawdown of equity, {currency}", f"{_money(figures.max_drawdown)} ({figures.max_drawdown_pct:.2f} %)"),
        (f"Most gross exposure, {currency}", _money(figures.peak_gross_notional)),
        (f"Most margin at an hour's end, {currency}", _money(figures.peak_margin)),
        ("Lowest margin level at an hour's end", "no position then" if level is None else f"{level:,.0f} %{_stop_out_said(view, level)}"),
    ]


def _stop_out_said(view: AccountView, level: float) -> str:
    return ", below the stop-out, which is not played" if level < view.run.market.account.stop_out_pct else ""


def _refused(run: AccountRun) -> str:
    found = run.refusals()
    note = "Orders that were wanted and not filled."
    if not found:
        return section("Refused", note, "<p>None.</p>")
    rows = "".join(table_row([escape(name)], [f"{count:,}"], [escape(REFUSALS[name])]) for name, count in found.items())
    return section("Refused", note, f"<table>{table_head(['Reason'], ['Orders'], ['What it means'])}{rows}</table>")


def _shown(n_hours: int) -> Int64Array:
    return np.unique(np.linspace(0, n_hours - 1, min(n_hours, SHOWN_HOURS)).round().astype(np.int64))


def _date_ticks(hours: Int64Array) -> list[charts.Tick]:
    stamps = [datetime.fromtimestamp(int(hour) * HOUR_US / 1e6, UTC) for hour in hours]
    return [(float(i), f"{stamp.day} {stamp:%b}") for i, stamp in enumerate(stamps) if i == 0 or stamp.date() != stamps[i - 1].date()]


def _money(value: float) -> str:
    return f"{value:,.2f}".replace("-", "\N{MINUS SIGN}")
