"""`tick history`, `tick read`, `tick rollback-table` and `tick table …`: what a person asks of the versions of one table.

What belongs here: options, printing, what to do next. What must not: how a version is found (`lakehouse.history`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tick_assets.cli.configuration import effective_settings
from tick_assets.cli.data import FormatOption, OutputFormat, print_rows
from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, print_table, say

if TYPE_CHECKING:
    from tick_assets.lakehouse.history import Roll

TableName = Annotated[str, typer.Argument(help="A table such as silver.ticks.")]
SHOWN_DATES = 10


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("history")(history)
    app.command("read")(read)
    app.command("rollback-table")(rollback_table)
    table = typer.Typer(no_args_is_help=True, help="Columns that come later.")
    table.command("add-column")(add_column)
    table.command("widen-column")(widen_column)
    app.add_typer(table, name="table")


def history(table: TableName, as_json: JsonOption = False) -> None:
    """List the versions of a table, oldest first; `was_current` says whether readers saw it."""
    from tick_assets.lakehouse import history as past
    from tick_assets.lakehouse.catalog import Lakehouse

    with catalog_errors():
        past.refuse_view(table, _dbt_project())
        found = past.versions(Lakehouse.from_settings(effective_settings()), table)
    if as_json:
        print_json(found)
        return
    rows = [vars(each) | {"refs": ", ".join(each.refs), "was_current": "yes" if each.was_current else "no"} for each in found]
    print_table(rows, ("snapshot_id", "committed_at", "operation", "added_rows", "deleted_rows", "total_rows", "was_current", "refs"))
    say(f"read one: `tick read {table} --as-of SNAPSHOT`, or in SQL `from {table} for version as of SNAPSHOT` (a tag in quotes)")


def read(
    table: TableName,
    as_of: Annotated[str, typer.Option("--as-of", help="A tag, a snapshot id, or a time such as 2024-01-09T12:00:00Z.")] = "main",
    where: Annotated[str, typer.Option(help="Such as: symbol == 'EURUSD' and date == '2024-01-09'.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 100,
    output: FormatOption = OutputFormat.TABLE,
    as_json: JsonOption = False,
) -> None:
    """Read rows of a table as of a version, with the columns that it had then. Views have no versions."""
    from pyiceberg.expressions import AlwaysTrue

    from tick_assets.lakehouse import history as past
    from tick_assets.lakehouse.catalog import Lakehouse

    with catalog_errors():
        past.refuse_view(table, _dbt_project())
        lakehouse = Lakehouse.from_settings(effective_settings())
        rows = past.read(lakehouse, table, as_of, where or AlwaysTrue(), limit)
    print_rows(rows.columns, rows.rows(), OutputFormat.JSON if as_json else output)


def rollback_table(
    table: TableName,
    to: Annotated[str, typer.Option("--to", help="What to make current: a snapshot id, a tag, or a time such as 2024-01-09T12:00:00Z.")],
    as_json: JsonOption = False,
) -> None:
    """Make a version that readers saw before current again. Later ones stay and can be rolled forward to; changed dates are named."""
    from tick_assets.lakehouse import history as past
    from tick_assets.lakehouse.catalog import Lakehouse

    with catalog_errors():
        past.refuse_view(table, _dbt_project())
        done = past.roll(Lakehouse.from_settings(effective_settings()), table, to)
    changed = [dict(zip(("symbol", "date", "rows_before", "rows_after"), row, strict=True)) for row in done.changed]
    mend = _mend(done)
    if as_json:
        print_json({"table": table, "before": str(done.before), "after": str(done.after), "changed": changed, "mend": mend})
        return
    say(f"{table}: {done.before} -> {done.after}; undo with `tick rollback-table {table} --to {done.before}`")
    if changed:
        say(f"published rows changed on {len(changed)} dates; views and new datasets show them so:")
        print_table(changed[:SHOWN_DATES])
        say(f"to build these dates again: `{mend}`")
        say("to take the other tables back too: the same command with `--to TIME` for evidence.publications and each silver table")


def _mend(done: Roll) -> str | None:
    """Return the command that builds the changed dates again."""
    if not done.changed:
        return None
    symbols, dates = sorted({row[0] for row in done.changed}), sorted({row[1] for row in done.changed})
    assets = 'group:"silver"' + (' or key:"raw/ticks"' if done.table == "raw.ticks" else "")
    return f"tick backfill --symbols {','.join(symbols)} --from {dates[0]} --to {dates[-1]} --select '{assets}'"


def add_column(
    table: TableName,
    column: Annotated[str, typer.Argument(help="The new column.")],
    type_word: Annotated[str, typer.Argument(metavar="TYPE", help="string, long, int, double, bool, date or timestamp.")],
    as_json: JsonOption = False,
) -> None:
    """Add a column at the end. No file is rewritten: rows that are there have null in it, and versions before it read as before."""
    from tick_assets.lakehouse import history as past
    from tick_assets.lakehouse.catalog import Lakehouse

    with catalog_errors():
        past.refuse_view(table, _dbt_project())
        field_id = past.add_column(Lakehouse.from_settings(effective_settings()), table, column, type_word)
    _say_column(table, column, type_word, field_id, as_json)


def widen_column(
    table: TableName,
    column: Annotated[str, typer.Argument(help="The column.")],
    type_word: Annotated[str, typer.Argument(metavar="TYPE", help="The wider type: long for an int.")],
    as_json: JsonOption = False,
) -> None:
    """Give a column a wider type. No file is rewritten; content hashes stay, because widths don't count in them."""
    from tick_assets.lakehouse import history as past
    from tick_assets.lakehouse.catalog import Lakehouse

    with catalog_errors():
        past.refuse_view(table, _dbt_project())
        field_id = past.widen_column(Lakehouse.from_settings(effective_settings()), table, column, type_word)
    _say_column(table, column, type_word, field_id, as_json)


def _say_column(table: str, column: str, type_word: str, field_id: int, as_json: bool) -> None:
    if as_json:
        print_json({"table": table, "column": column, "type": type_word, "field_id": field_id})
    else:
        say(f"{table}.{column} is {type_word} (field {field_id}); no file was rewritten")


@contextmanager
def catalog_errors() -> Iterator[None]:
    """Turn what the catalog refuses, or a stack that is down, into the command line's errors."""
    from pyiceberg.exceptions import NoSuchTableError, ValidationError
    from sqlalchemy.exc import OperationalError

    from tick_assets.lakehouse.commits import CommitUnknownError

    try:
        yield
    except OperationalError as error:
        raise CommandError("Expected the catalog's Postgres, was not reached. Run `tick up`.") from error
    except NoSuchTableError as error:
        raise CommandError(f"Expected a table such as silver.ticks, was unknown: {error}.") from error
    except (LookupError, FileNotFoundError, ValueError, ValidationError, CommitUnknownError) as error:
        raise CommandError(str(error)) from error


def _dbt_project() -> Path:
    from tick_assets.settings import PROJECT_ROOT

    return PROJECT_ROOT / "dbt_project"
