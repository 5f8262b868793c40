"""The part of a verdict's page that says what the model learned, and whether its probabilities can be taken at their word.

What belongs here: words, tables and charts of `learning`. What must not: figures, the rest of the page (`report`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from tick_assets.domain import charts
from tick_assets.domain.evaluation import CalibrationRow, TestResult
from tick_assets.domain.learning import AbstainBand, LearningCurve, LearningFigures, Reliability, SampleFigures, sample_of_test
from tick_assets.domain.page import legend, pairs, section, table_head, table_row

CHANCE = math.log(2.0)
"""The log loss of a coin."""
HEIGHT = 260.0
MINUS = "\N{MINUS SIGN}"


def learning_section(figures: LearningFigures, test: TestResult, test_dates: int, test_reliability: Reliability, currency: str) -> str:
    """Return four cards: learning curve and degradation, reliability and abstain band. `currency` is the account's."""
    samples = (*figures.samples, sample_of_test(test, test_dates))
    learned = f'<div class="pair">{_curve(figures.curve)}{_degradation(samples, currency)}</div>'
    return learned + f'<div class="pair">{_reliability(figures.reliability, test_reliability)}{_abstain(figures.abstain)}</div>'


def _curve(curve: LearningCurve) -> str:
    note = "Log loss after each boosting round of the chosen configuration, fitted on the train dates alone, purged against validation."
    if not curve.train:
        return section("Learning curve", note, "<p>No rounds.</p>")
    ticks = charts.nice_ticks(min(*curve.train, *curve.validation, CHANCE), max(*curve.train, *curve.validation, CHANCE))
    rounds = len(curve.train)
    plot = charts.Plot(
        charts.Scale(1.0, max(2.0, float(rounds)), charts.LEFT, charts.HALF - charts.RIGHT),
        charts.Scale(ticks[0], ticks[-1], HEIGHT - charts.BOTTOM, charts.TOP),
        HEIGHT,
    )
    xs = [float(i) for i in range(1, rounds + 1)]
    x_ticks = [(tick, charts.format_tick(tick)) for tick in charts.nice_ticks(1.0, float(rounds)) if 1.0 <= tick <= rounds]
    lines = charts.line(plot, xs, curve.train, "oof") + charts.line(plot, xs[: len(curve.validation)], curve.validation, "test")
    frame = charts.axes(plot, x_ticks, ticks, "boosting round", "log loss") + charts.marker(plot, CHANCE, "a coin")
    key = legend([("var(--blue)", "train"), ("var(--violet)", "validation")])
    return section("Learning curve", f"{note} {_best_round(curve)}", key, charts.svg("Log loss by boosting round", plot, frame, lines))


def _best_round(curve: LearningCurve) -> str:
    if curve.best_round is None:
        return "There are no validation dates."
    return f"On validation dates it was lowest after round {curve.best_round} of {len(curve.train)}."


def _degradation(samples: Sequence[SampleFigures], currency: str) -> str:
    note = (
        "How much of it survives outside. Train and validation: the model fitted on train dates alone; test: the final model, fitted on "
        "both, opened once."
    )
    head = table_head(["Dates of"], ["Trades", "Sharpe", "Hit rate", "Log loss", f"Net a trade, {currency}"])
    return section("Degradation", note, f"<table>{head}{''.join(map(_sample_row, samples))}</table>")


def _sample_row(row: SampleFigures) -> str:
    numbers = (f"{row.n_trades:,}", _signed(row.sharpe), f"{row.hit_rate:.1%}", _optional(row.log_loss, 4), _signed(row.net_per_trade, 2))
    return table_row([f"{escape(row.sample)} ({row.dates})"], numbers)


def _reliability(validation: Reliability, test: Reliability) -> str:
    note = (
        "Predicted and observed share of events at which the long side was better, in bins of equally many. On the dashed line they agree."
    )
    rows = [*validation.bins, *test.bins]
    if not rows:
        return section("Reliability", note, "<p>No labelled events.</p>")
    values = [value for row in rows for value in (row.predicted, row.observed)]
    low, high = math.floor(min(values) * 10) / 10, math.ceil(max(values) * 10) / 10
    plot = charts.square_plot(low, high, charts.HALF, 300)
    shown = [tick for tick in charts.nice_ticks(low, high) if low <= tick <= high]
    frame = charts.axes(plot, [(tick, charts.format_tick(tick)) for tick in shown], shown, "predicted", "observed")
    ideal = charts.line(plot, [low, high], [low, high], "ideal")
    marks = charts.scatter(plot, _points(validation.bins, "mark") + _points(test.bins, "best"))
    key = legend([("var(--blue)", "out-of-fold, validation dates"), ("var(--violet)", "final model, test dates")])
    return section("Reliability", note, key, charts.svg("Reliability diagram", plot, frame, ideal, marks), pairs(_scores(validation, test)))


def _points(rows: Sequence[CalibrationRow], style: str) -> list[charts.Point]:
    return [
        charts.Point(r.predicted, r.observed, f"{r.predicted:.3f} predicted, {r.observed:.3f} observed, {r.events} events", style)
        for r in rows
    ]


def _scores(validation: Reliability, test: Reliability) -> list[tuple[str, str]]:
    both = (validation, test)
    return [
        ("Brier score, validation and test (0.25 is chance)", ", ".join(_optional(each.brier, 4) for each in both)),
        ("Expected calibration error, validation and test", ", ".join(_optional(each.expected_calibration_error, 4) for each in both)),
    ]


def _abstain(band: AbstainBand) -> str:
    note = (
        "Between the two thresholds the model has no view. They were chosen on out-of-fold predictions of train and validation dates; the "
        "figures are those of validation dates: what a trade on the likelier side would have netted at the label's exits."
    )
    rows = [
        ("No view between", f"{band.low:.2f} and {band.high:.2f}"),
        ("Events, validation dates", f"{band.events:,}"),
        ("Share of them without a view", "none" if math.isnan(band.abstained_share) else f"{band.abstained_share:.1%}"),
        ("Net inside the band, bps an event", _optional(band.net_bps_inside, 3)),
        ("Net outside it, bps an event", _optional(band.net_bps_outside, 3)),
    ]
    return section("Abstain band", note, pairs(rows))


def _signed(value: float, decimals: int = 3) -> str:
    return f"{value:.{decimals}f}".replace("-", MINUS)


def _optional(value: float | None, decimals: int) -> str:
    return "none" if value is None or math.isnan(value) else _signed(value, decimals)
