"""The page of all verdicts: the newest first, relative links, real quotes apart from synthetic ones."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.unit.domain.pages import Page
from tick_assets.domain.report_index import IndexLine, headline, line_of, newest_first, render_index

AT = datetime(2024, 2, 1, 8, 0, tzinfo=UTC)


def line(model: str, day: int, passed: bool = False, is_synthetic: bool = False) -> IndexLine:
    refused = () if passed else ("dsr", "trades")
    files = (("report", f"{model}.html"), ("PDF", f"{model}.pdf"))
    return IndexLine(model, passed, "said", 1.72, refused, 13, is_synthetic, datetime(2024, 1, day, 9, 30, tzinfo=UTC), files)


LINES = [line("EURUSD.direction@1", 8), line("SYNEDGE.direction@2", 10, passed=True, is_synthetic=True), line("EURUSD.direction@2", 9)]


def test_index_lists_the_newest_first() -> None:
    assert [each.model_id for each in newest_first(LINES)] == ["SYNEDGE.direction@2", "EURUSD.direction@2", "EURUSD.direction@1"]
    text = Page(render_index(LINES, AT)).text
    places = [text.index(name) for name in ("SYNEDGE.direction@2", "EURUSD.direction@2", "EURUSD.direction@1")]
    assert places == sorted(places)


def test_index_links_are_relative_and_quoted() -> None:
    page = Page(render_index(LINES, AT, [("Data report", "data.html")]))
    links = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert "EURUSD.direction%401.html" in links
    assert "data.html" in links
    assert not [link for link in links if ":" in link or link.startswith("/")]
    assert page.open == []


def test_index_rows_say_verdict_break_even_gates_and_market() -> None:
    text = " ".join(Page(render_index(LINES[:1], AT)).text)
    assert "2024-01-08 09:30" in text
    assert "REJECTED 1.72\N{MULTIPLICATION SIGN} 2 of 13: dsr, trades vendor quotes" in text


def test_headline_counts_real_and_synthetic_apart() -> None:
    assert headline(LINES) == "0 of 2 models passed on vendor quotes; 1 of 1 models passed on synthetic markets."
    assert headline([]) == "No verdicts yet: `tick train SYMBOL` makes one."


def test_index_without_verdicts_says_what_to_do() -> None:
    page = Page(render_index([], AT))
    assert page.text[0] == "No verdicts yet: `tick train SYMBOL` makes one."
    assert page.open == []


def test_line_of_a_row_takes_break_even_from_its_gate() -> None:
    row = {
        "model_id": "A.b@1",
        "passed": False,
        "first_line": "REJECTED",
        "refused_by": "dsr,pbo",
        "is_synthetic": True,
        "decided_at": AT,
    }
    gates = [{"name": "dsr", "figure": 0.1}, {"name": "break_even_spread", "figure": 1.25}]
    found = line_of(row, gates, [])
    assert (found.break_even, found.refused_by, found.n_gates) == (1.25, ("dsr", "pbo"), 2)
    assert line_of({**row, "refused_by": ""}, gates[:1], []).refused_by == ()
    assert line_of(row, gates[:1], []).break_even is None
