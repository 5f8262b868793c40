"""What a verdict's report shows, and how its figures are written; every section stands on this and on no other section.

What belongs here: the value and the spelling of numbers. What must not: words, tables, charts (`report` lists the sections).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tick_assets.domain.calibration import Calibration
from tick_assets.domain.drift import Drift
from tick_assets.domain.equity import AccountView
from tick_assets.domain.evaluation import NO_PROFIT_DRAWDOWN_SHARE, TestResult, ValidationFigures
from tick_assets.domain.feature_attribution import Attribution
from tick_assets.domain.gates import NOT_FED, PASS, Gate, GateVerdict, format_figure
from tick_assets.domain.leak_findings import Statement
from tick_assets.domain.learning import LearningFigures, Reliability
from tick_assets.domain.model_card import ModelCard
from tick_assets.domain.stress import SurfaceCell
from tick_assets.domain.superiority import Superiority
from tick_assets.domain.training import SearchResult
from tick_assets.domain.walk_forward import WindowRow

WORDS = {PASS: "pass", "refuse": "refuse", NOT_FED: "no figure"}
SIGNS = {">=": "\N{GREATER-THAN OR EQUAL TO}", "<=": "\N{LESS-THAN OR EQUAL TO}", "==": "="}


@dataclass(frozen=True)
class GateErrors:
    """The published calibration of the gate: passes by kind of market, when and on what, and whether it is of the policy that judged."""

    rows: Sequence[Calibration]
    calibrated: str
    is_of_this_policy: bool


@dataclass(frozen=True)
class Learned:
    """What the model learned, and how far its probabilities on the test dates can be taken at their word."""

    figures: LearningFigures
    test_reliability: Reliability
    test_dates: int


@dataclass(frozen=True)
class ReportData:
    """Everything the page shows. `identities` are names and hashes that lead back to the bytes, in the order shown.

    What is None or empty is left out.
    """

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
    attribution: Attribution | None = None
    drift: Drift | None = None
    card: ModelCard | None = None
    learned: Learned | None = None
    surface: Sequence[SurfaceCell] = ()
    superiority: Superiority | None = None
    account: AccountView | None = None
    leaks: Sequence[Statement] = ()
    gate_errors: GateErrors | None = None


def gate_figure(gate: Gate) -> str:
    """Return a gate's figure as a person reads it."""
    if gate.figure is None:
        return "none"
    return "no profit" if gate.figure == NO_PROFIT_DRAWDOWN_SHARE else format_figure(gate.figure)


def gate_needs(gate: Gate) -> str:
    """Return what a gate asks for."""
    return f"{SIGNS[gate.comparison]} {format_figure(gate.threshold)}"


def gate_word(gate: Gate) -> str:
    """Return a gate's result in words."""
    return WORDS[gate.result] + (" (waived)" if "waived" in gate.reason else "")


def money(value: float) -> str:
    """Return an amount with two decimals, thousands apart and a minus sign."""
    return f"{value:,.2f}".replace("-", "\N{MINUS SIGN}")


def signed(value: float, decimals: int = 3) -> str:
    """Return a figure with a minus sign where it is below zero."""
    return f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def optional(value: float | None, decimals: int = 3) -> str:
    """Return a figure, or `none`."""
    return "none" if value is None else f"{value:.{decimals}f}"
