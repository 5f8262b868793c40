"""Faults to script on the simulated terminal, one per call of `order_send`, in order, or by the entry that meets them.

LOST_BEFORE   the request never reaches the server; the caller sees None
LOST_AFTER    the server executes it; the caller sees None
TIMEOUT_AFTER the server executes it; the caller sees 10012
LATE_FILL     the server executes it while time goes on; the caller sees None at once
REQUOTE       10004
REJECT        the given retcode
PARTIAL       fills only `share` of the volume (10010)
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What goes wrong; see the module."""

    LOST_BEFORE = "LOST_BEFORE"
    LOST_AFTER = "LOST_AFTER"
    TIMEOUT_AFTER = "TIMEOUT_AFTER"
    LATE_FILL = "LATE_FILL"
    REQUOTE = "REQUOTE"
    REJECT = "REJECT"
    PARTIAL = "PARTIAL"


@dataclass(frozen=True)
class Fault:
    """One scripted fault."""

    kind: FaultKind
    retcode: int = 10006
    share: float = 0.5


class FaultPlan:
    """A queue of faults for coming orders, and switches that stay until they are set back."""

    def __init__(self) -> None:
        self._queue: deque[Fault | None] = deque()
        self._of_entry: dict[str, deque[Fault]] = {}
        self.is_disconnected = False
        self.is_broker_link_down = False
        self.is_algo_trading_off = False
        self.login_seen: int | None = None
        """When set, `account_info` reports this login: another terminal answers on the pipe."""

    def script(self, *faults: Fault | None) -> None:
        """Queue faults for the next orders; None lets one pass."""
        self._queue.extend(faults)

    def script_entry(self, key: str, *faults: Fault) -> None:
        """Queue faults for the sends of one entry, known by its draw key; other orders don't take them."""
        self._of_entry.setdefault(key, deque()).extend(faults)

    def take(self, entry_key: str = "") -> Fault | None:
        """Return the fault of this order; `entry_key` is the draw key of an entry, empty for everything else."""
        own = self._of_entry.get(entry_key)
        if own:
            return own.popleft()
        return self._queue.popleft() if self._queue else None
