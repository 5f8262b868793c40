"""The bi5 wire format: LZMA over 20-byte big-endian records. Pure, in both directions.

What belongs here: paths, bytes to ticks and back. What must not: sockets, files, ledger states.
Sizes are float32 millions on the wire and units in `Ticks`: the shortest decimal of the float32, times a million.
The bytes carry no date: a wrong month in the path can't be seen in them, so paths have a table test, and offsets must lie inside the hour.
Nothing promises that offsets rise. Equal ones are different quotes; a falling one was never met in 3.6 million real rows, is no error, and
is sorted by stamp when rows are stored, while the delivery itself is kept as it came.
"""

from __future__ import annotations

import lzma
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from tick_assets.domain.ticks import Float64Array, Ticks, empty_ticks
from tick_assets.lakehouse.vendors import port
from tick_assets.lakehouse.vendors.port import HOUR_MS, PayloadError, hour_start_us

RECORD = np.dtype([("offset_ms", ">u4"), ("ask", ">u4"), ("bid", ">u4"), ("ask_size", ">f4"), ("bid_size", ">f4")])
MAXIMUM_BYTES = 64 * 2**20
_DECODER_MEMORY = 256 * 2**20
_FAST_PRESET = 1
_EXACT_BELOW_MILLIONS = 8.0
"""Below this a float32 tells any two sixth decimals apart, so rounding to whole units is exact."""


def bi5_path(symbol: str, hour: datetime) -> str:
    """Return the vendor's path of an hour; its months count from 0."""
    at = hour.astimezone(UTC)
    return f"/{symbol}/{at.year:04d}/{at.month - 1:02d}/{at.day:02d}/{at.hour:02d}h_ticks.bi5"


def decode_bi5(payload: bytes, hour: datetime) -> Ticks:
    """Decode one hour, in vendor order; anything that is no whole hour of ticks is a `PayloadError`. No bytes are no ticks."""
    start_us = hour_start_us(hour)
    if not payload:
        return empty_ticks()
    records = np.frombuffer(_decompress(payload), dtype=RECORD)
    offsets_ms = records["offset_ms"].astype(np.int64)
    if len(offsets_ms) and int(offsets_ms.max()) >= HOUR_MS:
        raise PayloadError(port.OFFSET_OUTSIDE_HOUR, f"Expected offsets below {HOUR_MS} ms, was {int(offsets_ms.max())}.")
    return Ticks(
        ts_us=start_us + offsets_ms * 1000,
        bid_points=records["bid"].astype(np.int64),
        ask_points=records["ask"].astype(np.int64),
        bid_size=millions_to_units(records["bid_size"].astype(np.float32)),
        ask_size=millions_to_units(records["ask_size"].astype(np.float32)),
    )


def _decompress(payload: bytes) -> bytes:
    decoder = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=_DECODER_MEMORY)
    try:
        body = decoder.decompress(payload, max_length=MAXIMUM_BYTES + 1)
    except lzma.LZMAError as error:
        reason = port.PAYLOAD_TRUNCATED if "ended" in str(error) else port.PAYLOAD_NOT_TICKS
        raise PayloadError(reason, f"Expected an LZMA stream, was {len(payload)} bytes that do not decode ({error}).") from error
    if len(body) > MAXIMUM_BYTES:
        raise PayloadError(port.PAYLOAD_TOO_LARGE, f"Expected at most {MAXIMUM_BYTES} bytes an hour, was more.")
    if not decoder.eof:
        raise PayloadError(port.PAYLOAD_TRUNCATED, f"Expected a complete LZMA stream, was cut after {len(payload)} bytes.")
    if decoder.unused_data:
        raise PayloadError(port.PAYLOAD_NOT_TICKS, f"Expected nothing after the LZMA stream, was {len(decoder.unused_data)} bytes.")
    if len(body) % RECORD.itemsize:
        raise PayloadError(port.PAYLOAD_LENGTH, f"Expected a multiple of {RECORD.itemsize} bytes, was {len(body)}.")
    return body


def millions_to_units(millions: npt.NDArray[np.float32]) -> Float64Array:
    """Return float32 millions as units, reading each as its shortest decimal; a size that is no finite number >= 0 is a `PayloadError`."""
    if not np.isfinite(millions).all() or (millions < 0).any():
        raise PayloadError(port.PAYLOAD_NOT_TICKS, "Expected sizes that are finite and not negative, was something else.")
    units: Float64Array = np.rint(millions.astype(np.float64) * 1e6)
    is_exact = (millions < _EXACT_BELOW_MILLIONS) & ((units / 1e6).astype(np.float32) == millions)
    values, inverse = np.unique(millions[~is_exact], return_inverse=True)
    units[~is_exact] = np.array([float(Decimal(str(value)).scaleb(6)) for value in values], dtype=np.float64)[inverse]
    return units


def encode_bi5(ticks: Ticks, hour: datetime) -> bytes:
    """Encode the ticks of one hour as the vendor would; no ticks are no bytes."""
    if not len(ticks):
        return b""
    records = np.empty(len(ticks), dtype=RECORD)
    records["offset_ms"] = (ticks.ts_us - hour_start_us(hour)) // 1000
    records["ask"], records["bid"] = ticks.ask_points, ticks.bid_points
    records["ask_size"] = (ticks.ask_size / 1e6).astype(np.float32)
    records["bid_size"] = (ticks.bid_size / 1e6).astype(np.float32)
    return lzma.compress(records.tobytes(), format=lzma.FORMAT_ALONE, preset=_FAST_PRESET)
