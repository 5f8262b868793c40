"""The vendor's instrument table: its formats, what is refused and where, keeping, the section of the market file."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tick_assets.cli.vendor import app_commands
from tick_assets.domain.instruments import parse_market
from tick_assets.domain.market_calendar import ASSET_CLASSES
from tick_assets.lakehouse.vendors.instrument_table import (
    InstrumentTable,
    InstrumentTableError,
    ListedInstrument,
    asset_class_of,
    market_section,
    parse_instruments,
    read_table,
    write_table,
)

HEADER = "instrument,code,group,point_factor,tick_start,description\n"
EURUSD = ListedInstrument("EURUSD", "EUR-USD", 100_000, date(2003, 5, 4), "fx_majors", "Euro vs US Dollar")
EURUSD_LINE = "EURUSD,EUR-USD,fx_majors,100000,2003-05-04,Euro vs US Dollar\n"
DETAIL = {
    "name": "EUR/USD",
    "code": "EUR-USD",
    "pipValue": 1.0e-4,
    "priceScale": 5,
    "description": "Euro vs US Dollar",
    "groupId": 18,
    "groupCode": "FX_MAJORS",
    "histories": [{"period": "TICK", "from": 1052074800048}, {"period": "DAY", "from": 99792000000}],
}
SUMMARY = {name: DETAIL[name] for name in ("name", "code", "pipValue", "priceScale", "description", "groupId")}
SITE = {
    "name": "EUR/USD",
    "historical_filename": "EURUSD",
    "pipValue": 0.0001,
    "history_start_tick": "1052074800048",
    "description": "Euro",
}


def run_command(*arguments: str) -> Result:
    app = typer.Typer()
    app_commands(app)
    return CliRunner().invoke(app, ["vendor", "instruments", *arguments])


def parse_json(document: Any) -> InstrumentTable:
    return parse_instruments(json.dumps(document).encode(), "x.json")


def test_csv_gives_the_listed_figures() -> None:
    assert dict(parse_instruments((HEADER + EURUSD_LINE).encode(), "x.csv")) == {"EURUSD": EURUSD}


def test_csv_with_a_byte_order_mark_crlf_and_without_optional_columns_is_read() -> None:
    content = "\ufeffinstrument,code,point_factor,tick_start\r\nXAUUSD,XAU-USD,1000,\r\n".encode()
    assert parse_instruments(content, "x.csv")["XAUUSD"] == ListedInstrument("XAUUSD", "XAU-USD", 1000)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("EURUSD,EUR-USD,g,100000,2003-05-04\n", "line 3.*cells"),
        ("EURUSD,EUR-USD,g,100000,2003-05-04,d,e\n", "line 3.*cells"),
        ("EURUSD,EUR-USD,g,100000,04.05.2003,d\n", "line 3.*date"),
        ("EURUSD,EUR-USD,g,1e5,2003-05-04,d\n", "line 3.*whole point factor"),
        ("EURUSD,EUR-USD,g,50000,2003-05-04,d\n", "power of ten"),
        ("EURUSD,EUR-USD,g,0,2003-05-04,d\n", "power of ten"),
        ("EURUSD,GBP-USD,g,100000,2003-05-04,d\n", "a code and its symbol"),
        ("../x,../x,g,100000,2003-05-04,d\n", "a code and its symbol"),
        ('EURUSD,EUR-USD,g,100000,2003-05-04,"d\n', "line"),
        ("GBPUSD,GBP-USD,g,100000,2003-05-04,d\n", "GBPUSD twice"),
    ],
)
def test_csv_bad_line_is_refused_with_its_place(line: str, complaint: str) -> None:
    with pytest.raises(InstrumentTableError, match=complaint):
        parse_instruments((HEADER + "GBPUSD,GBP-USD,g,100000,2003-05-04,d\n" + line).encode(), "x.csv")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"instrument,code,tick_start\n", r"missing \['point_factor'\]"),
        (HEADER.replace("group", "colour").encode(), r"unknown \['colour'\]"),
        (HEADER.encode(), "was none"),
        (b"", "columns"),
        (b"\xff\xfe\x00", "text"),
        (b"{", "json"),
        (b'{"instruments": 7}', "was int"),
        (b'{"instruments": [{"code": "EUR-USD"}]}', "instrument 0: KeyError 'pipValue'"),
    ],
)
def test_content_that_is_no_table_is_refused(content: bytes, complaint: str) -> None:
    with pytest.raises(InstrumentTableError, match=complaint):
        parse_instruments(content, "x")


@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: (HEADER + text).encode()))
def test_any_bytes_end_in_a_table_or_a_named_error(content: bytes) -> None:
    try:
        table = parse_instruments(content, "x")
    except InstrumentTableError:
        return
    assert len(table) > 0


def test_json_feed_detail_has_the_first_tick() -> None:
    assert parse_json(DETAIL)["EURUSD"] == EURUSD


def test_json_feed_list_takes_groups_by_id_and_knows_no_first_tick() -> None:
    document = {"instruments": [SUMMARY], "groups": [{"id": 18, "code": "FX_MAJORS"}]}
    assert parse_json(document)["EURUSD"] == ListedInstrument("EURUSD", "EUR-USD", 100_000, None, "fx_majors", "Euro vs US Dollar")


def test_json_feed_without_a_price_scale_takes_ten_points_a_pip() -> None:
    fund = {"name": "DIA.US/USD", "code": "DIA.US-USD", "pipValue": 0.01, "priceScale": None, "groupId": None, "description": None}
    assert parse_json([fund])["DIAUSUSD"].point_factor == 1000


@pytest.mark.parametrize("wrapped", ["{}", "jsonp({})", "_cb_._2n9({});"])
def test_older_site_is_read_with_its_wrapper_and_skips_what_was_never_in_the_feed(wrapped: str) -> None:
    text = wrapped.replace("{}", json.dumps({"instruments": {"E_Eur": SITE, "DUK+/EUR": {"name": "DUK+/EUR", "pipValue": 0.1}}}))
    table = parse_instruments(text.encode(), "x.js")
    assert dict(table) == {"EURUSD": ListedInstrument("EURUSD", "EUR-USD", 100_000, date(2003, 5, 4), "", "Euro")}


def test_updated_keeps_what_newer_metadata_leave_open() -> None:
    table = InstrumentTable([EURUSD]).updated(InstrumentTable([ListedInstrument("EURUSD", "EUR-USD", 1_000_000)]))
    assert table["EURUSD"] == ListedInstrument("EURUSD", "EUR-USD", 1_000_000, date(2003, 5, 4), "fx_majors", "Euro vs US Dollar")


def test_written_table_reads_back(tmp_path: Path) -> None:
    fund = ListedInstrument("DIAUSUSD", "DIA.US-USD", 1000, None, "etf_cfd_us", 'SPDR "Dow", Trust')
    write_table(tmp_path / "instruments.csv", InstrumentTable([EURUSD, fund]))
    assert read_table(tmp_path / "instruments.csv") == InstrumentTable([EURUSD, fund])
    assert read_table(tmp_path / "none.csv") is None


@pytest.mark.parametrize(
    ("listed", "asset_class", "digits"),
    [
        (ListedInstrument("USDCAD", "USD-CAD", 100_000, None, "fx_crosses", "US Dollar vs Canadian Dollar"), "fx", 5),
        (ListedInstrument("XPTUSD", "XPT-USD", 1000, None, "fx_metals"), "metal", 3),
        (ListedInstrument("USA500IDXUSD", "USA500.IDX-USD", 1000, None, "idx_america"), "index", 3),
        (ListedInstrument("ETHUSD", "ETH-USD", 10, None, "vccy"), "crypto", 1),
        (ListedInstrument("AAPLUSUSD", "AAPL.US-USD", 1000, None, "us"), "", 3),
    ],
)
def test_market_section_is_a_section_of_the_market_file(listed: ListedInstrument, asset_class: str, digits: int) -> None:
    text = (Path(__file__).resolve().parents[3] / "execution" / "market.toml").read_text()
    added = parse_market(text + "\n" + market_section(listed)).instrument(listed.symbol)
    assert (added.asset_class, added.price_factor, added.digits, added.dukascopy_code) == (
        asset_class,
        listed.point_factor,
        digits,
        listed.code,
    )


@pytest.mark.parametrize(
    ("group", "code", "asset_class"),
    [
        ("idx_europe", "DEU.IDX-EUR", "index_europe"),
        ("idx_asia", "HKG.IDX-HKD", "index_hong_kong"),
        ("idx_asia", "AUS.IDX-AUD", "index_australia"),
        ("idx_asia", "JPN.IDX-JPY", "index"),
        ("fx_majors", "AUD-USD", "fx"),
    ],
)
def test_asset_class_is_one_of_the_market_calendars(group: str, code: str, asset_class: str) -> None:
    assert asset_class_of(group, code) == asset_class
    assert asset_class in ASSET_CLASSES


def test_command_imports_looks_up_and_names_mismatches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICK_HOME", str(tmp_path / ".tick"))
    source = tmp_path / "table.csv"
    source.write_text(HEADER + EURUSD_LINE + "USDJPY,USD-JPY,fx_majors,100000,2003-05-04,wrong on purpose\n")
    imported = json.loads(run_command("--import", str(source), "--json").stdout)
    assert (imported["read"], imported["new"], imported["instruments"]) == (2, 2, 2)
    assert ["USDJPY" in mismatch for mismatch in imported["mismatches"]] == [True]
    found = json.loads(run_command("EURUSD", "--json").stdout)
    assert (found["point_factor"], found["tick_start"]) == (100_000, "2003-05-04")


def test_command_refused_import_leaves_the_kept_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICK_HOME", str(tmp_path / ".tick"))
    source = tmp_path / "table.csv"
    source.write_text(HEADER + EURUSD_LINE)
    run_command("--import", str(source))
    source.write_text(HEADER + EURUSD_LINE.replace("100000", "7"))
    assert run_command("--import", str(source)).exit_code != 0
    kept = read_table(tmp_path / ".tick" / "instruments.csv")
    assert kept is not None
    assert kept["EURUSD"].point_factor == 100_000


def test_real_table_is_read_whole_and_agrees_with_the_market_file(real_data: Path) -> None:
    table = parse_instruments((real_data / "dukascopy_instruments.csv").read_bytes(), "dukascopy_instruments.csv")
    market = parse_market((Path(__file__).resolve().parents[3] / "execution" / "market.toml").read_text())
    listed = {name: each for name, each in market.instruments.items() if name in table}
    assert len(table) == 1_499
    assert len(listed) >= 7
    assert all((table[name].point_factor, table[name].code) == (each.price_factor, each.dukascopy_code) for name, each in listed.items())
