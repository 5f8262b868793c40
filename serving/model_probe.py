"""A throw-away process that parses a model file before the service does.

XGBoost's parsers crash on hostile bytes; here a crash, a hang or an allocation without end costs a child with tight limits. The child
is this file run by itself: it must import nothing of ours.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path

_CPU_S, _WALL_S, _MEMORY_BYTES = 30, 60, 4 * 1024**3
_OK = 0


class ModelProbe(ABC):
    """Tells whether bytes parse as a model."""

    @abstractmethod
    def check(self, model_json: bytes) -> str:
        """Return an empty string, or why the bytes are no model."""


class ChildProcessProbe(ModelProbe):
    """Parses in a child with limits on memory, time, files and processes."""

    def check(self, model_json: bytes) -> str:
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PATH": os.environ.get("PATH", "")}
        try:
            done = subprocess.run(
                [sys.executable, "-I", str(Path(__file__).resolve())],
                input=model_json,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_WALL_S,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"parsing took more than {_WALL_S} s"
        if done.returncode == _OK:
            return ""
        if done.returncode < 0:
            return f"parsing ended the child with signal {-done.returncode}"
        return done.stderr.decode("utf-8", errors="replace").strip().splitlines()[-1][:200] if done.stderr.strip() else "parsing failed"


class RememberingProbe(ModelProbe):
    """Asks another probe once for each content; a swap back and forth then costs no child."""

    def __init__(self, probe: ModelProbe) -> None:
        self._probe = probe
        self._answers: dict[str, str] = {}

    def check(self, model_json: bytes) -> str:
        digest = hashlib.sha256(model_json).hexdigest()
        if digest not in self._answers:
            self._answers[digest] = self._probe.check(model_json)
        return self._answers[digest]


def _limit_this_process() -> None:
    import resource

    for what, limit in (
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))


def _main() -> int:
    content = sys.stdin.buffer.read()
    import xgboost

    _limit_this_process()
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(content))  # a failure ends the child with a traceback, whose last line is the reason
    booster.num_boosted_rounds()
    return _OK


if __name__ == "__main__":
    raise SystemExit(_main())
