"""The report's sections on robustness: the stress surface as a heat map with figures, and the model beside simple rivals.

What belongs here: words and tables. What must not: figures (`stress`, `superiority`), the page (`report`).
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tick_assets.domain.page import scroll, section, table_head, table_row
from tick_assets.domain.stress import SurfaceCell, surviving_share
from tick_assets.domain.superiority import RivalRow, Superiority

MAX_SHADE = 60
"""Per cent of colour in the field of the largest amount."""


def surface_section(cells: Sequence[SurfaceCell], account_currency: str, break_even_spread: float) -> str:
    """Return net profit on the test dates by spread (down), and by commission and latency (across)."""
    if not cells:
        return ""
    note = (
        f"Net profit on the test dates in {account_currency} of the same decisions at multiples of spread, latency and commission. "
        f"{surviving_share(cells):.0%} of the {len(cells)} markets still earn. With latency and commission as they are, profit is gone at "
        f"{break_even_spread:.2f} times the spread."
    )
    return section("Stress surface", note, scroll("Stress surface", _surface_table(cells)))


def _surface_table(cells: Sequence[SurfaceCell]) -> str:
    latencies = sorted({cell.latency_multiple for cell in cells})
    commissions = sorted({cell.commission_multiple for cell in cells})
    spreads = sorted({cell.spread_multiple for cell in cells})
    found = {(cell.spread_multiple, cell.latency_multiple, cell.commission_multiple): cell for cell in cells}
    largest = max(abs(cell.net_pnl) for cell in cells) or 1.0
    first = "".join(f'<th scope="colgroup" class="n" colspan="{len(latencies)}">commission {_times(c)}</th>' for c in commissions)
    second = "".join(f'<th scope="col" class="n">latency {_times(latency)}</th>' for _ in commissions for latency in latencies)
    rows = "".join(
        f'<tr><th scope="row">spread {_times(s)}</th>'
        + "".join(_field(found.get((s, latency, c)), largest) for c in commissions for latency in latencies)
        + "</tr>"
        for s in spreads
    )
    return f"<table><tr><td></td>{first}</tr><tr><td></td>{second}</tr>{rows}</table>"


def _field(cell: SurfaceCell | None, largest: float) -> str:
    if cell is None:
        return '<td class="n"></td>'
    colour = "var(--good)" if cell.net_pnl > 0 else "var(--bad)"
    shade = round(MAX_SHADE * abs(cell.net_pnl) / largest)
    said = f"{cell.n_trades:,} trades, Sharpe ratio {cell.sharpe:.3f} per hour"
    style = f"background:color-mix(in srgb,{colour} {shade}%,transparent)"
    return f'<td class="n" style="{style}" title="{said}">{_money(cell.net_pnl)}</td>'


def _times(multiple: float) -> str:
    return f"{multiple:g}\N{MULTIPLICATION SIGN}"


def rivals_section(found: Superiority | None, account_currency: str) -> str:
    """Return the model beside each rival, with the p-values of the test of superior predictive ability."""
    if found is None:
        return ""
    note = (
        "Hansen's test of superior predictive ability on net profit by hour (stationary bootstrap, consistent p-value, "
        f"{found.replications:,} replications). The rival is the benchmark: a small p-value says that the model earns more. All trade the "
        "same events with the same stops, horizon and costs. Reported, not gated."
    )
    head = table_head(
        ["Rival"],
        [
            "Trades",
            f"Net, {account_currency}",
            f"Model, {account_currency}",
            "p, test dates",
            "p, all configurations out of fold",
            "p, both (choice not paid for)",
        ],
    )
    rows = "".join(_rival_row(row, found.replications) for row in found.rows)
    last = (
        f"<p>Superior to every rival on the test dates: p {_p(found.p_all, found.replications)}. "
        f"Turned round, that some rival earns more than the model: p {_p(found.p_beaten, found.replications)}.</p>"
    )
    return section("Rivals", note, scroll("Rivals", f"<table>{head}{rows}</table>"), last)


def _rival_row(row: RivalRow, replications: int) -> str:
    p_values = [_p(value, replications) for value in (row.p_test, row.p_search, row.p_both)]
    return table_row([escape(row.rival)], [f"{row.n_trades:,}", _money(row.net_pnl), _money(row.model_net_pnl), *p_values])


def _p(value: float | None, replications: int) -> str:
    if value is None:
        return "too few hours"
    return f"&lt; {1 / replications:g}" if value < 1 / replications else f"{value:.3f}"


def _money(value: float) -> str:
    return f"{value:,.2f}".replace("-", "\N{MINUS SIGN}")
