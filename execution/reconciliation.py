"""What became of orders whose outcome is not known: asked of the venue's books, never sent again.

What belongs here: resolving UNKNOWN (and SENDING after a crash). What must not: sending anything.
An entry that the books don't show stays UNKNOWN and blocks its symbol, until it is found or a person clears it.
A close that the books don't show is settled once its position is seen still open and no order waits: a new close may then be made.
"""

from __future__ import annotations

from dataclasses import dataclass

from execution.journal import Journal, JournalOrder, OrderState
from execution.orders import Fill, OrderRequest, Position, Side
from execution.ports import TerminalPort


@dataclass(frozen=True)
class Resolution:
    """An order that is known again."""

    order_key: str
    signal_id: str
    state: OrderState
    position_id: str


def request_of(order: JournalOrder) -> OrderRequest:
    """Return the request that the journal holds of an order."""
    values = order.payload
    return OrderRequest(
        client_order_id=order.signal_id,
        strategy=str(values["strategy"]),
        symbol=order.symbol,
        side=Side(values["side"]),
        quantity=float(values["quantity"]),
        stop_loss=float(values.get("stop_loss", 0.0)),
        take_profit=float(values.get("take_profit", 0.0)),
        position_id=str(values.get("closes", "")),
    )


def mark_interrupted(journal: Journal, at_us: int) -> None:
    """After a restart: what was reserved but never sent is DENIED, what was being sent is UNKNOWN."""
    for order in journal.orders_in(OrderState.NEW):
        journal.record(order.order_key, OrderState.DENIED, at_us, {"reason": "INTERRUPTED_BEFORE_SEND"})
    for order in journal.orders_in(OrderState.SENDING):
        journal.record(order.order_key, OrderState.UNKNOWN, at_us, {"reason": "INTERRUPTED_WHILE_SENDING"})


def resolve_unknown(terminal: TerminalPort, journal: Journal, at_us: int) -> list[Resolution]:
    """Look for every UNKNOWN order in the venue's books and record what is found."""
    found = (_resolve(terminal, journal, order, at_us) for order in journal.orders_in(OrderState.UNKNOWN))
    return [resolution for resolution in found if resolution is not None]


def _resolve(terminal: TerminalPort, journal: Journal, order: JournalOrder, at_us: int) -> Resolution | None:
    request = request_of(order)
    if request.position_id:
        return _resolve_close(terminal, journal, order, request, at_us)
    traces = terminal.find(request, order.created_us)
    if not traces:
        return None
    price, quantity = _price_and_quantity(traces)
    payload = {"reason": "RECONCILED", "position_id": traces[0].position_id, "price": price, "filled_quantity": quantity}
    journal.record(order.order_key, OrderState.ACKED, at_us, payload)
    return Resolution(order.order_key, order.signal_id, OrderState.ACKED, traces[0].position_id)


def _resolve_close(
    terminal: TerminalPort, journal: Journal, order: JournalOrder, request: OrderRequest, at_us: int
) -> Resolution | None:  # fmt: skip
    is_open = any(position.position_id == request.position_id for position in terminal.positions(request.symbol))
    if is_open and terminal.is_waiting(request, order.created_us):
        return None
    state = OrderState.REJECTED if is_open else OrderState.ACKED
    journal.record(order.order_key, state, at_us, {"reason": "RECONCILED_OPEN" if is_open else "RECONCILED"})
    return Resolution(order.order_key, order.signal_id, state, request.position_id)


def _price_and_quantity(traces: list[Fill | Position]) -> tuple[float, float]:
    first = traces[0]
    if isinstance(first, Position):
        return first.open_price, first.quantity
    fills = [trace for trace in traces if isinstance(trace, Fill)]
    quantity = sum(fill.quantity for fill in fills)
    return sum(fill.price * fill.quantity for fill in fills) / quantity, quantity
