"""Importers: each format's rows and clock, refusals, hours without rows."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tick_assets.domain.instruments import Market
from tick_assets.domain.synthetic_market import SyntheticMarket
from tick_assets.lakehouse.importers.importing import ImportRefusedError, ImportReport, import_path
from tick_assets.lakehouse.ingestion import ingest_dates
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.vendors.fake import FakeVendor
from tick_assets.lakehouse.vendors.synthetic import generate_folder

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NODE_HEADER = "timestamp,askPrice,bidPrice,askVolume,bidVolume\n"


def import_text(store: RawStore, market: Market, path: Path, text: str, **options: Any) -> tuple[ImportReport, pl.DataFrame]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(path.stem + ".csv", text)
    else:
        path.write_text(text, newline="")
    report = import_path(path, store, market.instrument("EURUSD"), now=NOW, **options)
    return report, pl.concat([store.read_date(report.source, "EURUSD", day.date) for day in report.dates])


@pytest.mark.parametrize(
    ("name", "text", "form", "expected"),
    [
        (
            "a.csv",
            "2018.05.16 09:00:00.315,1.34158,1.34173,1.00,1.95\n",
            "fx-data-csv",
            ("2018-05-16T09:00:00.315", 134173, 134158, 1.95e6, 1e6),
        ),
        (
            "a.csv",
            "31.07.2011 23:00:00.885,1.13733,1.13702,2.25,1.13\n",
            "jforex-csv",
            ("2011-07-31T23:00:00.885", 113733, 113702, 2.25e6, 1.13e6),
        ),
        (
            "a.csv",
            "04.09.2023 01:00:05.962 GMT+0300,1.13733,1.13702,1,2\n",
            "jforex-csv-local",
            ("2023-09-03T22:00:05.962", 113733, 113702, 1e6, 2e6),
        ),
        (
            "a.csv",
            "Time (EET),Ask,Bid,AskVolume,BidVolume\n2025.01.02 01:02:14.945,1.13733,1.13702,1,2\n",
            "jforex-csv-eet",
            ("2025-01-01T23:02:14.945", 113733, 113702, 1e6, 2e6),
        ),
        (
            "a.csv",
            "Time (EET),Bid,Ask,AskVolume,BidVolume\n2025.07.02 01:02:14.945,1.13702,1.13733,1,2\n",
            "jforex-csv-eet",
            ("2025-07-01T22:02:14.945", 113733, 113702, 1e6, 2e6),
        ),
        (
            "a.csv",
            NODE_HEADER + "1549238400123,1.14521,1.14518,1.87,2.87\n",
            "dukascopy-node-csv",
            ("2019-02-04T00:00:00.123", 114521, 114518, 1.87e6, 2.87e6),
        ),
        (
            "a.csv",
            NODE_HEADER + "1549238400123,1.14521,1.14518,900000,1800000\n",
            "dukascopy-node-csv",
            ("2019-02-04T00:00:00.123", 114521, 114518, 9e5, 1.8e6),
        ),
        (
            "a.json",
            "[[1549238400123,1.14521,1.14518,1.87,2.87]]",
            "dukascopy-node-json",
            ("2019-02-04T00:00:00.123", 114521, 114518, 1.87e6, 2.87e6),
        ),
        (
            "a.json",
            '[{"timestamp":1549238400123,"askPrice":1.14521,"bidPrice":1.14518}]',
            "dukascopy-node-json",
            ("2019-02-04T00:00:00.123", 114521, 114518, None, None),
        ),
        ("20140507_quote.zip", "1014,1.39248,1.39250\n", "fxcm-quotes", ("2014-05-07T05:00:01.014", 139250, 139248, None, None)),
        ("a.csv", "20200701 170000065,1.121200,1.121720,0\n", "histdata", ("2020-07-01T22:00:00.065", 112172, 112120, None, None)),
        (
            "a.csv",
            "timestamp,bid,ask\n2013-01-01 22:00:00.295000+00:00,1.32001,1.32005\n",
            "truefx",
            ("2013-01-01T22:00:00.295", 132005, 132001, None, None),
        ),
        (
            "a.csv",
            "EUR/USD,20130101 22:00:00.295,1.32001,1.32005\n",
            "truefx-native",
            ("2013-01-01T22:00:00.295", 132005, 132001, None, None),
        ),
        (
            "a.csv",
            "31.07.2011 23:00:00,885;1,13733;1,13702;2,25;1,13\n",
            "jforex-csv",
            ("2011-07-31T23:00:00.885", 113733, 113702, 2.25e6, 1.13e6),
        ),
    ],
)
def test_import_reads_a_format(
    store: RawStore, market: Market, tmp_path: Path, name: str, text: str, form: str, expected: tuple[Any, ...]
) -> None:
    report, rows = import_text(store, market, tmp_path / "in" / name, text)
    assert report.format == form
    assert (
        rows.select(pl.col("ts_event").dt.strftime("%Y-%m-%dT%H:%M:%S%.3f"), "ask_points", "bid_points", "ask_size", "bid_size").row(0)
        == expected
    )


MT5_HEADER = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\r\n"


def mt5_rows(*sides: str) -> str:
    """Return rows a second apart with these `bid<tab>ask` cells."""
    return "".join(f"2024.01.08\t02:00:{second:02d}.100\t{cells}\t\t\t6\r\n" for second, cells in enumerate(sides))


@pytest.mark.parametrize(
    ("sides", "expected", "malformed"),
    [
        # Both sides are known from the first row on.
        (
            ("1.10000\t1.10008", "\t1.10009", "1.10001\t", "\t"),
            [(110000, 110008), (110000, 110009), (110001, 110009), (110001, 110009)],
            {},
        ),
        # Nothing is filled before a side was quoted, and never from the future.
        (("\t1.10008", "\t", "1.10000\t", "\t"), [(None, None), (None, None), (110000, 110008), (110000, 110008)], {"SIDE_UNKNOWN": 2}),
        # After a cell that does not read nobody knows the side until the next one.
        (
            ("1.10000\t1.10008", "oops\t", "\t1.10009", "1.10001\t") + ("1.10001\t1.10009",) * 20,
            [(110000, 110008), (None, None), (None, None), (110001, 110009)] + [(110001, 110009)] * 20,
            {"PRICE": 1, "SIDE_UNKNOWN": 1},
        ),
    ],
)
def test_import_mt5_unchanged_cells_are_carried_forward_only(
    store: RawStore, market: Market, tmp_path: Path, sides: tuple[str, ...], expected: list[Any], malformed: dict[str, int]
) -> None:
    report, rows = import_text(store, market, tmp_path / "in" / "a.csv", MT5_HEADER + mt5_rows(*sides), utc_offset="2")
    assert rows.select("bid_points", "ask_points").rows() == expected
    assert report.malformed == malformed
    assert store.verify() == []


def test_import_mt5_unchanged_cells_are_not_carried_from_the_file_before(store: RawStore, market: Market, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(MT5_HEADER + mt5_rows("1.10000\t1.10008"), newline="")
    later = mt5_rows("\t1.10009", "1.10001\t").replace("02:00", "03:00")
    (tmp_path / "in" / "b.csv").write_text(MT5_HEADER + later, newline="")
    report = import_path(tmp_path / "in", store, market.instrument("EURUSD"), now=NOW, utc_offset="2")
    rows = store.read_date(report.source, "EURUSD", date(2024, 1, 8))
    assert rows.select("bid_points", "ask_points").rows() == [(110000, 110008), (None, None), (110001, 110009)]


def test_import_mt5_export_empty_cells_mean_unchanged(store: RawStore, market: Market, tmp_path: Path) -> None:
    header = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\r\n"
    text = header + "2024.01.08\t02:00:00.100\t1.10000\t1.10008\t\t\t6\r\n2024.01.08\t02:00:00.200\t\t1.10009\t\t\t4\r\n"
    _, rows = import_text(store, market, tmp_path / "in" / "a.csv", text, utc_offset="2")
    assert rows.select("bid_points", "ask_points").rows() == [(110000, 110008), (110000, 110009)]
    assert rows["ts_event"][0] == datetime(2024, 1, 8, 0, 0, 0, 100_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\r\n2024.01.08\t02:00:00.100\t1.1\t1.2\t\t\t6\r\n", "--utc-offset"),
        ("2025.01.02 01:02:14.945,1.13733,1.13702,1,2\n" * 3, "jforex-csv-eet"),
        ("31.07.2011 23:00:00,885,1,13733,1,13702,2,25\n", "delimiter"),
        ("timestamp,askPrice\n1549238400123,1.1\n", "bid"),
        ("timestamp,askPrice,bidPrice,venue\n1549238400123,1.1,1.1,x\n", "venue"),
        ("what,is,this\n", "is"),
        ("", "empty"),
        (NODE_HEADER + "1549238400123,114.521,114.5185,1,1\n" * 5 + "1549238400123,1.1452134,1.1,1,1\n" * 5, "price_factor"),
    ],
)
def test_import_ambiguous_or_unknown_input_is_refused(store: RawStore, market: Market, tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ImportRefusedError, match=named):
        import_text(store, market, tmp_path / "in" / "a.csv", text)


def test_import_malformed_line_is_kept_in_its_place(store: RawStore, market: Market, tmp_path: Path) -> None:
    good = [f"{1549238400123 + step},1.14521,1.14518,1,1\n" for step in range(40)]
    _, rows = import_text(store, market, tmp_path / "in" / "a.csv", NODE_HEADER + "".join([*good[:20], "garbage\n", *good[20:]]))
    assert rows["raw_line"][20] == "garbage"
    assert rows["raw_line"].null_count() == 40
    assert store.verify() == []


def test_import_hours_outside_the_span_are_failed_and_inside_empty(store: RawStore, market: Market, tmp_path: Path) -> None:
    text = NODE_HEADER + "1549245600000,1.14521,1.14518,1,1\n1549256400000,1.14521,1.14518,1,1\n"
    report, _ = import_text(store, market, tmp_path / "in" / "a.csv", text)
    assert report.dates[0].states == {"ok": 2, "closed": 0, "vendor_empty": 2, "failed": 20, "pending": 0}


def test_import_twice_is_no_revision(store: RawStore, market: Market, tmp_path: Path) -> None:
    text = NODE_HEADER + "1549245600000,1.14521,1.14518,1,1\n"
    import_text(store, market, tmp_path / "in" / "a.csv", text)
    report, _ = import_text(store, market, tmp_path / "in" / "a.csv", text)
    assert report.dates[0].new_revision is None


def test_ingest_dates_skips_what_an_import_filled(store: RawStore, market: Market, tmp_path: Path) -> None:
    import_text(store, market, tmp_path / "in" / "a.csv", NODE_HEADER + "1549245600000,1.14521,1.14518,1,1\n")
    vendor = FakeVendor({}, NOW)
    report = ingest_dates(vendor, store, market, ["EURUSD"], [date(2019, 2, 4)], source="dukascopy", clock=lambda: NOW)
    assert vendor.asked == []
    assert "import" in report.dates[0].skipped_because


def test_import_generated_folder_stays_synthetic(store: RawStore, market: Market, tmp_path: Path) -> None:
    generate_folder(tmp_path / "v", {"SYNEDGE": SyntheticMarket(k=2.0, mean_gap_s=60.0)}, [date(2024, 1, 8)], seed=1)
    report = import_path(tmp_path / "v", store, market.instrument("SYNEDGE"), now=NOW)
    assert report.source == "synthetic-twin"
