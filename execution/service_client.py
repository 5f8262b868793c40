"""The signal service over HTTP, and a fake of it for tests.

What belongs here: the wire form of quotes and events, the key, errors. What must not: what to do with signals.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from execution.orders import Quote
from execution.ports import ServiceUnavailableError, SignalService
from execution.signals import Signal, parse_signal


def to_wire(quote: Quote) -> dict[str, Any]:
    """Return the JSON form of a quote; unknown sizes are left out."""
    values: dict[str, Any] = {
        "symbol": quote.symbol,
        "ts_event": quote.ts_event.isoformat().replace("+00:00", "Z"),
        "bid_price": quote.bid_price,
        "ask_price": quote.ask_price,
    }
    sizes = {"bid_size": quote.bid_size, "ask_size": quote.ask_size}
    return values | {name: size for name, size in sizes.items() if not math.isnan(size)}


class HttpSignalService(SignalService):
    """`SignalService` over `/v1`. `client` carries base URL, key and timeout; see `connect_service`.

    `tick_query` goes with every post of ticks: a replay sends `mode=replay`, its `replay_id` and perhaps a `candidate`.
    """

    def __init__(self, client: httpx.Client, tick_query: Mapping[str, str] | None = None) -> None:
        self._client = client
        self._tick_query = dict(tick_query or {})

    def post_ticks(self, quotes: Sequence[Quote]) -> list[Signal]:
        answer = self._post("/v1/ticks", {"ticks": [to_wire(quote) for quote in quotes]}, self._tick_query)
        return [parse_signal(values) for values in answer["signals"]]

    def report(self, events: Sequence[Mapping[str, Any]]) -> None:
        for start in range(0, len(events), 1000):
            self._post("/v1/executions", {"events": [dict(event) for event in events[start : start + 1000]]})

    def end_replay(self) -> None:
        """Let the service forget the replay that these ticks belonged to; it holds a limited number. A live feed has none."""
        replay_id = self._tick_query.get("replay_id") if self._tick_query else None
        if replay_id:
            with contextlib.suppress(httpx.HTTPError):
                self._client.delete(f"/v1/replays/{replay_id}")

    def _post(self, path: str, body: Mapping[str, Any], query: Mapping[str, str] | None = None) -> Any:
        try:
            response = self._client.post(path, json=body, params=dict(query or {}))
            response.raise_for_status()
            return response.json()
        except httpx.HTTPStatusError as error:
            text = error.response.text[:300]
            raise ServiceUnavailableError(f"Expected {path} to accept, was {error.response.status_code}: {text}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise ServiceUnavailableError(f"Expected an answer of {path}, was {error!r}. Check that the service is up.") from error


def connect_service(
    base_url: str, key: str, timeout_s: float = 30.0, tick_query: Mapping[str, str] | None = None
) -> HttpSignalService:  # fmt: skip
    """Return the service at an address, with a key that has the scopes ticks:write and executions:write."""
    client = httpx.Client(base_url=base_url, headers={"X-API-Key": key}, timeout=timeout_s)
    return HttpSignalService(client, tick_query)


class FakeSignalService(SignalService):
    """`SignalService` in memory: `decide` is asked for each quote; reports and quotes are kept. `is_down` makes every call fail."""

    def __init__(self, decide: Callable[[Quote], Signal | None] = lambda quote: None) -> None:
        self._decide = decide
        self.is_down = False
        self.quotes: list[Quote] = []
        self.reports: list[Mapping[str, Any]] = []

    def post_ticks(self, quotes: Sequence[Quote]) -> list[Signal]:
        self._check()
        self.quotes.extend(quotes)
        return [signal for quote in quotes if (signal := self._decide(quote)) is not None]

    def report(self, events: Sequence[Mapping[str, Any]]) -> None:
        self._check()
        self.reports.extend(events)

    def _check(self) -> None:
        if self.is_down:
            raise ServiceUnavailableError("Expected the fake service to be up, was down.")
