"""Passports: one canonical form, a chain that shows any change, a signature that only our key makes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tick_assets.domain import passports

PRIVATE, PUBLIC = passports.new_key_pair()


def _payload() -> dict[str, Any]:
    facts: dict[str, Any] = {
        "raw_manifests": [{"symbol": "SYNEDGE", "date": "2024-01-08", "sha256": "a" * 64}],
        "dataset_id": "b" * 64,
        "code_commit": "c" * 40,
        "mlflow_run_id": "d" * 32,
        "verdict": {"id": "v1", "passed": True, "gates": []},
        "model_sha256": "e" * 64,
    }
    return {**facts, "symbol": "SYNEDGE", "chain": passports.model_chain(**facts)}


def test_canonical_json_key_order_changes_nothing() -> None:
    assert passports.canonical_json({"b": 1, "a": [1.5, "é"]}) == passports.canonical_json({"a": (1.5, "é"), "b": 1})
    assert passports.canonical_json({"a": [1.5, "é"]}) == '{"a":[1.5,"é"]}'.encode()


def test_canonical_json_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        passports.canonical_json({"sharpe": float("nan")})
    assert passports.finite({"sharpe": [float("nan"), 1.0]}) == {"sharpe": [None, 1.0]}


def test_verify_signed_passport_returns_payload() -> None:
    passport = passports.sign(_payload(), PRIVATE)
    assert passports.verify(passport, PUBLIC) == _payload()
    assert passport["passport_id"] == passports.passport_id(_payload())


def test_verify_other_key_is_refused() -> None:
    passport = passports.sign(_payload(), PRIVATE)
    with pytest.raises(passports.PassportError, match="signature"):
        passports.verify(passport, passports.new_key_pair()[1])


@pytest.mark.parametrize("field", ["dataset_id", "model_sha256", "code_commit", "mlflow_run_id", "symbol"])
def test_verify_altered_fact_is_refused(field: str) -> None:
    passport = copy.deepcopy(passports.sign(_payload(), PRIVATE))
    passport["payload"][field] = "0" * 64
    with pytest.raises(passports.PassportError):
        passports.verify(passport, PUBLIC)


def test_verify_fact_altered_before_signing_breaks_the_chain() -> None:
    payload = _payload() | {"model_sha256": "0" * 64}
    with pytest.raises(passports.PassportError, match="'model'"):
        passports.verify(passports.sign(payload, PRIVATE), PUBLIC)


def test_check_chain_reordered_links_are_refused() -> None:
    chain = _payload()["chain"]
    with pytest.raises(passports.PassportError, match="follow"):
        passports.check_chain([chain[1], chain[0], *chain[2:]])


def test_verify_missing_chain_is_refused() -> None:
    with pytest.raises(passports.PassportError, match="links"):
        passports.verify(passports.sign(_payload() | {"chain": []}, PRIVATE), PUBLIC)
