"""Who may call what: keys, scopes, rates and body sizes, all checked before a body is read.

What belongs here: the gate in front of every guarded route. What must not: what routes do, or where keys are stored.

A key's name says its role: `pipeline` (admin: everything), `trader`, `viewer`. `trader-<account>` is a trader of that account; without
the suffix the account is the key's name.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Message, Receive

from serving.clock import Clock
from serving.problems import Problem

TICKS_WRITE, SIGNALS_READ, EXECUTIONS_WRITE, ADMIN = "ticks:write", "signals:read", "executions:write", "admin"
ROLE_SCOPES: Mapping[str, frozenset[str]] = {
    "pipeline": frozenset({ADMIN, TICKS_WRITE, SIGNALS_READ, EXECUTIONS_WRITE}),
    "trader": frozenset({TICKS_WRITE, SIGNALS_READ, EXECUTIONS_WRITE}),
    "viewer": frozenset({SIGNALS_READ}),
}
FAILURES_PER_MINUTE = 30
POLICY_VIOLATION = 1008
"""The close code of a WebSocket that is not admitted."""
_MAX_BUCKETS = 4096


@dataclass(frozen=True)
class Caller:
    """Whose key it was."""

    name: str
    account: str
    scopes: frozenset[str]


@dataclass
class TokenBucket:
    """Allow `rate_per_s` on average and `burst` at once."""

    rate_per_s: float
    burst: float
    tokens: float = field(init=False)
    updated_s: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def take(self, now_s: float) -> float:
        """Take one token; return 0, or the seconds until there is one."""
        self.tokens = min(self.burst, self.tokens + max(0.0, now_s - self.updated_s) * self.rate_per_s)
        self.updated_s = now_s
        if self.tokens < 1.0:
            return (1.0 - self.tokens) / self.rate_per_s
        self.tokens -= 1.0
        return 0.0


class KeyRing:
    """The known keys as hashes; a presented key is compared with all of them in constant time."""

    def __init__(self, keys: Mapping[str, str], clock: Clock, rate_per_s: float) -> None:
        self._callers = [(_digest(key), _caller_of(name)) for name, key in keys.items() if key]
        self._clock = clock
        self._rates = {caller.name: TokenBucket(rate_per_s, 2 * rate_per_s) for _, caller in self._callers}
        self._failures: dict[str, TokenBucket] = {}

    def admit(self, connection: HTTPConnection, scope: str) -> Caller:
        """Return the caller, or raise 401 (no or unknown key), 403 (scope) or 429 (rate)."""
        presented = presented_key(connection)
        caller = self._find(presented) if presented else None
        if caller is None:
            raise self._refusal(connection, presented)
        wait_s = self._rates[caller.name].take(self._clock.monotonic_s())
        if wait_s > 0:
            raise _too_many(wait_s)
        if scope not in caller.scopes:
            raise Problem(403, "SCOPE_MISSING", f"Expected a key with the scope {scope}. Use another key.")
        return caller

    def _find(self, key: str) -> Caller | None:
        digest, found = _digest(key), None
        for known, caller in self._callers:
            if hmac.compare_digest(digest, known):
                found = caller
        return found

    def _refusal(self, connection: HTTPConnection, presented: str) -> Problem:
        client = connection.client.host if connection.client else ""
        if len(self._failures) > _MAX_BUCKETS:
            self._failures.clear()
        bucket = self._failures.setdefault(client, TokenBucket(FAILURES_PER_MINUTE / 60, FAILURES_PER_MINUTE))
        wait_s = bucket.take(self._clock.monotonic_s())
        if wait_s > 0:
            return _too_many(wait_s)
        code = "KEY_UNKNOWN" if presented else "KEY_MISSING"
        return Problem(401, code, "Expected a known key in the header X-API-Key.", headers={"WWW-Authenticate": 'ApiKey realm="tick"'})


def presented_key(connection: HTTPConnection) -> str:
    """Return the key of `X-API-Key` or `Authorization: Bearer`, or an empty string."""
    key = connection.headers.get("x-api-key", "")
    if key:
        return key
    kind, _, value = connection.headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


def guarded(scope: str) -> type[APIRoute]:
    """Return a route class whose routes need `scope`; the check comes before the body is read."""

    class GuardedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handle_admitted(request: Request) -> Response:
                request.state.caller = request.app.state.parts.keys.admit(request, scope)
                return await handle(_limited(request, request.app.state.parts.settings.service_body_limit_bytes))

            return handle_admitted

    return GuardedRoute


def _limited(request: Request, limit: int) -> Request:
    """Return the request with a body that cannot grow beyond `limit` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    return Request(request.scope, _counted(request.receive, limit), request._send)


def _counted(receive: Receive, limit: int) -> Receive:
    taken = 0

    async def receive_counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _too_large(limit)
        return message

    return receive_counted


def _too_large(limit: int) -> Problem:
    return Problem(413, "BODY_TOO_LARGE", f"Expected at most {limit} bytes. Send smaller batches.", headers={"Connection": "close"})


def _too_many(wait_s: float) -> Problem:
    return Problem(429, "RATE_EXCEEDED", "Too many requests.", headers={"Retry-After": str(max(1, round(wait_s)))})


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", errors="surrogateescape")).digest()


def _caller_of(name: str) -> Caller:
    role, _, account = name.partition("-")
    return Caller(name, account or name, ROLE_SCOPES.get(role, frozenset()))
