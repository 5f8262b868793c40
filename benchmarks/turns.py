"""The parent of sides: start them, let them work in turn, and measure wall, CPU and memory of each process and its children.

What belongs here: processes and figures. What must not: what a side does, targets.

Sides stay alive between their rounds, idle while another works: so what is warm stays warm, and the machine's mood falls on all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_S = 0.1
CPU_TICK_S = 0.01
"""What the kernel counts CPU in; a round that used less counts as one."""
END_PATIENCE_S = 60.0
LOG_TAIL_LINES = 15

Report = Callable[[str], None]


class SideError(RuntimeError):
    """A side ended before it had answered, or the sides did not do the same work."""


@dataclass(frozen=True)
class Side:
    """One side as a command: the function `name` of a benchmark's module, its arguments, and the interpreter to run it."""

    name: str
    module: str
    arguments: Mapping[str, Any]
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)
    also_watched: tuple[int, ...] = ()
    """Servers that work for this side: their memory is the side's."""

    @property
    def command(self) -> list[str]:
        return [self.python, "-m", self.module, self.name, json.dumps(self.arguments)]


@dataclass(frozen=True)
class Round:
    """One counted round of one side."""

    seconds: float
    cpu_seconds: float
    rows: int
    detail: Mapping[str, float]


@dataclass(frozen=True)
class Measured:
    """All counted rounds of one side."""

    name: str
    rounds: tuple[Round, ...]
    peak_mb: float

    @property
    def seconds(self) -> float:
        return min(each.seconds for each in self.rounds)

    @property
    def median_seconds(self) -> float:
        return median(each.seconds for each in self.rounds)

    @property
    def cpu_seconds(self) -> float:
        return min(each.cpu_seconds for each in self.rounds)

    @property
    def rows(self) -> int:
        return self.rounds[0].rows

    @property
    def million_rows_per_s(self) -> float:
        return self.rows / 1e6 / self.seconds

    def percentile(self, share: float) -> float:
        """Return the seconds that this share of the rounds did not exceed (nearest rank)."""
        ordered = sorted(each.seconds for each in self.rounds)
        return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]

    def detail(self, name: str) -> float:
        """Return the smallest of a detail's figures."""
        return min(each.detail[name] for each in self.rounds)

    def in_words(self) -> str:
        """Return the figures in one line."""
        return f"{self.name}: {self.seconds:.3g} s (median {self.median_seconds:.3g}, CPU {self.cpu_seconds:.3g}), {self.peak_mb:.0f} MB"


def in_turn(
    sides: Sequence[Side], rounds: int, log_folder: Path, report: Report, warm_ups: int = 1, same_rows: bool = True
) -> dict[str, Measured]:
    """Let the sides work A B C A B C…, and return what the counted rounds of each came to; all must come to the same number of rows."""
    with ExitStack() as ended:
        running = {side.name: ended.enter_context(_running(side, log_folder)) for side in sides}
        measured: dict[str, list[Round]] = {side.name: [] for side in sides}
        for number in range(-warm_ups, rounds):
            for name, process in running.items():
                done = process.round()
                report(
                    f"    {name:<28} {'warm-up' if number < 0 else f'round {number + 1}':<8} {done.seconds:9.3f} s {done.rows:>12,} rows"
                )
                if number >= 0:
                    measured[name].append(done)
        found = {name: Measured(name, tuple(measured[name]), running[name].peak_mb) for name in running}
    counts = {each.rows for side in found.values() for each in side.rounds}
    if same_rows and len(counts) != 1:
        raise SideError(f"Expected all sides to come to the same rows, was { ({name: side.rows for name, side in found.items()}) }.")
    return found


class _Process:
    """A side that runs, and the highest memory that was seen of it."""

    def __init__(self, side: Side, log: Path) -> None:
        self.side, self._log = side, log
        self.peak_mb = 0.0
        with log.open("wb") as stream:
            self._child = subprocess.Popen(
                side.command,
                cwd=ROOT,
                env={**os.environ, **side.environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )

    def round(self) -> Round:
        self._ask("prepare")
        before = self._cpu_seconds()
        with self._watching_memory():
            seconds = self._ask("run")["seconds"]
        used = max(self._cpu_seconds() - before, CPU_TICK_S)
        counted = self._ask("count")
        return Round(seconds, used, counted["rows"], counted["detail"])

    def ready(self) -> None:
        self._read()

    def end(self) -> None:
        """Close its input, which ends it; kill it only where that does not help."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(END_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _ask(self, request: str) -> dict[str, Any]:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(request + "\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; reading says why
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            code = self._child.wait()
            tail = "\n  | ".join(self._log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
            raise SideError(
                f"Expected an answer of {self.side.module} {self.side.name}, was exit code {code}. Its log {self._log} ends:\n  | {tail}"
            )
        answer: dict[str, Any] = json.loads(line)
        self.peak_mb = max(self.peak_mb, answer["peak_mb"])
        return answer

    def _tree(self) -> list[Any]:
        import psutil

        roots = [self._child.pid, *self.side.also_watched]
        found = []
        for pid in roots:
            try:
                found += [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            except psutil.Error:  # it ended meanwhile
                continue
        return found

    def _cpu_seconds(self) -> float:
        """Return the CPU of the side's processes, those that they waited for included."""
        import psutil

        total = 0.0
        for each in self._tree():
            try:
                total += sum(each.cpu_times()[:4])
            except psutil.Error:
                continue
        return total

    @contextmanager
    def _watching_memory(self) -> Iterator[None]:
        from tick_assets.lakehouse.resources_ledger import looking

        def look() -> None:
            self.peak_mb = max(self.peak_mb, self._memory_mb())

        with looking(look, SAMPLE_S):
            yield

    def _memory_mb(self) -> float:
        import psutil

        total = 0
        for each in self._tree():
            try:
                total += each.memory_info().rss
            except psutil.Error:
                continue
        return total / 1e6


@contextmanager
def _running(side: Side, log_folder: Path) -> Iterator[_Process]:
    log_folder.mkdir(parents=True, exist_ok=True)
    process = _Process(side, log_folder / f"{side.module.rpartition('.')[2]}.{side.name.replace(' ', '_')}.log")
    try:
        process.ready()
        yield process
    finally:
        process.end()
