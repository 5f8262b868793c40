"""Any bytes into every parser end in rows or in an error of ours, and no row is lost on the way.

What belongs here: properties over bytes and over mutated valid files. What must not: what a format's values mean (`test_importers`).
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import struct
import tempfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tick_assets.domain.instruments import Instrument
from tick_assets.lakehouse import raw_csv
from tick_assets.lakehouse.importers.containers import texts_of
from tick_assets.lakehouse.importers.detection import AUTO, detect_format
from tick_assets.lakehouse.importers.hour_files import HOUR_NOT_DELIVERED
from tick_assets.lakehouse.importers.importing import import_path
from tick_assets.lakehouse.importers.parsing import first_lines, parse_text
from tick_assets.lakehouse.importers.text_formats import FORMAT_NAMES, FORMATS, ImportRefusedError
from tick_assets.lakehouse.raw_store import RawStore
from tick_assets.lakehouse.vendors.port import PayloadError
from tick_assets.lakehouse.vendors.wire_formats import WIRE_FORMATS, decode_hour

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOUR = datetime(2019, 2, 4, 10, tzinfo=UTC)
START_MS = int(HOUR.timestamp()) * 1000
FACTOR = 100_000
INSTRUMENT = Instrument("EURUSD", "fx", FACTOR, 5, 100_000.0, "EUR", "USD", 3.5, 0.3, 0.01, 0.01, 100.0, "EUR-USD")
BOUNDED = settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def stamped(pattern: str, *, shift_hours: int = 0, count: int = 30) -> list[str]:
    stamps = [HOUR + timedelta(hours=shift_hours, milliseconds=1000 * i + 123) for i in range(count)]
    return [at.strftime(pattern) + f"{at.microsecond // 1000:03d}" for at in stamps]


def valid_texts() -> dict[str, tuple[str, str]]:
    """Return for each text format a file name and a valid text of 30 rows, whatever the clock makes of it."""
    bid_first, ask_first = "1.13702,1.13733,1.5,2.25", "1.13733,1.13702,2.25,1.5"
    mt5 = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\r\n"
    epochs = [str(START_MS + 1000 * i + 123) for i in range(30)]
    return {
        "fx-data-csv": ("a.csv", "".join(f"{at},{bid_first}\r\n" for at in stamped("%Y.%m.%d %H:%M:%S."))),
        "jforex-csv": ("a.csv", "".join(f"{at},{ask_first}\n" for at in stamped("%d.%m.%Y %H:%M:%S."))),
        "jforex-csv-local": ("a.csv", "".join(f"{at} GMT+0300,{ask_first}\n" for at in stamped("%d.%m.%Y %H:%M:%S."))),
        "jforex-csv-eet": (
            "a.csv",
            "Time (EET);Ask;Bid;AskVolume;BidVolume\n"
            + "".join(f"{at};1,13733;1,13702;2,25;1,5\n" for at in stamped("%Y.%m.%d %H:%M:%S.")),
        ),
        "dukascopy-node-csv": (
            "a.csv",
            "timestamp,askPrice,bidPrice,askVolume,bidVolume\n" + "".join(f"{at},{ask_first}\n" for at in epochs),
        ),
        "dukascopy-node-json": ("a.json", json.dumps([[int(at), 1.13733, 1.13702, 2.25, 1.5] for at in epochs])),
        "fxcm-quotes": ("20190204_quote.csv", "".join(f"{36_000_000 + 1000 * i},1.13702,1.13733\n" for i in range(30))),
        "histdata": ("a.csv", "".join(f"{at},1.137020,1.137330,0\n" for at in stamped("%Y%m%d %H%M%S"))),
        "truefx": ("a.csv", "timestamp,bid,ask\n" + "".join(f"{at}+00:00,1.13702,1.13733\n" for at in stamped("%Y-%m-%d %H:%M:%S."))),
        "truefx-native": ("a.csv", "".join(f"EUR/USD,{at},1.13702,1.13733\n" for at in stamped("%Y%m%d %H:%M:%S."))),
        "mt5-export": (
            "a.csv",
            mt5 + "".join(f"{at}\t1.13702\t1.13733\t\t\t6\r\n".replace(" ", "\t") for at in stamped("%Y.%m.%d %H:%M:%S.")),
        ),
    }


VALID = valid_texts()
NASTY = (
    "nan", "inf", "-inf", "1e308", "-1", "0", "", " ", "\0", '"', "9" * 40, "-9223372036854775808", "18446744073709551616", "0x10", "1_000",
    "\u0661.\u0662", "0001.01.01 00:00:00.000", "9999.12.31 23:59:59.999", "01.01.0001 00:00:00.000", "31.12.9999 23:59:60.000",
    "253402300800000", "1.1;1.2", "1,1", "\ufeff", "\u2028", "<", "{", "[", "\r", "\x85", "2019-02-04T10:00:00.000Z,1,1,1,1",
)  # fmt: skip


def lines_of(text: str) -> int:
    return sum(bool(line.strip()) for line in text.split("\n"))


def clock_of(form: str) -> str | None:
    return "2" if form == "mt5-export" else None


def check_text(text: str, name: str, stated: str, has_clock: bool) -> None:
    """Read a text as an import does; every line that is not blank is a row, or an error of ours says why not."""
    try:
        found = detect_format(first_lines(text), name, stated, has_clock=has_clock)
        form = found.format if found.format.clock else found.format.on_clock("2")
        parsed = parse_text(text, form, FACTOR, name, NOW)
    except ImportRefusedError:
        return
    expected = len(json.loads(text)) if form.name == "dukascopy-node-json" else lines_of(text) - form.has_header
    assert len(parsed.rows) == expected
    assert parsed.rows["raw_line"].is_not_null().sum() == sum(parsed.problems.values())
    assert parsed.rows.filter(parsed.rows["raw_line"].is_null())["ask_points"].null_count() == 0
    assert parsed.rows["ts_us"].null_count() == 0
    check_raw_csv_keeps(parsed.rows)


def check_raw_csv_keeps(rows: object) -> None:
    """What is written to the raw store is read as it was."""
    again = raw_csv.to_raw_rows(raw_csv.parse_csv((raw_csv.HEADER + raw_csv.to_csv_lines(rows)).encode(), "x.csv"))  # type: ignore[arg-type]
    assert raw_csv.canonical_sha256(again) == raw_csv.canonical_sha256(rows)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMATS)
def test_valid_texts_are_what_they_say(form: str) -> None:
    name, text = VALID[form]
    found = detect_format(first_lines(text), name)
    parsed = parse_text(text, found.format if found.format.clock else found.format.on_clock("2"), FACTOR, name, NOW)
    assert (found.format.name, len(parsed.rows), parsed.problems) == (form, 30, {})


@BOUNDED
@given(st.binary(max_size=400))
@example(b"")
@example(b"\x5d\x00\x00\x80\x00" + b"\xff" * 8)
@example(b'{"timestamp":1,"multiplier":1e-5,"ask":1,"bid":1,"times":[1],"asks":[1],"bids":[1],"askVolumes":[1],"bidVolumes":[1]}')
@pytest.mark.parametrize("wire_format", WIRE_FORMATS)
def test_any_bytes_as_an_hour_are_rows_or_a_payload_error(wire_format: str, content: bytes) -> None:
    try:
        ticks = decode_hour(wire_format, content, HOUR, FACTOR)
    except PayloadError:
        return
    assert all(START_MS * 1000 <= at < (START_MS + 3_600_000) * 1000 for at in ticks.ts_us)


def bi5_hour(rows: int = 40) -> bytes:
    return b"".join(struct.pack(">IIIff", 1000 * i, 113733, 113702, 2.25, 1.5) for i in range(rows))


@BOUNDED
@given(st.data())
def test_mutated_bi5_is_all_rows_or_a_payload_error(data: st.DataObject) -> None:
    packed = lzma.compress(bi5_hour(), format=lzma.FORMAT_ALONE)
    content = bytearray(packed[: data.draw(st.integers(0, len(packed)))] if data.draw(st.booleans()) else packed)
    for _ in range(data.draw(st.integers(0, 4))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        ticks = decode_hour("bi5", bytes(content), HOUR, FACTOR)
    except PayloadError:
        return
    assert len(ticks) in (0, 40)


@BOUNDED
@given(st.binary(max_size=200).filter(lambda body: len(body) > 0))
def test_any_records_in_bi5_are_all_rows_or_a_payload_error(body: bytes) -> None:
    try:
        ticks = decode_hour("bi5", lzma.compress(body, format=lzma.FORMAT_ALONE), HOUR, FACTOR)
    except PayloadError:
        return
    assert len(ticks) * 20 == len(body)


JSON_HOUR = {
    "timestamp": START_MS, "multiplier": 1e-5, "ask": 1.13733, "bid": 1.13702,
    "times": [1000] * 5, "asks": [0, 1, -1, 0, 2], "bids": [0, 1, -1, 0, 2], "askVolumes": [900000] * 5, "bidVolumes": [1.5] * 5,
}  # fmt: skip
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


@BOUNDED
@given(
    st.dictionaries(st.sampled_from(sorted(JSON_HOUR)), JSON_VALUES, max_size=3), st.sets(st.sampled_from(sorted(JSON_HOUR)), max_size=1)
)
def test_mutated_json_hour_is_all_rows_or_a_payload_error(changed: dict[str, object], dropped: set[str]) -> None:
    document = {key: value for key, value in {**JSON_HOUR, **changed}.items() if key not in dropped}
    try:
        ticks = decode_hour("json", json.dumps(document).encode(), HOUR, FACTOR)
    except PayloadError:
        return
    assert len(ticks) == len(document["times"])  # type: ignore[arg-type]


@BOUNDED
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_as_a_raw_file_are_a_row_a_line_or_a_header_error(content: bytes, has_header: bool) -> None:
    try:
        rows = raw_csv.parse_csv(raw_csv.HEADER.encode() + content if has_header else content, "x.csv")
    except raw_csv.RawHeaderError:
        assert not has_header
        return
    text = content.decode("utf-8", errors="replace")
    if has_header:
        assert len(rows) == (len(text.removesuffix("\n").split("\n")) if text else 0)
    is_malformed = rows["raw_line"].is_not_null()
    assert rows["ts_event"].is_null().to_list() == is_malformed.to_list()


@BOUNDED
@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.json", "a.csv.gz", "a.zip", "20190204_quote.csv"]), st.booleans())
def test_any_bytes_as_a_text_are_rows_or_a_refusal(content: bytes, name: str, has_clock: bool) -> None:
    try:
        members = list(texts_of(name, content))
    except ImportRefusedError:
        return
    for member in members:
        check_text(member.text, member.name, AUTO, has_clock)


@BOUNDED
@given(st.text(max_size=200), st.sampled_from([AUTO, *FORMATS]), st.booleans())
def test_any_text_is_rows_or_a_refusal(text: str, stated: str, has_clock: bool) -> None:
    check_text(text.encode(errors="replace").decode(), "20190204_quote.csv", stated, has_clock)


@st.composite
def mutated(draw: st.DrawFn, text: str) -> str:
    """Return a valid text with a few of the faults that real files have."""
    lines = text.split("\n")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["cut", "double", "drop", "cell", "nasty_cell", "drop_column", "insert", "swap", "blank"]))
        mark = next((mark for mark in ("\t", ";", ",") if mark in lines[at]), ",")
        cells = lines[at].split(mark)
        place = draw(st.integers(0, len(cells) - 1))
        if kind == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "drop" and len(lines) > 1:
            del lines[at]
        elif kind == "nasty_cell":
            lines[at] = mark.join([*cells[:place], draw(st.sampled_from(NASTY)), *cells[place + 1 :]])
        elif kind == "cell":
            lines[at] = mark.join([*cells[:place], draw(st.text(max_size=6)), *cells[place + 1 :]])
        elif kind == "drop_column":
            lines = [mark.join(line.split(mark)[:place] + line.split(mark)[place + 1 :]) for line in lines]
        elif kind == "insert":
            where = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:where] + draw(st.sampled_from(NASTY)) + lines[at][where:]
        elif kind == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            lines.insert(at, draw(st.sampled_from(["", " ", "\r", "\t"])))
    return "\n".join(lines).encode(errors="replace").decode()


@settings(BOUNDED, max_examples=60)
@given(st.data(), st.booleans())
@pytest.mark.parametrize("form", FORMATS)
def test_mutated_text_is_every_row_or_a_refusal(form: str, data: st.DataObject, is_stated: bool) -> None:
    name, text = VALID[form]
    check_text(data.draw(mutated(text)), name, form if is_stated else AUTO, False)


def packed_zip(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
    return buffer.getvalue()


@BOUNDED
@given(st.data())
@pytest.mark.parametrize(("name", "pack"), [("a.csv.gz", gzip.compress), ("a.zip", packed_zip)])
def test_mutated_package_is_the_whole_text_or_a_refusal(name: str, pack: Callable[[bytes], bytes], data: st.DataObject) -> None:
    text = VALID["histdata"][1]
    packed = bytearray(pack(text.encode()))
    if data.draw(st.booleans()):
        del packed[data.draw(st.integers(0, len(packed) - 1)) :]
    else:
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        members = list(texts_of(name, bytes(packed)))
    except ImportRefusedError:
        return
    assert [member.text for member in members] in ([text], [""], [])


@settings(BOUNDED, max_examples=25)
@given(st.data())
@pytest.mark.parametrize("form", [*FORMATS, "bi5", "dukascopy-json"])
def test_import_of_a_mutated_file_is_whole_or_leaves_nothing(form: str, data: st.DataObject) -> None:
    """The raw store holds a row for each line of an import that was not refused, and verifies."""
    assert form in FORMAT_NAMES
    with tempfile.TemporaryDirectory() as folder:
        store, path, rows = RawStore(Path(folder) / "raw"), *delivered(Path(folder), form, data)
        try:
            report = import_path(path, store, INSTRUMENT, now=NOW, utc_offset=clock_of(form))
        except ImportRefusedError:
            assert store.sources() == ()
            return
        held = sum(len(store.read_date(report.source, "EURUSD", day.date)) for day in report.dates)
        assert held == report.rows == (0 if report.unusable and form in ("bi5", "dukascopy-json") else rows(report.format))
        assert store.verify() == []
        assert {len(day.states) for day in report.dates} == {5}
        assert HOUR_NOT_DELIVERED not in str(report.unusable)


def delivered(folder: Path, form: str, data: st.DataObject) -> tuple[Path, Callable[[str], int]]:
    """Write a mutated file of a format; return its path and how many rows it has, as the format that was found says."""
    if form == "bi5":
        body = bytearray(bi5_hour())
        body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        path = folder / "EURUSD" / "2019" / "01" / "04" / "10h_ticks.bi5"
        path.parent.mkdir(parents=True)
        path.write_bytes(lzma.compress(bytes(body), format=lzma.FORMAT_ALONE))
        return path, lambda _: 40
    if form == "dukascopy-json":
        path = folder / "ticks-EUR-USD-2019-2-4-10.json"
        content = json.dumps(JSON_HOUR)
        at = data.draw(st.integers(0, len(content)))
        path.write_text(content[:at] + data.draw(st.sampled_from(["", "0", "-", "]", "1e400", '"'])) + content[at:])
        return path, lambda _: 5
    name, text = VALID[form]
    changed = data.draw(mutated(text))
    path = folder / name
    path.write_bytes(changed.encode())
    found = changed.removeprefix("\ufeff")
    return path, lambda read: len(json.loads(found)) if read.endswith("json") else lines_of(found) - begins_with_a_header(found)


def begins_with_a_header(text: str) -> bool:
    first = next(line for line in text.split("\n") if line.strip()).lstrip(' "')
    return first[:1] == "<" or (first[:1].isalpha() and "/" not in first)
