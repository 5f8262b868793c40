"""One side of a benchmark, inside its own process: set up once, then one round for each request on standard input.

What belongs here: the protocol and what a process knows of itself. What must not: anything but the standard library (a rival's environment
has nothing else), what is measured (one file per benchmark), comparing.

    python -m benchmarks.decode_bi5 SIDE ARGUMENTS-AS-JSON

Requests are lines `prepare`, `run`, `count`, one answer each; the end of input is the end. Only `run` is under the clock: starting Python,
compiling, reading input into memory and counting what came out are not. What libraries print goes to standard error.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Work:
    """What a side does in one round: `run` under the clock, `prepare` before it, `count` (rows of what run returned) after it."""

    run: Callable[[], Any]
    count: Callable[[Any], int]
    prepare: Callable[[], None] = _nothing
    detail: Callable[[Any], Mapping[str, float]] = lambda returned: {}
    during: AbstractContextManager[Any] = field(default_factory=nullcontext)
    """Held from the first round to the last, such as a session that is to be stopped."""


MakeWork = Callable[..., Work]


def serve(sides: Mapping[str, MakeWork]) -> None:
    """Be the side that the command line names, until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    work = sides[sys.argv[1]](**json.loads(sys.argv[2]))
    with work.during:
        _answer(answers, {})
        returned: Any = None
        for line in sys.stdin:
            request = line.strip()
            if request == "prepare":
                returned = None
                work.prepare()
                _answer(answers, {})
            elif request == "run":
                began = time.perf_counter()
                returned = work.run()
                _answer(answers, {"seconds": time.perf_counter() - began})
            else:
                _answer(answers, {"rows": work.count(returned), "detail": dict(work.detail(returned))})


def _answer(stream: Any, values: dict[str, Any]) -> None:
    stream.write(json.dumps({**values, "peak_mb": peak_mb()}) + "\n")
    stream.flush()


def peak_mb() -> float:
    """Return the highest resident memory of this process in MB.

    Linux keeps it for the program in `VmHWM`; `ru_maxrss` there also remembers the parent that the process was forked from.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
