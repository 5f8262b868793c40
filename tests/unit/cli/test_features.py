"""`tick features`: the registry as a table and as one document."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from tick_assets.cli.main import build_app


def test_features_as_json_have_all_that_the_registry_says() -> None:
    said = CliRunner().invoke(build_app(), ["features", "--json"])
    rows = json.loads(said.stdout)
    assert (said.exit_code, len(rows)) == (0, 29)
    assert rows[0] == {
        "name": "spread_bps",
        "sets": "base_v1 lead_v1 micro_v1",
        "unit": "bps of mid",
        "formula": "(ask - bid) / mid * 1e4",
        "memory_s": 0,
        "memory_ticks": 0,
        "source": "quoted spread",
    }
    assert rows[-1]["sets"] == "micro_v1"


def test_features_as_a_table_have_a_line_each() -> None:
    said = CliRunner().invoke(build_app(), ["features"])
    assert said.exit_code == 0
    assert len(said.stdout.splitlines()) == 30
