"""kernel.online: one raw tick after another through the online kernel, beside the same compiled step driven over the whole date.

What belongs here: our sides and the limit. What must not: judging other than by TARGET, making the quotes (`quotes`).

The mean is of a plain loop, the percentiles of a second one with a clock around each call. The limit leaves out what Python adds to a call:
building its arguments' boxes, the value that it returns.
"""

from __future__ import annotations

from typing import Any

from benchmarks import market, quotes
from benchmarks.calls import percentiles_us, time_each
from benchmarks.findings import VALUE, Condition, Finding
from benchmarks.plan import Benchmark, Plan
from benchmarks.side import Work, serve
from benchmarks.turns import Measured, Side, in_turn

NAME, ROUNDS = "kernel.online", 10
OURS, TIMED, LIMIT = "ours", "ours, each call timed", "push_many over the date"
TARGET = Condition(VALUE, "<=", 3.0, "us")
PRICE_FACTOR = 100_000


def _kernels() -> tuple[list[Any], Any]:
    """Return a place for the kernel of a round, and what puts a new one there."""
    from tick_assets.domain.kernel import OnlineKernel

    held: list[Any] = [None]

    def renew() -> None:
        held[0] = OnlineKernel(quotes.SYMBOL, PRICE_FACTOR)

    return held, renew


def _rows(files: list[str], size: int) -> list[tuple[Any, ...]]:
    """Return the ticks as rows of Python numbers, as they come off a wire."""
    (date,) = quotes.read(files, size, len(quotes.COLUMNS))
    return list(zip(*(column.tolist() for column in date), strict=True))


def _ours(files: list[str], size: int) -> Work:
    rows, (held, renew) = _rows(files, size), _kernels()

    def run() -> int:
        push, sampled = held[0].push, 0
        for row in rows:
            sampled += push(*row).sampled
        return sampled

    return Work(run, lambda sampled: len(rows), renew, lambda sampled: {"sampled": sampled})


def _timed(files: list[str], size: int) -> Work:
    rows, (held, renew) = _rows(files, size), _kernels()
    return Work(lambda: time_each(held[0].push, rows), len, renew, percentiles_us)


def _limit(files: list[str], size: int) -> Work:
    from tick_assets.domain.ticks import Ticks

    (date,) = quotes.read(files, size, len(quotes.COLUMNS))
    ticks, (held, renew) = Ticks(*date), _kernels()
    return Work(
        lambda: held[0].push_many(ticks),
        lambda batch: len(batch.reason),
        renew,
        lambda batch: {"sampled": len(batch.event_row)},
    )


SIDES = {OURS: _ours, TIMED: _timed, LIMIT: _limit}


def measure(plan: Plan, size: int) -> list[Finding]:
    """Measure the three sides over the first ticks of one date; loop and limit must sample the same number of events."""
    ticks = min(size, market.DENSE_DAY // 2)
    arguments = {"files": quotes.files(plan, ticks), "size": ticks}
    found = in_turn([Side(name, "benchmarks.kernel_online", arguments) for name in SIDES], plan.rounds_of(ROUNDS), plan.work, plan.report)
    ours, timed, limit = (found[name] for name in SIDES)
    if ours.detail("sampled") != limit.detail("sampled"):
        raise RuntimeError(f"Expected {limit.detail('sampled'):.0f} events as push_many samples, was {ours.detail('sampled'):.0f}.")
    mean, bare = _us_a_row(ours), _us_a_row(limit)
    note = f"{ours.rows:,} ticks of one date, {ours.detail('sampled'):.0f} sampled; {ours.in_words()}"
    percentiles = (
        f"p99 {timed.detail('p99_us'):.2f} us, best of {len(timed.rounds)} rounds, the clock's own time included; {timed.in_words()}"
    )
    return [
        Finding(NAME, mean, "us/tick mean", None, None, None, (TARGET,), ours.peak_mb, note, size),
        Finding(NAME, timed.detail("p50_us"), "us/tick p50", None, None, None, (TARGET,), timed.peak_mb, percentiles, size),
        Finding(NAME, mean, "us/tick mean", LIMIT, bare, mean / bare, (), ours.peak_mb, f"what Python adds; {limit.in_words()}", size),
    ]


def _us_a_row(side: Measured) -> float:
    return side.seconds / side.rows * 1e6


BENCHMARK = Benchmark(
    NAME,
    "models",
    "one tick through the online kernel",
    [f"mean: {TARGET}", f"p50: {TARGET}"],
    (50_000,),
    (market.DENSE_DAY // 2,),
    measure,
)

if __name__ == "__main__":
    serve(SIDES)
