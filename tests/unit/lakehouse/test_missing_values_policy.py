"""The written policy on missing values: every test that it names is there, and what no other test holds."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tick_assets.domain.instruments import Market
from tick_assets.lakehouse.hour_ledger import completeness

ROOT = Path(__file__).resolve().parents[3]
POLICY = ROOT / "docs" / "missing_values.md"
_NAMED = re.compile(r"`(?P<file>[\w/.]+)::(?P<test>\w+)`")
MONDAY, SATURDAY = date(2024, 1, 8), date(2024, 1, 6)


def test_policy_every_row_of_a_table_names_a_test() -> None:
    rows = [line for line in POLICY.read_text().splitlines() if line.startswith("| ") and not line.startswith("| what is missing")]
    assert len(rows) >= 40
    assert [row for row in rows if not _NAMED.search(row)] == []


@pytest.mark.parametrize(("file", "test"), sorted(set(_NAMED.findall(POLICY.read_text()))))
def test_policy_names_tests_that_exist(file: str, test: str) -> None:
    text = (ROOT / file).read_text()
    assert f"def {test}(" in text or f"- name: {test}\n" in text


def ledger(symbol: str, day: date, states: dict[int, str]) -> list[dict[str, Any]]:
    return [{"symbol": symbol, "date": day, "hour": hour, "state": state} for hour, state in states.items()]


@pytest.mark.parametrize(
    ("states", "share"),
    [
        (dict.fromkeys(range(24), "ok"), 1.0),
        (dict.fromkeys(range(12), "ok"), 0.5),  # an hour without a row of the ledger
        (dict.fromkeys(range(12), "ok") | dict.fromkeys(range(12, 24), "vendor_empty"), 0.5),
        (dict.fromkeys(range(12), "ok") | dict.fromkeys(range(12, 24), "failed"), 0.5),
        (dict.fromkeys(range(12), "ok") | dict.fromkeys(range(12, 24), "pending"), 0.5),
        ({}, 0.0),
    ],
)
def test_completeness_counts_what_is_not_ok_as_missing(market: Market, states: dict[int, str], share: float) -> None:
    rows = ledger("EURUSD", MONDAY, states) + ledger("GBPUSD", MONDAY, dict.fromkeys(range(24), "ok"))
    assert completeness(rows, market, "EURUSD", [MONDAY, SATURDAY]) == share
