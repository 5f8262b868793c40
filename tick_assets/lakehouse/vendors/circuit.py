"""When a feed may be asked: a circuit breaker and the spacing of requests.

What belongs here: the two, on a clock that is passed in, safe between threads. What must not: requests, sleeping, feeds' addresses.

A breaker is closed until a number of requests in a row failed. Then nothing is asked for a pause; after it one request goes as a probe
(half-open). A probe that succeeds closes the breaker, one that fails doubles the pause. So a feed that stopped answering costs one
request a pause and not one an hour of data.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

Monotonic = Callable[[], float]


@dataclass(frozen=True)
class BreakerPolicy:
    """`failures` in a row open a breaker; pauses double from the first to the maximum; others look after a probe every `probe_poll_s`."""

    failures: int = 5
    first_pause_s: float = 5.0
    maximum_pause_s: float = 60.0
    probe_poll_s: float = 0.5


class CircuitBreaker:
    """Says whether a feed may be asked now."""

    def __init__(self, policy: BreakerPolicy, monotonic: Monotonic) -> None:
        self._policy = policy
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures_in_a_row = 0
        self._pause_s = 0.0
        self._open_until: float | None = None
        self._held_until = 0.0
        self._is_probing = False

    def admit(self) -> bool:
        """Take the right to send one request, if there is one; the caller then says `succeed` or `fail`."""
        with self._lock:
            if self._ready_in_s() > 0:
                return False
            self._is_probing = self._open_until is not None
            return True

    def ready_in_s(self) -> float:
        """Return how long until a request may be tried; 0 means now."""
        with self._lock:
            return self._ready_in_s()

    def _ready_in_s(self) -> float:
        if self._is_probing:
            return self._policy.probe_poll_s
        return max((self._open_until or 0.0) - self._monotonic(), self._held_until - self._monotonic(), 0.0)

    def succeed(self) -> None:
        """Note a request that was answered."""
        with self._lock:
            self._failures_in_a_row, self._pause_s, self._open_until, self._is_probing = 0, 0.0, None, False

    def fail(self) -> None:
        """Note a request that was not answered; requests that were under way when the breaker opened change nothing."""
        with self._lock:
            self._failures_in_a_row += 1
            is_failed_probe, self._is_probing = self._is_probing, False
            opens = self._open_until is None and self._failures_in_a_row >= self._policy.failures
            if opens or is_failed_probe:
                self._pause_s = min(max(2 * self._pause_s, self._policy.first_pause_s), self._policy.maximum_pause_s)
                self._open_until = self._monotonic() + self._pause_s

    def hold(self, seconds: float) -> None:
        """Ask nothing for a while because the vendor said so; this is no failure."""
        with self._lock:
            self._held_until = max(self._held_until, self._monotonic() + seconds)

    def __str__(self) -> str:
        """Return `ok`, or the seconds until the next request and the failures so far."""
        wait_s = self.ready_in_s()
        return "ok" if not wait_s else f"suspended({wait_s:.0f}s,failures={self._failures_in_a_row})"


class RequestSpacing:
    """Keeps requests at least 1/rate seconds apart; a rate of 0 is no limit."""

    def __init__(self, rate_per_s: float, monotonic: Monotonic) -> None:
        self._gap_s = 1 / rate_per_s if rate_per_s > 0 else 0.0
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next_at = 0.0

    def reserve(self) -> float:
        """Take the next place in the row and return the seconds until then."""
        with self._lock:
            now = self._monotonic()
            at = max(now, self._next_at)
            self._next_at = at + self._gap_s
            return at - now
