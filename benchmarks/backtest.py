"""backtest: orders over dense ticks through the tick backtest, beside a numpy search per trade, hftbacktest and nautilus_trader.

What belongs here: our side, the numpy rival, and the comparison of trades. What must not: judging other than by TARGETS, quotes and orders
(`quotes`), other engines (`backtest_hftbacktest`, `backtest_nautilus`).

The numpy rival follows the rules of `tick_assets.domain.fills` and must come to the same trades. The other engines get the first ticks
only and fill by their own rules: an order meets the quote that stands when it arrives, not the first one after it, and stops are watched by
the strategy. They are compared by rate, theirs of CPU time; how near their
trades come is in the note.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import backtest_hftbacktest, backtest_nautilus, quotes
from benchmarks.findings import RATIO, VALUE, Condition, Finding
from benchmarks.plan import Benchmark, Plan
from benchmarks.rivals import MODEL_LOCK, rivals_python
from benchmarks.side import Work, serve
from benchmarks.turns import Measured, Side, in_turn

NAME, ROUNDS = "backtest", 5
OURS = {pace: f"ours, {pace}" for pace in quotes.PACES}
NUMPY = {pace: f"numpy per trade, {pace}" for pace in quotes.PACES}
HFTBACKTEST, NAUTILUS = backtest_hftbacktest.NAME, backtest_nautilus.NAME
RATES = {"sparse": Condition(VALUE, ">=", 500.0, "Mt/s"), "dense": Condition(VALUE, ">=", 50.0, "Mt/s")}
RATIOS = {HFTBACKTEST: Condition(RATIO, ">=", 20.0), NAUTILUS: Condition(RATIO, ">=", 200.0)}
MOST_TICKS = {HFTBACKTEST: 1_000_000, NAUTILUS: 200_000}


def _with_orders(files: list[str], size: int, pace: str) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Return each date's columns and the arguments of its orders."""
    dates = quotes.read(files, size)
    return [(date, quotes.orders(date, quotes.PACES[pace], number).arguments) for number, date in enumerate(dates)]


def _work(run_date: Any, files: list[str], size: int, pace: str, trades: str) -> Work:
    """Run every date in a round; the filled trades of the first date are left in the file `trades`."""
    days = _with_orders(files, size, pace)
    ticks = sum(len(columns[0]) for columns, _ in days)

    def count(found: list[Any]) -> int:
        _save(Path(trades), found[0])
        return ticks

    def detail(found: list[Any]) -> Mapping[str, float]:
        return {"trades": sum(int((day[1] >= 0).sum()) for day in found), "digest": _digest(found)}

    return Work(lambda: [run_date(*columns, *orders, quotes.QUOTE_WAIT_US) for columns, orders in days], count, detail=detail)


def _save(path: Path, day: tuple[Any, ...]) -> None:
    """Write order number, entry and exit price of the trades that were filled."""
    filled = day[1] >= 0
    kept = [day[place][filled].tolist() for place in (0, 3, 4)]
    path.write_text(json.dumps([list(trade) for trade in zip(*kept, strict=True)]))


def _digest(found: list[Any]) -> float:
    """Return a number that two equal lists of trades share: 48 bits of their hash."""
    import numpy as np

    hashed = hashlib.sha256()
    for day in found:
        for column in day:
            hashed.update(np.ascontiguousarray(column, np.float64).tobytes())
    return float(int.from_bytes(hashed.digest()[:6], "big"))


def _ours(files: list[str], size: int, pace: str, trades: str) -> Work:
    from tick_assets.domain.backtest import run_orders

    return _work(run_orders, files, size, pace, trades)


def _numpy(files: list[str], size: int, pace: str, trades: str) -> Work:
    return _work(_numpy_date, files, size, pace, trades)


def _numpy_date(ts_us: Any, bid: Any, ask: Any, *arguments: Any) -> tuple[Any, ...]:
    """Run one date's orders as a user of numpy would: times by binary search, barriers by a comparison of the whole stretch."""
    import numpy as np

    row, side, stop, target, exit_at_us, entry_latency_us, exit_latency_us, entry_slip, exit_slip, quote_wait_us = arguments
    made, free_row = [], 0
    arrival = np.searchsorted(ts_us, ts_us[row] + entry_latency_us)
    due = np.searchsorted(ts_us, exit_at_us)
    for i in range(len(row)):
        if side[i] == 0 or row[i] < free_row:
            continue
        entry = int(arrival[i])
        trade = (-1, -1, 0.0, 0.0, _PRICE_OFF)
        if entry < len(ts_us) and ts_us[entry] <= ts_us[row[i]] + entry_latency_us[i] + quote_wait_us:
            held = (side[i], stop[i], target[i], max(entry, int(due[i])), exit_latency_us[i], entry_slip[i], exit_slip[i])
            trade = _numpy_trade(ts_us, bid, ask, entry, *held)
        made.append((i, *trade))
        free_row = trade[1] if trade[0] >= 0 else entry
    columns = list(zip(*made, strict=True)) or [()] * 6
    types = (np.int64, np.int64, np.int64, np.float64, np.float64, np.int8)
    return tuple(np.array(column, kind) for column, kind in zip(columns, types, strict=True))


_STOP, _TARGET, _TIME, _END, _PRICE_OFF, _INVALID = range(1, 7)


def _numpy_trade(ts_us: Any, bid: Any, ask: Any, entry: int, *order: Any) -> tuple[int, int, float, float, int]:
    """Return (entry row, exit row, entry, exit, reason) of one trade; a short is a long on mirrored prices."""
    import numpy as np

    side, stop, target, due, exit_latency, entry_slip, exit_slip = order
    sign, leaving, paid = (1, bid, ask) if side > 0 else (-1, ask, bid)
    if not sign * stop < sign * leaving[entry] < sign * target:
        return -1, -1, 0.0, 0.0, _INVALID
    n = len(ts_us)
    closing = n if due >= n else due + int(np.searchsorted(ts_us[due:], ts_us[due] + exit_latency))
    stretch = sign * leaving[entry + 1 : min(closing, n - 1) + 1]
    touched = (stretch <= sign * stop) | (stretch >= sign * target)
    first = int(touched.argmax()) if len(touched) else 0
    entered = float(paid[entry] + sign * entry_slip)
    if len(touched) and touched[first]:
        at = entry + 1 + first
        return (
            (entry, at, entered, float(leaving[at]), _STOP)
            if stretch[first] <= sign * stop
            else (entry, at, entered, float(target), _TARGET)
        )
    if closing < n:
        return entry, closing, entered, float(leaving[closing] - sign * exit_slip), _TIME
    return entry, n - 1, entered, float(leaving[n - 1]), _END


SIDES = {**dict.fromkeys(OURS.values(), _ours), **dict.fromkeys(NUMPY.values(), _numpy)}


def measure(plan: Plan, size: int) -> list[Finding]:
    """Measure our side and numpy at both paces over the same ticks, and the other engines over the first of them at the sparse pace."""
    files = quotes.files(plan, size)
    found = in_turn(
        [*_own_sides(plan, files, size), *_engines(plan, files, size)], plan.rounds_of(ROUNDS), plan.work, plan.report, 1, False
    )
    findings = [finding for pace in quotes.PACES for finding in _pace_findings(found, pace, size)]
    return findings + [_engine_finding(plan, found[OURS["sparse"]], found[name], size) for name in RATIOS if name in found]


def _own_sides(plan: Plan, files: list[str], size: int) -> list[Side]:
    return [
        Side(names[pace], "benchmarks.backtest", {"files": files, "size": size, "pace": pace, "trades": str(_trades(plan, names[pace]))})
        for names in (OURS, NUMPY)
        for pace in quotes.PACES
    ]


def _engines(plan: Plan, files: list[str], size: int) -> list[Side]:
    """Return the engines that need the rivals' environment."""
    if not plan.has_rivals:
        return []
    python = rivals_python(plan.cache, plan.report, MODEL_LOCK)
    modules = {HFTBACKTEST: "benchmarks.backtest_hftbacktest", NAUTILUS: "benchmarks.backtest_nautilus"}
    return [
        Side(name, module, {"file": files[0], "size": min(size, MOST_TICKS[name]), "trades": str(_trades(plan, name))}, python)
        for name, module in modules.items()
    ]


def _trades(plan: Plan, name: str) -> Path:
    return plan.work / f"trades of {name}.json"


def _pace_findings(found: Mapping[str, Measured], pace: str, size: int) -> list[Finding]:
    """Return our rate at one pace against its bound, and beside numpy, which must have made the same trades."""
    ours, rival = found[OURS[pace]], found[NUMPY[pace]]
    if ours.detail("digest") != rival.detail("digest") or ours.rows != rival.rows:
        raise RuntimeError(f"Expected the trades of numpy, was {ours.detail('trades'):.0f} of ours against {rival.detail('trades'):.0f}.")
    note = f"{ours.detail('trades'):,.0f} trades in {ours.rows:,} ticks, equal one by one; {ours.in_words()}; {rival.in_words()}"
    rates = (ours.million_rows_per_s, rival.million_rows_per_s)
    return [Finding(NAME, rates[0], "Mt/s", rival.name, rates[1], ours.seconds / rival.seconds, (RATES[pace],), ours.peak_mb, note, size)]


def _engine_finding(plan: Plan, ours: Measured, rival: Measured, size: int) -> Finding:
    """Return our rate by the clock beside the rival's by its CPU: on a busy machine its long rounds wait more often than our short ones."""
    note = (
        f"sparse; rates of {ours.rows:,} ticks by the clock and of the first {rival.rows:,} by CPU for the rival, with its own fills: "
        f"{_likeness(_trades(plan, ours.name), _trades(plan, rival.name))}; {rival.in_words()}"
    )
    rates = (ours.million_rows_per_s, rival.rows / 1e6 / rival.cpu_seconds)
    return Finding(NAME, rates[0], "Mt/s", rival.name, rates[1], rates[0] / rates[1], (RATIOS[rival.name],), ours.peak_mb, note, size)


def _likeness(ours: Path, theirs: Path) -> str:
    """Say how near another engine's trades come to ours, by the number of their order."""
    mine = {number: (entry, left) for number, entry, left in json.loads(ours.read_text())}
    made = json.loads(theirs.read_text())
    shared = [(mine[number], (entry, left)) for number, entry, left in made if number in mine]
    if not shared:
        return f"{len(made)} trades, none of them ours"
    apart = [sum(abs(a[leg] - b[leg]) for a, b in shared) / len(shared) for leg in (0, 1)]
    return f"{len(made)} trades, {len(shared)} of our orders; mean distance of entries {apart[0]:.1f}, of exits {apart[1]:.1f} points"


BENCHMARK = Benchmark(
    NAME,
    "models",
    "orders over dense ticks, 5,000 (sparse) and 500,000 (dense) in 20 million",
    [*(f"{OURS[pace]}: {bound}" for pace, bound in RATES.items()), *(f"{name}: {bound}" for name, bound in RATIOS.items())],
    (2_000_000,),
    (20_000_000,),
    measure,
)

if __name__ == "__main__":
    serve(SIDES)
