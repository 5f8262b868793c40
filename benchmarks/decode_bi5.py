"""decode.bi5: a day of bi5 hour files to ticks, beside liblzma alone on the same bytes, two threads, and a loop over structs.

What belongs here: our side and its rivals. What must not: judging other than by TARGETS, making the files (`market`).
"""

from __future__ import annotations

import lzma
import struct
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import market
from benchmarks.findings import RATIO, Condition, Finding
from benchmarks.plan import Benchmark, Plan
from benchmarks.side import Work, serve
from benchmarks.turns import Measured, Side, in_turn

NAME, SYMBOL, ROUNDS = "decode.bi5", "SYNEDGE", 5
OURS, THREADS, LIMIT, LOOP = "ours", "two threads", "liblzma alone", "struct loop"
TARGETS = {LIMIT: Condition(RATIO, "<=", 1.25), THREADS: Condition(RATIO, ">=", 1.7), LOOP: Condition(RATIO, ">=", 5.0)}
RECORD = struct.Struct(">3I2f")


def _payloads(files: list[list[str]]) -> list[tuple[bytes, datetime]]:
    return [(Path(path).read_bytes(), datetime.fromisoformat(hour)) for path, hour in files]


def _rows(made: list[Any]) -> int:
    return sum(len(each) for each in made)


def _ours(files: list[list[str]]) -> Work:
    from tick_assets.lakehouse.vendors.bi5 import decode_bi5

    payloads = _payloads(files)
    return Work(lambda: [decode_bi5(payload, hour) for payload, hour in payloads], _rows)


def _two_threads(files: list[list[str]]) -> Work:
    from tick_assets.lakehouse.vendors.bi5 import decode_bi5

    payloads, pool = _payloads(files), ThreadPoolExecutor(2)
    return Work(lambda: list(pool.map(lambda each: decode_bi5(*each), payloads)), _rows, during=pool)


def _liblzma(files: list[list[str]]) -> Work:
    payloads = _payloads(files)

    def run() -> list[bytes]:
        return [lzma.decompress(payload, lzma.FORMAT_ALONE) if payload else b"" for payload, _ in payloads]

    return Work(run, lambda bodies: sum(len(body) for body in bodies) // RECORD.size)


def _struct_loop(files: list[list[str]]) -> Work:
    """Decode as small packages do: one record after another into tuples of stamps and prices."""
    payloads = _payloads(files)

    def decode(payload: bytes, hour: datetime) -> list[tuple[datetime, float, float, float, float]]:
        body = lzma.decompress(payload, lzma.FORMAT_ALONE) if payload else b""
        ticks = []
        for place in range(0, len(body), RECORD.size):
            offset_ms, ask, bid, ask_size, bid_size = RECORD.unpack(body[place : place + RECORD.size])
            ticks.append((hour + timedelta(milliseconds=offset_ms), ask / 1e5, bid / 1e5, round(ask_size * 1e6), round(bid_size * 1e6)))
        return ticks

    return Work(lambda: [decode(payload, hour) for payload, hour in payloads], _rows)


SIDES = {OURS: _ours, THREADS: _two_threads, LIMIT: _liblzma, LOOP: _struct_loop}


def hours(plan: Plan, size: int) -> tuple[list[tuple[str, str]], str]:
    """Return the hour files to decode and what they are."""
    if plan.real:
        folder = market.real_folder(plan.real, "EURUSD")
        return market.hour_files(folder), "real hours"
    dates, per_day = market.shape(size, market.DENSE_DAY, (SYMBOL,))
    folder = market.vendor_folder(plan.cache, (SYMBOL,), dates, per_day, plan.report) / SYMBOL
    return market.hour_files(folder, dates), "synthetic hours"


def measure(plan: Plan, size: int) -> list[Finding]:
    """Measure all sides over the same files."""
    files, origin = hours(plan, size)
    sides = [Side(name, "benchmarks.decode_bi5", {"files": files}) for name in SIDES]
    found = in_turn(sides, plan.rounds_of(ROUNDS), plan.work, plan.report)
    note = f"{len(files)} {origin}, {found[OURS].rows:,} ticks, single thread unless named; {{}}"
    measured = found[OURS].rows if plan.real else size
    return [_finding(found[OURS], found[rival], measured, note.format(found[rival].in_words())) for rival in (LIMIT, THREADS, LOOP)]


def _finding(ours: Measured, rival: Measured, size: int, note: str) -> Finding:
    """Return our time as a share of the limit, or how many times faster the quicker of two is than the other."""
    ratio = ours.seconds / rival.seconds
    if rival.name == LOOP:
        ratio = 1 / ratio
    rates = (ours.million_rows_per_s, rival.million_rows_per_s)
    return Finding(NAME, rates[0], "Mt/s", rival.name, rates[1], ratio, (TARGETS[rival.name],), ours.peak_mb, note, size)


BENCHMARK = Benchmark(
    NAME,
    "data",
    "decode a dense day of bi5 hour files",
    [f"{name}: {condition}" for name, condition in TARGETS.items()],
    (market.DENSE_DAY,),
    (market.DENSE_DAY,),
    measure,
)

if __name__ == "__main__":
    serve(SIDES)
