"""The JSON wire format: cumulated deltas from a base quote. Pure, in both directions.

What belongs here: paths, bytes to ticks and back. What must not: sockets, files, ledger states.
`times` are millisecond deltas added up from `timestamp`; `asks` and `bids` integer deltas in units of `multiplier`, added up from
`ask` and `bid`; volumes are in units. An hour without ticks is a document with empty lists, whose base quote may be null; if it names
its hour or its multiplier, they are checked all the same. Nothing promises that times rise: rows keep the delivered order within a stamp
and are sorted by stamp when they are stored, while the delivery itself is kept as it came.
"""

from __future__ import annotations

from array import array
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from tick_assets.domain.ticks import Float64Array, Int64Array, Ticks, empty_ticks
from tick_assets.lakehouse.vendors import port
from tick_assets.lakehouse.vendors.port import HOUR_US, PayloadError, hour_start_us

_LISTS = ("times", "asks", "bids", "askVolumes", "bidVolumes")
_SCALARS = ("timestamp", "multiplier", "ask", "bid")
_MAXIMUM_DELTA = 2**40
_MAXIMUM_ROWS = 2**20


def json_path(code: str, hour: datetime) -> str:
    """Return the vendor's path of an hour: dashed code, months from 1, nothing padded."""
    at = hour.astimezone(UTC)
    return f"/v1/ticks/{code}/{at.year}/{at.month}/{at.day}/{at.hour}"


def decode_json(payload: bytes, hour: datetime, price_factor: int) -> Ticks:
    """Decode one hour, in vendor order; anything that is no whole hour of ticks is a `PayloadError`. No bytes are no ticks."""
    start_us = hour_start_us(hour)
    if not payload:
        return empty_ticks()
    document = _parse(payload)
    if _is_number(document["multiplier"]):
        _require_multiplier(document["multiplier"], price_factor)
    if _is_number(document["timestamp"]):
        _require_inside(int(document["timestamp"] * 1000), start_us, "`timestamp`")
    if not document["times"]:
        return empty_ticks()
    ts_us = (int(document["timestamp"]) + np.cumsum(_integers(document, "times"))) * 1000
    _require_inside(int(ts_us.min()), start_us, "the first time")
    _require_inside(int(ts_us.max()), start_us, "the last time")
    return Ticks(
        ts_us=ts_us,
        bid_points=_base_points(document, "bid", price_factor) + np.cumsum(_integers(document, "bids")),
        ask_points=_base_points(document, "ask", price_factor) + np.cumsum(_integers(document, "asks")),
        bid_size=_sizes(document, "bidVolumes"),
        ask_size=_sizes(document, "askVolumes"),
    )


def _parse(payload: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        reason = port.PAYLOAD_TRUNCATED if payload.lstrip()[:1] == b"{" else port.PAYLOAD_NOT_TICKS
        raise PayloadError(reason, f"Expected a JSON document, was {len(payload)} bytes that do not parse ({error}).") from error
    if not isinstance(document, dict):
        raise PayloadError(port.PAYLOAD_NOT_TICKS, f"Expected a JSON object, was {type(document).__name__}.")
    missing = [name for name in _SCALARS + _LISTS if name not in document]
    if missing:
        raise PayloadError(port.PAYLOAD_NOT_TICKS, f"Expected the fields {missing}, was a document without them.")
    if not all(isinstance(document[name], list) for name in _LISTS):
        raise PayloadError(port.PAYLOAD_NOT_TICKS, f"Expected lists in {_LISTS}, was something else.")
    # A search of the bytes spares a look at each value.
    if (b"true" in payload or b"false" in payload) and any(isinstance(value, bool) for name in _LISTS for value in document[name]):
        raise PayloadError(port.PAYLOAD_NOT_TICKS, f"Expected numbers in {_LISTS}, was true or false.")
    lengths = {len(document[name]) for name in _LISTS}
    if len(lengths) != 1 or max(lengths) > _MAXIMUM_ROWS:
        raise PayloadError(port.PAYLOAD_LENGTH, f"Expected lists of one length up to {_MAXIMUM_ROWS}, was {sorted(lengths)}.")
    if max(lengths) and not all(_is_number(document[name]) for name in _SCALARS):
        raise PayloadError(port.PAYLOAD_NOT_TICKS, f"Expected numbers in {_SCALARS}, was something else.")
    if _is_number(document["timestamp"]) and document["timestamp"] != int(document["timestamp"]):
        raise PayloadError(port.PAYLOAD_NOT_TICKS, f"Expected whole milliseconds in `timestamp`, was {document['timestamp']}.")
    return document


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53


def _require_multiplier(multiplier: float, price_factor: int) -> None:
    if abs(multiplier * price_factor - 1) > 1e-9:
        raise PayloadError(
            port.PRICE_FACTOR_MISMATCH,
            f"Expected the multiplier 1/{price_factor}, was {multiplier}. Correct price_factor in the market file.",
        )


def _require_inside(ts_us: int, start_us: int, what: str) -> None:
    if not start_us <= ts_us < start_us + HOUR_US:
        raise PayloadError(port.TIMESTAMP_OUTSIDE_HOUR, f"Expected {what} within the hour from {start_us} us, was {ts_us} us.")


def _numbers(values: list[Any], kind: str) -> npt.NDArray[Any] | None:
    """Return a list as a column of `array`'s kind, or nothing where one of its values is no such number; it takes bools for numbers."""
    try:
        return np.frombuffer(array(kind, values), dtype=f"{'i' if kind == 'q' else 'f'}8")
    except (OverflowError, TypeError):
        return None


def _integers(document: dict[str, Any], name: str) -> Int64Array:
    integers = _numbers(document[name], "q")
    if integers is None or (np.abs(integers) >= _MAXIMUM_DELTA).any() or (integers == np.iinfo(np.int64).min).any():
        raise PayloadError(port.PAYLOAD_NOT_TICKS, f"Expected integers in {name!r}, was something else.")
    return integers


def _sizes(document: dict[str, Any], name: str) -> Float64Array:
    sizes = _numbers(document[name], "d")
    if sizes is None or not ((sizes >= 0) & (sizes < 2**53)).all():
        raise PayloadError(port.PAYLOAD_NOT_TICKS, f"Expected sizes that are numbers and not negative in {name!r}, was something else.")
    return sizes


def _base_points(document: dict[str, Any], side: str, price_factor: int) -> int:
    scaled = float(document[side]) * price_factor
    if abs(scaled) >= 2**53 or abs(scaled - round(scaled)) > 1e-3:
        raise PayloadError(port.PRICE_FACTOR_MISMATCH, f"Expected {side!r} in steps of 1/{price_factor}, was {document[side]}.")
    return round(scaled)


def encode_json(ticks: Ticks, hour: datetime, price_factor: int) -> bytes:
    """Encode the ticks of one hour as the vendor would; no ticks give empty lists."""
    start_ms = hour_start_us(hour) // 1000
    has_rows = len(ticks) > 0
    base_ask, base_bid = (int(ticks.ask_points[0]), int(ticks.bid_points[0])) if has_rows else (0, 0)
    document = {
        "timestamp": start_ms,
        "multiplier": 1 / price_factor,
        "ask": base_ask / price_factor,
        "bid": base_bid / price_factor,
        "times": np.diff(ticks.ts_us // 1000, prepend=start_ms),
        "asks": np.diff(ticks.ask_points, prepend=base_ask),
        "bids": np.diff(ticks.bid_points, prepend=base_bid),
        "askVolumes": np.ascontiguousarray(ticks.ask_size),
        "bidVolumes": np.ascontiguousarray(ticks.bid_size),
    }
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
