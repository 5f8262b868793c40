"""`tick export-mt5`: its files are in MetaTrader's formats, and our own importer reads the same ticks back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from execution.adapters.mt5.tester_files import UnorderedServerTimeError, import_clock_of
from execution.market import MarketFile, default_market_text, parse_market_file
from execution.recorded import holding_terminal, read_day
from execution.simulate import SimulatedSignal
from tick_assets.cli.tester import EXPERT, SIGNALS, ExportedDay, write_tester_files
from tick_assets.domain.instruments import parse_market
from tick_assets.domain.ticks import DAY_US, Ticks, day_start_us
from tick_assets.lakehouse.importers.importing import import_path
from tick_assets.lakehouse.raw_store import RawStore

TEXT = default_market_text()
FILE = parse_market_file(TEXT)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def ticks_of(date: str, gap_ms: int = 9_731) -> Ticks:
    """Return a whole date of quotes; some share a stamp."""
    start = day_start_us(date)
    offsets = np.arange(0, DAY_US, gap_ms * 1000, dtype=np.int64)
    stamps = start + np.repeat(offsets, np.where(np.arange(len(offsets)) % 50 == 0, 2, 1))
    bid = 110_000 + np.arange(len(stamps)) % 211
    return Ticks(stamps, bid, bid + 1 + np.arange(len(stamps)) % 7, np.ones(len(stamps)), np.ones(len(stamps)))


def export(folder: Path, dates: Iterable[str], market: MarketFile = FILE) -> list[Ticks]:
    given = {date: ticks_of(date) for date in dates}
    days = [
        ExportedDay(date, ticks, read_day(holding_terminal(market, {"EURUSD": ticks}), "EURUSD", day_start_us(date)).bars)
        for date, ticks in given.items()
    ]
    at = day_start_us("2024-01-10") + 12 * 3_600_000_000 + 123_000
    signals = [
        SimulatedSignal("b" * 64, "EURUSD", at + 60_000_000, -1, 110_300, 109_900, at + 360_000_000, 0.1),
        SimulatedSignal("a" * 64, "EURUSD", at, 1, 109_900, 110_250, at + 300_000_000, 0.25),
    ]
    write_tester_files(folder, "EURUSD.direction@1", "EURUSD", market, days, signals)
    return list(given.values())


@pytest.mark.parametrize(
    "section", [{"kind": "ny_plus_7"}, {"kind": "zoneinfo", "zone": "Europe/Athens"}, {"kind": "fixed", "offset_hours": 5.5}]
)
@pytest.mark.parametrize("dates", [("2024-03-08", "2024-03-10", "2024-03-11", "2024-03-31"), ("2024-10-25", "2024-10-28", "2024-11-04")])
def test_exported_ticks_come_back_with_equal_stamps_and_points(tmp_path: Path, section: dict[str, object], dates: tuple[str, ...]) -> None:
    market = replace(FILE, server_clock=section)
    given = export(tmp_path / "out", dates, market)
    store = RawStore(tmp_path / "raw")
    instrument = parse_market(TEXT).instrument("EURUSD")
    report = import_path(
        tmp_path / "out" / "EURUSD_ticks.csv", store, instrument, now=NOW, format_name="mt5-export", utc_offset=import_clock_of(section)
    )
    rows = pl.concat([store.read_date(report.source, "EURUSD", day.date) for day in report.dates])
    assert (report.format, report.malformed, report.rows) == ("mt5-export", {}, sum(len(ticks) for ticks in given))
    assert rows["ts_event"].dt.epoch("us").to_list() == np.concatenate([ticks.ts_us for ticks in given]).tolist()
    assert rows["bid_points"].to_list() == np.concatenate([ticks.bid_points for ticks in given]).tolist()
    assert rows["ask_points"].to_list() == np.concatenate([ticks.ask_points for ticks in given]).tolist()


def test_exported_files_are_in_metatraders_formats(tmp_path: Path) -> None:
    export(tmp_path, ["2024-01-10"])
    lines = {name: (tmp_path / name).read_bytes().decode().split("\r\n") for name in ("EURUSD_ticks.csv", "EURUSD_M1.csv", SIGNALS)}
    assert lines["EURUSD_ticks.csv"][:2] == [
        "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>",
        "2024.01.10\t02:00:00.000\t1.10000\t1.10001\t\t\t6",
    ]
    assert lines["EURUSD_M1.csv"][:2] == [
        "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
        "2024.01.10\t02:00:00\t1.10000\t1.10007\t1.10000\t1.10007\t8\t0\t0",
    ]
    assert lines[SIGNALS] == [
        "TIME\tVIEW\tSTOP\tTARGET\tEXIT\tLOTS\tSIGNAL_ID",
        f"2024.01.10 14:00:00.123\tLONG\t1.09900\t1.10250\t2024.01.10 14:05:00.123\t0.25\t{'a' * 64}",
        f"2024.01.10 14:01:00.123\tSHORT\t1.10300\t1.09900\t2024.01.10 14:06:00.123\t0.1\t{'b' * 64}",
        "",
    ]


def test_export_brings_the_expert_and_says_how(tmp_path: Path) -> None:
    export(tmp_path, ["2024-01-10"])
    text = (tmp_path / "README.txt").read_text()
    assert SIGNALS in (tmp_path / EXPERT).read_text()
    assert "--utc-offset ny+7" in text
    assert "Contract size                100000.0" in text


def test_export_refuses_stamps_that_the_clock_sets_back(tmp_path: Path) -> None:
    with pytest.raises(UnorderedServerTimeError, match=r"set back after 2024\.11\.03 08:59:.*fixed"):
        export(tmp_path, ["2024-11-03"])


def test_export_clock_names_are_the_importers() -> None:
    assert import_clock_of({"kind": "fixed", "offset_hours": -3}) == "-3"
    assert import_clock_of({"kind": "fixed", "offset_hours": 5.5}) == "5.5"
    assert import_clock_of({"kind": "zoneinfo", "zone": "Europe/Athens"}) == "Europe/Athens"
