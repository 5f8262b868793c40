"""`tick report data` and `tick report index`: the state of the data as one page, and the page of all verdicts.

What belongs here: options, opening the lake, printing. What must not: figures or HTML (`domain.data_report`, `domain.report_index`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tick_assets.cli.configuration import effective_settings
from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, say
from tick_assets.cli.tables import catalog_errors

if TYPE_CHECKING:
    from tick_assets.domain.tick_statistics import SymbolStatistics
    from tick_assets.settings import Settings


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    report = typer.Typer(no_args_is_help=True, help="Pages that anyone can open.")
    report.command("data")(data)
    report.command("index")(index)
    app.add_typer(report, name="report")


def data(
    symbols: Annotated[str, typer.Option(help="Comma-separated symbols; default: all that the lake knows.")] = "",
    from_date: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC date.")] = None,
    to_date: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC date, inclusive.")] = None,
    out: Annotated[Path | None, typer.Option(help="The page's file; default: reports/data.html in the state folder.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is there, what is missing and what the ticks look like, from the published tables; write it as one page."""
    from tick_assets.domain.data_answers import FIRST_STEPS, answer, headline, remedy, to_document
    from tick_assets.domain.data_report import DataReport, render_data_report
    from tick_assets.lakehouse.durable_files import write_file

    first, last = (at.date() if at else None for at in (from_date, to_date))
    if first and last and last < first:
        raise CommandError(f"Expected --from before --to, was {first} and {last}. Swap them.")
    settings = effective_settings()
    chosen = [part.strip() for part in symbols.split(",") if part.strip()]
    with _lake_errors(settings):
        statistics, unknown = _read(settings, chosen, first, last)
    path = out or settings.reports_dir / "data.html"
    page = render_data_report(DataReport(statistics, datetime.now(UTC), os.environ.get("TICK_CODE_COMMIT", ""), unknown))
    write_file(path, page.encode())
    if as_json:
        print_json({"path": path.absolute(), "headline": headline(statistics), "symbols": [to_document(each) for each in statistics]})
        return
    say(headline(statistics))
    for each in statistics:
        say(f"{each.symbol}: {answer(each)}")
        if remedy(each):
            say(f"   to do: {remedy(each)}")
    if not any(each.cells for each in statistics):
        say(FIRST_STEPS)
    say(f"report: {path.absolute()}")


def index(as_json: JsonOption = False) -> None:
    """Write the page that lists all verdicts, the newest first, with links to their reports; each verdict rewrites it too."""
    from tick_assets.domain.report_index import headline, newest_first
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.tracking.model_index import verdict_rows
    from tick_assets.tracking.report_files import index_lines, write_index

    settings = effective_settings()
    with _lake_errors(settings):
        lakehouse = Lakehouse.from_settings(settings)
        lakehouse.ensure_tables()
        lines = newest_first(index_lines(verdict_rows(lakehouse).values(), settings.reports_dir))
        path = write_index(lakehouse, settings.reports_dir, datetime.now(UTC)).absolute()
    if as_json:
        print_json({"path": path, "headline": headline(lines), "verdicts": lines})
        return
    say(headline(lines))
    say(f"index: {path}")


@contextmanager
def _lake_errors(settings: Settings) -> Iterator[None]:
    """Name the servers that do not answer when the lake can't be read."""
    from tick_assets.lakehouse.servers import silent_servers

    try:
        with catalog_errors():
            yield
    except OSError as error:
        away = silent_servers(settings)
        if not away:
            raise
        raise CommandError(f"Expected {', '.join(away)} to answer, was silent. Run `tick up`.") from error


def _read(settings: Settings, chosen: list[str], first: date | None, last: date | None) -> tuple[list[SymbolStatistics], list[str]]:
    """Return the statistics of the chosen symbols, or of all in the lake, and which of the lake's the market file does not know."""
    from tick_assets.domain.instruments import parse_market
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.lakehouse.data_statistics import read_statistics, symbols_with_data

    lakehouse = Lakehouse.from_settings(settings)
    lakehouse.ensure_tables()
    market = parse_market(settings.market_path.read_text())
    known = [] if chosen else symbols_with_data(lakehouse)
    unknown = [symbol for symbol in known if symbol not in market.instruments]
    return read_statistics(lakehouse, market, chosen or [symbol for symbol in known if symbol not in unknown], first, last), unknown
