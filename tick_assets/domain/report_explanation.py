"""The report's sections on the features: what the model looks at, and whether the test's events resemble the training's.

What belongs here: words and tables of both. What must not: figures (`feature_attribution`, `drift`), the page (`report`).
"""

from __future__ import annotations

from html import escape

from tick_assets.domain.drift import MODERATE, MODERATE_PSI, STABLE, STRONG, STRONG_PSI, TOO_FEW, Drift, FeatureDrift
from tick_assets.domain.feature_attribution import ADDITIVITY_TOLERANCE, Attribution, FeatureAttribution
from tick_assets.domain.page import section, table_head, table_row
from tick_assets.domain.report_data import ReportData, signed

STYLE = """
.gauge{display:block;height:10px;border-radius:2px;background:var(--blue);opacity:.8;min-width:1px}.gauge.short{background:var(--bad)}
.gauge.long{background:var(--good)}.bar-cell{width:34%}td .gauge{margin-top:6px}
.card h3{font-size:14px;margin:16px 0 4px}.card p{color:var(--ink);margin:0 0 6px;max-width:88ch}.card table{margin-bottom:6px}
"""
CHIPS = {STABLE: "pass", MODERATE: "not_fed", STRONG: "refuse", TOO_FEW: "not_fed"}
"""Colours of the gates, so that one page has one meaning of red."""
CLEAR_DIRECTION = 0.3


def attribution_section(data: ReportData) -> str:
    """Return each feature's mean contribution as a bar, with the side that higher values favour."""
    found = data.attribution
    if found is None or not found.features:
        return ""
    largest = found.features[0].mean_size or 1.0
    head = table_head(["Feature", "Mean |contribution| to the log-odds"], ["Size", "Share"], ["Higher values favour"])
    rows = "".join(_attribution_row(row, largest) for row in found.features)
    return section("What the model looks at", attribution_note(found), f"<table>{head}{rows}</table>")


def attribution_note(found: Attribution) -> str:
    """Return what the figures are and whether they add up."""
    holds = "sum to" if found.is_additive else "DO NOT sum to"
    return (
        f"Exact TreeSHAP on {found.events:,} test events, evenly spaced. Bias and contributions {holds} each event's log-odds: largest "
        f"difference {found.additivity_error:.1e}, allowed {ADDITIVITY_TOLERANCE:.0e}. A contribution says what moved the model, "
        "not the market."
    )


def favoured_side(row: FeatureAttribution) -> str:
    """Return the side that higher values favour: LONG, SHORT or neither, with the rank correlation."""
    if abs(row.direction) < CLEAR_DIRECTION:
        return "neither" if row.mean_size else "not used"
    return "LONG" if row.direction > 0 else "SHORT"


def _attribution_row(row: FeatureAttribution, largest: float) -> str:
    side = favoured_side(row)
    style = {"LONG": "gauge long", "SHORT": "gauge short"}.get(side, "gauge")
    bar = f'<span class="{style}" style="width:{100 * row.mean_size / largest:.1f}%"></span>' if row.mean_size else ""
    said = f"{side} ({signed(row.direction, 2)})" if row.mean_size else side
    cells = f'<td class="bar-cell">{bar}</td><td class="n">{row.mean_size:.4f}</td><td class="n">{row.share:.1%}</td>'
    return f'<tr><td>{escape(row.feature)}</td>{cells}<td class="t">{said}</td></tr>'


def drift_section(data: ReportData) -> str:
    """Return PSI and KS of each feature between training and test."""
    found = data.drift
    if found is None or not found.features:
        return ""
    head = table_head(["Feature"], ["PSI", "KS", "Median, training", "Median, test", "Missing"], ["Drift"])
    rows = "".join(_drift_row(row) for row in found.features)
    return section("Drift: test against training", drift_note(found), f"<table>{head}{rows}</table>")


def drift_note(found: Drift) -> str:
    """Return the sizes, the bounds and what chance alone would show."""
    return (
        f"{found.new_events:,} test events against {found.reference_events:,} that the model was fitted on. PSI below {MODERATE_PSI:g} is "
        f"stable, from {STRONG_PSI:g} on strong (a convention); chance alone shows {found.chance_psi:.3f}. Drift refuses nothing: it says "
        "where the test stands on other ground than the training."
    )


def _drift_row(row: FeatureDrift) -> str:
    chip = f'<span class="chip {CHIPS[row.word]}">{row.word}</span>'
    medians = [figure_text(row.reference_median), figure_text(row.new_median)]
    return table_row([escape(row.feature)], [f"{row.psi:.3f}", f"{row.ks:.3f}", *medians, f"{row.missing_share:.0%}"], [chip])


def figure_text(value: float) -> str:
    """Return a feature's value with four significant digits."""
    return "none" if value != value else f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
