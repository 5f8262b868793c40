"""Partition locks among threads: who excludes whom, and what the second one is told. Between processes: `tests/faults`."""

from __future__ import annotations

import threading
import time
from datetime import date, timedelta

import pytest

from tick_assets.lakehouse.partition_locks import MANY_PARTITIONS, LockKey, PartitionBusyError, PartitionLocks, ProcessLocks, partition_keys

DAY = date(2024, 1, 8)
YEARS = [DAY + timedelta(days=i) for i in range(MANY_PARTITIONS + 1)]


def locks(patience_s: float = 0.0) -> PartitionLocks:
    return PartitionLocks(ProcessLocks().session, patience_s)


def silent(line: str) -> None:
    assert line


@pytest.mark.parametrize(
    ("mine", "yours", "is_free"),
    [
        ((["silver.ticks"], ["EURUSD"], [DAY]), (["silver.ticks"], ["EURUSD"], [DAY]), False),
        ((["silver.ticks"], ["EURUSD"], [DAY]), (["silver.ticks"], ["EURUSD"], YEARS[1:3]), True),
        ((["silver.ticks"], ["EURUSD"], [DAY]), (["silver.ticks"], ["USDSGD"], [DAY]), True),
        ((["silver.ticks"], ["EURUSD"], [DAY]), (["raw.ticks"], ["EURUSD"], [DAY]), True),
        ((["silver.ticks", "silver.labels"], ["EURUSD"], [DAY]), (["silver.labels"], ["EURUSD"], [DAY]), False),
        ((["silver.ticks"], ["EURUSD"], YEARS), (["silver.ticks"], ["EURUSD"], YEARS[-1:]), False),
        ((["silver.ticks"], ["EURUSD"], YEARS[-1:]), (["silver.ticks"], ["EURUSD"], YEARS), False),
        ((["silver.ticks"], ["EURUSD"], YEARS), (["silver.ticks"], ["USDSGD"], YEARS), True),
    ],
)
def test_second_write_is_let_in_only_beside_the_first(mine, yours, is_free: bool) -> None:  # type: ignore[no-untyped-def]
    both = locks()
    with both.hold(*mine, "one", silent):
        if is_free:
            with both.hold(*yours, "two", silent):
                return
        with pytest.raises(PartitionBusyError, match="was held by tick run one pid"):
            both.hold(*yours, "two", silent).__enter__()


def test_second_write_of_a_partition_waits_and_then_goes_on() -> None:
    both, told, entered = locks(30.0), [], threading.Event()

    def second() -> None:
        with both.hold(["raw.ticks"], ["EURUSD"], [DAY], "two", told.append):
            entered.set()

    thread = threading.Thread(target=second)
    with both.hold(["raw.ticks"], ["EURUSD"], [DAY], "one", silent):
        thread.start()
        while not told:
            time.sleep(0.01)
        assert not entered.is_set()
    thread.join(10)
    assert entered.is_set()
    assert told[0].startswith("event=partition_lock_waiting partition=raw.ticks|EURUSD|2024-01-08 holder='tick run one pid")


def test_write_that_fails_gives_its_partitions_back() -> None:
    both = locks()
    with pytest.raises(RuntimeError, match="disk full"), both.hold(["raw.ticks"], ["EURUSD"], [DAY], "one", silent):
        raise RuntimeError("disk full")
    with both.hold(["raw.ticks"], ["EURUSD"], [DAY], "two", silent) as held:
        assert not held.is_alive("one")
        held.require()


def test_run_is_alive_as_long_as_one_of_its_writes() -> None:
    both = locks()
    with both.hold(["raw.ticks"], ["EURUSD"], [DAY], "one", silent), both.hold(["raw.ticks"], ["USDSGD"], [DAY], "two", silent) as held:
        assert held.is_alive("one")
        assert not held.is_alive("two")


def test_keys_are_taken_in_one_order_whatever_the_order_asked_for() -> None:
    tables, symbols, dates = ["silver.ticks", "raw.ticks"], ["USDSGD", "EURUSD"], YEARS[:2]
    keys = partition_keys(tables, symbols, dates)
    assert keys == partition_keys(tables[::-1], symbols[::-1], dates[::-1])
    assert len(keys) == 2 * 2 + 2 * 2 * 2


def test_many_partitions_lock_whole_symbols() -> None:
    assert partition_keys(["raw.ticks"], ["EURUSD"], YEARS) == [LockKey("raw.ticks|EURUSD")]


def test_numbers_of_keys_fit_and_differ() -> None:
    numbers = [key.number for key in partition_keys(["raw.ticks"], ["EURUSD"], YEARS[:200])]
    assert len(set(numbers)) == len(numbers)
    assert all(-(2**63) <= number < 2**63 for number in numbers)
