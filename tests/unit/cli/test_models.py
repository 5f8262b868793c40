"""`tick models`, `tick verdict`, `tick verify`: names, lines and what a difference advises."""

from __future__ import annotations

import pytest

from tick_assets.cli.errors import CommandError
from tick_assets.cli.models import _gate_line, _remedy, parse_name, path_of
from tick_assets.tracking.model_index import ModelName, UnknownModelError, parse_model_name
from tick_assets.tracking.verification import Difference, Verification, is_equal

KNOWN = {"SYNEDGE.direction@1", "EUR.USD.carry@12"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SYNEDGE.direction@1", ModelName("SYNEDGE", "direction", "1")),
        ("EUR.USD.carry@12", ModelName("EUR.USD", "carry", "12")),
    ],
)
def test_model_name_is_symbol_strategy_and_version(text: str, name: ModelName) -> None:
    parsed = parse_model_name(text, KNOWN)
    assert (parsed, str(parsed)) == (name, text)


@pytest.mark.parametrize("text", ["", "SYNEDGE", "SYNEDGE.direction", "SYNEDGE@1", ".direction@1", "SYNEDGE.direction@2"])
def test_model_name_unknown_lists_the_known(text: str) -> None:
    with pytest.raises(UnknownModelError, match=r"Known: EUR\.USD\.carry@12, SYNEDGE\.direction@1"):
        parse_model_name(text, KNOWN)


def test_parse_name_unknown_is_a_command_error() -> None:
    with pytest.raises(CommandError, match="none yet"):
        parse_name("SYNEDGE.direction@1", set())


def test_path_of_file_url_is_a_plain_path() -> None:
    assert path_of("file:///state/reports/SYNEDGE.direction%401.html") == "/state/reports/SYNEDGE.direction@1.html"


def test_path_of_other_url_stays() -> None:
    assert path_of("s3://tick/reports/a%20b.html") == "s3://tick/reports/a%20b.html"


def test_gate_line_says_threshold_with_its_comparison() -> None:
    gate = {"name": "dsr", "figure": 0.5, "comparison": ">=", "threshold": 0.95, "result": "refuse", "label": "Deflated"}
    assert _gate_line(gate)["threshold"] == ">= 0.95"


@pytest.mark.parametrize(
    ("stored", "recomputed", "equal"),
    [
        (1.0, 1.0 + 1e-12, True),
        (1.0, 1.001, False),
        (None, float("nan"), True),
        (True, 1, True),
        (False, 1, False),
        ([1.0, 2.0], (1.0, 2.0), True),
        ([1.0], [1.0, 2.0], False),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ({"a": [1.0, None]}, {"a": (1.0, None)}, True),
        ("f943", "f944", False),
        (None, 0.0, False),
    ],
)
def test_is_equal_compares_plain_values(stored: object, recomputed: object, equal: bool) -> None:
    assert is_equal(stored, recomputed) is equal


@pytest.mark.parametrize(("part", "advice"), [("dataset", "tick drill"), ("model", "train again")])
def test_remedy_names_what_to_do(part: str, advice: str) -> None:
    assert advice in _remedy(Verification("SYNEDGE.direction@1", {}, (Difference(part, "id", "a", "b"),)))
