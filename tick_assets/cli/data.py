"""`tick sql`: Trino, on everything.

What belongs here: options and printing of rows. What must not: SQL of the road, versions of tables (`tables`) or datasets (`datasets`).
"""

from __future__ import annotations

import csv
import sys
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tick_assets.cli.configuration import effective_settings
from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Sequence


class OutputFormat(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


FormatOption = Annotated[OutputFormat, typer.Option("--format", help="How rows are printed.")]


def app_commands(app: typer.Typer) -> None:
    """Register the command."""
    app.command("sql")(sql)


def sql(
    statement: Annotated[str, typer.Argument(help="One statement; the default catalog is `lakehouse`, the default schema `gold`.")],
    output: FormatOption = OutputFormat.TABLE,
    as_json: JsonOption = False,
) -> None:
    """Run SQL on everything through Trino. A table may be read `FOR VERSION AS OF` a tag or snapshot; a view may not."""
    from tick_assets.lakehouse.history import ViewError, refuse_versioned_views
    from tick_assets.lakehouse.query import QueryError, TrinoQuery
    from tick_assets.settings import PROJECT_ROOT

    try:
        refuse_versioned_views(statement, PROJECT_ROOT / "dbt_project")
        result = TrinoQuery.from_settings(effective_settings()).query(statement)
    except (QueryError, ViewError) as error:
        raise CommandError(str(error)) from error
    print_rows(result.columns, result.rows, OutputFormat.JSON if as_json else output)


def print_rows(columns: Sequence[str], rows: Sequence[tuple[Any, ...]], output: OutputFormat) -> None:
    """Print rows as a table, one JSON document or CSV."""
    dictionaries = [dict(zip(columns, row, strict=True)) for row in rows]
    if output is OutputFormat.JSON:
        print_json(dictionaries)
    elif output is OutputFormat.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_csv_cell(value) for value in row] for row in rows)
    else:
        print_table(dictionaries, columns)
        say(f"({len(rows)} rows)")


def _csv_cell(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, (date, datetime)) else value
