"""Both wire formats: paths, values, and every way in which bytes are no hour of ticks."""

from __future__ import annotations

import contextlib
import itertools
import lzma
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tick_assets.domain.instruments import Market
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse.raw_csv import canonical_sha256, rows_from_ticks
from tick_assets.lakehouse.vendors import port
from tick_assets.lakehouse.vendors.bi5 import bi5_path, decode_bi5, encode_bi5
from tick_assets.lakehouse.vendors.feeds import Feed
from tick_assets.lakehouse.vendors.json_feed import decode_json, encode_json, json_path
from tick_assets.lakehouse.vendors.port import PayloadError
from tick_assets.lakehouse.vendors.twin import parse_route
from tick_assets.lakehouse.vendors.wire_formats import WIRE_FORMATS, decode_hour

HOUR = datetime(2024, 1, 8, 10, tzinfo=UTC)
START_US = 1_704_708_000_000_000


def make_ticks(count: int = 3) -> Ticks:
    steps = np.arange(count, dtype=np.int64)
    return Ticks(START_US + steps * 1000, 110_000 + steps, 110_008 + 2 * steps, 1_870_000.0 + 10_000 * steps, 2_060_000.0 + 0 * steps)


def compress(body: bytes) -> bytes:
    return lzma.compress(body, format=lzma.FORMAT_ALONE)


def document(**changes: object) -> bytes:
    return orjson.dumps({**orjson.loads(encode_json(make_ticks(), HOUR, 100_000)), **changes})


@pytest.mark.parametrize(
    ("hour", "bi5", "json"),
    [
        ("2019-02-04T00:00", "/EURUSD/2019/01/04/00h_ticks.bi5", "/v1/ticks/EUR-USD/2019/2/4/0"),
        ("2020-01-01T00:00", "/EURUSD/2020/00/01/00h_ticks.bi5", "/v1/ticks/EUR-USD/2020/1/1/0"),
        ("2020-01-31T23:00", "/EURUSD/2020/00/31/23h_ticks.bi5", "/v1/ticks/EUR-USD/2020/1/31/23"),
        ("2020-12-01T09:00", "/EURUSD/2020/11/01/09h_ticks.bi5", "/v1/ticks/EUR-USD/2020/12/1/9"),
        ("2020-12-31T23:00", "/EURUSD/2020/11/31/23h_ticks.bi5", "/v1/ticks/EUR-USD/2020/12/31/23"),
        ("2024-02-29T05:00", "/EURUSD/2024/01/29/05h_ticks.bi5", "/v1/ticks/EUR-USD/2024/2/29/5"),
        ("2024-03-01T00:00", "/EURUSD/2024/02/01/00h_ticks.bi5", "/v1/ticks/EUR-USD/2024/3/1/0"),
        ("2023-10-10T10:00", "/EURUSD/2023/09/10/10h_ticks.bi5", "/v1/ticks/EUR-USD/2023/10/10/10"),
    ],
)
def test_paths_count_months_from_0_in_bi5_and_from_1_in_json(hour: str, bi5: str, json: str) -> None:
    at = datetime.fromisoformat(hour).replace(tzinfo=UTC)
    assert (bi5_path("EURUSD", at), json_path("EUR-USD", at)) == (bi5, json)


@pytest.mark.parametrize(
    ("symbol", "feed", "url"),
    [
        ("EURUSD", Feed("bi5", "https://host/datafeed"), "https://host/datafeed/EURUSD/2020/00/31/09h_ticks.bi5"),
        ("EURUSD", Feed("bi5", "https://host/datafeed/"), "https://host/datafeed/EURUSD/2020/00/31/09h_ticks.bi5"),
        ("EURUSD", Feed("json", "https://host"), "https://host/v1/ticks/EUR-USD/2020/1/31/9"),
        ("XAUUSD", Feed("json", "https://host"), "https://host/v1/ticks/XAU-USD/2020/1/31/9"),
    ],
)
def test_feed_url_has_the_code_of_its_format(market: Market, symbol: str, feed: Feed, url: str) -> None:
    assert feed.url(market.instrument(symbol), datetime(2020, 1, 31, 9, tzinfo=UTC)) == url


@pytest.mark.parametrize("wire_format", WIRE_FORMATS)
def test_paths_of_every_hour_of_years_are_understood_by_the_twin(wire_format: str) -> None:
    hours = [datetime(2019, 12, 1, tzinfo=UTC) + timedelta(hours=13 * step) for step in range(1000)]
    paths = [bi5_path("EURUSD", hour) if wire_format == "bi5" else json_path("EUR-USD", hour) for hour in hours]
    requests = [parse_route(path) for path in paths]
    assert [request.hour for request in requests if request] == hours


def test_decode_bi5_record_has_ask_first_and_sizes_in_units() -> None:
    ticks = decode_bi5(compress(struct.pack(">IIIff", 123, 114_521, 114_518, 1.87, 2.87)), HOUR)
    assert (ticks.ts_us[0], ticks.ask_points[0], ticks.bid_points[0]) == (START_US + 123_000, 114_521, 114_518)
    assert (ticks.ask_size[0], ticks.bid_size[0]) == (1_870_000.0, 2_870_000.0)


def test_decode_bi5_tiny_sizes_keep_their_shortest_decimal() -> None:
    ticks = decode_bi5(compress(struct.pack(">IIIff", 0, 2, 1, 1.5e-6, 123.4567)), HOUR)
    assert (ticks.ask_size[0], ticks.bid_size[0]) == (1.5, 123_456_700.0)


@pytest.mark.parametrize("wire_format", WIRE_FORMATS)
def test_decode_of_encoded_gives_the_same_ticks(wire_format: str) -> None:
    ticks = make_ticks(500)
    payload = encode_bi5(ticks, HOUR) if wire_format == "bi5" else encode_json(ticks, HOUR, 100_000)
    decoded = decode_hour(wire_format, payload, HOUR, 100_000)
    assert all(np.array_equal(a, b) for a, b in zip(ticks.columns, decoded.columns, strict=True))


@pytest.mark.parametrize("wire_format", WIRE_FORMATS)
def test_decode_no_bytes_gives_no_ticks(wire_format: str) -> None:
    assert len(decode_hour(wire_format, b"", HOUR, 100_000)) == 0


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (encode_bi5(make_ticks(50), HOUR)[:-20], port.PAYLOAD_TRUNCATED),
        (compress(b"x" * 21), port.PAYLOAD_LENGTH),
        (compress(struct.pack(">IIIff", 3_600_000, 2, 1, 1, 1)), port.OFFSET_OUTSIDE_HOUR),
        (compress(struct.pack(">IIIff", 2**32 - 1, 2, 1, 1, 1)), port.OFFSET_OUTSIDE_HOUR),
        (compress(struct.pack(">IIIff", 0, 2, 1, float("nan"), 1)), port.PAYLOAD_NOT_TICKS),
        (compress(struct.pack(">IIIff", 0, 2, 1, -1, 1)), port.PAYLOAD_NOT_TICKS),
        (encode_bi5(make_ticks(), HOUR) + b"more", port.PAYLOAD_NOT_TICKS),
        (b"<html>maintenance</html>", port.PAYLOAD_NOT_TICKS),
        (b"\x00" * 40, port.PAYLOAD_NOT_TICKS),
    ],
)
def test_decode_bi5_bad_payload_is_refused_with_its_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        decode_hour("bi5", payload, HOUR, 100_000)
    assert caught.value.reason == reason


@pytest.mark.parametrize("offsets", [(5, 5, 5), (7, 3, 5)])
@pytest.mark.parametrize("wire_format", WIRE_FORMATS)
def test_decode_equal_and_falling_stamps_are_rows_that_sort_by_stamp(wire_format: str, offsets: tuple[int, ...]) -> None:
    """Bids 1, 2, 3 tell where each row was delivered."""
    if wire_format == "bi5":
        payload = compress(b"".join(struct.pack(">IIIff", ms, 9, bid, 1, 1) for bid, ms in enumerate(offsets, start=1)))
    else:
        deltas = [offsets[0], *(later - earlier for earlier, later in itertools.pairwise(offsets))]
        payload = document(times=deltas, ask=0.00009, asks=[0, 0, 0], bid=0.00001, bids=[0, 1, 1])
    ticks = decode_hour(wire_format, payload, HOUR, 100_000)
    assert ticks.bid_points.tolist() == [1, 2, 3]
    assert rows_from_ticks(ticks)["bid_points"].to_list() == [bid for _, bid in sorted(zip(offsets, (1, 2, 3), strict=True))]


def test_decode_json_closed_hour_is_a_document_without_a_base_quote() -> None:
    empty = document(ask=None, bid=None, **{name: [] for name in ("times", "asks", "bids", "askVolumes", "bidVolumes")})
    assert len(decode_json(empty, HOUR, 100_000)) == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"timestamp": START_US // 1000 - 3_600_000}, port.TIMESTAMP_OUTSIDE_HOUR), ({"multiplier": 0.001}, port.PRICE_FACTOR_MISMATCH)],
)
def test_decode_json_empty_hour_is_checked_too(changes: dict[str, float], reason: str) -> None:
    empty = {name: [] for name in ("times", "asks", "bids", "askVolumes", "bidVolumes")}
    with pytest.raises(PayloadError) as caught:
        decode_json(document(**empty, **changes), HOUR, 100_000)
    assert caught.value.reason == reason


def test_decode_bi5_candles_of_a_day_are_refused() -> None:
    candles = b"".join(struct.pack(">IIIIIf", second, 1, 1, 1, 1, 1.0) for second in range(0, 86_400, 60))
    assert len(candles) % 20 == 0
    with pytest.raises(PayloadError):
        decode_bi5(compress(candles), HOUR)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (document()[:-30], port.PAYLOAD_TRUNCATED),
        (document(timestamp=START_US // 1000 - 31 * 86_400_000), port.TIMESTAMP_OUTSIDE_HOUR),
        (document(timestamp=START_US // 1000 + 3_600_000), port.TIMESTAMP_OUTSIDE_HOUR),
        (document(timestamp=START_US // 1000 + 0.5), port.PAYLOAD_NOT_TICKS),
        (document(times=[0, 1, 3_600_000]), port.TIMESTAMP_OUTSIDE_HOUR),
        (document(times=[0, 3_600_000, -5_000]), port.TIMESTAMP_OUTSIDE_HOUR),
        (document(times=[-1, 1, 1]), port.TIMESTAMP_OUTSIDE_HOUR),
        (document(multiplier=0.001), port.PRICE_FACTOR_MISMATCH),
        (document(ask=1.234567), port.PRICE_FACTOR_MISMATCH),
        (document(asks=[0, 1]), port.PAYLOAD_LENGTH),
        (document(asks=[0, 1, 0.5]), port.PAYLOAD_NOT_TICKS),
        (document(asks=[0, 1, 2**62]), port.PAYLOAD_NOT_TICKS),
        (document(bidVolumes=[1, None, 1]), port.PAYLOAD_NOT_TICKS),
        (document(bidVolumes="many"), port.PAYLOAD_NOT_TICKS),
        (document(timestamp=True), port.PAYLOAD_NOT_TICKS),
        (b"[]", port.PAYLOAD_NOT_TICKS),
        (b"{}", port.PAYLOAD_NOT_TICKS),
        (b"<!doctype html>", port.PAYLOAD_NOT_TICKS),
    ],
)
def test_decode_json_bad_payload_is_refused_with_its_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        decode_hour("json", payload, HOUR, 100_000)
    assert caught.value.reason == reason


@pytest.mark.parametrize("wire_format", WIRE_FORMATS)
@given(payload=st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_decode_any_bytes_end_in_ticks_or_a_payload_error(wire_format: str, payload: bytes) -> None:
    with contextlib.suppress(PayloadError):
        decode_hour(wire_format, payload, HOUR, 100_000)


@given(body=st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_decode_bi5_any_compressed_bytes_end_in_ticks_or_a_payload_error(body: bytes) -> None:
    try:
        ticks = decode_bi5(compress(body), HOUR)
    except PayloadError:
        return
    assert len(ticks) == len(body) // 20


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = ("timestamp", "multiplier", "ask", "bid", "times", "asks", "bids", "askVolumes", "bidVolumes")


@given(field=st.sampled_from(_FIELDS), value=_JSON)
@settings(max_examples=200, deadline=None)
def test_decode_json_any_value_in_any_field_ends_in_ticks_or_a_payload_error(field: str, value: object) -> None:
    try:
        payload = document(**{field: value})
    except TypeError:
        return  # orjson writes no integers above 64 bits
    with contextlib.suppress(PayloadError):
        decode_json(payload, HOUR, 100_000)


@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_decode_bi5_flipped_byte_ends_in_ticks_or_a_payload_error(position: int, flip: int) -> None:
    payload = bytearray(encode_bi5(make_ticks(50), HOUR))
    payload[position % len(payload)] ^= flip
    with contextlib.suppress(PayloadError):
        decode_bi5(bytes(payload), HOUR)


def test_real_hour_in_either_format_has_the_same_canonical_hash(real_data: Path) -> None:
    hour = datetime(2023, 2, 20, 12, tzinfo=UTC)
    bi5 = (real_data / "vendor/bi5" / bi5_path("BTCUSD", hour)[1:]).read_bytes()
    json = (real_data / "vendor/json/ticks-BTC-USD-2023-2-20-12.json").read_bytes()
    hashes = {canonical_sha256(rows_from_ticks(decode_hour(form, payload, hour, 10))) for form, payload in (("bi5", bi5), ("json", json))}
    assert len(hashes) == 1


def test_real_json_hour_has_its_3551_rows(real_data: Path) -> None:
    payload = (real_data / "vendor/json/ticks-EUR-USD-2026-7-13-12.json").read_bytes()
    ticks = decode_json(payload, datetime(2026, 7, 13, 12, tzinfo=UTC), 100_000)
    spread = ticks.ask_points - ticks.bid_points
    assert (len(ticks), spread.min(), spread.max()) == (3_551, 1, 9)
