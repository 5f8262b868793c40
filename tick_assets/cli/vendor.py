"""`tick vendor generate|serve|instruments` and `tick import`.

What belongs here: arguments, printing, exit codes. What must not: anything that other code could want to call.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, print_table, say

if TYPE_CHECKING:
    from datetime import date

    from tick_assets.domain.instruments import Market
    from tick_assets.domain.synthetic_market import SyntheticMarket
    from tick_assets.lakehouse.vendors.instrument_table import InstrumentTable, ListedInstrument

DEMO_SYMBOLS = "SYNEDGE,SYNWEAK,SYNNULL"


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    vendor = typer.Typer(no_args_is_help=True, help="The vendor's instruments, and its twin: generate a synthetic market, serve a folder.")
    vendor.command("generate")(generate)
    vendor.command("serve")(serve)
    vendor.command("instruments")(instruments)
    app.add_typer(vendor, name="vendor")
    app.command("import")(import_files)


def generate(
    root: Annotated[Path, typer.Option(help="Folder to write, laid out as the vendor's paths.")],
    from_date: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC date.")],
    to_date: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC date, inclusive.")],
    symbols: Annotated[str, typer.Option(help="Comma-separated names beginning with SYN.")] = DEMO_SYMBOLS,
    seed: Annotated[int, typer.Option(help="Seed of the market.")] = 20240108,
    k: Annotated[float | None, typer.Option(help="Edge strength of all symbols; by default each demo symbol has its own.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Generate a synthetic market with a known edge into a vendor folder."""
    import time

    from tick_assets.lakehouse.vendors.synthetic import RealNameError, generate_folder, latent_folder

    started = time.monotonic()
    markets = {symbol: _synthetic_market(symbol, k) for symbol in _split(symbols)}
    dates = _dates(from_date, to_date)
    try:
        days = generate_folder(root, markets, dates, seed)
    except RealNameError as error:
        raise CommandError(str(error)) from error
    counts = {symbol: sum(day.ticks for day in days if day.symbol == symbol) for symbol in markets}
    seconds = round(time.monotonic() - started, 2)
    if as_json:
        strengths = {symbol: market.k for symbol, market in markets.items()}
        latent = str(latent_folder(root))
        print_json(
            {"root": str(root), "latent": latent, "seed": seed, "dates": len(dates), "k": strengths, "ticks": counts, "seconds": seconds}
        )
        return
    for symbol, market in markets.items():
        say(f"{symbol}: {counts[symbol]:,} ticks on {len(dates)} dates, k = {market.k:g}, seed {seed}")
    say(f"wrote {root} in {seconds} s; latent series lie in {latent_folder(root)}")


def _synthetic_market(symbol: str, k: float | None) -> SyntheticMarket:
    from tick_assets.domain.synthetic_market import EDGE_STRENGTHS, SyntheticMarket

    strength = EDGE_STRENGTHS.get(symbol) if k is None else k
    if strength is None:
        raise CommandError(f"Expected an edge strength for {symbol}, was none. Give --k, or choose from {', '.join(EDGE_STRENGTHS)}.")
    return SyntheticMarket(k=strength)


def serve(
    root: Annotated[Path, typer.Option(help="Folder laid out as the vendor's paths.")],
    faults: Annotated[Path | None, typer.Option(help="TOML or JSON file of faults to inject.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one and prints it.")] = 15486,
) -> None:
    """Serve a vendor folder in both wire formats until interrupted."""
    from tick_assets.lakehouse.vendors.faults import FaultScript, read_faults
    from tick_assets.lakehouse.vendors.twin import TwinFolder, TwinServer

    try:
        folder = TwinFolder(root, _market())
        script = FaultScript(read_faults(faults) if faults else ())
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    try:
        server = TwinServer(folder, script, host, port)
    except OSError as error:
        raise CommandError(f"Expected port {port} on {host} to be free, was taken ({error}). Give another --port.") from error
    say(f"serving {root} ({folder.source_name}) at {server.address}")
    say(f"  TICK_VENDOR_URL={server.address} TICK_VENDOR_JSON_URL={server.address}")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


def instruments(
    symbol: Annotated[str, typer.Argument(help="One symbol, for instance EURUSD; by default all.")] = "",
    import_file: Annotated[
        Path | None, typer.Option("--import", help="The vendor's metadata as csv, json or jsonp; entries replace those of the kept table.")
    ] = None,
    as_toml: Annotated[bool, typer.Option("--toml", help="Print a section of the market file for the symbol.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look up, or import, what the vendor lists: code, point factor and first tick of its instruments."""
    from tick_assets.lakehouse.vendors.instrument_table import InstrumentTableError, market_section, read_table
    from tick_assets.settings import load_settings

    path = load_settings().instruments_path
    try:
        if import_file is not None:
            _import_instruments(import_file, path, as_json)
            return
        table = read_table(path)
    except (InstrumentTableError, OSError) as error:
        raise CommandError(str(error)) from error
    if table is None:
        raise CommandError(f"Expected an instrument table at {path}, was none. Run `tick vendor instruments --import FILE` first.")
    listed = [_listed(table, symbol)] if symbol else list(table.values())
    if as_toml:
        if not symbol:
            raise CommandError("Expected one symbol with --toml, was none. Name it.")
        say(market_section(listed[0]).rstrip())
    elif as_json:
        print_json(listed[0] if symbol else listed)
    else:
        print_table([asdict(each) for each in listed], ("symbol", "code", "group", "point_factor", "tick_start", "description"))


def _import_instruments(source: Path, path: Path, as_json: bool) -> None:
    from tick_assets.lakehouse.vendors.instrument_table import InstrumentTable, parse_instruments, read_table, write_table

    newer = parse_instruments(source.read_bytes(), source.name)
    known = read_table(path) or InstrumentTable(())
    merged = known.updated(newer)
    changed = {symbol: entry for symbol, entry in merged.items() if known.get(symbol) != entry}
    write_table(path, merged)
    counts = {
        "read": len(newer),
        "new": sum(symbol not in known for symbol in changed),
        "changed": sum(symbol in known for symbol in changed),
    }
    if as_json:
        print_json({**counts, "instruments": len(merged), "table": str(path), "mismatches": _mismatches(merged)})
        return
    say(f"read {counts['read']:,} instruments of {source.name}: {counts['new']:,} new, {counts['changed']:,} changed")
    say(f"{len(merged):,} instruments in {path}")
    for mismatch in _mismatches(merged):
        say(f"  {mismatch}")


def _mismatches(table: InstrumentTable) -> list[str]:
    """Return where the market file disagrees with the table; ingestion refuses such a symbol."""
    from tick_assets.lakehouse.ingestion import InstrumentMismatchError, require_listed

    found = []
    for symbol, instrument in _market().instruments.items():
        try:
            require_listed(table.get(symbol), instrument)
        except InstrumentMismatchError as error:
            found.append(str(error))
    return found


def _listed(table: InstrumentTable, symbol: str) -> ListedInstrument:
    from difflib import get_close_matches

    listed = table.get(symbol)
    if listed is None:
        near = ", ".join(get_close_matches(symbol.upper(), list(table))) or "none"
        raise CommandError(
            f"Expected one of {len(table):,} listed symbols, was {symbol!r} (similar: {near}). Import a newer table, or correct it."
        )
    return listed


def import_files(
    path: Annotated[Path, typer.Argument(help="A file, the symbol's folder or its parent.")],
    symbol: Annotated[str, typer.Option(help="Symbol of the files.")],
    format_name: Annotated[str, typer.Option("--format", help="A format's name, or auto.")] = "auto",
    utc_offset: Annotated[
        str | None,
        typer.Option(help="The files' clock: hours ahead of UTC, eet, ny+7, a zone, or auto; by default what the format says."),
    ] = None,
    from_date: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC date to import.")] = None,
    to_date: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC date to import, inclusive.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Import local tick files into the raw store."""
    from tick_assets.domain.instruments import UnknownSymbolError
    from tick_assets.lakehouse.importers.importing import ImportRefusedError, import_path
    from tick_assets.lakehouse.raw_store import RawStore
    from tick_assets.lakehouse.vendors.dukascopy import utc_now
    from tick_assets.settings import load_settings

    try:
        report = import_path(
            path,
            RawStore(load_settings().raw_dir),
            _market().instrument(symbol),
            format_name=format_name,
            utc_offset=utc_offset,
            first=from_date.date() if from_date else None,
            last=to_date.date() if to_date else None,
            now=utc_now(),
            progress=None if as_json else lambda day: say(f"  {day.date} {day.rows:>9,} rows {day.described}"),
        )
    except (ImportRefusedError, UnknownSymbolError) as error:
        raise CommandError(str(error)) from error
    if as_json:
        print_json(report.to_document())
    else:
        say(f"imported {report.rows:,} rows on {len(report.dates)} dates of {symbol} as {report.source} ({report.format}: {report.reason})")
        for remark in report.remarks:
            say(f"  {remark}")
    if report.unusable:
        raise CommandError(
            f"Expected hours of ticks, was not so {len(report.unusable)} times: {'; '.join(report.unusable[:5])}. "
            "Those hours are `failed` in the ledger and their bytes in quarantine; the others were imported. Deliver them again."
        )


def _market() -> Market:
    from tick_assets.domain.instruments import parse_market
    from tick_assets.settings import load_settings

    return parse_market(load_settings().market_path.read_text())


def _dates(first: datetime, last: datetime) -> list[date]:
    from datetime import timedelta

    if last < first:
        raise CommandError(f"Expected --from not after --to, was {first.date()} and {last.date()}. Swap them.")
    return [first.date() + timedelta(days=offset) for offset in range((last - first).days + 1)]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
