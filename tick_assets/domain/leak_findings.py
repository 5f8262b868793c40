"""What the leak firewall says: findings, what was examined, and one statement for each feature, label and step.

What belongs here: the values and how they are counted. What must not: the checks (`leakage`, `label_leakage`, `fit_leakage`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FEATURE, LABEL, STEP = "feature", "label", "step"


@dataclass(frozen=True)
class LeakFinding:
    """One culprit that knew at one moment what it could not know.

    `culprit` is a feature, a label or a step of fitting; `figure` is what the check measured (a difference, a count, a score);
    `mend` says in one sentence what to do.
    """

    check: str
    culprit: str
    ts_event_us: int
    figure: float
    mend: str


@dataclass(frozen=True)
class Examination:
    """One check over its suspects: how often each was looked at, and what was found."""

    kind: str
    check: str
    suspects: tuple[str, ...]
    looks: int
    findings: tuple[LeakFinding, ...]


@dataclass(frozen=True)
class Statement:
    """What is said of one suspect: that it passed all of its checks, or the worst finding of one check."""

    kind: str
    suspect: str
    check: str
    passed: bool
    looks: int
    figure: float
    ts_event_us: int | None
    mend: str

    @property
    def detail(self) -> str:
        """The statement in words, for a table or a report."""
        if self.passed:
            return f"{self.kind}: cleared in {self.looks} looks"
        return f"{self.kind} at {self.ts_event_us}: {self.mend}"


def worst_findings(findings: Sequence[LeakFinding]) -> list[LeakFinding]:
    """Return for each check and culprit the finding with the largest figure, in the order in which they were first found."""
    worst: dict[tuple[str, str], LeakFinding] = {}
    for finding in findings:
        key = (finding.check, finding.culprit)
        if key not in worst or abs(finding.figure) > abs(worst[key].figure):
            worst[key] = finding
    return list(worst.values())


def state(examinations: Sequence[Examination]) -> list[Statement]:
    """Return one statement for each finding (worst by check and culprit), and one for each suspect that no check found anything on."""
    suspects = dict.fromkeys((each.kind, name) for each in examinations for name in each.suspects)
    return [statement for kind, name in suspects for statement in _state_one(examinations, kind, name)]


def _state_one(examinations: Sequence[Examination], kind: str, suspect: str) -> list[Statement]:
    looked = [each for each in examinations if each.kind == kind and suspect in each.suspects]
    looks = sum(each.looks for each in looked)
    found = worst_findings([finding for each in looked for finding in each.findings if finding.culprit == suspect])
    if found:
        return [Statement(kind, suspect, each.check, False, looks, each.figure, each.ts_event_us, each.mend) for each in found]
    checks = ", ".join(dict.fromkeys(each.check for each in looked))
    return [Statement(kind, suspect, checks, True, looks, 0.0, None, "")]


def count_leaks(examinations: Sequence[Examination]) -> int:
    """Count the pairs of check and culprit with a finding: the gate's figure."""
    return sum(len(worst_findings(each.findings)) for each in examinations)


def say_count(statements: Sequence[Statement]) -> str:
    """Return `n of n cleared` with the suspects by kind, for the report."""
    all_suspects = {(each.kind, each.suspect) for each in statements}
    guilty = {(each.kind, each.suspect) for each in statements if not each.passed}
    kinds = ", ".join(f"{sum(kind == each for each, _ in all_suspects)} {kind}s" for kind in (FEATURE, LABEL, STEP))
    return f"{len(all_suspects) - len(guilty)} of {len(all_suspects)} cleared ({kinds})"
