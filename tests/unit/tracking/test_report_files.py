"""The files of a verdict: all there, whole, the same bytes again, and listed by the index."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.domain.report_values import small_report
from tick_assets.tracking.report_files import ReportFiles, files_of, index_lines, write_report
from tick_assets.tracking.report_pdf import pages_of, render_pdf


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    return write_report(small_report(), tmp_path_factory.mktemp("reports"))


def test_write_report_leaves_page_pdf_card_and_tables(written: ReportFiles) -> None:
    folder = written.page.parent
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    tables = ("calibration", "drift", "equity", "gates", "shap", "stress", "trades", "trials", "windows")
    assert found == sorted(
        [*(f"SYNCAL.direction@1{ending}" for ending in (".html", ".md", ".pdf")), *(f"SYNCAL.direction@1/{name}.csv" for name in tables)]
    )
    assert written.documents == tuple(folder / f"SYNCAL.direction@1{ending}" for ending in (".html", ".pdf", ".md"))


def test_write_report_card_ends_with_the_identities(written: ReportFiles) -> None:
    assert written.card is not None
    assert "| trial ledger sha-256 |" in written.card.read_text()


def test_pdf_has_pages_and_the_answer(written: ReportFiles) -> None:
    pdf = written.pdf.read_bytes()
    assert pdf.startswith(b"%PDF-")
    pages = len(re.findall(rb"/Type /Page\b", pdf))
    assert pages == len(pages_of(small_report())) >= 4
    assert small_report().verdict.answer.encode() in pdf
    assert b"/CreationDate (D:20240120120000Z" in pdf


def test_pdf_is_the_same_bytes_again(written: ReportFiles) -> None:
    assert render_pdf(small_report()) == written.pdf.read_bytes()


def test_pdf_first_page_shows_every_gate() -> None:
    texts = " ".join(text.get_text() for text in pages_of(small_report())[0].texts).replace("\n", " ")
    assert all(gate.name in texts and gate.label in texts for gate in small_report().verdict.gates)
    assert small_report().verdict.answer in texts


def test_index_lines_link_only_files_that_are_there(written: ReportFiles) -> None:
    folder = written.page.parent
    row = {
        "model_id": "SYNCAL.direction@1",
        "passed": True,
        "first_line": "PASSED",
        "refused_by": "",
        "is_synthetic": True,
        "decided_at": datetime(2024, 1, 20, tzinfo=UTC),
        "gates": [{"name": "break_even_spread", "figure": 2.5}],
    }
    here, elsewhere = index_lines([row, {**row, "model_id": "SYNCAL.direction@9"}], folder)
    assert here.files == (
        ("report", "SYNCAL.direction@1.html"),
        ("PDF", "SYNCAL.direction@1.pdf"),
        ("card", "SYNCAL.direction@1.md"),
        ("CSV", "SYNCAL.direction@1/"),
    )
    assert elsewhere.files == ()


def test_files_of_an_empty_folder_are_none(tmp_path: Path) -> None:
    assert files_of("SYNCAL.direction@1", tmp_path) == []
