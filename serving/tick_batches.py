"""Ticks from JSON to columns: the quick path over the shape that `schemas.TickIn` documents.

What belongs here: parsing, limits and the translation of prices to points. What must not: kernels or state.
A request that is wrong in shape is refused whole, before anything of it is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, groupby
from typing import Any

import orjson

from serving.clock import us_of
from serving.problems import Problem
from serving.symbol_feed import TickRow, to_ticks
from tick_assets.domain.instruments import Instrument
from tick_assets.domain.leaders import SETTLED_S
from tick_assets.domain.ticks import Ticks

GRID_TOLERANCE_POINTS = 1e-6
_MAX_POINTS = float(2**40)
_MAX_ERRORS = 20
_MEMBERS = frozenset({"symbol", "ts_event", "bid_price", "ask_price", "bid_size", "ask_size"})


@dataclass(frozen=True)
class SymbolBatch:
    """The ticks of one symbol in a request; `index` is each one's place in it."""

    instrument: Instrument
    index: list[int]
    rows: list[TickRow]

    @property
    def ticks(self) -> Ticks:
        return to_ticks(self.rows)


def interleaved(batches: list[SymbolBatch]) -> list[SymbolBatch]:
    """Return the batches, cut every `SETTLED_S` seconds and put in the order of time where one symbol leads another.

    A follower reads what its leader said in whole seconds that ended so long ago; cut like this, it has arrived whichever comes first.
    """
    symbols = {batch.instrument.symbol for batch in batches}
    if not any(batch.instrument.sampling.leader in symbols for batch in batches):
        return batches
    parts = [(piece, part) for batch in batches for piece, part in _cut(batch)]
    return [part for _, part in sorted(parts, key=lambda item: item[0])]


def _cut(batch: SymbolBatch) -> Iterator[tuple[int, SymbolBatch]]:
    """Yield the rows of one piece of time after the other; a row that is late stays behind those that came before it."""
    newest = accumulate((row[0] for row in batch.rows), max)
    pieces = [ts_us // (SETTLED_S * 1_000_000) for ts_us in newest]
    for piece, places in groupby(range(len(pieces)), key=pieces.__getitem__):
        chosen = list(places)
        yield piece, SymbolBatch(batch.instrument, [batch.index[i] for i in chosen], [batch.rows[i] for i in chosen])


class _TickError(ValueError):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def parse_tick_batches(body: bytes, instruments: Mapping[str, Instrument], limit: int, *, is_replay: bool) -> list[SymbolBatch]:
    """Parse one tick, a list of ticks or `{"ticks": [...]}`; raise a `Problem` naming every bad one (the first 20).

    A replay may carry quotes of zero or less: they are vendor rows that the kernel refuses and counts.
    """
    rows = _rows_of(body, limit)
    columns: dict[str, tuple[list[int], list[TickRow]]] = {}
    errors: list[dict[str, Any]] = []
    for i, row in enumerate(rows):
        try:
            symbol, values = _parse_row(row, instruments, is_replay)
        except _TickError as error:
            errors.append({"index": i, "reason_code": error.code, "detail": str(error)})
            if len(errors) >= _MAX_ERRORS:
                break
            continue
        index, parsed = columns.setdefault(symbol, ([], []))
        index.append(i)
        parsed.append(values)
    if errors:
        raise _refusal(errors)
    return [SymbolBatch(instruments[symbol], index, parsed) for symbol, (index, parsed) in columns.items()]


def _rows_of(body: bytes, limit: int) -> list[Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "BODY_MALFORMED", f"Expected JSON: {error.msg}.") from None
    if isinstance(document, dict) and set(document) == {"ticks"}:
        document = document["ticks"]
    rows = document if isinstance(document, list) else [document]
    if not rows or len(rows) > limit:
        raise Problem(422, "BATCH_SIZE", f"Expected 1 to {limit} ticks, was {len(rows)}. Split the batch.")
    return rows


def _parse_row(row: Any, instruments: Mapping[str, Instrument], is_replay: bool) -> tuple[str, TickRow]:
    if not isinstance(row, dict):
        raise _TickError("TICK_MALFORMED", "Expected an object.")
    if not row.keys() <= _MEMBERS:
        raise _TickError("TICK_MALFORMED", f"Expected only the members {', '.join(sorted(_MEMBERS))}.")
    symbol = row.get("symbol")
    if not isinstance(symbol, str):
        raise _TickError("TICK_MALFORMED", "Expected a text in symbol.")
    instrument = instruments.get(symbol)
    if instrument is None:
        raise _TickError("SYMBOL_UNKNOWN", "Expected a symbol of the market file. Add a section for it.")
    ts_us = _stamp_of(row.get("ts_event"))
    bid = _points_of(row, "bid_price", instrument.price_factor, is_replay)
    ask = _points_of(row, "ask_price", instrument.price_factor, is_replay)
    return symbol, (ts_us, bid, ask, _size_of(row, "bid_size"), _size_of(row, "ask_size"))


def _stamp_of(value: Any) -> int:
    if not isinstance(value, str):
        raise _TickError("TIMESTAMP_MALFORMED", "Expected ts_event as ISO-8601 text with an offset or Z.")
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise _TickError("TIMESTAMP_MALFORMED", "Expected ts_event as ISO-8601 text with an offset or Z.") from None
    if at.tzinfo is None:
        raise _TickError("TIMESTAMP_NAIVE", "Expected ts_event with an offset or Z, was without.")
    ts_us = us_of(at)
    if not 0 <= ts_us < 4_102_444_800_000_000:
        raise _TickError("TIMESTAMP_MALFORMED", "Expected ts_event between 1970 and 2100.")
    return ts_us


def _points_of(row: dict[str, Any], name: str, price_factor: int, is_replay: bool) -> int:
    value = row.get(name)
    if type(value) is not float and type(value) is not int:
        raise _TickError("PRICE_MALFORMED", f"Expected a number in {name}.")
    points = float(value) * price_factor
    if not math.isfinite(points) or abs(points) > _MAX_POINTS:
        raise _TickError("PRICE_OUT_OF_RANGE", f"Expected a finite price of at most {_MAX_POINTS:g} points in {name}.")
    whole = round(points)
    if abs(points - whole) > GRID_TOLERANCE_POINTS:
        raise _TickError("PRICE_NOT_ON_GRID", f"Expected {name} as a whole number of points (1/{price_factor}).")
    if whole <= 0 and not is_replay:
        raise _TickError("PRICE_NOT_POSITIVE", f"Expected {name} above zero.")
    return whole


def _size_of(row: dict[str, Any], name: str) -> float:
    value = row.get(name)
    if value is None:
        return math.nan
    if type(value) is not float and type(value) is not int:
        raise _TickError("SIZE_MALFORMED", f"Expected a number or null in {name}.")
    size = float(value)
    if not math.isfinite(size) or size < 0:
        raise _TickError("SIZE_MALFORMED", f"Expected a finite {name} of zero or more.")
    return size


def _refusal(errors: list[dict[str, Any]]) -> Problem:
    codes = {error["reason_code"] for error in errors}
    code = codes.pop() if len(codes) == 1 else "TICKS_INVALID"
    status = 404 if code == "SYMBOL_UNKNOWN" else 422
    return Problem(status, code, f"Refused the whole request: {errors[0]['detail']}", errors=errors)
