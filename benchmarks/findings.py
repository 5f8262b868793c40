"""What a benchmark found: a figure beside its rival's, and whether the target is met.

What belongs here: values, and judging them. What must not: measuring, printing, files.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

RATIO, VALUE, PEAK_MB = "ratio", "value", "peak_mb"
FIELDS = ("name", "value", "unit", "rival", "rival_value", "ratio", "target", "met", "peak_mb", "note")
_SIGNS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}
)


@dataclass(frozen=True)
class Condition:
    """One bound of a target on a finding's ratio, value or peak memory."""

    figure: str
    sign: str
    bound: float
    unit: str = ""

    def is_met(self, finding: Finding) -> bool | None:
        """Tell whether the bound holds; none where the finding has no such figure."""
        figure: float | None = getattr(finding, self.figure)
        return None if figure is None else _SIGNS[self.sign](figure, self.bound)

    def __str__(self) -> str:
        return " ".join(part for part in (self.figure, self.sign, f"{self.bound:g}", self.unit) if part)


@dataclass(frozen=True)
class Finding:
    """One comparison of a benchmark. `ticks` is the size that it was measured at."""

    name: str
    value: float
    unit: str
    rival: str | None
    rival_value: float | None
    ratio: float | None
    target: tuple[Condition, ...]
    peak_mb: float | None
    note: str
    ticks: int

    @property
    def key(self) -> str:
        """Name the comparison among those of all benchmarks."""
        return f"{self.name} | {self.rival or '-'}"

    @property
    def is_lower_better(self) -> bool:
        """Tell which way a ratio gets worse: its target says so; a time is better lower."""
        return all(each.sign.startswith("<") for each in self.target if each.figure == RATIO)

    @property
    def met(self) -> bool | None:
        """Tell whether every bound of the target holds; none where there is no target, or a figure of it is missing."""
        held = [each.is_met(self) for each in self.target]
        if not held or (None in held and False not in held):
            return None
        return False not in held

    def missed(self) -> list[str]:
        """Return the bounds that do not hold."""
        return [str(each) for each in self.target if each.is_met(self) is False]

    def row(self) -> dict[str, Any]:
        """Return the finding as `tick bench --json` prints it."""
        target = "; ".join(str(each) for each in self.target)
        missed = f"MISSED: {', '.join(self.missed())}. " if self.missed() else ""
        values = {name: getattr(self, name) for name in FIELDS if name not in ("target", "note")}
        return {name: ({**values, "target": target or None, "note": missed + self.note})[name] for name in FIELDS}
