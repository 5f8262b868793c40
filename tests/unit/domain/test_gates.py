"""The verdict: every gate is judged, a missing figure refuses, and the first line answers."""

import json
from dataclasses import replace
from importlib.resources import files

import pytest

from tick_assets.domain import gates

POLICY_TEXT = (files("tick_assets") / "policy.toml").read_text(encoding="utf-8")
POLICY = gates.parse_policy(POLICY_TEXT)
GOOD: dict[str, float | bool | None] = {
    "completeness": 1.0,
    "leak_findings": 0,
    "label_overlaps": 0,
    "dsr": 0.99,
    "out_of_sample_loss": 0.01,
    "pbo": 0.2,
    "is_plateau": False,
    "test_psr": 0.97,
    "test_trades": 450,
    "walk_forward_share": 0.8,
    "break_even_spread": 2.1,
    "drawdown_share": 0.1,
    "terminal_mismatches": 0,
    "test_openings": 1,
}


def test_good_figures_pass_every_gate() -> None:
    verdict = gates.evaluate(POLICY, GOOD, "SYN.direction@1")
    assert verdict.passed
    assert verdict.refused_by == ()
    assert {gate.result for gate in verdict.gates} == {gates.PASS}
    assert verdict.answer == "PASSED: SYN.direction@1 clears all 13 gates, break-even at 2.10x the spread."


@pytest.mark.parametrize(
    ("figure", "value", "gate"),
    [
        ("completeness", 0.94, "completeness"),
        ("leak_findings", 1, "leak_firewall"),
        ("label_overlaps", 3, "label_overlaps"),
        ("dsr", 0.949, "dsr"),
        ("out_of_sample_loss", 0.051, "out_of_sample_loss"),
        ("pbo", 0.51, "pbo"),
        ("test_psr", 0.94, "test_psr"),
        ("test_trades", 199, "trades"),
        ("walk_forward_share", 0.59, "walk_forward_share"),
        ("break_even_spread", 1.49, "break_even_spread"),
        ("drawdown_share", 0.51, "drawdown"),
        ("terminal_mismatches", 1, "terminal_agreement"),
        ("test_openings", 2, "test_vault"),
    ],
)
def test_each_gate_refuses_alone(figure: str, value: float, gate: str) -> None:
    verdict = gates.evaluate(POLICY, {**GOOD, figure: value})
    assert verdict.refused_by == (gate,)
    assert verdict.answer.startswith(f"REJECTED by {gate}:")
    assert "x the spread" in verdict.answer


@pytest.mark.parametrize("rule", [rule for rule in POLICY.gates if rule.required], ids=lambda rule: rule.name)
@pytest.mark.parametrize("missing", [None, float("nan")])
def test_missing_figure_is_not_fed_and_refuses(rule: gates.GateRule, missing: float | None) -> None:
    verdict = gates.evaluate(POLICY, {**GOOD, rule.figure: missing})
    assert [gate.result for gate in verdict.gates if gate.name == rule.name] == [gates.NOT_FED]
    assert verdict.refused_by == (rule.name,)


def test_missing_figure_of_an_optional_gate_is_said_and_passes() -> None:
    optional = replace(POLICY, gates=tuple(replace(rule, required=rule.name != "test_vault") for rule in POLICY.gates))
    verdict = gates.evaluate(optional, {**GOOD, "test_openings": None})
    assert verdict.passed
    assert [gate.result for gate in verdict.gates if gate.name == "test_vault"] == [gates.NOT_FED]


def test_overfitting_on_a_plateau_is_waived() -> None:
    verdict = gates.evaluate(POLICY, {**GOOD, "pbo": 0.9, "is_plateau": True})
    assert verdict.passed
    assert "waived: is_plateau" in next(gate.reason for gate in verdict.gates if gate.name == "pbo")


def test_break_even_unknown_is_said() -> None:
    assert "break-even spread unknown" in gates.evaluate(POLICY, {**GOOD, "break_even_spread": None}).answer


def test_every_gate_has_a_reason_and_the_design_names_are_there() -> None:
    names = [rule.name for rule in POLICY.gates]
    assert all(len(rule.reason) > 30 for rule in POLICY.gates)
    assert {"completeness", "leak_firewall", "dsr", "out_of_sample_loss", "test_psr", "trades", "walk_forward_share"} <= set(names)
    assert {"break_even_spread", "drawdown", "terminal_agreement"} <= set(names)


def test_verdict_is_plain_json() -> None:
    document = json.loads(json.dumps(gates.evaluate(POLICY, GOOD).to_dict(), allow_nan=False))
    assert document["policy_sha256"] == POLICY.sha256
    assert len(document["gates"]) == len(POLICY.gates)


def test_policy_with_an_unknown_comparison_is_refused() -> None:
    with pytest.raises(ValueError, match="comparison"):
        gates.parse_policy(POLICY_TEXT.replace('">="', '">"', 1))


def test_policy_without_gates_is_refused() -> None:
    with pytest.raises(ValueError, match="complete policy file"):
        gates.parse_policy('name = "x"\nversion = 1\n')
