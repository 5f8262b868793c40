"""The report's sections on money: equity, drawdown, windows, trials, calibration, stress, and the figures of search and test.

What belongs here: which chart shows what. What must not: figures (`evaluation`), the page (`report`).
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from html import escape

import numpy as np

from tick_assets.domain import charts, metrics
from tick_assets.domain.backtest import HOUR_US
from tick_assets.domain.evaluation import StressRow
from tick_assets.domain.page import legend, pairs, section
from tick_assets.domain.report_data import ReportData, money, optional, signed
from tick_assets.domain.ticks import Int64Array
from tick_assets.domain.training import COMPLETE, Trial


def equity_section(data: ReportData) -> str:
    """Return the curve over out-of-fold and test hours, and how far it lay below its peak."""
    inside, outside = np.cumsum(data.result.best.hourly_pnl), np.cumsum(data.test.hourly_pnl)
    seen = len(inside)
    total = np.concatenate([inside, outside + (inside[-1] if seen else 0.0)])
    depth = -metrics.drawdown(np.concatenate([data.result.best.hourly_pnl, data.test.hourly_pnl]))
    xs = list(range(len(total)))
    x_ticks = _date_ticks(np.concatenate([data.result.hours, data.test.hours]))
    plot, y_ticks = charts.plot_of((0, max(1, len(total) - 1)), total.tolist(), charts.WIDE, 300, 7)
    lower, lower_ticks = charts.plot_of((0, max(1, len(total) - 1)), depth.tolist(), charts.WIDE, 150, 3)
    test_band = charts.band(plot, max(0, seen - 1), max(1, len(total) - 1), "test, opened once")
    curve = charts.line(plot, xs[:seen], total[:seen].tolist(), "oof") + charts.line(
        plot, xs[max(0, seen - 1) :], total[max(0, seen - 1) :].tolist(), "test"
    )
    key = legend([("var(--blue)", "out-of-fold on train and validation"), ("var(--violet)", "final model on test dates")])
    return section(
        "Equity",
        f"Net profit in {data.account_currency} at {data.lots:g} lots per market-open hour, after spread, commission, delay and slippage.",
        key,
        charts.svg("Equity curve", plot, test_band, charts.axes(plot, x_ticks, y_ticks, "market-open hours", data.account_currency), curve),
        charts.svg(
            "Drawdown",
            lower,
            charts.area(lower, xs, depth.tolist(), "depth"),
            charts.axes(lower, x_ticks, lower_ticks, "drawdown below the highest point so far", data.account_currency),
        ),
    )


def _date_ticks(hours: Int64Array) -> list[charts.Tick]:
    stamps = [datetime.fromtimestamp(int(hour) * HOUR_US / 1e6, UTC) for hour in hours]
    firsts = [i for i, stamp in enumerate(stamps) if i == 0 or stamp.date() != stamps[i - 1].date()]
    return [(float(i), f"{stamps[i].day} {stamps[i]:%b}") for i in firsts]


def trials_section(data: ReportData) -> str:
    """Return every configuration tried beside what the best of so many would show by luck."""
    figures = data.validation
    bar = metrics.deflated_benchmark(figures.n_configurations, 1.0 / max(1, figures.observations))
    ratios = [trial.sharpe for trial in data.result.trials]
    plot, y_ticks = charts.plot_of((-0.6, len(ratios) - 0.4), [*ratios, bar], charts.HALF, 260)
    points = [_trial_point(trial, data.result.best) for trial in data.result.trials]
    step = max(1, math.ceil(len(ratios) / 10))
    x_ticks = [(float(i), str(i + 1)) for i in range(0, len(ratios), step)]
    drawn = charts.axes(plot, x_ticks, y_ticks, "trial", "hourly Sharpe ratio") + charts.marker(plot, bar, "expected of the best by luck")
    note = "Every configuration tried; an equal one counts once. The dashed line is what the best of so many worthless ones would show."
    return section("Trial ledger", note, charts.svg("Sharpe ratio of each trial", plot, drawn, charts.scatter(plot, points)))


def _trial_point(trial: Trial, best: Trial) -> charts.Point:
    booster = trial.configuration.booster
    what = f"depth {booster.max_depth}, eta {booster.eta}, {booster.rounds} rounds, threshold {trial.configuration.threshold}"
    note = f"trial {trial.number + 1}: {what}; {trial.n_trades} trades, {money(trial.net_pnl)}"
    style = "failed" if trial.state != COMPLETE else "best" if trial.number == best.number else "mark"
    return charts.Point(float(trial.number), trial.sharpe, note, style, 7.0 if style == "best" else 4.5)


def stress_section(data: ReportData) -> str:
    """Return the same decisions in harsher markets."""
    net = f'<th class="n">Net, {escape(data.account_currency)}</th>'
    head = f'<tr><th>Scenario</th><th class="n">Trades</th>{net}<th class="n">Sharpe</th></tr>'
    rows = "".join(_stress_row(row) for row in data.test.stress)
    note = (
        "The same decisions on the test dates in a harsher market. Profit is gone at "
        f"{data.test.figures.break_even_spread:.2f} times the spread."
    )
    return section("Stress", note, f"<table>{head}{rows}</table>")


def _stress_row(row: StressRow) -> str:
    return (
        f"<tr><td>{escape(row.name)}</td><td class=n>{row.n_trades:,}</td><td class=n>{money(row.net_pnl)}</td>"
        f"<td class=n>{signed(row.sharpe)}</td></tr>"
    )


def figures_section(data: ReportData) -> str:
    """Return the figures of the search and of the test side by side."""
    v, t = data.validation, data.test.figures
    search = [
        ("Trades, out-of-fold", f"{v.n_trades:,}"),
        (f"Net profit, {data.account_currency}", money(v.net_pnl)),
        ("Hours in the series", f"{v.observations:,}"),
        ("Sharpe ratio per hour", signed(v.sharpe)),
        ("Skewness, kurtosis", f"{signed(v.skewness, 2)}, {v.kurtosis:.2f}"),
        ("Deflated Sharpe ratio: gate, 2014, 2025", f"{v.dsr:.3f}, {v.dsr_2014:.3f}, {v.dsr_2025:.3f}"),
        ("Hours needed for 95 %", "never" if math.isinf(v.min_track_record) else f"{v.min_track_record:,.0f}"),
        ("Overfitting probability, loss outside", f"{optional(v.pbo)}, {optional(v.out_of_sample_loss)}"),
        ("Search is a plateau", f"{'yes' if v.is_plateau else 'no'} (mean correlation {v.mean_correlation:.2f})"),
        ("Log loss (0.693 is chance)", f"{v.log_loss:.4f}"),
    ]
    test = [
        ("Trades", f"{t.n_trades:,}"),
        (f"Net profit, {data.account_currency}", money(t.net_pnl)),
        ("Hours in the series", f"{t.observations:,}"),
        ("Sharpe ratio per hour", signed(t.sharpe)),
        ("Probability that it is above zero", f"{t.psr:.3f}"),
        ("Hit rate", f"{t.hit_rate:.1%}"),
        ("Profit factor", optional(t.profit_factor, 2)),
        (f"Largest drawdown, {data.account_currency}", money(t.max_drawdown)),
        ("Break-even spread multiple", f"{t.break_even_spread:.2f}"),
        ("Log loss (0.693 is chance)", f"{t.log_loss:.4f}"),
    ]
    left, right = section("Train and validation", "", pairs(search)), section("Test", "", pairs(test))
    return f'<div class="pair">{left}{right}</div>'
