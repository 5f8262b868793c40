"""The verdict: figures against the one policy.

What belongs here: the policy's shape, comparison and the sentence that answers. What must not: thresholds (the policy file holds
them) or the making of figures (`evaluation`).
"""

from __future__ import annotations

import hashlib
import math
import operator
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tick_assets.domain.backtest import Stress

PASS, REFUSE, NOT_FED = "pass", "refuse", "not_fed"
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, "==": operator.eq}
BREAK_EVEN_FIGURE = "break_even_spread"
Figures = Mapping[str, float | bool | None]


@dataclass(frozen=True)
class GateRule:
    """One gate of the policy."""

    name: str
    figure: str
    comparison: str
    threshold: float
    label: str
    reason: str
    required: bool = True
    waived_when: str = ""


@dataclass(frozen=True)
class Scenario:
    """One line of the stress table."""

    name: str
    stress: Stress


@dataclass(frozen=True)
class Policy:
    """The parsed policy file; `sha256` is that of its text."""

    name: str
    version: int
    sha256: str
    gates: tuple[GateRule, ...]
    walk_forward_train_days: int
    scenarios: tuple[Scenario, ...]


@dataclass(frozen=True)
class Gate:
    """One gate of a verdict. `result` is pass, refuse or not_fed; `reason` says it in words."""

    name: str
    label: str
    figure: float | None
    comparison: str
    threshold: float
    result: str
    required: bool
    reason: str

    @property
    def refuses(self) -> bool:
        """Tell whether this gate stops the model."""
        return self.result == REFUSE or (self.result == NOT_FED and self.required)


@dataclass(frozen=True)
class GateVerdict:
    """The answer in one sentence, each gate and the names of those that refused."""

    passed: bool
    answer: str
    gates: tuple[Gate, ...]
    refused_by: tuple[str, ...]
    policy_sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a table row, a passport or JSON."""
        return {**asdict(self), "gates": [asdict(gate) for gate in self.gates], "refused_by": list(self.refused_by)}


def parse_policy(text: str) -> Policy:
    """Parse the policy file's text; an unknown comparison or a missing key is a `ValueError`."""
    document = tomllib.loads(text)
    try:
        gates = tuple(GateRule(name=name, **rule) for name, rule in document["gates"].items())
        return Policy(
            name=document["name"],
            version=int(document["version"]),
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            gates=tuple(_checked(gate) for gate in gates),
            walk_forward_train_days=int(document["walk_forward"]["train_days"]),
            scenarios=tuple(_parse_scenario(values) for values in document["stress"]["scenarios"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"Expected a complete policy file, was one where this is wrong: {error}. Compare it with policy.toml.") from error


def _checked(gate: GateRule) -> GateRule:
    if gate.comparison not in COMPARISONS:
        raise ValueError(f"Expected a comparison of {', '.join(COMPARISONS)} in gate {gate.name}, was {gate.comparison!r}. Correct it.")
    return gate


def _parse_scenario(values: Mapping[str, Any]) -> Scenario:
    return Scenario(values["name"], Stress(float(values["spread"]), float(values["latency"]), int(values["slippage"])))


def evaluate(policy: Policy, figures: Figures, subject: str = "the model") -> GateVerdict:
    """Hold figures against every gate of the policy; nothing is skipped after the first refusal."""
    gates = tuple(_judge(rule, figures) for rule in policy.gates)
    refused_by = tuple(gate.name for gate in gates if gate.refuses)
    return GateVerdict(not refused_by, _answer(subject, gates, figures), gates, refused_by, policy.sha256)


def _judge(rule: GateRule, figures: Figures) -> Gate:
    value = figures.get(rule.figure)
    figure = None if value is None or math.isnan(value) else float(value)
    result, reason = _compare(rule, figure, bool(rule.waived_when and figures.get(rule.waived_when)))
    return Gate(rule.name, rule.label, figure, rule.comparison, rule.threshold, result, rule.required, reason)


def _compare(rule: GateRule, figure: float | None, is_waived: bool) -> tuple[str, str]:
    if figure is None:
        return NOT_FED, f"No figure was fed; {'a required gate refuses without one' if rule.required else 'the policy lets it pass'}."
    if COMPARISONS[rule.comparison](figure, rule.threshold):
        return PASS, f"{format_figure(figure)} {rule.comparison} {format_figure(rule.threshold)}"
    if is_waived:
        return PASS, f"{format_figure(figure)} misses {rule.comparison} {format_figure(rule.threshold)}, waived: {rule.waived_when}"
    return REFUSE, f"{format_figure(figure)} misses {rule.comparison} {format_figure(rule.threshold)}. {rule.reason}"


def format_figure(value: float) -> str:
    """Return a figure as a person reads it: whole numbers plain, the rest with three decimals."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3f}"


def _answer(subject: str, gates: tuple[Gate, ...], figures: Figures) -> str:
    refusing = [gate for gate in gates if gate.refuses]
    break_even = figures.get(BREAK_EVEN_FIGURE)
    costs = "break-even spread unknown" if break_even is None else f"break-even at {float(break_even):.2f}x the spread"
    if not refusing:
        return f"PASSED: {subject} clears all {len(gates)} gates, {costs}."
    first, others = refusing[0], ", ".join(gate.name for gate in refusing[1:])
    found = "no figure" if first.figure is None else format_figure(first.figure)
    what = f"{first.label[0].lower()}{first.label[1:]}: {found}, needs {first.comparison} {format_figure(first.threshold)}"
    return f"REJECTED by {first.name}: {subject}, {what}; {costs}" + (f"; also refused by {others}." if others else ".")
