"""The signals of this service in order: for polling, for streams and for the Expert Advisor.

What belongs here: the bounded memory of what was issued, and who listens. What must not: how signals come to be, or files.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

STREAM_QUEUE = 1000


class SignalLog:
    """Wire documents of issued signals, oldest first, each `signal_id` once."""

    def __init__(self, limit: int) -> None:
        self._documents: deque[dict[str, Any]] = deque(maxlen=limit)
        self._numbers: dict[str, int] = {}
        self._next = 0
        self._listeners: set[asyncio.Queue[dict[str, Any] | None]] = set()

    def __contains__(self, signal_id: str) -> bool:
        return signal_id in self._numbers

    def add(self, documents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add signals that were not issued before, and return those."""
        added = []
        for document in documents:
            if document["signal_id"] in self._numbers:
                continue
            if len(self._documents) == self._documents.maxlen:
                self._numbers.pop(self._documents[0]["signal_id"])
            self._documents.append(document)
            self._numbers[document["signal_id"]] = self._next
            self._next += 1
            added.append(document)
        return added

    def publish(self, documents: Iterable[dict[str, Any]]) -> None:
        """Hand signals to the streams; a stream that does not keep up is ended."""
        for document in documents:
            for queue in list(self._listeners):
                if queue.qsize() >= STREAM_QUEUE:
                    self._listeners.discard(queue)
                    queue.put_nowait(None)
                else:
                    queue.put_nowait(document)

    def after(self, cursor: str | None, symbol: str | None, limit: int) -> list[dict[str, Any]]:
        """Return signals issued after the cursor: a signal_id, or an ISO time compared with `issued_at`; unknown ids begin anew."""
        start = self._numbers.get(cursor, -1) if cursor else -1
        since = cursor if cursor and cursor not in self._numbers and "T" in cursor else ""
        found: list[dict[str, Any]] = []
        for document in self._from(start + 1):
            if (symbol is None or document["symbol"] == symbol) and document["issued_at"] > since:
                found.append(document)
                if len(found) == limit:
                    break
        return found

    def find(self, signal_id: str) -> dict[str, Any] | None:
        """Return one signal, or None."""
        return next(self._from(self._numbers[signal_id]), None) if signal_id in self._numbers else None

    def newest_first(self) -> Iterator[dict[str, Any]]:
        """Iterate from the newest signal back."""
        return reversed(self._documents)

    def listen(self) -> asyncio.Queue[dict[str, Any] | None]:
        """Return a queue that gets every signal from now on; None ends it."""
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._listeners.add(queue)
        return queue

    def forget(self, queue: asyncio.Queue[dict[str, Any] | None]) -> None:
        """Stop filling a queue."""
        self._listeners.discard(queue)

    def end_streams(self) -> None:
        """End all streams; the service stops."""
        for queue in list(self._listeners):
            queue.put_nowait(None)
        self._listeners.clear()

    def _from(self, number: int) -> Iterator[dict[str, Any]]:
        skipped = max(0, number - (self._next - len(self._documents)))
        for i in range(skipped, len(self._documents)):
            yield self._documents[i]
