"""The benchmarks by name, in the order in which they run, and the groups that `tick bench` knows.

What belongs here: one line per benchmark. What must not: anything that is slow to import.
"""

from __future__ import annotations

from benchmarks import (
    backtest,
    csv_parquet,
    decode_bi5,
    decode_json,
    features,
    gold_query,
    kernel_online,
    predict_one,
    road,
    silver,
    walkforward,
)
from benchmarks.plan import Benchmark

BENCHMARKS: dict[str, Benchmark] = {
    each.name: each
    for each in (
        decode_bi5.BENCHMARK,
        decode_json.BENCHMARK,
        csv_parquet.BENCHMARK,
        silver.BENCHMARK,
        features.BENCHMARK,
        road.BENCHMARK,
        gold_query.BENCHMARK,
        kernel_online.BENCHMARK,
        predict_one.BENCHMARK,
        backtest.BENCHMARK,
        walkforward.BENCHMARK,
    )
}
"""A benchmark is one file, one import and one line above; `group` puts it beside `data` or `models`."""


def groups() -> tuple[str, ...]:
    """Return the groups that have a benchmark, in order."""
    return tuple(dict.fromkeys(each.group for each in BENCHMARKS.values()))


def chosen(name: str) -> list[Benchmark]:
    """Return the benchmarks of a name or a group, all for no name; an unknown name is a `LookupError`."""
    if name in BENCHMARKS:
        return [BENCHMARKS[name]]
    found = [each for each in BENCHMARKS.values() if name in ("", each.group)]
    if not found:
        raise LookupError(
            f"Expected a benchmark or group among {', '.join((*groups(), *BENCHMARKS))}, was {name!r}. See `tick bench list`."
        )
    return found
