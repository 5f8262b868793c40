"""Order events that execution reports: kept once each, by `event_id`, as evidence."""

from __future__ import annotations

from collections import deque
from typing import Any

from serving.clock import Clock, iso_of
from serving.evidence import EvidenceFiles
from serving.metrics import Metrics

REMEMBERED_DATES = 7
_RECENT = 200


class ExecutionDesk:
    """Takes order events; ids of the last days' files are known over a restart."""

    def __init__(self, evidence: EvidenceFiles, clock: Clock, metrics: Metrics) -> None:
        self._evidence = evidence
        self._clock = clock
        self._metrics = metrics
        self._known: set[str] = set()
        self.recent: deque[dict[str, Any]] = deque(maxlen=_RECENT)

    def restore(self) -> None:
        """Read back the events of the last days."""
        for date_iso in self._evidence.dates()[-REMEMBERED_DATES:]:
            for document in self._evidence.read(date_iso):
                self._known.add(document["event_id"])
                self.recent.append(document)

    def take(self, events: list[dict[str, Any]], caller: str) -> tuple[int, int]:
        """Append events that are new; return (accepted, duplicates)."""
        now_us = self._clock.now_us()
        new: dict[str, list[dict[str, Any]]] = {}
        accepted = 0
        for event in events:
            if event["event_id"] in self._known:
                continue
            document = {**event, "received_at": iso_of(now_us), "received_from": caller}
            self._known.add(event["event_id"])
            self.recent.append(document)
            new.setdefault((event.get("ts_event") or iso_of(now_us))[:10], []).append(document)
            accepted += 1
        for date_iso, documents in new.items():
            self._evidence.append(date_iso, documents)
        self._metrics.executions.inc(accepted)
        return accepted, len(events) - accepted
