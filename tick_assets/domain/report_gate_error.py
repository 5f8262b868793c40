"""The report's section on the gate itself: how often it passes markets without an edge, and how often it sees a real one.

What belongs here: words and one table. What must not: judging markets (`calibration`) or where the table is kept (`tracking`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from tick_assets.domain.calibration import BOOTSTRAP, BREAK_EVEN, EDGE, SHUFFLED, Calibration
from tick_assets.domain.page import section, table_head, table_row

NAMES: Mapping[str, str] = {
    BREAK_EVEN: "no edge, gross edge exactly equal to costs",
    BOOTSTRAP: "block bootstrap of quotes",
    SHUFFLED: "labels shuffled within each date",
    EDGE: "edge of {k:g} times the costs",
}
NOTE = (
    "The same functions judged markets whose truth is known. A passed market without an edge is an error; bounds are exact one-sided 95 % "
    "(Clopper-Pearson). Gates that need the lake or a terminal counted as perfect there, so the statistics alone decided."
)


def gate_error_section(rows: Sequence[Calibration], calibrated: str, is_of_this_policy: bool) -> str:
    """Return the section. `calibrated` says when and on what; without rows it says that the error rate is unknown."""
    if not rows:
        return section("How often this gate is wrong", "", "<p>Not known: no calibration of this policy has been published.</p>")
    warning = "" if is_of_this_policy else "<p><b>Of another policy than the one that judged here.</b></p>"
    head = table_head(("Market",), ("n", "passed", "share", "at least", "at most"))
    body = "".join(_row(row) for row in rows)
    return section("How often this gate is wrong", NOTE, warning, f"<table>{head}{body}</table><p>{escape(calibrated)}</p>")


def _row(row: Calibration) -> str:
    name = NAMES.get(row.market, row.market).format(k=row.k or 0.0)
    shares = (row.passed / row.n, row.lower95, row.upper95)
    return table_row((escape(name),), (str(row.n), str(row.passed), *(f"{share:.1%}" for share in shares)))
