"""The verdict's report as a PDF: the same first line, gates and charts as the page, for mail and for paper.

What belongs here: pages drawn with Matplotlib. What must not: figures, words that the page has (`domain.report*`, `domain.model_card`).
Equal data give equal bytes: the document's dates are the verdict's, and nothing else of the machine is in it.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from tick_assets.domain import charts, metrics
from tick_assets.domain.backtest import HOUR_US
from tick_assets.domain.drift import MODERATE_PSI, STRONG_PSI
from tick_assets.domain.model_card import CardTable, ModelCard
from tick_assets.domain.report import identities_of, subtitle_of, tiles_of, title_of
from tick_assets.domain.report_data import ReportData, gate_figure, gate_needs, gate_word, money
from tick_assets.domain.report_explanation import favoured_side
from tick_assets.domain.walk_forward import ROLLING, of_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE = 8.27, 11.69
"""A4, in inches."""
LEFT, RIGHT, TOP, BOTTOM = 0.08, 0.92, 0.95, 0.06
INK, SOFT, LINE, BLUE, VIOLET = "#1d2430", "#5b6676", "#dfe4ea", "#2463b4", "#7a4fb5"
GOOD, BAD, WARN, GOOD_PALE, BAD_PALE = "#1c7a4a", "#b3362b", "#9a6a00", "#e7f4ec", "#fbeae8"
COLOURS = {"pass": GOOD, "refuse": BAD, "not_fed": WARN}
STYLE: Any = {
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "text.color": INK,
}
CHARACTER = 0.52
"""Mean width of a character in font sizes, a little generous."""
TABLE_SIZE, WIDE_CHARACTER, GAP, WIDE_COLUMN = 7.0, 0.6, 0.016, 0.26
"""Tables: their font size, the width of a character of names and digits, the room between columns, and what counts as a wide one."""
BOLD = 1.2
"""How much wider bold characters are."""


def render_pdf(data: ReportData) -> bytes:
    """Return the report as the bytes of a PDF of some pages."""
    import matplotlib as mpl
    from matplotlib.backends.backend_pdf import PdfPages

    buffer = io.BytesIO()
    with mpl.rc_context(STYLE), PdfPages(buffer, metadata=_metadata(data)) as pdf:
        for figure in pages_of(data):
            pdf.savefig(figure)
    return buffer.getvalue()


def _metadata(data: ReportData) -> dict[str, Any]:
    issued = data.issued_at.astimezone(UTC)
    named = {"Title": title_of(data), "Subject": data.verdict.answer, "Creator": "tick_assets", "Producer": "tick_assets"}
    return {**named, "CreationDate": issued, "ModDate": issued}


def pages_of(data: ReportData) -> list[Figure]:
    """Return the pages as figures."""
    pages = [_first_page(data), _money_page(data), _model_page(data)]
    texts = _card_pages(data) if data.card is not None else []
    pages += texts
    for number, page in enumerate(pages, 1):
        page.text(RIGHT, 0.025, f"{data.model_id} · page {number} of {len(pages)}", ha="right", color=SOFT, fontsize=7)
    return pages


def _page() -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=PAGE)


def _wrapped(text: str, width: float, size: float) -> list[str]:
    """Break a text into lines of a share of the page's width."""
    return textwrap.wrap(text, max(4, int(width * PAGE[0] * 72 / (size * CHARACTER))), break_on_hyphens=False) or [""]


# Page one: the answer and the gates.


def _first_page(data: ReportData) -> Figure:
    page = _page()
    below = _answer(page, data)
    below = _tiles(page, data, below - 0.03)
    _gates(page, data, below - 0.045)
    return page


def _answer(page: Figure, data: ReportData) -> float:
    from matplotlib.patches import Rectangle

    lines = _wrapped(data.verdict.answer, RIGHT - LEFT - 0.05, 11.5 * BOLD)
    height = 0.019 * len(lines) + 0.022
    strong, pale = (GOOD, GOOD_PALE) if data.verdict.passed else (BAD, BAD_PALE)
    page.add_artist(Rectangle((LEFT, TOP - height), RIGHT - LEFT, height, color=pale, lw=0))
    page.add_artist(Rectangle((LEFT, TOP - height), 0.008, height, color=strong, lw=0))
    page.text(LEFT + 0.025, TOP - 0.012, "\n".join(lines), fontsize=11.5, weight="bold", va="top", linespacing=1.35)
    page.text(LEFT, TOP - height - 0.012, "\n".join(_wrapped(subtitle_of(data), RIGHT - LEFT, 8)), color=SOFT, va="top")
    return TOP - height - 0.03


def _tiles(page: Figure, data: ReportData, top: float) -> float:
    tiles = tiles_of(data)
    width = (RIGHT - LEFT) / len(tiles)
    for place, (figure, name) in enumerate(tiles):
        x = LEFT + place * width
        page.text(x, top, figure, fontsize=12, weight="bold", va="top")
        page.text(x, top - 0.021, "\n".join(_wrapped(name, width - 0.01, 7)), fontsize=7, color=SOFT, va="top")
    return top - 0.04


def _gates(page: Figure, data: ReportData, top: float) -> None:
    page.text(LEFT, top + 0.012, "Gates", fontsize=10, weight="bold")
    places = (LEFT, LEFT + 0.17, LEFT + 0.62, LEFT + 0.775)
    y = _head(page, top, zip(places, ("Gate", "Measured, and why this threshold", "Figure and need", "Result"), strict=True))
    for gate in data.verdict.gates:
        for x, text in zip(places, (gate.name, gate.label, f"{gate_figure(gate)}  ({gate_needs(gate)})", gate_word(gate)), strict=True):
            result = x == places[-1]
            page.text(x, y, text, va="top", color=COLOURS[gate.result] if result else INK, weight="bold" if result else "normal")
        why = _wrapped(data.gate_reasons.get(gate.name, ""), RIGHT - places[1], 6.5)
        page.text(places[1], y - 0.015, "\n".join(why), va="top", color=SOFT, fontsize=6.5, linespacing=1.3)
        y -= 0.012 * len(why) + 0.024
        _rule(page, y + 0.005)


def _head(page: Figure, y: float, cells: Any) -> float:
    for x, text in cells:
        page.text(x, y, text, va="top", color=SOFT, weight="bold", fontsize=7.5)
    _rule(page, y - 0.016)
    return y - 0.022


def _rule(page: Figure, y: float) -> None:
    from matplotlib.lines import Line2D

    page.add_artist(Line2D([LEFT, RIGHT], [y, y], color=LINE, lw=0.6))


# Page two: money over time.


def _money_page(data: ReportData) -> Figure:
    page = _page()
    grid = page.add_gridspec(
        4, 2, left=LEFT + 0.04, right=RIGHT, top=TOP, bottom=BOTTOM + 0.03, hspace=0.5, wspace=0.45, height_ratios=[3, 1.4, 2, 2]
    )
    profit = np.concatenate([data.result.best.hourly_pnl, data.test.hourly_pnl])
    seen = len(data.result.best.hourly_pnl)
    hours = np.concatenate([data.result.hours, data.test.hours])
    _equity(page.add_subplot(grid[0, :]), data, np.cumsum(profit), seen, hours)
    _drawdown(page.add_subplot(grid[1, :]), data, -metrics.drawdown(profit), hours)
    _windows(page.add_subplot(grid[2, 0]), data)
    _trials(page.add_subplot(grid[2, 1]), data)
    _calibration(page.add_subplot(grid[3, 0]), data)
    _stress(page.add_subplot(grid[3, 1]), data)
    return page


def _equity(axes: Axes, data: ReportData, total: Any, seen: int, hours: Any) -> None:
    xs = np.arange(len(total))
    axes.plot(xs[:seen], total[:seen], color=BLUE, lw=1.2, label="out-of-fold on train and validation")
    axes.plot(xs[max(0, seen - 1) :], total[max(0, seen - 1) :], color=VIOLET, lw=1.2, label="final model on test dates, opened once")
    axes.axvspan(max(0, seen - 1), max(1, len(total) - 1), color=VIOLET, alpha=0.08, lw=0)
    axes.legend(frameon=False, loc="best", fontsize=7)
    axes.set_title(f"Equity at {data.lots:g} lots, {data.account_currency}")
    _dates(axes, hours)


def _drawdown(axes: Axes, data: ReportData, depth: Any, hours: Any) -> None:
    axes.fill_between(np.arange(len(depth)), depth, color=BAD, alpha=0.35, lw=0)
    axes.set_title(f"Drawdown, {data.account_currency}")
    _dates(axes, hours)


def _dates(axes: Axes, hours: Any) -> None:
    """Name the first hour of some dates; every hour has the same width, so weekends take none."""
    stamps = [datetime.fromtimestamp(int(hour) * HOUR_US / 1e6, UTC) for hour in hours]
    firsts = [i for i, stamp in enumerate(stamps) if i == 0 or stamp.date() != stamps[i - 1].date()]
    shown = firsts[:: max(1, -(-len(firsts) // 12))]
    axes.set_xticks(shown, [f"{stamps[i].day} {stamps[i]:%b}" for i in shown])
    axes.set_xlim(0, max(1, len(stamps) - 1))
    _plain_numbers(axes.yaxis)


def _plain_numbers(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: charts.format_tick(round(value, 10))))


def _windows(axes: Axes, data: ReportData) -> None:
    windows = of_kind(data.windows, ROLLING)
    profits = [window.net_pnl for window in windows]
    axes.bar(range(len(profits)), profits, color=[GOOD if profit > 0 else BAD for profit in profits], alpha=0.8)
    step = max(1, -(-len(profits) // 6))
    axes.set_xticks(range(0, len(profits), step), [window.test_date[5:] for window in windows[::step]])
    axes.set_xlim(-0.6, max(4, len(profits)) - 0.4)
    axes.axhline(0, color=SOFT, lw=0.7)
    axes.set_title(f"Rolling walk-forward windows, {data.account_currency}")
    axes.grid(axis="x", visible=False)
    _plain_numbers(axes.yaxis)


def _trials(axes: Axes, data: ReportData) -> None:
    from matplotlib.ticker import MaxNLocator

    ratios = [trial.sharpe for trial in data.result.trials]
    figures = data.validation
    luck = metrics.deflated_benchmark(figures.n_configurations, 1.0 / max(1, figures.observations))
    best = data.result.best.number
    axes.scatter(range(1, len(ratios) + 1), ratios, s=14, color=[VIOLET if t.number == best else BLUE for t in data.result.trials])
    axes.axhline(luck, color=WARN, lw=0.9, ls="--")
    axes.annotate("expected of the best by luck", (1.0, luck), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                  ha="right", fontsize=6.5, color=WARN)  # fmt: skip
    axes.axhline(0, color=SOFT, lw=0.7)
    axes.set_title("Trials: hourly Sharpe ratio")
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _calibration(axes: Axes, data: ReportData) -> None:
    rows = data.test.calibration
    values = [value for row in rows for value in (row.predicted, row.observed)] or [0.0, 1.0]
    ends = [min(values) - 0.02, max(values) + 0.02]
    axes.plot(ends, ends, color=SOFT, lw=0.8, ls="--")
    axes.scatter([row.predicted for row in rows], [row.observed for row in rows], s=16, color=BLUE)
    axes.set_xlabel("predicted share of LONG")
    axes.set_ylabel("observed")
    axes.set_title("Calibration on test dates")


def _stress(axes: Axes, data: ReportData) -> None:
    rows = data.test.stress[::-1]
    profits = [row.net_pnl for row in rows]
    axes.barh(range(len(rows)), profits, color=[GOOD if profit > 0 else BAD for profit in profits], alpha=0.8)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=7)
    axes.axvline(0, color=SOFT, lw=0.7)
    axes.set_title(f"Stress: net on test dates, {data.account_currency}")
    axes.grid(axis="y", visible=False)
    axes.locator_params(axis="x", nbins=5)
    _plain_numbers(axes.xaxis)


# Page three: what the model looks at, and whether the ground moved.


def _model_page(data: ReportData) -> Figure:
    page = _page()
    grid = page.add_gridspec(2, 1, left=LEFT + 0.2, right=RIGHT - 0.06, top=TOP - 0.01, bottom=BOTTOM + 0.1, hspace=0.22)
    if data.attribution is not None and data.attribution.features:
        _attribution(page.add_subplot(grid[0]), data)
    if data.drift is not None and data.drift.features:
        _drift(page.add_subplot(grid[1]), data)
    t = data.test.figures
    page.text(
        LEFT,
        BOTTOM + 0.03,
        f"Test: {t.n_trades:,} trades, net {money(t.net_pnl)} {data.account_currency}, largest drawdown {money(t.max_drawdown)}, "
        f"log loss {t.log_loss:.4f} (0.693 is chance).",
        color=SOFT,
    )
    return page


def _attribution(axes: Axes, data: ReportData) -> None:
    assert data.attribution is not None
    rows = data.attribution.features[::-1]
    colours = {"LONG": GOOD, "SHORT": BAD}
    axes.barh(range(len(rows)), [row.mean_size for row in rows], color=[colours.get(favoured_side(row), BLUE) for row in rows], alpha=0.8)
    _named(axes, [row.feature for row in rows], [row.mean_size for row in rows], [f"{row.share:.1%}" for row in rows])
    axes.set_title("What the model looks at: mean |TreeSHAP contribution| to the log-odds")
    axes.set_xlabel(f"{data.attribution.events:,} test events; green: higher values favour LONG, red: SHORT, blue: neither")


def _drift(axes: Axes, data: ReportData) -> None:
    assert data.drift is not None
    rows = data.drift.features[::-1]
    colours = {"strong": BAD, "moderate": WARN, "stable": GOOD}
    axes.barh(range(len(rows)), [row.psi for row in rows], color=[colours.get(row.word, SOFT) for row in rows], alpha=0.8)
    _named(axes, [row.feature for row in rows], [row.psi for row in rows], [f"{row.psi:.3f}" for row in rows])
    for bound in (MODERATE_PSI, STRONG_PSI):
        axes.axvline(bound, color=WARN, lw=0.8, ls="--")
    axes.set_title("Drift: population stability index, test against training")
    axes.set_xlabel(f"dashed: {MODERATE_PSI:g} and {STRONG_PSI:g}; chance alone shows {data.drift.chance_psi:.3f}")


def _named(axes: Axes, names: Sequence[str], values: Sequence[float], texts: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.grid(axis="y", visible=False)
    for place, (value, text) in enumerate(zip(values, texts, strict=True)):
        axes.annotate(text, (value, place), (3, 0), textcoords="offset points", va="center", fontsize=6.5, color=SOFT)


# The model card, as flowing text.


class _Flow:
    """Writes lines from top to bottom and turns the page when it is full."""

    def __init__(self) -> None:
        self.pages: list[Figure] = [_page()]
        self.y = TOP

    def need(self, height: float) -> None:
        """Turn the page unless there is so much room."""
        if self.y - height < BOTTOM:
            self.pages.append(_page())
            self.y = TOP

    def cells(self, cells: Sequence[tuple[float, Sequence[str]]], size: float = 7.5, **style: Any) -> None:
        """Write one row of (x, lines); the row is as high as its highest cell."""
        height = 0.0135 * max(len(lines) for _, lines in cells) + 0.003
        self.need(height)
        for x, lines in cells:
            self.pages[-1].text(x, self.y, "\n".join(lines), va="top", fontsize=size, linespacing=1.3, **style)
        self.y -= height

    def heading(self, text: str) -> None:
        """Write a heading that no page ends on."""
        self.y -= 0.012
        self.need(0.07)
        self.cells([(LEFT, [text])], 9.5, weight="bold")
        self.y -= 0.003

    def table(self, table: CardTable) -> None:
        """Write a table whose columns are as wide as they need, the last ones wrapped."""
        shown = [i for i in range(len(table.head)) if any(row[i] for row in table.rows)]
        widths = _column_widths(table, shown)
        places = [LEFT + sum(widths[:i]) for i in range(len(shown))]
        for number, row in enumerate((table.head, *table.rows)):
            lines = [
                _wrapped(row[i], width - GAP + 0.004, TABLE_SIZE * WIDE_CHARACTER / CHARACTER)
                for i, width in zip(shown, widths, strict=True)
            ]
            style = {"color": SOFT, "weight": "bold"} if number == 0 else {}
            self.cells(list(zip(places, lines, strict=True)), TABLE_SIZE, **style)


def _column_widths(table: CardTable, shown: Sequence[int]) -> list[float]:
    """Return each column's share of the page: what its longest cell needs; where that is too much, the wide ones share what is left."""
    longest = [max(len(row[i]) for row in (table.head, *table.rows)) for i in shown]
    needed = [max(length, 6) * TABLE_SIZE * WIDE_CHARACTER / (PAGE[0] * 72) + GAP for length in longest]
    wide = sum(width for width in needed if width > WIDE_COLUMN)
    left = RIGHT - LEFT - (sum(needed) - wide)
    return [width * min(1.0, left / wide) if width > WIDE_COLUMN else width for width in needed]


def _card_pages(data: ReportData) -> list[Figure]:
    assert data.card is not None
    flow = _Flow()
    _write_card(flow, data.card)
    flow.heading("Identities")
    flow.table(CardTable(("What", "Value"), tuple(identities_of(data).items())))
    return flow.pages


def _write_card(flow: _Flow, card: ModelCard) -> None:
    flow.cells([(LEFT, _wrapped(card.title, RIGHT - LEFT, 12))], 12, weight="bold")
    flow.y -= 0.01
    for chapter in card.chapters:
        flow.heading(chapter.title)
        for sentence in chapter.sentences:
            flow.cells([(LEFT, _wrapped(sentence, RIGHT - LEFT, 7.5))])
        if chapter.table is not None:
            flow.y -= 0.004
            flow.table(chapter.table)
