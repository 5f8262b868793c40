"""At most one order per signal, whatever breaks; positions are closed on time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from execution.adapters.mt5.simulator.faults import Fault, FaultKind
from execution.adapters.mt5.terminal import MetaTrader5Terminal
from execution.journal import Journal, JournalError, OrderState
from tests.unit.execution.conftest import START_US, Bench, make_signal

MakeBench = Callable[..., Bench]


def state_of(bench: Bench, name: str = "one") -> OrderState:
    order = bench.journal.order(make_signal(name).signal_id)
    assert order is not None
    return order.state


def test_desk_same_signal_from_100_threads_is_one_deal(make_bench: MakeBench) -> None:
    bench, signal = make_bench(), make_signal()
    reasons: list[str] = []
    gate = threading.Barrier(100)

    def deliver() -> None:
        gate.wait()
        reasons.append(bench.desk.handle(signal).reason)

    threads = [threading.Thread(target=deliver) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (bench.entries, reasons.count("ACCEPTED"), len(reasons)) == (1, 1, 100)


def test_desk_same_signal_in_two_processes_is_one_deal(make_bench: MakeBench, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first = make_bench(Journal(path))
    second = first.restart(path)
    assert first.desk.handle(make_signal()).is_accepted
    assert not second.desk.handle(make_signal()).is_accepted
    assert first.entries == 1


@pytest.mark.parametrize("kind", [FaultKind.LOST_AFTER, FaultKind.TIMEOUT_AFTER])
def test_desk_answer_lost_after_execution_is_found_and_not_sent_again(make_bench: MakeBench, kind: FaultKind) -> None:
    bench = make_bench()
    bench.module.faults.script(Fault(kind))
    bench.desk.handle(make_signal())
    assert state_of(bench) is OrderState.UNKNOWN
    bench.desk.sync()
    assert (state_of(bench), bench.entries, len(bench.desk.managed)) == (OrderState.ACKED, 1, 1)


def test_desk_late_fill_stays_unknown_until_found(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.module.faults.script(Fault(FaultKind.LATE_FILL))
    bench.desk.handle(make_signal())
    bench.desk.sync()
    assert (state_of(bench), bench.entries) == (OrderState.UNKNOWN, 0)
    bench.module.advance_to(START_US + 20_000_000)
    bench.desk.sync()
    assert (state_of(bench), bench.entries, len(bench.desk.managed)) == (OrderState.ACKED, 1, 1)


def test_desk_request_lost_before_the_server_blocks_its_symbol_until_cleared(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.module.faults.script(Fault(FaultKind.LOST_BEFORE))
    bench.desk.handle(make_signal())
    bench.desk.sync()
    assert (state_of(bench), bench.entries) == (OrderState.UNKNOWN, 0)
    assert bench.desk.handle(make_signal("two")).reason == "SYMBOL_BLOCKED"
    bench.desk.clear_unknown(make_signal().signal_id, "a person")
    assert bench.desk.handle(make_signal("three")).is_accepted


def test_desk_requotes_are_retried_three_times(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.module.faults.script(*[Fault(FaultKind.REQUOTE)] * 3)
    bench.desk.handle(make_signal())
    assert (state_of(bench), bench.entries) == (OrderState.ACKED, 1)


def test_desk_fourth_requote_is_final(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.module.faults.script(*[Fault(FaultKind.REQUOTE)] * 4)
    bench.desk.handle(make_signal())
    assert (state_of(bench), bench.entries) == (OrderState.REJECTED, 0)


def test_desk_partial_fill_is_closed_with_what_was_filled(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.module.faults.script(Fault(FaultKind.PARTIAL, share=0.5))
    bench.desk.handle(make_signal())
    assert [position.quantity for position in bench.desk.managed] == [0.05]
    bench.module.advance_to(START_US + 61_000_000)
    bench.desk.close_due()
    assert (bench.module.positions_total(), state_of(bench)) == (0, OrderState.CLOSED)


def test_desk_unknown_close_is_reconciled_before_another(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.desk.handle(make_signal())
    bench.module.advance_to(START_US + 61_000_000)
    bench.module.faults.script(Fault(FaultKind.LOST_BEFORE))
    bench.desk.close_due()
    assert bench.module.positions_total() == 1
    bench.module.advance_to(START_US + 63_000_000)
    bench.desk.close_due()
    exits = [deal for deal in bench.module.server.ledger.deals if deal.entry == 1]
    assert (bench.module.positions_total(), len(exits), state_of(bench)) == (0, 1, OrderState.CLOSED)


def test_desk_kill_switch_stops_entries_and_lets_closes_pass(make_bench: MakeBench, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    bench = make_bench(Journal(path))
    bench.desk.handle(make_signal())
    bench.desk.kill_switch.throw(START_US, "test")
    bench = bench.restart(path)
    assert bench.desk.handle(make_signal("two")).reason == "KILL_SWITCH"
    bench.module.advance_to(START_US + 61_000_000)
    bench.desk.close_due()
    assert bench.module.positions_total() == 0


def test_desk_kill_switch_thrown_while_judging_stops_the_send(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = make_bench()
    reserve = bench.journal.reserve

    def reserve_and_throw(*args: Any) -> bool:
        bench.desk.kill_switch.throw(START_US, "in between")
        return reserve(*args)

    monkeypatch.setattr(bench.journal, "reserve", reserve_and_throw)
    bench.desk.handle(make_signal())
    assert (bench.entries, state_of(bench)) == (0, OrderState.DENIED)


class Crash(BaseException):
    """Stands for the process being killed: nothing that handles errors may see it."""


@pytest.mark.parametrize(
    ("step", "state", "entries"),
    [
        ("before NEW", None, 0),
        ("before SENDING", OrderState.DENIED, 0),
        ("before submit", OrderState.UNKNOWN, 0),
        ("after submit", OrderState.ACKED, 1),
        ("before ACKED", OrderState.ACKED, 1),
    ],
)
def test_desk_killed_at_every_step_restarts_with_at_most_one_order(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str, state: OrderState | None, entries: int
) -> None:
    path = tmp_path / "journal.sqlite"
    bench = make_bench(Journal(path))
    _crash_at(step, bench, monkeypatch)
    with pytest.raises(Crash):
        bench.desk.handle(make_signal())
    bench.journal.close()
    monkeypatch.undo()
    again = bench.restart(path)
    again.desk.handle(make_signal())
    if state is None:
        assert (again.entries, state_of(again)) == (1, OrderState.ACKED)
    else:
        assert (again.entries, state_of(again)) == (entries, state)


def _crash_at(step: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    record, submit = bench.journal.record, MetaTrader5Terminal.submit

    def crash_on(name: str) -> Callable[..., Any]:
        def check(order_key: str, state: OrderState, *rest: Any) -> None:
            if str(state) == name:
                raise Crash
            record(order_key, state, *rest)

        return check

    def raise_crash(*args: Any) -> Any:
        raise Crash

    def submit_and_crash(self: MetaTrader5Terminal, order: Any) -> Any:
        submit(self, order)
        raise Crash

    actions: dict[str, tuple[object, str, Any]] = {
        "before NEW": (bench.journal, "reserve", raise_crash),
        "before SENDING": (bench.journal, "record", crash_on("SENDING")),
        "before submit": (MetaTrader5Terminal, "submit", raise_crash),
        "after submit": (MetaTrader5Terminal, "submit", submit_and_crash),
        "before ACKED": (bench.journal, "record", crash_on("ACKED")),
    }
    monkeypatch.setattr(*actions[step])


def test_desk_journal_that_cannot_record_sends_nothing(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.journal.close()
    with pytest.raises((JournalError, sqlite3.Error)):
        bench.desk.handle(make_signal())
    assert bench.entries == 0


def test_desk_events_name_signal_state_and_account(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.desk.handle(make_signal())
    bench.module.advance_to(START_US + 61_000_000)
    bench.desk.close_due()
    entry = [event for event in bench.events if event["intent"] == "OPEN"]
    assert [event["state"] for event in entry] == ["ACKED", "CLOSED"]
    assert {event["account"] for event in entry} == {"1000001"}
    assert len({event["event_id"] for event in bench.events}) == len(bench.events)
    assert entry[-1]["exit_reason"] == "TIME"
