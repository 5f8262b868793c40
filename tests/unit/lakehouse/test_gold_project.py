"""The dbt project agrees with the tables and the kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tick_assets.domain.kernel import ALL_FEATURE_NAMES
from tick_assets.lakehouse.bars import GRAINS
from tick_assets.lakehouse.tables import TABLES

PROJECT = Path(__file__).resolve().parents[3] / "dbt_project"


def test_feature_columns_are_the_kernels() -> None:
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())
    assert tuple(project["vars"]["feature_columns"]) == ALL_FEATURE_NAMES


def test_sources_are_tables_of_the_lakehouse() -> None:
    sources = yaml.safe_load((PROJECT / "models" / "staging" / "_sources.yml").read_text())["sources"]
    assert {f"{source['schema']}.{table['name']}" for source in sources for table in source["tables"]} <= set(TABLES)


def gold_models() -> dict[str, dict[str, Any]]:
    """Return what the YAML beside the gold views says, by view."""
    documents = (yaml.safe_load(path.read_text()) for path in (PROJECT / "models" / "gold").glob("_*.yml"))
    return {model["name"]: model for document in documents for model in document.get("models", ())}


def test_every_gold_view_is_described() -> None:
    assert set(gold_models()) == {path.stem for path in (PROJECT / "models" / "gold").glob("*.sql")}


def test_every_gold_view_has_a_grain_test_and_described_columns() -> None:
    bare = {
        name
        for name, model in gold_models().items()
        if not any("grain" in test for test in model["data_tests"]) or not all(column.get("description") for column in model["columns"])
    }
    assert bare == set()


@pytest.mark.parametrize("grain", GRAINS)
def test_bar_views_show_the_columns_of_their_tables(grain: str) -> None:
    shown = [column["name"] for column in gold_models()[f"bars_{grain}"]["columns"]]
    assert shown == [name for name in TABLES[f"silver.bars_{grain}"].column_types if name != "publication_id"]


def test_examples_describe_every_feature() -> None:
    assert set(ALL_FEATURE_NAMES) <= {column["name"] for column in gold_models()["training_examples"]["columns"]}
