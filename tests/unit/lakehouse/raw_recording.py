"""A small recording of one date in four steps, and a process that kills itself at the n-th commit point of it.

What belongs here: the steps, what a reader sees, the points. What must not: assertions (`test_raw_store_crash_points`).

The steps meet every writer of raw files: parts of a date that is not complete, deliveries, quarantine, r000, a revision with its diff
report, the manifest, and files that an import delivers. Run as a script: `python -m tests.unit.lakehouse.raw_recording ROOT N`.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse.raw_csv import rows_from_ticks
from tick_assets.lakehouse.raw_store import HourOutcome, RawStore
from tick_assets.lakehouse.revision_diffs import write_missing_diffs

SOURCE, SYMBOL, DAY = "dukascopy", "EURUSD", date(2024, 1, 8)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
MIDNIGHT_US = 1_704_672_000_000_000
COMMIT_CALLS = ("mkdir", "fsync", "replace", "unlink")
"""Everything between two such calls of `os` changes no name on disk, and no file that has a name for a reader."""


def rows_of(hour: int, price: int) -> pl.DataFrame:
    stamps = MIDNIGHT_US + hour * 3_600_000_000 + np.arange(3) * 1_000_000
    prices = np.full(3, price)
    return rows_from_ticks(Ticks(stamps, prices, prices + 8, np.full(3, 1e6), np.full(3, 2e6)))


def ok(hour: int, price: int) -> HourOutcome:
    return HourOutcome(hour, HourState.OK, NOW, f"fake://{hour}", "bi5", f"{hour}:{price}".encode(), rows_of(hour, price))


def closed(hour: int) -> HourOutcome:
    return HourOutcome(hour, HourState.CLOSED, NOW)


def failed(hour: int) -> HourOutcome:
    return HourOutcome(hour, HourState.FAILED, NOW, f"fake://{hour}", "bi5", b"junk", None, "PAYLOAD_TRUNCATED")


def _record(store: RawStore, outcomes: list[HourOutcome]) -> None:
    store.record(SOURCE, SYMBOL, DAY, 100_000, outcomes, now=NOW)
    write_missing_diffs(store, SOURCE, SYMBOL, DAY)


def first_part(store: RawStore) -> None:
    _record(store, [ok(5, 100), ok(6, 200)])


def rest_of_the_date(store: RawStore) -> None:
    _record(store, [failed(7), *(closed(hour) for hour in range(24) if hour not in (5, 6, 7))])


def revised_and_late_hour(store: RawStore) -> None:
    _record(store, [ok(6, 201), ok(7, 300)])


def delivered_file(store: RawStore) -> None:
    store.keep_delivered("import-histdata", SYMBOL, b"a text of many hours")


STEPS: tuple[Callable[[RawStore], None], ...] = (first_part, rest_of_the_date, revised_and_late_hour, delivered_file)


def run_all(root: Path) -> None:
    store = RawStore(root)
    for step in STEPS:
        step(store)


def run_again(root: Path) -> None:
    """Do what the next run does: ask for all hours of the vendor that now serves the final answers, and deliver the file again."""
    store = RawStore(root)
    outcomes = [ok(5, 100), ok(6, 201), ok(7, 300), *(closed(hour) for hour in range(24) if hour not in (5, 6, 7))]
    _record(store, outcomes)
    delivered_file(store)


def current_rows(root: Path) -> str:
    """Return a hash of what a reader sees as current rows of the date."""
    rows = RawStore(root).read_date(SOURCE, SYMBOL, DAY).filter("is_current").sort("ts_event", maintain_order=True)
    seen = rows.select("ts_event", "ask_points", "bid_points", "ask_size", "bid_size", "raw_line")
    return hashlib.sha256(seen.write_csv().encode()).hexdigest()


def canonical_hashes(root: Path) -> list[str]:
    manifest = RawStore(root).manifest(SOURCE, SYMBOL, DAY)
    return [entry.canonical_sha256 for entry in manifest.hours] if manifest else []


def states_seen(root: Path) -> list[str]:
    """Run all steps and return what a reader sees before the first and after each."""
    store = RawStore(root)
    seen = [current_rows(root)]
    for step in STEPS:
        step(store)
        seen.append(current_rows(root))
    return seen


def before_commit_calls(act: Callable[[int], None]) -> None:
    """Call `act` with the number of each commit call before it is made; the end of the process is no call."""
    count = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            act(count)
            count += 1
            return original(*arguments, **named)

        return call

    for name in COMMIT_CALLS:
        setattr(os, name, counted(getattr(os, name)))


def main(root: str, kill_at: str) -> None:
    """Run all steps; die without a word before the given commit call."""

    def act(number: int) -> None:
        if number == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)

    before_commit_calls(act)
    run_all(Path(root))


if __name__ == "__main__":
    main(*sys.argv[1:])
