"""The order desk: one signal becomes at most one order, is watched while it lives, and is closed when its time is up.

What belongs here: the order of steps around an order: verdict, journal, send, record, report. What must not: where signals come from
(`engine`), the rules of risk (`risk`), the search for lost orders (`reconciliation`).

Promise: at most once per signal id. The journal commits SENDING before the call; an unknown outcome is never sent again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from execution import reconciliation
from execution.journal import Journal, OrderState
from execution.orders import (
    Fill,
    FillKind,
    OrderReport,
    OrderRequest,
    Outcome,
    Side,
    to_datetime,
    to_us,
)
from execution.ports import Pacer, TerminalPort, TerminalUnavailableError
from execution.risk import RiskPolicy, RiskSnapshot, RiskVerdict, assess
from execution.signals import Signal
from execution.sizing import entry_quantity

RETRIES_MAX = 3
CLOSE_BACKOFF_US = 1_000_000
EventSink = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class ManagedPosition:
    """A position that the desk opened and has to close at `close_at_us`."""

    signal_id: str
    position_id: str
    symbol: str
    strategy: str
    side: Side
    quantity: float
    close_at_us: int


@dataclass(frozen=True)
class KillSwitch:
    """Stops entries while the file exists or the journal's flag is set; sticky until a person resets it."""

    journal: Journal
    path: Path | None = None

    def is_on(self) -> bool:
        """Tell whether entries are stopped."""
        note = self.journal.last_note("kill_switch")
        return bool(note and note["is_on"]) or (self.path is not None and self.path.exists())

    def throw(self, at_us: int, reason: str) -> None:
        """Stop entries."""
        self.journal.note("kill_switch", at_us, {"is_on": True, "reason": reason})

    def reset(self, at_us: int, person: str) -> None:
        """Allow entries again; the file, if there is one, has to be removed too."""
        self.journal.note("kill_switch", at_us, {"is_on": False, "reason": f"reset by {person}"})


class OrderDesk:
    """Thread-safe: one lock holds verdict and send together, so that two signals never see the same free slot."""

    def __init__(
        self,
        terminal: TerminalPort,
        journal: Journal,
        pacer: Pacer,
        policy: RiskPolicy,
        on_event: EventSink = lambda event: None,
        kill_switch: KillSwitch | None = None,
    ) -> None:
        self._terminal = terminal
        self._journal = journal
        self._pacer = pacer
        self._policy = policy
        self._on_event = on_event
        self.kill_switch = kill_switch or KillSwitch(journal)
        self._lock = threading.RLock()
        self._managed: dict[str, ManagedPosition] = {}
        self._login = ""

    @property
    def managed(self) -> list[ManagedPosition]:
        """Return the positions that are watched."""
        with self._lock:
            return list(self._managed.values())

    def start(self) -> None:
        """Reconcile what an earlier process left, before any new order."""
        with self._lock:
            now = self._pacer.now_us()
            self._login = self._terminal.account().login
            reconciliation.mark_interrupted(self._journal, now)
            for order in self._journal.orders_in(OrderState.ACKED):
                if order.intent == "OPEN":
                    self._manage(order.signal_id, str(order.payload["position_id"]))
            self.sync()

    # Entries.
    def handle(self, signal: Signal) -> RiskVerdict:
        """Give a signal its one verdict and, when it is accepted, send its order."""
        with self._lock:
            now = self._pacer.now_us()
            if signal.action == "CLOSE":
                self.close_due()
                return RiskVerdict(False, "CLOSE_BY_CLOCK")
            if signal.view == "FLAT" or signal.action == "NONE":
                return RiskVerdict(False, "VIEW_FLAT")
            verdict, request = self._judge(signal, now)
            payload: dict[str, Any] = {"strategy": signal.strategy, "verdict": verdict.reason, "model_sha256": signal.model_sha256}
            payload |= {"exit_at_us": signal.exit_at_us, "event_id": signal.event_id, "passport_id": signal.passport_id}
            payload |= _payload_of(request) if request is not None else {}
            if not self._journal.reserve(signal.signal_id, signal.signal_id, signal.symbol, "OPEN", now, payload):
                return RiskVerdict(False, "SIGNAL_REPEATED")
            if request is None:
                self._record(signal.signal_id, OrderState.DENIED, {"reason": verdict.reason})
                return verdict
            self._enter(signal, request)
            return verdict

    def skip(self, signal: Signal, reason: str) -> RiskVerdict:
        """Deny a signal without asking the terminal."""
        with self._lock:
            payload = {"strategy": signal.strategy, "verdict": reason, "event_id": signal.event_id}
            now = self._pacer.now_us()
            if not self._journal.reserve(signal.signal_id, signal.signal_id, signal.symbol, "OPEN", now, payload):
                return RiskVerdict(False, "SIGNAL_REPEATED")
            self._record(signal.signal_id, OrderState.DENIED, {"reason": reason})
            return RiskVerdict(False, reason)

    def _judge(self, signal: Signal, now: int) -> tuple[RiskVerdict, OrderRequest | None]:
        try:
            snapshot = self._snapshot(signal, now)
        except (TerminalUnavailableError, LookupError) as error:
            return RiskVerdict(False, "TERMINAL_UNAVAILABLE", str(error)), None
        verdict = assess(signal, snapshot, self._policy)
        if not verdict.is_accepted:
            return verdict, None
        quantity = entry_quantity(signal.quantity_max, self._policy.quantity_max, snapshot.contract)
        if quantity <= 0.0:
            return RiskVerdict(False, "QUANTITY_BELOW_MINIMUM"), None
        side = Side.BUY if signal.view == "LONG" else Side.SELL
        return verdict, OrderRequest(
            signal.signal_id, signal.strategy, signal.symbol, side, quantity, signal.stop_loss, signal.take_profit
        )  # fmt: skip

    def _snapshot(self, signal: Signal, now: int) -> RiskSnapshot:
        account = self._terminal.account()
        unknown = self._journal.orders_in(OrderState.UNKNOWN)
        in_flight = any(order.symbol == signal.symbol for order in self._journal.orders_in(OrderState.SENDING))
        limit = self._policy.orders_per_minute_max
        return RiskSnapshot(
            now_us=now,
            account=account,
            health=self._terminal.health(),
            contract=self._terminal.contract(signal.symbol),
            quote=self._terminal.quote(signal.symbol),
            positions=self._terminal.positions(),
            is_order_in_flight=in_flight,
            is_kill_switch_on=self.kill_switch.is_on(),
            blocked_symbols=frozenset(order.symbol for order in unknown),
            orders_in_last_minute=self._journal.sent_since(now - 60_000_000) if limit is not None else 0,
            day_start_equity=self._day_start_equity(now, account.equity),
        )

    def _day_start_equity(self, now: int, equity: float) -> float:
        """Return the equity at which the broker's day began for us; kept in the journal over restarts."""
        day = self._terminal.trading_day(now)
        note = self._journal.last_note("day_equity")
        if note is None or note["day"] != day:
            self._journal.note("day_equity", now, {"day": day, "equity": equity})
            return equity
        return float(note["equity"])

    def _enter(self, signal: Signal, request: OrderRequest) -> None:
        for _ in range(RETRIES_MAX + 1):
            if self.kill_switch.is_on():
                self._refuse_unsent(signal.signal_id, "KILL_SWITCH")
                return
            report = self._send(signal.signal_id, request)
            if report.outcome is not Outcome.RETRYABLE or self._pacer.now_us() > signal.valid_until_us:
                break
        if report.outcome.is_accepted:
            self._manage(signal.signal_id, report.position_id)
            self.close_due()

    def _refuse_unsent(self, order_key: str, reason: str) -> None:
        order = self._journal.order(order_key)
        if order is not None and order.state is OrderState.NEW:
            self._record(order_key, OrderState.DENIED, {"reason": reason})

    def _send(self, order_key: str, request: OrderRequest) -> OrderReport:
        """Commit SENDING, send once, record what is known."""
        self._record(order_key, OrderState.SENDING, {})
        try:
            report = self._terminal.submit(request)
        except Exception as error:
            report = OrderReport(Outcome.UNKNOWN, "EXCEPTION", message=repr(error))
        self._pacer.mark_busy(request.symbol)
        state = _state_of(report)
        self._record(order_key, state, {
            "reason": report.reason, "venue_code": report.venue_code, "venue_order_id": report.venue_order_id,
            "venue_deal_id": report.venue_deal_id, "position_id": report.position_id, "price": report.price,
            "filled_quantity": report.quantity, "message": report.message,
        })  # fmt: skip
        return report

    # Positions.
    def _manage(self, signal_id: str, position_id: str) -> None:
        order = self._journal.order(signal_id)
        if order is None:
            raise LookupError(f"Expected signal {signal_id} in the journal, was missing. Do not edit the journal.")
        request = reconciliation.request_of(order)
        quantity = float(order.payload.get("filled_quantity") or request.quantity)
        self._managed[signal_id] = ManagedPosition(
            signal_id, position_id, order.symbol, request.strategy, request.side, quantity, int(order.payload["exit_at_us"])
        )

    def sync(self) -> None:
        """Learn what happened at the venue: resolve unknown orders, notice positions that ended."""
        with self._lock:
            now = self._pacer.now_us()
            for resolution in reconciliation.resolve_unknown(self._terminal, self._journal, now):
                self._emit(resolution.order_key)
                if resolution.state is OrderState.ACKED and resolution.order_key == resolution.signal_id:
                    self._manage(resolution.signal_id, resolution.position_id)
            if self._managed:
                held = {position.position_id: position for position in self._terminal.positions()}
                for managed in self.managed:
                    self._sync_position(managed, held.get(managed.position_id) is not None)

    def _sync_position(self, managed: ManagedPosition, is_open: bool) -> None:
        if is_open:
            return
        exits = [fill for fill in self._terminal.fills_of(managed.position_id) if fill.kind is FillKind.EXIT]
        if not exits:
            return
        del self._managed[managed.signal_id]
        self._record(managed.signal_id, OrderState.CLOSED, _closing_payload(self._terminal.fills_of(managed.position_id), exits[-1]))

    def close_due(self) -> None:
        """Close every position whose time is up; also while the kill switch is on."""
        with self._lock:
            now = self._pacer.now_us()
            for managed in self.managed:
                if managed.close_at_us <= now:
                    self.close(managed)
            self.sync()

    def close(self, managed: ManagedPosition) -> None:
        """Send a close of one position that is seen open; an unknown earlier close is reconciled first."""
        with self._lock:
            now = self._pacer.now_us()
            self._managed[managed.signal_id] = replace(managed, close_at_us=now + CLOSE_BACKOFF_US)
            self.sync()
            attempts = self._journal.close_attempts(managed.signal_id)
            is_unknown = any(attempt.state is OrderState.UNKNOWN for attempt in attempts)
            held = {position.position_id: position for position in self._terminal.positions(managed.symbol)}
            position = held.get(managed.position_id)
            if position is None or is_unknown:
                return
            request = OrderRequest(
                managed.signal_id, managed.strategy, managed.symbol, managed.side.opposite, position.quantity,
                position_id=managed.position_id,
            )  # fmt: skip
            self._send_close(f"{managed.signal_id}/close/{len(attempts):06d}", request, now)
            self.sync()

    def _send_close(self, order_key: str, request: OrderRequest, now: int) -> None:
        if not self._journal.reserve(order_key, request.client_order_id, request.symbol, "CLOSE", now, _payload_of(request)):
            return
        for _ in range(RETRIES_MAX + 1):
            if self._send(order_key, request).outcome is not Outcome.RETRYABLE:
                return

    def clear_unknown(self, order_key: str, person: str) -> None:
        """A person vouches that an UNKNOWN order does not exist at the venue; its symbol is free again."""
        with self._lock:
            self._record(order_key, OrderState.REJECTED, {"reason": f"CLEARED_BY {person}"})

    # Records.
    def _record(self, order_key: str, state: OrderState, payload: Mapping[str, Any]) -> None:
        self._journal.record(order_key, state, self._pacer.now_us(), payload)
        if state is not OrderState.SENDING:
            self._emit(order_key)

    def _emit(self, order_key: str) -> None:
        order = self._journal.order(order_key)
        if order is None:
            return
        events = self._journal.events(order_key)
        at_us = events[-1][1]
        wanted = dict(order.payload)
        wanted.pop("event_id", None)
        self._on_event({
            **wanted, "event_id": f"{order_key}:{len(events)}:{order.state}", "signal_id": order.signal_id, "order_key": order_key,
            "symbol": order.symbol, "intent": order.intent, "state": str(order.state), "account": self._login,
            "sampled_event_id": order.payload.get("event_id", ""), "ts_event": to_datetime(at_us).isoformat().replace("+00:00", "Z"),
        })  # fmt: skip


def _payload_of(request: OrderRequest) -> dict[str, Any]:
    return {
        "strategy": request.strategy,
        "side": str(request.side),
        "quantity": request.quantity,
        "stop_loss": request.stop_loss,
        "take_profit": request.take_profit,
        "closes": request.position_id,
    }


def _state_of(report: OrderReport) -> OrderState:
    if report.outcome.is_accepted or report.outcome is Outcome.POSITION_CLOSED:
        return OrderState.ACKED
    return OrderState.UNKNOWN if report.outcome is Outcome.UNKNOWN else OrderState.REJECTED


def _closing_payload(fills: list[Fill], last: Fill) -> dict[str, Any]:
    """Return what the journal keeps of an ended position; money is in account currency."""
    entries = [fill for fill in fills if fill.kind is FillKind.ENTRY]
    profit = sum(fill.profit for fill in fills)
    costs = sum(fill.commission for fill in fills) + sum(fill.swap for fill in fills)
    return {
        "exit_reason": str(last.exit_reason),
        "entry_price": entries[0].price if entries else 0.0,
        "exit_price": last.price,
        "opened_at_us": to_us(entries[0].ts_event) if entries else 0,
        "closed_at_us": to_us(last.ts_event),
        "exit_deal_id": last.deal_id,
        "net_pnl_account": profit + costs,
    }
