"""The files of a verdict and the page that lists all of them, in one folder.

What belongs here: names, and writing each file whole. What must not: what is in them (`domain.report`, `domain.report_tables`, …).

    reports/index.html            all verdicts, the newest first
    reports/<model>.html          the report
    reports/<model>.pdf           the same for paper
    reports/<model>.md            the model card
    reports/<model>/<table>.csv   the figures: gates, trades, equity, windows, stress, calibration, trials, shap, drift
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tick_assets.domain.model_card import card_to_markdown
from tick_assets.domain.report import identities_of, render_report
from tick_assets.domain.report_data import ReportData
from tick_assets.domain.report_index import IndexLine, line_of, render_index
from tick_assets.domain.report_tables import tables_of, to_csv
from tick_assets.lakehouse.durable_files import write_file
from tick_assets.tracking.model_index import verdict_rows
from tick_assets.tracking.report_pdf import render_pdf

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse

INDEX = "index.html"
OTHER_PAGES = (("Data report", "data.html"),)


@dataclass(frozen=True)
class ReportFiles:
    """Where the files of one verdict lie; `card` is absent when the report has none."""

    page: Path
    pdf: Path
    card: Path | None
    tables: tuple[Path, ...]

    @property
    def documents(self) -> tuple[Path, ...]:
        """The files for readers, without the tables."""
        return tuple(path for path in (self.page, self.pdf, self.card) if path is not None)


def write_report(data: ReportData, folder: Path) -> ReportFiles:
    """Write all files of a verdict, the page last, so that whoever finds it finds the others."""
    tables = {folder / data.model_id / name: content for name, content in to_csv(tables_of(data)).items()}
    card = {} if data.card is None else {folder / f"{data.model_id}.md": card_to_markdown(data.card, identities_of(data)).encode()}
    pdf, page = folder / f"{data.model_id}.pdf", folder / f"{data.model_id}.html"
    for path, content in {**tables, **card, pdf: render_pdf(data), page: render_report(data).encode()}.items():
        write_file(path, content)
    return ReportFiles(page, pdf, next(iter(card), None), tuple(tables))


def write_index(lakehouse: Lakehouse, folder: Path, written_at: datetime) -> Path:
    """Write the page of all verdicts in `evidence.verdicts`, in one step, and return its path."""
    lines = index_lines(verdict_rows(lakehouse).values(), folder)
    others = [(text, name) for text, name in OTHER_PAGES if (folder / name).is_file()]
    path = folder / INDEX
    write_file(path, render_index(lines, written_at, others).encode())
    return path


def index_lines(rows: Iterable[Mapping[str, Any]], folder: Path) -> list[IndexLine]:
    """Return a line of each verdict, with links to those of its files that are in the folder."""
    return [line_of(row, row["gates"], files_of(str(row["model_id"]), folder)) for row in rows]


def files_of(model_id: str, folder: Path) -> list[tuple[str, str]]:
    """Return (text, name) of a model's files that are there, the report first."""
    named = [("report", f"{model_id}.html"), ("PDF", f"{model_id}.pdf"), ("card", f"{model_id}.md"), ("CSV", f"{model_id}/")]
    return [(text, name) for text, name in named if (folder / name).exists()]
