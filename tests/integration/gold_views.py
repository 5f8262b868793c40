"""The gold views of a stack without Dagster: built by dbt, and read whole.

What belongs here: dbt's own command, rows as text. What must not: what a view should say.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tick_assets.lakehouse.query import TrinoQuery
from tick_assets.settings import PROJECT_ROOT, Settings
from tick_assets.stack.environment import environment


def build_gold_views(settings: Settings, folder: Path) -> None:
    """Build the gold views by dbt, as the asset does; the tests of the project run with the road."""
    variables = os.environ | environment(settings) | {"DBT_TARGET_PATH": str(folder / "target"), "DBT_LOG_PATH": str(folder / "logs")}
    variables |= {"TICK_TRINO_PORT": str(settings.trino_port)}
    project = str(PROJECT_ROOT / "dbt_project")
    command = [str(Path(sys.executable).parent / "dbt"), "run", "--project-dir", project, "--profiles-dir", project]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]


def gold_names(trino: TrinoQuery, *columns: str) -> list[str]:
    """Return the names of the gold views that have all these columns."""
    having = "".join(f" and contains(array_agg(column_name), '{name}')" for name in columns)
    sql = f"select table_name from information_schema.columns where table_schema = 'gold' group by 1 having true{having} order by 1"
    return [str(name) for (name,) in trino.rows(sql)]


def gold_rows(trino: TrinoQuery, name: str) -> list[str]:
    """Return all rows of a gold view in an order that does not depend on who read them."""
    return sorted(map(repr, trino.rows(f"select * from gold.{name}")))
