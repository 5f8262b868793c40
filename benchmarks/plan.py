"""What a benchmark is, and what it is told: sizes, folders, where to report.

What belongs here: the two values. What must not: any benchmark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.findings import Finding

Report = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """One call of `tick bench`: folders, the sizes that were asked for (none: the benchmark's own), rounds, real files."""

    cache: Path
    """Kept between calls: synthetic markets and the environment of rivals."""
    work: Path
    """Of this call; removed afterwards."""
    report: Report
    sizes: tuple[int, ...] = ()
    is_full: bool = False
    rounds: int = 0
    real: Path | None = None
    has_rivals: bool = True
    """Whether rivals that need an environment of their own take part."""

    def sizes_of(self, benchmark: Benchmark) -> tuple[int, ...]:
        """Return the sizes in ticks: what was asked for, else the benchmark's own."""
        return self.sizes or (benchmark.full_sizes if self.is_full else benchmark.sizes)

    def rounds_of(self, usual: int) -> int:
        return self.rounds or usual


@dataclass(frozen=True)
class Benchmark:
    """One benchmark. `targets` are for people; `findings` judges by the same conditions."""

    name: str
    group: str
    what: str
    targets: Sequence[str]
    sizes: tuple[int, ...]
    full_sizes: tuple[int, ...]
    measure: Callable[[Plan, int], list[Finding]] = field(repr=False)
    needs_servers: bool = False
    summarize: Callable[[Sequence[Sequence[Finding]]], list[Finding]] | None = field(default=None, repr=False)
    """What only several sizes show."""

    def run(self, plan: Plan) -> list[Finding]:
        """Measure every size."""
        found = [self.measure(plan, size) for size in plan.sizes_of(self)]
        flat = [each for findings in found for each in findings]
        return flat + (self.summarize(found) if self.summarize and len(found) > 1 else [])
