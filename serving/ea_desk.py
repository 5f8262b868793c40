"""Leases of signals to Expert Advisors: at most one holder per account and signal, for 30 seconds.

An acknowledgement of RECEIVED ends the lease for good: the Expert Advisor has the signal and answers for it. Without one the signal is
offered again after 30 s while it is valid. The wire form is flat `key=value` lines, because MQL5 has no JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.clock import Clock, parse_stamp
from serving.served_model import LIVE
from serving.signal_log import SignalLog
from serving.symbol_feed import NONE

LEASE_S = 30.0
EXECUTOR_S = 60.0
"""An account whose order events came from an execution process this recently is not the Expert Advisor's."""
NUMBERS = frozenset({"retcode", "order", "deal", "price", "volume", "stop_loss", "take_profit", "profit", "bid", "ask"})
_FLAT_MEMBERS = (
    "signal_id",
    "event_id",
    "symbol",
    "strategy",
    "action",
    "view",
    "probability",
    "ts_event",
    "issued_at",
    "valid_until",
    "exit_at",
    "bid_price",
    "ask_price",
    "stop_loss",
    "take_profit",
    "max_position",
    "mode",
    "is_synthetic",
)


@dataclass
class EaDesk:
    """Who holds which signal until when (monotonic seconds), and what is settled."""

    log: SignalLog
    clock: Clock
    _leases: dict[tuple[str, str], float] = field(default_factory=dict)
    _settled: set[tuple[str, str]] = field(default_factory=set)
    _executors: dict[str, float] = field(default_factory=dict)

    def note_executor(self, accounts: set[str]) -> None:
        """Remember that an execution process trades these accounts."""
        self._executors |= dict.fromkeys(accounts, self.clock.monotonic_s() + EXECUTOR_S)

    def is_taken(self, account: str) -> bool:
        """Tell whether an execution process trades the account; then the Expert Advisor must not."""
        return self._executors.get(account, 0.0) > self.clock.monotonic_s()

    def lease(self, account: str, after: str | None) -> tuple[dict[str, Any], float] | None:
        """Return the oldest valid live signal that the account has not settled, and the lease's seconds; or None."""
        now_us, now_s = self.clock.now_us(), self.clock.monotonic_s()
        self._drop_expired(now_s)
        for document in self._valid(now_us, after):
            key = (account, document["signal_id"])
            if key in self._settled or key in self._leases:
                continue
            self._leases[key] = now_s + LEASE_S
            return document, LEASE_S
        return None

    def settle(self, account: str, signal_id: str) -> dict[str, Any] | None:
        """End a lease for good; return the signal, or None when it is unknown."""
        document = self.log.find(signal_id)
        if document is not None:
            self._leases.pop((account, signal_id), None)
            self._settled.add((account, signal_id))
        return document

    def restore(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Settle again what Expert Advisors acknowledged before a restart."""
        self._settled |= {(str(event["account"]), str(event["signal_id"])) for event in events if event.get("source") == "ea"}

    def _valid(self, now_us: int, after: str | None) -> list[dict[str, Any]]:
        candidates = self.log.after(after, None, 1_000_000) if after and after in self.log else list(self.log.newest_first())[:1000][::-1]
        return [
            document
            for document in candidates
            if document["mode"] == LIVE and document["action"] != NONE and parse_stamp(document["valid_until"]) > now_us
        ]

    def _drop_expired(self, now_s: float) -> None:
        self._leases = {key: until for key, until in self._leases.items() if until > now_s}


def to_flat(document: Mapping[str, Any], lease_s: float) -> str:
    """Return a signal as flat lines; absent values are empty, truth is 1 or 0."""
    model = document["model"]
    lines = {name: document[name] for name in _FLAT_MEMBERS}
    lines |= {"model_id": model["id"], "model_sha256": model["sha256"], "passport_id": model["passport_id"], "lease_s": lease_s}
    return "".join(f"{name}={_flat_value(value)}\n" for name, value in lines.items())


def parse_flat(text: str) -> dict[str, str]:
    """Parse flat lines; a line without `=` or a repeated key is a `ValueError`."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, separator, value = line.partition("=")
        if not separator or name.strip() in values:
            raise ValueError("Expected lines of key=value, each key once.")
        values[name.strip()] = value.strip()
    return values


def parse_number(text: str) -> float:
    """Parse a finite number; anything else is a `ValueError`."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("Expected a finite number.")
    return value


def _flat_value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return repr(value) if isinstance(value, float) else str(value)
