"""The report's section on walk-forward windows: each window's profit by kind, the shares that won, and how fast an edge fades.

What belongs here: words, tables and charts. What must not: figures (`walk_forward`), the page (`report`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tick_assets.domain import charts
from tick_assets.domain.page import legend, scroll, section, table_head, table_row
from tick_assets.domain.walk_forward import ANCHORED, RESELECTED, ROLLING, Decay, KindSummary, WindowRow, of_kind, summarize

TITLE = "Walk-forward"
NOTE = (
    "A frozen configuration and a refitted model: the booster is fitted anew in each window, purged and embargoed, and traded on the date "
    "after it. The configuration was chosen once by the search, which saw the train and validation dates; windows that trade later dates "
    "are counted apart as not seen. Reselected windows choose their configuration on their own train dates alone. The gate counts the "
    "rolling ones."
)
STYLES = {ROLLING: "bar", ANCHORED: "mark", RESELECTED: "best"}
WORDS = {
    ROLLING: "bars: rolling, the newest dates of fixed number",
    ANCHORED: "dots: anchored, all dates so far",
    RESELECTED: "dots: reselected, rolling with its configuration chosen inside the window",
}
COLOURS = {ROLLING: "var(--good)", ANCHORED: "var(--blue)", RESELECTED: "var(--violet)"}
LABELLED_BARS = 16
"""Above this many bars their values would overlap; they stay in the notes."""


def walk_forward_section(windows: Sequence[WindowRow], account_currency: str) -> str:
    """Return the section: the profit of each window by kind, and a table of the kinds."""
    if not windows:
        return section(TITLE, NOTE, "<p>No windows.</p>")
    summaries = summarize(windows)
    key = legend([(COLOURS[each.kind], WORDS[each.kind]) for each in summaries])
    return section(TITLE, NOTE, key, _chart(windows, account_currency), scroll("Walk-forward by kind", _table(summaries, account_currency)))


def _chart(windows: Sequence[WindowRow], account_currency: str) -> str:
    bars = [charts.Bar(row.test_date, row.net_pnl, _said(row)) for row in of_kind(windows, ROLLING)]
    places = {date: place for place, date in enumerate(sorted({row.test_date for row in windows}))}
    plot, y_ticks = charts.plot_of((-0.6, len(places) - 0.4), [row.net_pnl for row in windows], charts.WIDE, 280)
    x_ticks = [(float(place), date[5:]) for date, place in places.items()]
    points = [
        charts.Point(float(places[row.test_date]), row.net_pnl, _said(row), STYLES[row.kind]) for row in windows if row.kind != ROLLING
    ]
    drawn = charts.axes(plot, x_ticks, y_ticks, "test date", account_currency)
    drawn += charts.bars(plot, bars, is_labelled=len(bars) <= LABELLED_BARS and not points) + charts.scatter(plot, points)
    return charts.svg("Net profit per walk-forward window", plot, drawn, description=_described(windows))


def _described(windows: Sequence[WindowRow]) -> str:
    return "; ".join(f"{each.kind}: {each.winning} of {each.windows} windows earned" for each in summarize(windows)) + "."


def _said(row: WindowRow) -> str:
    seen = "seen by the search" if row.is_searched else "not seen by the search"
    return f"{row.kind} {row.window + 1}, {row.test_date}: {_money(row.net_pnl)} from {row.n_trades} trades; {seen}"


def _table(summaries: Sequence[KindSummary], account_currency: str) -> str:
    head = table_head(
        ["Windows"],
        ["Earned", "Share", "Not seen, earned", f"Net, {account_currency}", "Trades"],
        ["Sharpe ratio over the windows", "Sharpe ratio by dates since the fit, same dates"],
    )
    return f"<table>{head}{''.join(_row(each) for each in summaries)}</table>"


def _row(each: KindSummary) -> str:
    figures = [
        f"{each.winning} of {each.windows}",
        f"{each.share:.0%}",
        f"{each.unseen_winning} of {each.unseen_windows}",
        _money(each.net_pnl),
        f"{each.n_trades:,}",
    ]
    return table_row([each.kind], figures, [decay_text(each.by_window, "windows"), decay_text(each.by_age, "dates")])


def decay_text(found: Decay | None, unit: str) -> str:
    """Return a decay in words: slope, rank correlation, p-value and half-life where the line falls."""
    if found is None:
        return "too few"
    half = "" if found.half_life is None else f", half gone after {found.half_life:.1f} {unit}"
    text = f"slope {found.slope:+.4f}, rank correlation {found.rank_correlation:+.2f} (p {found.p_value:.2f}){half}"
    return text.replace("-", "\N{MINUS SIGN}")


def _money(value: float) -> str:
    return f"{value:,.2f}".replace("-", "\N{MINUS SIGN}")
