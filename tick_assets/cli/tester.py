"""`tick export-mt5`: a model's test dates as files for MetaTrader's own Strategy Tester.

What belongs here: choosing the dates, writing the files. What must not: MetaTrader's formats (`execution.adapters.mt5.tester_files`) or
which way to trade (`assets.backtests`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tick_assets.cli.configuration import effective_settings
from tick_assets.cli.errors import CommandError
from tick_assets.cli.models import ModelArgument, find_verdict, open_bench, open_case, road_errors
from tick_assets.cli.output import JsonOption, print_json, print_table, reporter, say

if TYPE_CHECKING:
    from execution.history import PastBars
    from execution.market import MarketFile
    from execution.simulate import SimulatedSignal
    from tick_assets.domain.ticks import Ticks
    from tick_assets.tracking.judgement import Case

EXPERT = "TickAssetsTester.mq5"
SIGNALS = "tick_assets_signals.csv"
OutOption = Annotated[Path, typer.Option("--out", help="Folder for the files; it is made, and files of the same names are replaced.")]


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("export-mt5")(export_mt5)


@dataclass(frozen=True)
class ExportedDay:
    """One date of a custom symbol."""

    date: str
    ticks: Ticks
    bars: PastBars


@dataclass(frozen=True)
class ExportReport:
    """What was written."""

    model: str
    symbol: str
    dates: tuple[str, ...]
    ticks: int
    bars: int
    signals: int
    utc_offset: str
    files: tuple[str, ...]


def export_mt5(model: ModelArgument, out: OutOption, as_json: JsonOption = False) -> None:
    """Write the ticks, minute bars and signals of a model's test dates for MetaTrader's Strategy Tester, and the expert that reads them.

    How to use them: README.txt beside the files, and docs/metatrader_tester.md.
    """
    from execution.adapters.mt5.tester_files import UnorderedServerTimeError
    from execution.market import parse_market_file

    settings = effective_settings()
    with road_errors():
        bench = open_bench(settings)
        find_verdict(bench.lakehouse, model)
        case = open_case(bench, model)
        market = parse_market_file(settings.market_path.read_text())
        days, signals = exported_days(case, market), signals_of_case(case)
        try:
            report = write_tester_files(out, case.model_id, case.symbol, market, days, signals, reporter(as_json))
        except UnorderedServerTimeError as error:
            raise CommandError(str(error)) from error
    if as_json:
        print_json(report)
        return
    print_table([{"what": name, "value": value} for name, value in asdict(report).items() if name not in ("files", "dates")])
    for file in report.files:
        say(file)


def exported_days(case: Case, market: MarketFile) -> Iterator[ExportedDay]:
    """Yield the test dates with their ticks, and the minute bars that the simulated terminal makes of them."""
    from execution.recorded import holding_terminal, read_day
    from tick_assets.domain.ticks import day_start_us

    events = case.events.on_dates(case.split.test)
    for date, ticks in zip(events.dates, events.ticks, strict=True):
        told = read_day(holding_terminal(market, {case.symbol: ticks}), case.symbol, day_start_us(date))
        yield ExportedDay(date, ticks, told.bars)


def signals_of_case(case: Case) -> list[SimulatedSignal]:
    """Return every entry of the model's test dates."""
    from execution.simulate import signals_of

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dagster calls parts of its own interface beta at every import
        from tick_assets.assets.backtests import case_orders

    events = case.events.on_dates(case.split.test)
    orders, keys = case_orders(case, events)
    return signals_of(case.symbol, keys, events.ts_event_us, orders, case.strategy.max_position, range(len(events)))


def write_tester_files(
    out: Path,
    model_id: str,
    symbol: str,
    market: MarketFile,
    days: Iterable[ExportedDay],
    signals: Sequence[SimulatedSignal],
    progress: Any = lambda line: None,
) -> ExportReport:
    """Write all files of one symbol's dates to a folder; `UnorderedServerTimeError` where MetaTrader could not import them."""
    from execution.adapters.mt5 import tester_files
    from execution.adapters.mt5.server_clock import server_clock_from

    out.mkdir(parents=True, exist_ok=True)
    spec, clock = market.symbol(symbol), server_clock_from(market.server_clock)
    paths = {name: out / f"{symbol}_{name}.csv" for name in ("ticks", "M1")}
    dates, ticks, bars = list[str](), 0, 0
    with paths["ticks"].open("w", newline="") as tick_file, paths["M1"].open("w", newline="") as bar_file:
        tick_file.write(tester_files.tick_header())
        bar_file.write(tester_files.bar_header())
        for day in days:
            tick_file.writelines(tester_files.tick_lines(day.ticks, spec, clock))
            bar_file.writelines(tester_files.bar_lines(day.bars, spec, clock))
            dates, ticks, bars = [*dates, day.date], ticks + len(day.ticks), bars + len(day.bars)
            progress(f"{day.date}: {len(day.ticks):,} ticks, {len(day.bars):,} minute bars")
    with (out / SIGNALS).open("w", newline="") as file:
        file.write(tester_files.signal_header())
        file.writelines(tester_files.signal_lines(signals, spec, clock))
    (out / EXPERT).write_text(resources.files("execution").joinpath("mql5", EXPERT).read_text())
    zone = tester_files.import_clock_of(market.server_clock)
    report = ExportReport(
        model=model_id,
        symbol=symbol,
        dates=tuple(dates),
        ticks=ticks,
        bars=bars,
        signals=len(signals),
        utc_offset=zone,
        files=tuple(str(path) for path in (*paths.values(), out / SIGNALS, out / EXPERT, out / "README.txt")),
    )
    (out / "README.txt").write_text(_text(report, tester_files.symbol_settings(market, symbol)))
    return report


def _text(report: ExportReport, settings: Mapping[str, Any]) -> str:
    width = max(len(name) for name in settings)
    table = "\n".join(f"   {name:<{width}}  {value}" for name, value in settings.items())
    span = f"{report.dates[0]} to {report.dates[-1]}" if report.dates else "no date"
    return f"""{report.model} in MetaTrader's Strategy Tester
{report.symbol}, {span} (UTC): {report.ticks:,} ticks, {report.bars:,} minute bars, {report.signals:,} signals. All stamps are server time.

1. Custom symbol: Symbols (Ctrl+U), Create Custom Symbol, name {report.symbol}.ta, and these settings:
{table}
2. Its Bars tab, M1: Import Bars, {report.symbol}_M1.csv. Then its Ticks tab: Import Ticks, {report.symbol}_ticks.csv.
   Without the bars MetaTrader drops the ticks.
3. Copy {SIGNALS} to the common folder (File, Open Common Data Folder, Files), {EXPERT} to MQL5\\Experts, compile it.
4. Strategy Tester: expert TickAssetsTester, symbol {report.symbol}.ta, M1, "Every tick based on real ticks", these dates.

Read back here:
   tick import {report.symbol}_ticks.csv --symbol {report.symbol} --format mt5-export --utc-offset {report.utc_offset}
What agrees and what can't: docs/metatrader_tester.md
"""
