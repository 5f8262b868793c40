"""`tick side import|list`: side tables, values of other feeds with the time from when on they were known.

What belongs here: options, printing, exit codes. What must not: what a file says (`lakehouse.side_files`), what counts of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, print_table, say

if TYPE_CHECKING:
    from tick_assets.lakehouse.side_tables import Delivery, SideFolder
    from tick_assets.settings import Settings


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    side = typer.Typer(no_args_is_help=True, help="Side tables: calendars, rates and other feeds, each value with when it was known.")
    side.command("import")(import_side)
    side.command("list")(list_side)
    app.add_typer(side, name="side")


def import_side(
    feed: Annotated[str, typer.Argument(help="The feed's name, such as calendar.")],
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="A CSV with a header: ts_event, known_at, symbol|currency|key, name, values.")
    ],
    known_at_column: Annotated[
        str | None, typer.Option(help="The column that says from when on a row was known; default: known_at.")
    ] = None,
    delay: Annotated[str | None, typer.Option(help="Without such a column: how long after ts_event a row is known, such as 5m.")] = None,
    text_column: Annotated[list[str] | None, typer.Option(help="A column of texts; may be given again.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Deliver a file to a side table; rows that can't be taken go to quarantine, the good ones stay, and the exit code is 1."""
    from datetime import UTC, datetime

    from tick_assets.cli.configuration import effective_settings
    from tick_assets.lakehouse.side_files import Reading, SideFileError, parse_delay
    from tick_assets.lakehouse.side_tables import SideFolder

    settings = effective_settings()
    folder = SideFolder(settings.side_dir)
    try:
        reading = Reading(known_at_column, parse_delay(delay) if delay else None, tuple(text_column or ()))
        delivery, is_new = folder.deliver(feed, path.read_bytes(), path.name, reading, now=datetime.now(UTC))
    except (SideFileError, OSError) as error:
        raise CommandError(str(error)) from error
    unwritten = _write_table(settings, folder, feed)
    document = _document(folder, delivery) | {"is_new": is_new, "is_in_table": not unwritten}
    if as_json:
        print_json(document)
    else:
        _say_delivery(document)
    problems = [*_refusals(document), *unwritten]
    if problems:
        raise CommandError(" ".join(problems))


def _write_table(settings: Settings, folder: SideFolder, feed: str) -> list[str]:
    """Append the feed's deliveries to its table; return why not, if the stack is not there: the file is kept either way."""
    from sqlalchemy.exc import OperationalError

    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.lakehouse.side_files import SideFileError
    from tick_assets.lakehouse.side_tables import publish

    try:
        lakehouse = Lakehouse.from_settings(settings)
        lakehouse.ensure_tables()
    except (OperationalError, FileNotFoundError):
        return ["Expected the catalog's Postgres, was not reached: the file is kept. Run `tick up`, then the same command again."]
    try:
        publish(lakehouse, folder, [feed])
    except (SideFileError, OSError) as error:
        return [f"Expected the values in the table, was: {error}. The file is kept; mend that, then run the same command again."]
    return []


def _document(folder: SideFolder, delivery: Delivery) -> dict[str, Any]:
    quarantine = folder.quarantine_path(delivery.feed, delivery.sha256)
    return {
        "feed": delivery.feed,
        "delivery": delivery.number,
        "file": delivery.file_name,
        "sha256": delivery.sha256,
        "rows": delivery.rows,
        "values": delivery.values,
        "repeated": delivery.repeated,
        "refused": delivery.refused,
        "quarantine": quarantine if delivery.refused else None,
    }


def _say_delivery(document: dict[str, Any]) -> None:
    what = "delivered" if document["is_new"] else "delivered before"
    say(f"{document['feed']} #{document['delivery']} {what}: {document['file']} ({document['sha256'][:12]})")
    counts = (
        f"{document[name]:,} {text}" for name, text in (("values", "new values"), ("repeated", "said before"), ("refused", "refused"))
    )
    say(f"  {document['rows']:,} rows: {', '.join(counts)}")


def _refusals(document: dict[str, Any]) -> list[str]:
    if not document["refused"]:
        return []
    was = f"Expected every row to be taken, was {document['refused']} refused; the good ones stay."
    return [was, f"Look at {document['quarantine']}, and deliver the corrected rows as another file."]


def list_side(as_json: JsonOption = False) -> None:
    """List the feeds of this state folder: deliveries, values, names and the times that they cover."""
    from tick_assets.cli.configuration import effective_settings
    from tick_assets.lakehouse.side_files import SideFileError
    from tick_assets.lakehouse.side_tables import SideFolder, summarize

    folder = SideFolder(effective_settings().side_dir)
    try:
        rows = [summarize(folder, feed) for feed in folder.feeds()]
    except (SideFileError, OSError) as error:
        raise CommandError(str(error)) from error
    if as_json:
        print_json(rows)
    elif rows:
        print_table([{**row, "names": len(row["names"]), "keys": ",".join(row["keys"][:6])} for row in rows])
    else:
        say("no side tables yet; `tick side import FEED FILE` makes one")
