"""All verdicts on one page, the newest first, each with a link to its report.

What belongs here: lines and the page. What must not: reading verdicts or files. Links are relative, so the folder can be moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote

from tick_assets.domain.gates import BREAK_EVEN_FIGURE
from tick_assets.domain.page import document, section, table_head, table_row

BREAK_EVEN_GATE = BREAK_EVEN_FIGURE
STYLE = "a{color:var(--blue)}.answer{border-color:var(--blue);background:var(--card)}td:first-child{white-space:nowrap}"


@dataclass(frozen=True)
class IndexLine:
    """One verdict. `files` are names beside the index, (text, name); the first is the report."""

    model_id: str
    passed: bool
    answer: str
    break_even: float | None
    refused_by: tuple[str, ...]
    n_gates: int
    is_synthetic: bool
    decided_at: datetime
    files: tuple[tuple[str, str], ...] = ()


def line_of(verdict: Mapping[str, Any], gates: Sequence[Mapping[str, Any]], files: Sequence[tuple[str, str]]) -> IndexLine:
    """Return the line of a row of `evidence.verdicts` and its parsed gates."""
    break_even = next((gate["figure"] for gate in gates if gate["name"] == BREAK_EVEN_GATE), None)
    refused = tuple(name for name in str(verdict["refused_by"] or "").split(",") if name)
    return IndexLine(
        str(verdict["model_id"]),
        bool(verdict["passed"]),
        str(verdict["first_line"]),
        break_even,
        refused,
        len(gates),
        bool(verdict["is_synthetic"]),
        verdict["decided_at"],
        tuple(files),
    )


def newest_first(lines: Sequence[IndexLine]) -> list[IndexLine]:
    """Return the lines by falling time, then by model."""
    return sorted(lines, key=lambda line: (-line.decided_at.timestamp(), line.model_id))


def headline(lines: Sequence[IndexLine]) -> str:
    """Return how many models were judged and how many passed, real quotes apart from synthetic markets."""
    if not lines:
        return "No verdicts yet: `tick train SYMBOL` makes one."
    real = [line for line in lines if not line.is_synthetic]
    made_up = [line for line in lines if line.is_synthetic]
    return "; ".join(_count(part, kind) for part, kind in ((real, "on vendor quotes"), (made_up, "on synthetic markets")) if part) + "."


def _count(lines: Sequence[IndexLine], kind: str) -> str:
    return f"{sum(line.passed for line in lines)} of {len(lines)} models passed {kind}"


def render_index(lines: Sequence[IndexLine], written_at: datetime, others: Sequence[tuple[str, str]] = ()) -> str:
    """Return the page; `others` are pages that are no verdicts, (text, file name)."""
    ordered = newest_first(lines)
    head = table_head(["Decided, UTC", "Model", "Verdict"], ["Break-even"], ["Refused by", "Market", "Files"])
    table = f"<table>{head}{''.join(map(_row, ordered))}</table>" if ordered else ""
    title = f'<h1 class="answer">{escape(headline(lines))}</h1>'
    stamp = f'<p class="sub">written {written_at.astimezone(UTC):%Y-%m-%d %H:%M UTC}</p>'
    more = section("Other pages", "", f"<p>{_links(others)}</p>") if others else ""
    note = "The newest first. Break-even is the multiple of the spread at which the test profit is gone."
    return document("Verdicts", "\n".join([title, stamp, section("Verdicts", note, table), more]), STYLE)


def _row(line: IndexLine) -> str:
    chip = f'<span class="chip {"pass" if line.passed else "refuse"}">{"PASSED" if line.passed else "REJECTED"}</span>'
    name = escape(line.model_id)
    named = f'<a href="{quote(line.files[0][1])}">{name}</a>' if line.files else name
    refused = f"{len(line.refused_by)} of {line.n_gates}: {escape(', '.join(line.refused_by))}" if line.refused_by else "none"
    break_even = "none" if line.break_even is None else f"{line.break_even:.2f}\N{MULTIPLICATION SIGN}"
    decided = f"{line.decided_at.astimezone(UTC):%Y-%m-%d %H:%M}"
    market = "synthetic" if line.is_synthetic else "vendor quotes"
    return table_row([decided, named, chip], [break_even], [refused, market, _links(line.files)])


def _links(files: Sequence[tuple[str, str]]) -> str:
    return " ".join(f'<a href="{quote(name)}">{escape(text)}</a>' for text, name in files) or "elsewhere"
