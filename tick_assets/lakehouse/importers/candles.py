"""Tell candles from ticks: a bar file that is read as ticks gives prices that never were.

What belongs here: what gives candles away, in each shape. What must not: reading them.
The length tells nothing: days of 24-byte candles divide by a tick's 20 bytes too.
"""

from __future__ import annotations

import lzma
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

RECORD = np.dtype([("offset_s", ">u4"), ("open", ">u4"), ("close", ">u4"), ("low", ">u4"), ("high", ">u4"), ("volume", ">f4")])
_NAMES = frozenset({"open", "high", "low", "close"})
_CLOSE_TO = 0.02
_MAXIMUM_BYTES = 64 * 2**20


def are_candle_names(names: Iterable[str]) -> bool:
    """Tell whether columns or fields are named as those of bars."""
    found = {name.strip().strip("<>\"'").lower() for name in names}
    return len(found & _NAMES) >= 2


def are_candle_rows(rows: Sequence[Sequence[float]]) -> bool:
    """Tell whether four neighbouring numbers of every row are an open, a high, a low and a close, a few per cent apart at most."""
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    usual = [row for row in rows if len(row) == width]
    return any(all(_is_candle(row[place : place + 4]) for row in usual) for place in range(width - 3))


def _is_candle(prices: Sequence[float]) -> bool:
    first, high, low, last = prices
    if not all(price > 0 for price in prices):
        return False
    return high >= max(first, last) and low <= min(first, last) and high - low <= _CLOSE_TO * low


def is_candle_payload(payload: bytes) -> bool:
    """Tell whether an LZMA payload is a day of 24-byte candles: seconds that rise in whole minutes, low <= open, close <= high."""
    decoder = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=256 * 2**20)
    try:
        body = decoder.decompress(payload, max_length=_MAXIMUM_BYTES)
    except (lzma.LZMAError, EOFError):
        return False
    if not body or len(body) % RECORD.itemsize:
        return False
    bars = np.frombuffer(body, dtype=RECORD)
    offsets = bars["offset_s"].astype(np.int64)
    is_rising = bool((np.diff(offsets) > 0).all()) and not (offsets % 60).any()
    within = (bars["low"] <= np.minimum(bars["open"], bars["close"])) & (bars["high"] >= np.maximum(bars["open"], bars["close"]))
    return is_rising and bool(within.all()) and bool((bars["low"] > 0).all())
