"""The verdict as one page that anyone can open: the answer first, then why, then what it rests on.

What belongs here: words, tables and which chart shows what. What must not: figures (`evaluation`), thresholds (the policy), files.
The page holds everything it needs: no script, no network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape

import numpy as np

from tick_assets.domain import charts, metrics
from tick_assets.domain.backtest import HOUR_US
from tick_assets.domain.evaluation import NO_PROFIT_DRAWDOWN_SHARE, StressRow, TestResult, ValidationFigures
from tick_assets.domain.gates import NOT_FED, PASS, Gate, GateVerdict, format_figure
from tick_assets.domain.page import document, legend, pairs, section
from tick_assets.domain.report_stress import rivals_section, surface_section
from tick_assets.domain.report_walk_forward import walk_forward_section
from tick_assets.domain.stress import SurfaceCell
from tick_assets.domain.superiority import Superiority
from tick_assets.domain.ticks import Int64Array
from tick_assets.domain.training import COMPLETE, SearchResult, Trial
from tick_assets.domain.walk_forward import WindowRow

WORDS = {PASS: "pass", "refuse": "refuse", NOT_FED: "no figure"}
SIGNS = {">=": "\N{GREATER-THAN OR EQUAL TO}", "<=": "\N{LESS-THAN OR EQUAL TO}", "==": "="}
SYNTHETIC_STATEMENT = (
    "The market is synthetic: a seeded process with a known edge. The verdict proves that the machinery tells an edge from "
    "none; it says nothing about any real market, and a model trained on it is refused on every account but the simulator."
)
QUOTES_STATEMENT = (
    "Quotes are indicative: a vendor's best bid and ask, not executable prices of an account. Commission, delay and slippage are "
    "assumptions of the market file. Swap is not charged: no position crosses a UTC date, but one held over the broker's rollover "
    "would pay it."
)


@dataclass(frozen=True)
class ReportData:
    """Everything the page shows. `identities` are names and hashes that lead back to the bytes, in the order shown."""

    model_id: str
    verdict: GateVerdict
    result: SearchResult
    validation: ValidationFigures
    test: TestResult
    windows: Sequence[WindowRow]
    dates: Sequence[str]
    account_currency: str
    lots: float
    is_synthetic: bool
    issued_at: datetime
    identities: Mapping[str, str] = field(default_factory=dict)
    gate_reasons: Mapping[str, str] = field(default_factory=dict)
    sources: Sequence[str] = ()
    surface: Sequence[SurfaceCell] = ()
    superiority: Superiority | None = None


def render_report(data: ReportData) -> str:
    """Return the whole page as HTML text."""
    body = "\n".join(
        [
            _answer(data),
            _tiles(data),
            _gates(data),
            _equity(data),
            walk_forward_section(data.windows, data.account_currency),
            f'<div class="pair">{_calibration(data)}{_trials(data)}</div>',
            _stress(data),
            surface_section(data.surface, data.account_currency, data.test.figures.break_even_spread),
            rivals_section(data.superiority, data.account_currency),
            _figures(data),
            _statement(data),
            _identities(data),
        ]
    )
    return document(_title(data), body)


def _title(data: ReportData) -> str:
    return f"{'PASSED' if data.verdict.passed else 'REJECTED'} · {data.model_id}"


def _answer(data: ReportData) -> str:
    style = "answer passed" if data.verdict.passed else "answer"
    kind = "synthetic market" if data.is_synthetic else "vendor quotes"
    issued = data.issued_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f'<h1 class="{style}">{escape(data.verdict.answer)}</h1>'
        f'<p class="sub">{escape(data.model_id)} · {data.dates[0]} to {data.dates[-1]}, {len(data.dates)} dates · {kind} · '
        f"issued {issued}</p>"
    )


def _tiles(data: ReportData) -> str:
    test = data.test.figures
    shown = [
        (f"{test.break_even_spread:.2f}\N{MULTIPLICATION SIGN}", "spread at break-even"),
        (_money(test.net_pnl), f"test net profit, {data.account_currency}"),
        (f"{test.n_trades:,}", "test trades"),
        (f"{test.hit_rate:.0%}", "of them earned"),
        (f"{data.validation.dsr:.3f}", "deflated Sharpe ratio"),
        (f"{data.validation.n_configurations:,}", "configurations tried"),
    ]
    return '<div class="tiles">' + "".join(f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for value, name in shown) + "</div>"


def _gates(data: ReportData) -> str:
    rows = "".join(_gate_row(gate, data.gate_reasons.get(gate.name, "")) for gate in data.verdict.gates)
    head = (
        '<tr><th>Gate</th><th>Measured</th><th class="n">Figure</th><th class="n">Needs</th><th>Result</th><th>Why this threshold</th></tr>'
    )
    note = "Every gate is judged, also after the first refusal. A required gate without a figure refuses."
    return section("Gates", note, f"<table>{head}{rows}</table>")


def _gate_row(gate: Gate, reason: str) -> str:
    figure = "none" if gate.figure is None else _gate_figure(gate)
    waived = " (waived)" if "waived" in gate.reason else ""
    chip = f'<span class="chip {gate.result}">{WORDS[gate.result]}{waived}</span>'
    return (
        f"<tr><td>{escape(gate.name)}</td><td>{escape(gate.label)}</td><td class=n>{figure}</td>"
        f"<td class=n>{SIGNS[gate.comparison]} {format_figure(gate.threshold)}</td><td>{chip}</td><td class=why>{escape(reason)}</td></tr>"
    )


def _gate_figure(gate: Gate) -> str:
    return "no profit" if gate.figure == NO_PROFIT_DRAWDOWN_SHARE else format_figure(gate.figure or 0.0)


def _equity(data: ReportData) -> str:
    inside, outside = np.cumsum(data.result.best.hourly_pnl), np.cumsum(data.test.hourly_pnl)
    seen = len(inside)
    total = np.concatenate([inside, outside + (inside[-1] if seen else 0.0)])
    depth = -metrics.drawdown(np.concatenate([data.result.best.hourly_pnl, data.test.hourly_pnl]))
    xs = list(range(len(total)))
    x_ticks = _date_ticks(np.concatenate([data.result.hours, data.test.hours]))
    plot, y_ticks = charts.plot_of((0, max(1, len(total) - 1)), total.tolist(), charts.WIDE, 300)
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


def _trials(data: ReportData) -> str:
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
    note = f"trial {trial.number + 1}: {what}; {trial.n_trades} trades, {_money(trial.net_pnl)}"
    style = "failed" if trial.state != COMPLETE else "best" if trial.number == best.number else "mark"
    return charts.Point(float(trial.number), trial.sharpe, note, style, 7.0 if style == "best" else 4.5)


def _calibration(data: ReportData) -> str:
    rows = data.test.calibration
    note = "Predicted and observed share of events at which the long side was better, on test dates, in bins of equally many."
    if not rows:
        return section("Calibration", note, "<p>No labelled events.</p>")
    values = [value for row in rows for value in (row.predicted, row.observed)]
    low, high = math.floor(min(values) * 10) / 10, math.ceil(max(values) * 10) / 10
    plot = charts.square_plot(low, high, charts.HALF, 300)
    ticks = charts.nice_ticks(low, high)
    shown = [tick for tick in ticks if low <= tick <= high]
    points = [
        charts.Point(r.predicted, r.observed, f"{r.predicted:.3f} predicted, {r.observed:.3f} observed, {r.events} events") for r in rows
    ]
    drawn = charts.axes(plot, [(tick, charts.format_tick(tick)) for tick in shown], shown, "predicted", "observed")
    ideal = charts.line(plot, [low, high], [low, high], "ideal")
    return section("Calibration", note, charts.svg("Predicted against observed shares", plot, drawn, ideal, charts.scatter(plot, points)))


def _stress(data: ReportData) -> str:
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
        f"<tr><td>{escape(row.name)}</td><td class=n>{row.n_trades:,}</td><td class=n>{_money(row.net_pnl)}</td>"
        f"<td class=n>{_signed(row.sharpe)}</td></tr>"
    )


def _figures(data: ReportData) -> str:
    v, t = data.validation, data.test.figures
    search = [
        ("Trades, out-of-fold", f"{v.n_trades:,}"),
        (f"Net profit, {data.account_currency}", _money(v.net_pnl)),
        ("Hours in the series", f"{v.observations:,}"),
        ("Sharpe ratio per hour", _signed(v.sharpe)),
        ("Skewness, kurtosis", f"{_signed(v.skewness, 2)}, {v.kurtosis:.2f}"),
        ("Deflated Sharpe ratio: gate, 2014, 2025", f"{v.dsr:.3f}, {v.dsr_2014:.3f}, {v.dsr_2025:.3f}"),
        ("Hours needed for 95 %", "never" if math.isinf(v.min_track_record) else f"{v.min_track_record:,.0f}"),
        ("Overfitting probability, loss outside", f"{_optional(v.pbo)}, {_optional(v.out_of_sample_loss)}"),
        ("Search is a plateau", f"{'yes' if v.is_plateau else 'no'} (mean correlation {v.mean_correlation:.2f})"),
        ("Log loss (0.693 is chance)", f"{v.log_loss:.4f}"),
    ]
    test = [
        ("Trades", f"{t.n_trades:,}"),
        (f"Net profit, {data.account_currency}", _money(t.net_pnl)),
        ("Hours in the series", f"{t.observations:,}"),
        ("Sharpe ratio per hour", _signed(t.sharpe)),
        ("Probability that it is above zero", f"{t.psr:.3f}"),
        ("Hit rate", f"{t.hit_rate:.1%}"),
        ("Profit factor", _optional(t.profit_factor, 2)),
        (f"Largest drawdown, {data.account_currency}", _money(t.max_drawdown)),
        ("Break-even spread multiple", f"{t.break_even_spread:.2f}"),
        ("Log loss (0.693 is chance)", f"{t.log_loss:.4f}"),
    ]
    left, right = section("Train and validation", "", pairs(search)), section("Test", "", pairs(test))
    return f'<div class="pair">{left}{right}</div>'


def _statement(data: ReportData) -> str:
    sources = f"<p>Sources: {escape(', '.join(data.sources))}.</p>" if data.sources else ""
    synthetic = f"<p>{SYNTHETIC_STATEMENT}</p>" if data.is_synthetic else ""
    return section("What the data are", "", f"{synthetic}<p>{QUOTES_STATEMENT}</p>{sources}")


def _identities(data: ReportData) -> str:
    rows = {**data.identities, "policy sha-256": data.verdict.policy_sha256, "trial ledger sha-256": data.validation.ledger_sha256}
    cells = "".join(f'<tr><td>{escape(name)}</td><td class="mono">{escape(value)}</td></tr>' for name, value in rows.items())
    return section("Where it comes from", "", f"<table>{cells}</table>")


def _money(value: float) -> str:
    return f"{value:,.2f}".replace("-", "\N{MINUS SIGN}")


def _signed(value: float, decimals: int = 3) -> str:
    return f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def _optional(value: float | None, decimals: int = 3) -> str:
    return "none" if value is None else f"{value:.{decimals}f}"
