"""The report's section on the leak firewall: every feature, label and step of fitting, cleared or guilty.

What belongs here: words and one table. What must not: the checks (`leak_firewall`).
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tick_assets.domain.leak_findings import Statement, say_count
from tick_assets.domain.page import section, table_head, table_row

NOTE = (
    "Features were made again with the future cut off and poisoned, stored values were made again from their ticks, labels with other "
    "ticks behind their end, and everything that is fitted with other test dates. Equal means equal bit for bit."
)


def leaks_section(statements: Sequence[Statement]) -> str:
    """Return the section: how many of how many suspects are cleared, and a row for each; guilty ones first, with the mend."""
    head = table_head(("Suspect", "Kind", "Checks"), ("looks",), ("Result",))
    rows = "".join(_row(each) for each in sorted(statements, key=lambda each: each.passed))
    return section("Leak firewall", NOTE, f"<p><b>{escape(say_count(statements))}</b></p><table>{head}{rows}</table>")


def _row(each: Statement) -> str:
    chip = '<span class="chip pass">cleared</span>' if each.passed else f'<span class="chip refuse">leak</span> {escape(each.mend)}'
    checks = escape(each.check.replace("_", " "))
    return table_row((escape(each.suspect), each.kind, checks), (f"{each.looks:,}",), (chip,))
