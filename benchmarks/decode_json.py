"""decode.json: the same day's hours in the vendor's JSON format to ticks, beside orjson parsing alone.

What belongs here: our side and its rival. What must not: judging other than by TARGET, making the files (`market`).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from benchmarks import decode_bi5, market
from benchmarks.decode_bi5 import hours
from benchmarks.findings import RATIO, Condition, Finding
from benchmarks.plan import Benchmark, Plan
from benchmarks.side import Work, serve
from benchmarks.turns import Side, in_turn

NAME, ROUNDS = "decode.json", 5
OURS, LIMIT = "ours", "orjson alone"
TARGET = Condition(RATIO, "<=", 1.5)
PRICE_FACTOR = 100_000


def _ours(files: list[list[str]]) -> Work:
    from tick_assets.lakehouse.vendors.json_feed import decode_json

    payloads = [(Path(path).read_bytes(), datetime.fromisoformat(hour)) for path, hour in files]
    return Work(
        lambda: [decode_json(payload, hour, PRICE_FACTOR) for payload, hour in payloads], lambda made: sum(len(each) for each in made)
    )


def _orjson(files: list[list[str]]) -> Work:
    import orjson

    payloads = [Path(path).read_bytes() for path, _ in files]
    return Work(lambda: [orjson.loads(payload) for payload in payloads], lambda made: sum(len(each["times"]) for each in made))


SIDES = {OURS: _ours, LIMIT: _orjson}


def _as_json(files: list[tuple[str, str]], folder: Path) -> list[tuple[str, str]]:
    """Write the hours in the JSON format and return the new files."""
    from tick_assets.lakehouse.vendors.bi5 import decode_bi5 as decode
    from tick_assets.lakehouse.vendors.json_feed import encode_json

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, (path, stamp) in enumerate(files):
        hour, target = datetime.fromisoformat(stamp), folder / f"{number:03d}.json"
        target.write_bytes(encode_json(decode(Path(path).read_bytes(), hour), hour, PRICE_FACTOR))
        written.append((str(target), stamp))
    return written


def measure(plan: Plan, size: int) -> list[Finding]:
    """Measure both sides over the same documents."""
    files, origin = hours(plan, size)
    documents = _as_json(files, plan.work / "json")
    sides = [Side(name, "benchmarks.decode_json", {"files": documents}) for name in SIDES]
    found = in_turn(sides, plan.rounds_of(ROUNDS), plan.work, plan.report)
    ours, rival = found[OURS], found[LIMIT]
    note = f"{len(files)} {origin} re-encoded, {ours.rows:,} ticks, single thread; {rival.in_words()}"
    measured = ours.rows if plan.real else size
    rates = (ours.million_rows_per_s, rival.million_rows_per_s)
    return [Finding(NAME, rates[0], "Mt/s", LIMIT, rates[1], ours.seconds / rival.seconds, (TARGET,), ours.peak_mb, note, measured)]


BENCHMARK = Benchmark(
    NAME, "data", "decode the same hours in JSON", [f"{LIMIT}: {TARGET}"], decode_bi5.BENCHMARK.sizes, (market.DENSE_DAY,), measure
)

if __name__ == "__main__":
    serve(SIDES)
