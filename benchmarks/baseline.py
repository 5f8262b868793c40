"""The accepted ratios, and what counts as a regression: a ratio more than 25 % worse than the accepted one, at the same size.

What belongs here: reading, writing and comparing baseline.json. What must not: absolute figures; they belong to one machine.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.findings import Finding

PATH = Path(__file__).with_name("baseline.json")
ALLOWED = 1.25
"""How many times worse a ratio may be: runs of one commit differ by 10 to 15 % on a machine that others use too."""
UPDATE = "Run `tick bench {name} --update-baseline` on a quiet machine and commit benchmarks/baseline.json."


class BaselineError(ValueError):
    """There is nothing to compare a ratio with."""


@dataclass(frozen=True)
class Regression:
    """A ratio that got worse than is allowed."""

    key: str
    accepted: float
    found: float

    @property
    def worse(self) -> float:
        """How many times worse it is; above 1."""
        return max(self.found / self.accepted, self.accepted / self.found)

    def __str__(self) -> str:
        return f"{self.key}: ratio {self.found:.3g}, accepted {self.accepted:.3g} ({self.worse - 1:+.0%} worse)"


def regressions(findings: Sequence[Finding], baseline: Mapping[str, Any]) -> list[Regression]:
    """Return the findings whose ratio is more than 25 % worse than the baseline's; one that it does not know is a `BaselineError`."""
    compared = [_compared(each, each.ratio, baseline) for each in findings if each.ratio is not None]
    return [regression for regression in compared if regression is not None]


def _compared(finding: Finding, ratio: float, baseline: Mapping[str, Any]) -> Regression | None:
    accepted = baseline.get("ratios", {}).get(finding.key)
    remedy = UPDATE.format(name=finding.name)
    if accepted is None:
        raise BaselineError(f"Expected an accepted ratio of {finding.key}, was none. {remedy}")
    if accepted["ticks"] != finding.ticks:
        raise BaselineError(
            f"Expected {finding.key} at {accepted['ticks']:,} ticks as the baseline has it, was {finding.ticks:,}: ratios depend on the "
            f"size. Run it with the same options, or: {remedy}"
        )
    worse = ratio / accepted["ratio"] if finding.is_lower_better else accepted["ratio"] / ratio
    return Regression(finding.key, accepted["ratio"], ratio) if worse > ALLOWED else None


def read(path: Path = PATH) -> dict[str, Any]:
    """Read the baseline; a missing file is a `BaselineError` that says how to make one."""
    if not path.is_file():
        raise BaselineError(f"Expected a baseline at {path}, was none. {UPDATE.format(name='data')}")
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def update(findings: Sequence[Finding], day: str, path: Path = PATH) -> None:
    """Accept the ratios of these findings; those of others stay."""
    known = json.loads(path.read_text())["ratios"] if path.is_file() else {}
    new = {
        each.key: {"ratio": float(f"{each.ratio:.4g}"), "ticks": each.ticks, "measured": day, "machine": machine()}
        for each in findings
        if each.ratio is not None
    }
    ratios = dict(sorted({**known, **new}.items()))
    path.write_text(json.dumps({"allowed": ALLOWED, "ratios": ratios}, indent=2) + "\n")


def machine() -> str:
    """Describe this machine in a few words; nothing that names it."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
