"""Detection: what is seen decides, in words; what fits two readings, or none, is refused with the choices."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import struct
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tick_assets.domain.instruments import Market
from tick_assets.lakehouse.importers.candles import is_candle_payload
from tick_assets.lakehouse.importers.containers import texts_of
from tick_assets.lakehouse.importers.detection import AUTO, detect_format
from tick_assets.lakehouse.importers.importing import ImportRefusedError, ImportReport, import_path
from tick_assets.lakehouse.raw_store import RawStore

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NODE_HEADER = "timestamp,askPrice,bidPrice,askVolume,bidVolume\n"
MT5_HEADER = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>"
MT5_ROW = "2024.01.08\t02:00:00.100\t1.1\t1.2\t\t\t6"
NODE_ROW = "1549238400123,1.14521,1.14518,1.87,2.87\n"


def import_bytes(store: RawStore, market: Market, path: Path, content: bytes, symbol: str = "EURUSD", **options: Any) -> ImportReport:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return import_path(path, store, market.instrument(symbol), now=NOW, **options)


@pytest.mark.parametrize(
    ("text", "options", "form", "clock", "because"),
    [
        ("2018.05.16 09:00:00.315,1.34158,1.34173,1.00,1.95", {}, "fx-data-csv", "utc", "bid below ask in 1 of 1 rows"),
        ("2018.05.16 09:00:00.315,1.34173,1.34158,1.00,1.95", {"has_clock": True}, "jforex-csv", "", "a clock that it does not name"),
        ("2018.05.16 09:00:00.315,1.34173,1.34158,1.00,1.95", {"stated": "jforex-csv-eet"}, "jforex-csv-eet", "eet", "clock eet"),
        ("31.07.2011 23:00:00.885,1.13733,1.13702,2.25,1.13", {}, "jforex-csv", "utc", "'31.07.2011 23:00:00.885'"),
        ("31.07.2011 23:00:00.885,1.13733,1.13702,2.25,1.13", {"stated": "jforex-csv-eet"}, "jforex-csv-eet", "eet", "clock eet"),
        ("Gmt time,Ask,Bid,AskVolume,BidVolume\n31.07.2011 23:00:00.885,1.13733,1.13702,2,1", {}, "jforex-csv", "utc", "Gmt time"),
        ("Time (EET),Ask,Bid,AskVolume,BidVolume\n31.07.2011 23:00:00.885,1.2,1.1,2,1", {}, "jforex-csv-eet", "eet", "Time (EET)"),
        ("Local time,Ask,Bid\n31.07.2011 23:00:00.885 GMT+0300,1.2,1.1", {}, "jforex-csv-local", "utc", "name their offset"),
        ("Local time,Ask,Bid\n31.07.2011 23:00:00.885,1.2,1.1", {"has_clock": True}, "jforex-csv", "", "Local time"),
        (NODE_HEADER + NODE_ROW, {}, "dukascopy-node-csv", "utc", "askPrice"),
        (NODE_HEADER + "2019-02-04T00:00:00.123Z,1.2,1.1,1,1", {}, "dukascopy-node-csv", "utc", "2019-02-04T00:00:00.123Z"),
        ("[[1549238400123,1.2,1.1]]", {}, "dukascopy-node-json", "utc", "a JSON array"),
        ("20200101 170000065,1.121200,1.121720,0", {}, "histdata", "-5", "4 columns"),
        ("timestamp,bid,ask\n2013-01-01 22:00:00.295000+00:00,1.1,1.2", {}, "truefx", "utc", "timestamp,bid,ask"),
        ("EUR/USD,20130101 22:00:00.295,1.1,1.2", {}, "truefx-native", "utc", "the pair 'EUR/USD'"),
        (MT5_HEADER + "\n" + MT5_ROW, {}, "mt5-export", "", "MetaTrader 5"),
        (
            "<TIME>\t<DATE>\t<ASK>\t<BID>\t<LAST>\t<VOLUME>\t<FLAGS>\n02:00:00.1\t2024.01.08\t1.2\t1.1\t\t\t6",
            {},
            "mt5-export",
            "",
            "MetaTrader",
        ),
    ],
)
def test_detect_format_says_what_decided_it(text: str, options: dict[str, Any], form: str, clock: str, because: str) -> None:
    found = detect_format(text.split("\n"), "a.csv", options.get("stated", AUTO), has_clock=options.get("has_clock", False))
    assert (found.format.name, found.format.clock) == (form, clock)
    assert because in found.reason


@pytest.mark.parametrize(
    ("text", "stated", "named"),
    [
        # Sides that can't be told apart, or contradict the format.
        ("2018.05.16 09:00:00.315,1.1,1.1,1,1", AUTO, "fx-data-csv"),
        ("31.07.2011 23:00:00.885,1.1,1.1,1,1", AUTO, "which side comes first"),
        ("31.07.2011 23:00:00.885,1.1,1.2,1,1\n" * 9, AUTO, "swapped"),
        (NODE_HEADER + "1549238400123,1.1,1.2,1,1\n" * 9, AUTO, "swapped"),
        ("2018.05.16 09:00:00.315,1.2,1.1,1,1\n" * 9, "fx-data-csv", "swapped"),
        # Clocks that nobody names.
        ("2018.05.16 09:00:00.315,1.2,1.1,1,1", AUTO, "--utc-offset"),
        ("Local time,Ask,Bid\n31.07.2011 23:00:00.885,1.2,1.1", AUTO, "names the clock"),
        ("timestamp,ask,bid\n31.07.2011 23:00:00.885,1.2,1.1", AUTO, "names the clock"),
        (NODE_HEADER + "2019-02-04 00:00:00.123,1.2,1.1,1,1", AUTO, "names the clock"),
        ("2013-01-01 22:00:00.295,1.1,1.2", AUTO, "--utc-offset"),
        # Day and month.
        ("05/06/2023 01:00:00.000,1.2,1.1,1,1", AUTO, "day or month first"),
        ("05.23.2023 01:00:00.000,1.2,1.1,1,1", AUTO, "23 in the month's place"),
        # Candles.
        ("Gmt time,Open,High,Low,Close,Volume\n31.07.2011 23:00:00.000,1.1,1.2,1.0,1.1,9", AUTO, "candles"),
        ("timestamp,open,high,low,close\n1549238400000,1.1,1.2,1.0,1.1", AUTO, "candles"),
        ("<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\n2024.01.08\t02:00\t1.1\t1.2\t1.0\t1.1\t6", AUTO, "candles"),
        ("20200101 170000;1.1210;1.1212;1.1209;1.1211;0\n20200101 170100;1.1211;1.1213;1.1210;1.1212;0", AUTO, "candles"),
        ("2012.02.01,00:00,1.3066,1.3067,1.3065,1.3066,0", AUTO, "candles"),
        ("2018.05.16 09:00:00.000,1.3415,1.3418,1.3410,1.3411,120.5", AUTO, "candles"),
        # Commas.
        ("2018.05.16 09:00:00.315,1,34158,1,34173", AUTO, "a comma is both"),
        ("2018.05.16 09:00:00.315,1,34158,1,34173,1,2,1,3", AUTO, "a comma is both"),
        ("31.07.2011 23:00:00.885;1,13733;1.13702;1;1", AUTO, "comma and dot"),
        # Headers.
        ("timestamp,askPrice\n1,2", AUTO, "bid"),
        ("timestamp,askPrice,bidPrice,venue\n1,2,3,4", AUTO, "venue"),
        ("timestamp,askPrice,bidPrice,askVolume\n1,2,3,4", AUTO, "bid_size"),
        ("timestamp,ask,askPrice,bid\n1,2,3,4", AUTO, "twice"),
        (MT5_HEADER.replace("\t<LAST>", "") + "\n" + MT5_ROW, AUTO, "last"),
        (MT5_HEADER + "\t<SPREAD>\n" + MT5_ROW, AUTO, "spread"),
        (NODE_HEADER, AUTO, "header only"),
        # Neither.
        ("", AUTO, "empty"),
        ("\n \n", AUTO, "empty"),
        ("<html><body>Bad gateway</body></html>", AUTO, "web page"),
        ('{"error": "no data"}', AUTO, "another object"),
        ("20200101 170000065", AUTO, "columns"),
        ("1014,1.39248,1.39250", AUTO, "begins with the date"),
        # A named format that the file contradicts.
        (NODE_HEADER + NODE_ROW, "histdata", "was dukascopy-node-csv"),
        ("20200101 170000065,1.121200,1.121720,0", "fx-data-csv", "was histdata"),
        ("31.07.2011 23:00:00.885,1.2,1.1,1,1", "fx-data-csv", "was jforex-csv"),
        ("[[1549238400123,1.2,1.1]]", "dukascopy-node-csv", "was dukascopy-node-json"),
        (MT5_HEADER + "\n" + MT5_ROW, "jforex-csv-eet", "was mt5-export"),
    ],
)
def test_detect_format_ambiguous_or_other_input_is_refused(text: str, stated: str, named: str) -> None:
    with pytest.raises(ImportRefusedError, match=named):
        detect_format(text.split("\n"), "a.csv", stated)


def test_import_reason_is_kept_with_the_hour(store: RawStore, market: Market, tmp_path: Path) -> None:
    report = import_bytes(store, market, tmp_path / "a.csv", (NODE_HEADER + NODE_ROW).encode())
    manifest = store.manifest(report.source, "EURUSD", date(2019, 2, 4))
    assert manifest is not None
    assert (manifest.hours[0].wire_format, manifest.hours[0].reason) == ("dukascopy-node-csv", report.reason)
    assert "askPrice" in report.reason


@pytest.mark.parametrize(
    "content",
    [
        (NODE_HEADER + NODE_ROW).encode(),
        (NODE_HEADER + NODE_ROW).replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + (NODE_HEADER + NODE_ROW).encode(),
        b"\xff\xfe" + (NODE_HEADER + NODE_ROW).encode("utf-16-le"),
        b"\xfe\xff" + (NODE_HEADER + NODE_ROW).encode("utf-16-be"),
        ("\n" + NODE_HEADER + "\n" + NODE_ROW + "\n\n").encode(),
        b"bidPrice,timestamp,askPrice\n1.14518,1549238400123,1.14521\n",
        b"timestamp;askPrice;bidPrice\n1549238400123;1,14521;1,14518\n",
        b'"timestamp","askPrice","bidPrice"\n"1549238400123","1.14521","1.14518"\n',
    ],
)
def test_import_text_as_programs_write_it(store: RawStore, market: Market, tmp_path: Path, content: bytes) -> None:
    report = import_bytes(store, market, tmp_path / "a.csv", content)
    rows = store.read_date(report.source, "EURUSD", date(2019, 2, 4))
    assert rows.select("ask_points", "bid_points", "raw_line").rows() == [(114521, 114518, None)]
    assert store.verify() == []


def zipped(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


NEXT_ROW = "1549242000123,1.14521,1.14518,1.87,2.87\n"


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.csv.gz", gzip.compress((NODE_HEADER + NODE_ROW).encode(), mtime=0), 1),
        ("a.csv.gz", gzip.compress((NODE_HEADER + NODE_ROW).encode(), mtime=0) + gzip.compress(NEXT_ROW.encode(), mtime=0), 2),
        ("a.zip", zipped({"a.csv": NODE_HEADER + NODE_ROW, "sub/b.csv": NODE_HEADER + NEXT_ROW}), 2),
        ("a.zip", zipped({"a.csv": NODE_HEADER + NODE_ROW, "a.txt": "Status report: 1 tick, no gaps"}), 1),
        ("a.zip", zipped({"a.json": f"[[{NODE_ROW.strip()}]]"}), 1),
        ("a.json.gz", gzip.compress(f"[[{NODE_ROW.strip()}]]".encode(), mtime=0), 1),
    ],
)
def test_import_packed_files_have_all_rows(store: RawStore, market: Market, tmp_path: Path, name: str, content: bytes, rows: int) -> None:
    assert import_bytes(store, market, tmp_path / name, content).rows == rows


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("a.csv.gz", gzip.compress(NODE_ROW.encode() * 100, mtime=0)[:-9], "cut"),
        ("a.csv.gz", b"\x1f\x8b" + b"\x00" * 30, "gz file"),
        ("a.csv.gz", (NODE_HEADER + NODE_ROW).encode(), "gz file"),
        ("a.zip", zipped({"a.csv": NODE_HEADER + NODE_ROW})[:-30], "zip archive"),
        ("a.zip", zipped({}), "none"),
        ("a.zip", zipped({"a.csv": NODE_HEADER + NODE_ROW, "a.exe": "x"}), "a.exe"),
        ("a.zip", zipped({"a.csv": NODE_HEADER + NODE_ROW, "b.txt": NODE_HEADER + NEXT_ROW}), "some in b.txt"),
        ("a.zip", zipped({"a.csv": NODE_HEADER + NODE_ROW, "b.csv": "20190204 000000123,1.1,1.2,0"}), "one format"),
        ("a.csv", (NODE_HEADER + NODE_ROW).encode("utf-16-le"), "byte-order mark"),
    ],
)
def test_import_broken_package_is_refused_and_leaves_nothing(
    store: RawStore, market: Market, tmp_path: Path, name: str, content: bytes, named: str
) -> None:
    with pytest.raises(ImportRefusedError, match=named):
        import_bytes(store, market, tmp_path / "in" / name, content)
    assert store.sources() == ()


def test_texts_of_a_bomb_stops_at_the_limit() -> None:
    with pytest.raises(ImportRefusedError, match="at most 1000 bytes"):
        list(texts_of("a.csv.gz", gzip.compress(b"0" * 10**6, mtime=0), limit=1000))
    with pytest.raises(ImportRefusedError, match="at most 1000 bytes"):
        list(texts_of("a.zip", zipped({"a.csv": "0" * 10**6}), limit=1000))


@pytest.mark.parametrize(
    "row",
    [
        "1549238400124,inf,1.1,1,1",
        "1549238400124,1.2,nan,1,1",
        "1549238400124,1e308,1.1,1,1",
        "1549238400124,99999999999999999999,1.1,1,1",
        "1549238400124,1.123456789,1.1,1,1",
        "1549238400124,1.2,1.1,many,1",
        "1549238400124,1.2,1.1,-1,1",
        "1549238400124,1.2,1.1,1e300,1",
        "1549238400124,1.2,1.1,253402300800000,1",
        "1549238400124,1.2,1.1,1",
        "1549238400124,1.2,1.1,1,1,1",
        "9223372036854775807,1.2,1.1,1,1",
        "-1549238400124,1.2,1.1,1,1",
        "4102444800000,1.2,1.1,1,1",
        "\u0661\u0665\u0664\u0669\u0662\u0663\u0668\u0664\u0660\u0660\u0661\u0662\u0664,1.2,1.1,1,1",
        "1549238400124,1\u0000.2,1.1,1,1",
        "2019-02-04T00:00:00.123Z,114521,114518,1,1",
    ],
)
def test_import_row_that_does_not_read_is_kept_as_malformed(store: RawStore, market: Market, tmp_path: Path, row: str) -> None:
    report = import_bytes(store, market, tmp_path / "a.csv", (NODE_HEADER + NODE_ROW + row + "\n" + NODE_ROW).encode())
    rows = store.read_date(report.source, "EURUSD", date(2019, 2, 4))
    assert sum(report.malformed.values()) == 1
    assert [line is None for line in rows["raw_line"]] == [True, False, True]
    assert rows["raw_line"][1] in (row, f"unparsed: {row}")
    assert store.verify() == []


@pytest.mark.parametrize(
    ("document", "malformed"),
    [
        ([[1549238400123, 1.2, 1.1], "x", [1549238400123, 1.2, 1.1]], 1),
        ([[1549238400123, 1.2, 1.1], [1549238400123, 1.2, 1.1, 1, 1, 1], [1549238400123, 1.2, 1.1]], 1),
        ([[1549238400123, 1.2, 1.1], [[1549238400123], 1.2, 1.1], [1549238400123, 1.2, 1.1]], 1),
        (
            [
                {"timestamp": 1549238400123, "askPrice": 1.2, "bidPrice": 1.1},
                {"timestamp": 1549238400123, "askPrice": True, "bidPrice": 1.1},
            ],
            1,
        ),
        ([{"timestamp": 1549238400123, "askPrice": 1.2, "bidPrice": 1.1}, {"timestamp": 1549238400123, "price": 1.1}], 1),
    ],
)
def test_import_json_record_that_is_none_is_kept_as_malformed(
    store: RawStore, market: Market, tmp_path: Path, document: list[Any], malformed: int
) -> None:
    report = import_bytes(store, market, tmp_path / "a.json", json.dumps(document).encode())
    assert (report.rows, sum(report.malformed.values())) == (len(document), malformed)


def test_import_json_candles_are_refused(store: RawStore, market: Market, tmp_path: Path) -> None:
    content = json.dumps([{"timestamp": 1549238400000, "open": 1.1, "high": 1.2, "low": 1.0, "close": 1.1}]).encode()
    with pytest.raises(ImportRefusedError, match="candles"):
        import_bytes(store, market, tmp_path / "a.json", content)


def test_import_months_and_days_swapped_are_refused(store: RawStore, market: Market, tmp_path: Path) -> None:
    text = "".join(f"01.{month:02d}.2023 10:00:00.000,1.2,1.1,1,1\n" for month in (1, 2, 3, 4))
    with pytest.raises(ImportRefusedError, match="month first"):
        import_bytes(store, market, tmp_path / "a.csv", text.encode())


def test_import_stray_stamp_years_away_is_refused(store: RawStore, market: Market, tmp_path: Path) -> None:
    text = NODE_HEADER + NODE_ROW + "1849238400123,1.2,1.1,1,1\n".replace("1849", "1249") + NODE_ROW
    with pytest.raises(ImportRefusedError, match="gap of more than 31 days"):
        import_bytes(store, market, tmp_path / "a.csv", text.encode())


def test_import_offset_for_stamps_that_say_utc_is_refused(store: RawStore, market: Market, tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match="name their own offset"):
        import_bytes(store, market, tmp_path / "a.csv", (NODE_HEADER + NODE_ROW).encode(), utc_offset="2")


@pytest.mark.parametrize(("name", "symbol"), [("usdjpy-ticks.csv", "EURUSD"), ("DAT_ASCII_GBPUSD_T_202001.csv", "EURUSD")])
def test_import_file_of_another_pair_is_refused(store: RawStore, market: Market, tmp_path: Path, name: str, symbol: str) -> None:
    with pytest.raises(ImportRefusedError, match="--symbol"):
        import_bytes(store, market, tmp_path / name, (NODE_HEADER + NODE_ROW).encode(), symbol)


def test_import_rows_of_another_pair_are_refused(store: RawStore, market: Market, tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match="GBPUSD"):
        import_bytes(store, market, tmp_path / "a.csv", b"GBP/USD,20130101 22:00:00.295,1.32001,1.32005\n")


# The vendor's own hours.


def candle_payload(bars: int, volume: float = 0.0) -> bytes:
    records = [struct.pack(">IIIIIf", 60 * i, 114520 + i, 114521 + i, 114519 + i, 114522 + i, volume) for i in range(bars)]
    return lzma.compress(b"".join(records), format=lzma.FORMAT_ALONE)


@pytest.mark.parametrize("bars", [1, 5, 10, 1440])
@pytest.mark.parametrize("volume", [0.0, 1.5])
def test_is_candle_payload_24_byte_bars_are_candles(bars: int, volume: float) -> None:
    assert is_candle_payload(candle_payload(bars, volume))


@pytest.mark.parametrize("rows", [1, 6, 12, 600])
def test_is_candle_payload_ticks_are_none(rows: int) -> None:
    body = b"".join(struct.pack(">IIIff", 500 * i, 114521, 114518, 1.87, 2.87) for i in range(rows))
    assert not is_candle_payload(lzma.compress(body, format=lzma.FORMAT_ALONE))


def test_import_candles_named_as_ticks_are_a_failed_hour(store: RawStore, market: Market, tmp_path: Path) -> None:
    report = import_bytes(store, market, tmp_path / "EURUSD/2019/01/04/00h_ticks.bi5", candle_payload(10))
    assert report.rows == 0
    assert "was candles" in report.unusable[0]


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("EURUSD/2019/01/04/BID_candles_min_1.bi5", "candles"),
        ("EURUSD/2019/12/04/00h_ticks.bi5", "month"),
        ("EURUSD/2019/01/30/00h_ticks.bi5", "day"),
        ("EURUSD/2019/01/04/24h_ticks.bi5", "hour"),
        ("GBPUSD/2019/01/04/00h_ticks.bi5", "hours of EURUSD"),
        ("00h_ticks.bi5", "YYYY/MM-1"),
        ("ticks-GBP-USD-2019-2-4-0.json", "hour of EURUSD"),
        ("ticks-EUR-USD-2019-2-30-0.json", "names an hour"),
    ],
)
def test_import_hour_file_whose_name_is_no_hour_of_the_symbol_is_refused(
    store: RawStore, market: Market, tmp_path: Path, path: str, named: str
) -> None:
    with pytest.raises(ImportRefusedError, match=named):
        import_bytes(store, market, tmp_path / path, b"")


def json_hour(timestamp: int) -> bytes:
    lists = {"times": [93, 104], "asks": [0, 1], "bids": [0, 1], "askVolumes": [900000, 1], "bidVolumes": [900000, 1]}
    return json.dumps({"timestamp": timestamp, "multiplier": 1e-5, "ask": 1.14277, "bid": 1.14273, **lists}).encode()


@pytest.mark.parametrize(
    ("name", "timestamp", "rows", "failed"),
    [
        ("ticks-EUR-USD-2026-7-13-12.json", 1783944000000, 2, 0),
        ("hour.json", 1783944000000, 2, 0),
        ("ticks-EUR-USD-2026-7-13-13.json", 1783944000000, 0, 1),  # the document is of another hour than its name
    ],
)
def test_import_json_hour_is_the_hour_that_it_says(
    store: RawStore, market: Market, tmp_path: Path, name: str, timestamp: int, rows: int, failed: int
) -> None:
    path = tmp_path / name
    path.write_bytes(json_hour(timestamp))
    report = import_path(path, store, market.instrument("EURUSD"), now=datetime(2026, 11, 1, tzinfo=UTC))
    assert (report.source, report.format, report.rows, len(report.unusable)) == ("dukascopy", "dukascopy-json", rows, failed)


def test_import_one_hour_keeps_what_is_known_of_the_others(store: RawStore, market: Market, tmp_path: Path) -> None:
    folder = tmp_path / "EURUSD/2019/01/04"
    folder.mkdir(parents=True)
    for hour in range(24):
        (folder / f"{hour:02d}h_ticks.bi5").write_bytes(b"")
    instrument = market.instrument("EURUSD")
    import_path(tmp_path, store, instrument, now=NOW)
    report = import_path(folder / "05h_ticks.bi5", store, instrument, now=NOW)
    assert report.dates[0].states["vendor_empty"] == 24


def test_import_copies_of_one_file_are_read_once(store: RawStore, market: Market, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(NODE_HEADER + NODE_ROW)
    report = import_path(tmp_path, store, market.instrument("EURUSD"), now=NOW)
    assert report.rows == 1
    assert "copies of others" in report.reason


def test_import_hours_between_files_are_not_delivered(store: RawStore, market: Market, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(NODE_HEADER + NODE_ROW)
    (tmp_path / "b.csv").write_text(NODE_HEADER + "1549252800123,1.14521,1.14518,1.87,2.87\n")
    report = import_path(tmp_path, store, market.instrument("EURUSD"), now=NOW)
    assert report.dates[0].states == {"ok": 2, "closed": 0, "vendor_empty": 0, "failed": 22, "pending": 0}


def test_import_folder_with_a_file_that_is_no_ticks_is_refused(store: RawStore, market: Market, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(NODE_HEADER + NODE_ROW)
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(ImportRefusedError, match=r"b\.parquet"):
        import_path(tmp_path, store, market.instrument("EURUSD"), now=NOW)
