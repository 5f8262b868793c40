"""Faults that the twin injects on demand.

What belongs here: the faults file, which fault hits which request, what it does to a payload. What must not: HTTP.

A faults file is TOML (`[[fault]]` tables) or JSON (a list of objects):
    path   glob over the request path, for instance "/EURUSD/2019/01/04/0?h_ticks.bi5" or "/v1/ticks/EUR-USD/*"
    kind   what the matching request gets:
           empty       200 and no bytes
           html        200 and a web page
           404, 503    that status
           429         that status with `Retry-After: <seconds>`
           reset       the connection closed without a word
           cut         half of the body, though the header promised all of it
           truncated   half of the body, and a header that says so
           slow        the right answer after `seconds`
           revised     the hour as a vendor that corrected it
           wrong_hour  the hour before; in bi5 that can't be told from the bytes
           wrong_month the asked ticks as if a month earlier: a path that miscounts months; only JSON names its hour
    times  how many matching requests are hit; 0 (default) means all
    after  how many matching requests are answered well first; default 0
    seconds  delay of `slow`, `Retry-After` of `429` (there whole seconds); default 2
"""

from __future__ import annotations

import fnmatch
import json
import threading
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

KINDS = ("empty", "html", "404", "503", "429", "reset", "cut", "truncated", "slow", "revised", "wrong_hour", "wrong_month")


@dataclass(frozen=True)
class Fault:
    """One line of a faults file; see the module."""

    path: str
    kind: str
    times: int = 0
    after: int = 0
    seconds: float = 2.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Expected a fault of {', '.join(KINDS)}, was {self.kind!r}. Correct the faults file.")


def parse_faults(content: str, name: str) -> tuple[Fault, ...]:
    """Parse a faults file; its format follows from the name's suffix."""
    document: Any = tomllib.loads(content)["fault"] if name.endswith(".toml") else json.loads(content)
    entries: list[dict[str, Any]] = list(document)
    known = {field.name for field in fields(Fault)}
    unknown = sorted({key for entry in entries for key in entry if key not in known})
    if unknown:
        raise ValueError(f"Expected the keys {sorted(known)} in {name}, was also {unknown}. Remove them.")
    return tuple(Fault(**{**entry, "kind": str(entry["kind"])}) for entry in entries)


def read_faults(path: Path) -> tuple[Fault, ...]:
    """Read a faults file."""
    return parse_faults(path.read_text(), path.name)


class FaultScript:
    """Counts matching requests and says which fault hits the next one; safe between threads."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._seen = [0] * len(self._faults)
        self._lock = threading.Lock()

    def next_fault(self, path: str) -> Fault | None:
        """Return the first fault that hits this request; every matching fault counts it."""
        with self._lock:
            hit: Fault | None = None
            for index, fault in enumerate(self._faults):
                if not fnmatch.fnmatchcase(path, fault.path):
                    continue
                turn = self._seen[index] - fault.after
                self._seen[index] += 1
                if hit is None and turn >= 0 and (fault.times == 0 or turn < fault.times):
                    hit = fault
            return hit
