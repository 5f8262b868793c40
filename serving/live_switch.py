"""Whether the service opens positions: a switch that survives a restart. Stopped, events are FLAT with LIVE_STOPPED; closes go on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from serving.clock import Clock, iso_of

STARTED, STOPPED = "started", "stopped"


@dataclass(frozen=True)
class LiveState:
    """The switch's position and who put it there."""

    state: str = STARTED
    changed_at: str | None = None
    changed_by: str | None = None


class LiveSwitch:
    """Reads the file once, writes it at every change."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self.state = LiveState(**json.loads(path.read_text())) if path.is_file() else LiveState()

    @property
    def is_started(self) -> bool:
        return self.state.state == STARTED

    def put(self, state: str, caller: str) -> LiveState:
        """Set the switch and keep it over restarts."""
        self.state = LiveState(state, iso_of(self._clock.now_us()), caller)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".tmp")
        draft.write_text(json.dumps(asdict(self.state)))
        draft.replace(self._path)
        return self.state
