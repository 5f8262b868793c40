"""The dbt project agrees with the tables and the kernel."""

from __future__ import annotations

from pathlib import Path

import yaml

from tick_assets.domain.kernel import FEATURE_NAMES
from tick_assets.lakehouse.tables import TABLES

PROJECT = Path(__file__).resolve().parents[3] / "dbt_project"


def test_feature_columns_are_the_kernels() -> None:
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())
    assert tuple(project["vars"]["feature_columns"]) == FEATURE_NAMES


def test_sources_are_tables_of_the_lakehouse() -> None:
    sources = yaml.safe_load((PROJECT / "models" / "staging" / "_sources.yml").read_text())["sources"]
    assert {f"{source['schema']}.{table['name']}" for source in sources for table in source["tables"]} <= set(TABLES)


def test_every_gold_view_is_described() -> None:
    described = {model["name"] for model in yaml.safe_load((PROJECT / "models" / "gold" / "_gold.yml").read_text())["models"]}
    assert described == {path.stem for path in (PROJECT / "models" / "gold").glob("*.sql")}
