"""`tick raw hours`, `tick raw verify` and `tick raw restore`: what the raw folder holds, whether it is whole, and bringing files back.

What belongs here: options, printing, exit codes. What must not: hashing, the ledger's rules, S3.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, print_table, reporter, say

if TYPE_CHECKING:
    from tick_assets.domain.hour_states import HourState
    from tick_assets.lakehouse.hour_ledger import StatedHour, SymbolHours
    from tick_assets.lakehouse.raw_store import RawStore

SHOWN_MISMATCHES = 100
SymbolsOption = Annotated[str, typer.Option("--symbols", help="Comma-separated symbols.")]
FromOption = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC date.")]
ToOption = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC date, inclusive.")]


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    raw = typer.Typer(no_args_is_help=True, help="The raw store: its hours by state, its files against what was delivered.")
    raw.command("hours")(hours)
    raw.command("verify")(verify)
    raw.command("restore")(restore)
    app.add_typer(raw, name="raw")


def hours(
    symbols: SymbolsOption = "",
    from_date: FromOption = None,
    to_date: ToOption = None,
    state: Annotated[
        str, typer.Option(help="Comma-separated states to list: ok, closed, vendor_empty, failed, pending.")
    ] = "failed,pending",
    as_json: JsonOption = False,
) -> None:
    """List hours by state with reason and URL, a summary per symbol first, and the command that asks for those without an answer.

    Reads manifests only: no server is needed. Default: the configured symbols, from the first recorded date to the last.
    """
    from tick_assets.domain.instruments import UnknownSymbolError, parse_market
    from tick_assets.lakehouse import hour_ledger
    from tick_assets.settings import load_settings

    settings = load_settings()
    wanted, chosen = _states(state), _split(symbols) or settings.symbols
    store, market = _store(), parse_market(settings.market_path.read_text())
    dates = _dates(store, chosen, from_date, to_date)
    try:
        found = list(hour_ledger.stated_hours(store, market, chosen, dates, settings.sources_in_order))
    except UnknownSymbolError as error:
        raise CommandError(str(error)) from error
    summary = [_summary_row(hour_ledger.summarize(found, symbol)) for symbol in chosen]
    listed = [_hour_row(hour) for hour in found if hour.entry.state in wanted]
    if as_json:
        print_json({"summary": summary, "hours": listed, "ask": _commands(found)})
        return
    print_table(summary)
    if listed:
        say()
        print_table(listed, ("symbol", "date", "hour", "state", "source", "reason", "url"))
    say(f"{len(listed)} hours are {' or '.join(wanted)}")
    for command in _commands(found):
        say(f"to ask for those without an answer, and for no other: `{command}`")


def verify(
    symbols: SymbolsOption = "",
    from_date: FromOption = None,
    to_date: ToOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare every raw file with its manifest and with the rows that its delivery gives; any mismatch exits 1 and is named."""
    from tick_assets.lakehouse.raw_verification import verify_raw

    first, last = (at.date() if at else None for at in (from_date, to_date))
    result = verify_raw(_store(), _split(symbols), first, last, progress=reporter(as_json))
    if as_json:
        print_json(result.to_document())
    else:
        for mismatch in result.mismatches[:SHOWN_MISMATCHES]:
            say(str(mismatch))
        say(
            f"{result.files} files of {result.symbol_dates} symbol-dates, {result.deliveries} deliveries, {result.rows:,} rows, "
            f"{result.derived_hours} hours derived again in {result.seconds:.1f} s ({result.rows_per_s:,.0f} rows/s): "
            f"{len(result.mismatches)} mismatches"
        )
    if result.mismatches:
        raise typer.Exit(1)


def restore(
    symbols: SymbolsOption = "",
    from_date: FromOption = None,
    to_date: ToOption = None,
    from_replica: Annotated[bool, typer.Option("--from-replica", help="Bring files from the replica in S3.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring raw files that are missing from the replica in S3, each checked by its hash. A file that is there is never overwritten."""
    from tick_assets.cli.configuration import effective_settings
    from tick_assets.lakehouse.object_store import ObjectStore
    from tick_assets.lakehouse.replication import restore as restore_files

    if not from_replica:
        raise CommandError("Expected where files come from, was nothing. Say --from-replica: it is the only other place of raw files.")
    settings = effective_settings()
    first, last = (at.date() if at else None for at in (from_date, to_date))
    objects = ObjectStore.from_settings(settings)
    done = restore_files(_store(), objects, _split(symbols), first, last, progress=reporter(as_json))
    if as_json:
        print_json(done)
    else:
        for problem in done.problems:
            say(f"{problem.key}: {problem.problem}")
        say(f"{done.restored} files restored ({done.restored_bytes:,} bytes), {done.kept} were there, {len(done.problems)} problems")
    if done.problems:
        raise typer.Exit(1)


def _store() -> RawStore:
    from tick_assets.lakehouse.raw_store import RawStore
    from tick_assets.settings import load_settings

    return RawStore(load_settings().raw_dir)


def _states(text: str) -> tuple[HourState, ...]:
    from tick_assets.domain.hour_states import HourState

    try:
        return tuple(HourState(part) for part in _split(text))
    except ValueError as error:
        raise CommandError(f"Expected states of {', '.join(HourState)}, was {text!r}. Correct --state.") from error


def _dates(store: RawStore, symbols: Sequence[str], first: datetime | None, last: datetime | None) -> list[date]:
    """Return every date between the bounds; a bound that is missing is the first or last recorded date."""
    from tick_assets.lakehouse.hour_ledger import recorded_dates

    recorded = recorded_dates(store, symbols)
    begin = first.date() if first else next(iter(recorded), None)
    end = last.date() if last else next(reversed(recorded), None)
    if begin is None or end is None:
        raise CommandError(f"Expected recorded dates of {', '.join(symbols)}, was none in {store.root}. Give --from and --to.")
    if end < begin:
        raise CommandError(f"Expected --from not after --to, was {begin} and {end}. Swap them.")
    return [begin + timedelta(days=i) for i in range((end - begin).days + 1)]


def _summary_row(summary: SymbolHours) -> dict[str, Any]:
    counts = {str(state): count for state, count in summary.states.items()}
    return {"symbol": summary.symbol} | counts | {"expected": summary.expected, "completeness": round(summary.completeness, 4)}


def _hour_row(hour: StatedHour) -> dict[str, Any]:
    return {
        "symbol": hour.symbol,
        "date": hour.date,
        "hour": hour.hour,
        "state": str(hour.entry.state),
        "is_expected": hour.is_expected,
        "source": hour.source,
        "reason": hour.entry.reason,
        "url": hour.entry.url,
        "revision": hour.entry.revision,
        "rows": hour.entry.rows,
        "checked_at": hour.entry.checked_at,
    }


def _commands(hours: Sequence[StatedHour]) -> list[str]:
    """Return the command that asks the vendor for the hours without an answer; those of an import have to be delivered again."""
    open_ones = [hour for hour in hours if not hour.entry.state.is_answered and hour.origin == "vendor"]
    if not open_ones:
        return []
    symbols = ",".join(sorted({hour.symbol for hour in open_ones}))
    dates = [hour.date for hour in open_ones]
    return [f"tick backfill --symbols {symbols} --from {min(dates)} --to {max(dates)}"]


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
