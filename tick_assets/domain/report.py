"""The verdict as one page that anyone can open: the answer first, then why, then what it rests on.

What belongs here: the order of the sections, the answer, the gates and the identities. What must not: figures (`evaluation`), thresholds
(the policy), files, charts (`report_performance`, `report_explanation`).
The page holds everything it needs: no script, no network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from html import escape

from tick_assets.domain.gates import Gate
from tick_assets.domain.model_card import QUOTES_STATEMENT, SYNTHETIC_STATEMENT, VERDICT_CHAPTER, card_to_html
from tick_assets.domain.page import document, section
from tick_assets.domain.report_account import account_section
from tick_assets.domain.report_data import ReportData, gate_figure, gate_needs, gate_word, money
from tick_assets.domain.report_explanation import STYLE as FEATURE_STYLE
from tick_assets.domain.report_explanation import attribution_section, drift_section
from tick_assets.domain.report_gate_error import gate_error_section
from tick_assets.domain.report_leaks import leaks_section
from tick_assets.domain.report_learning import learning_section
from tick_assets.domain.report_performance import equity_section, figures_section, stress_section, trials_section
from tick_assets.domain.report_stress import rivals_section, surface_section
from tick_assets.domain.report_walk_forward import walk_forward_section

__all__ = ["ReportData", "render_report"]

Section = Callable[[ReportData], str]
STYLE = FEATURE_STYLE + "@media(max-width:700px){.why{display:none}}"


def render_report(data: ReportData) -> str:
    """Return the whole page as HTML text."""
    return document(title_of(data), "\n".join(part for each in SECTIONS if (part := each(data))), STYLE)


def title_of(data: ReportData) -> str:
    """Return the document's title."""
    return f"{'PASSED' if data.verdict.passed else 'REJECTED'} · {data.model_id}"


def subtitle_of(data: ReportData) -> str:
    """Return what stands under the answer: model, dates, kind of market, when it was said."""
    kind = "synthetic market" if data.is_synthetic else "vendor quotes"
    issued = data.issued_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{data.model_id} · {data.dates[0]} to {data.dates[-1]}, {len(data.dates)} dates · {kind} · issued {issued}"


def side_by_side(left: Section, right: Section) -> Section:
    """Return a section of two that stand beside each other where there is room."""
    return lambda data: f'<div class="pair">{left(data)}{right(data)}</div>'


def answer_section(data: ReportData) -> str:
    """Return the answer, which names the gate that refused and the break-even spread."""
    style = "answer passed" if data.verdict.passed else "answer"
    return f'<h1 class="{style}">{escape(data.verdict.answer)}</h1><p class="sub">{escape(subtitle_of(data))}</p>'


def tiles_of(data: ReportData) -> list[tuple[str, str]]:
    """Return (figure, name) of the six figures that come first."""
    test = data.test.figures
    return [
        (f"{test.break_even_spread:.2f}\N{MULTIPLICATION SIGN}", "spread at break-even"),
        (money(test.net_pnl), f"test net profit, {data.account_currency}"),
        (f"{test.n_trades:,}", "test trades"),
        (f"{test.hit_rate:.0%}", "of them earned"),
        (f"{data.validation.dsr:.3f}", "deflated Sharpe ratio"),
        (f"{data.validation.n_configurations:,}", "configurations tried"),
    ]


def tiles_section(data: ReportData) -> str:
    """Return the six figures as tiles."""
    tiles = "".join(f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for value, name in tiles_of(data))
    return f'<div class="tiles">{tiles}</div>'


def gates_section(data: ReportData) -> str:
    """Return every gate with its figure, threshold, result and the reason for the threshold."""
    rows = "".join(_gate_row(gate, data.gate_reasons.get(gate.name, "")) for gate in data.verdict.gates)
    head = '<tr><th>Gate</th><th>Measured</th><th class="n">Figure</th><th class="n">Needs</th><th>Result</th>'
    head += '<th class="why">Why this threshold</th></tr>'
    note = "Every gate is judged, also after the first refusal. A required gate without a figure refuses."
    return section("Gates", note, f"<table>{head}{rows}</table>")


def _gate_row(gate: Gate, reason: str) -> str:
    return (
        f"<tr><td>{escape(gate.name)}</td><td>{escape(gate.label)}</td><td class=n>{gate_figure(gate)}</td>"
        f'<td class=n>{gate_needs(gate)}</td><td><span class="chip {gate.result}">{gate_word(gate)}</span></td>'
        f"<td class=why>{escape(reason)}</td></tr>"
    )


def _walk_forward(data: ReportData) -> str:
    return walk_forward_section(data.windows, data.account_currency)


def _learning(data: ReportData) -> str:
    found = data.learned
    return learning_section(found.figures, data.test, found.test_dates, found.test_reliability, data.account_currency) if found else ""


def _surface(data: ReportData) -> str:
    return surface_section(data.surface, data.account_currency, data.test.figures.break_even_spread) if data.surface else ""


def _rivals(data: ReportData) -> str:
    return rivals_section(data.superiority, data.account_currency) if data.superiority else ""


def _account(data: ReportData) -> str:
    return account_section(data.account, "The test dates in one account") if data.account else ""


def _gate_errors(data: ReportData) -> str:
    found = data.gate_errors
    return gate_error_section(found.rows, found.calibrated, found.is_of_this_policy) if found else ""


def _leaks(data: ReportData) -> str:
    return leaks_section(data.leaks) if data.leaks else ""


def statement_section(data: ReportData) -> str:
    """Return what the quotes are and are not, unless a model card says it at length."""
    if data.card is not None:
        return ""
    sources = f"<p>Sources: {escape(', '.join(data.sources))}.</p>" if data.sources else ""
    synthetic = f"<p>{SYNTHETIC_STATEMENT}</p>" if data.is_synthetic else ""
    return section("What the data are", "", f"{synthetic}<p>{QUOTES_STATEMENT}</p>{sources}")


def card_section(data: ReportData) -> str:
    """Return the model card without the gates, which stand above."""
    if data.card is None:
        return ""
    chapters = tuple(chapter for chapter in data.card.chapters if chapter.title != VERDICT_CHAPTER)
    return section("Model card", "", card_to_html(replace(data.card, chapters=chapters)))


def identities_of(data: ReportData) -> dict[str, str]:
    """Return the names and hashes that lead back to the bytes."""
    return {**data.identities, "policy sha-256": data.verdict.policy_sha256, "trial ledger sha-256": data.validation.ledger_sha256}


def identities_section(data: ReportData) -> str:
    """Return the identities as a table."""
    cells = "".join(f'<tr><td>{escape(name)}</td><td class="mono">{escape(value)}</td></tr>' for name, value in identities_of(data).items())
    return section("Where it comes from", "", f"<table>{cells}</table>")


SECTIONS: tuple[Section, ...] = (
    answer_section,
    tiles_section,
    gates_section,
    _gate_errors,
    equity_section,
    _walk_forward,
    _learning,
    side_by_side(stress_section, trials_section),
    _surface,
    _rivals,
    _account,
    figures_section,
    attribution_section,
    drift_section,
    _leaks,
    statement_section,
    card_section,
    identities_section,
)
"""The page from top to bottom. A section is a function of `ReportData`; one that returns an empty text is left out."""
