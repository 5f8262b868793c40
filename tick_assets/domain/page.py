"""What all our pages share: one look for light and dark, and small pieces of HTML.

What belongs here: the style sheet and helpers. What must not: what a page says (`report`, `data_report`).
A page holds everything it needs: no script, no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

CSS = """
:root{--ink:#1d2430;--soft:#5b6676;--faint:#8a94a3;--line:#dfe4ea;--page:#f6f7f9;--card:#fff;--blue:#2463b4;--violet:#7a4fb5;
--good:#1c7a4a;--bad:#b3362b;--warn:#9a6a00;--good-bg:#e7f4ec;--bad-bg:#fbeae8;--warn-bg:#fbf3e0;--band:#7a4fb514}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#a4afbd;--faint:#77828f;--line:#323a45;--page:#14181d;--card:#1b2027;
--blue:#6ea8f0;--violet:#b493ea;--good:#5cc48d;--bad:#f08a7f;--warn:#e0b354;--good-bg:#16301f;--bad-bg:#3a1d1a;--warn-bg:#332912;
--band:#b493ea1f}}*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 60px}
.answer{border-left:6px solid var(--bad);background:var(--bad-bg);border-radius:6px;padding:18px 22px;font-size:19px;font-weight:600;
line-height:1.4;margin:0}.answer.passed{border-color:var(--good);background:var(--good-bg)}.sub{color:var(--soft);margin:8px 2px 22px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:12px;margin:0 0 22px}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:8px}.tile{padding:12px 14px}
.tile b{display:block;font-size:22px;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.25}
.tile span{color:var(--soft);font-size:13px}section{padding:18px 20px;margin:0 0 18px;overflow-x:auto}h2{font-size:16px;margin:0 0 4px}
section>p{color:var(--soft);margin:0 0 12px;max-width:78ch}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr));gap:18px}.pair section{margin:0}.pair{margin:0 0 18px}
table{border-collapse:collapse;width:100%;font-size:14px}th{text-align:left;font-weight:600;color:var(--soft);font-size:13px}
th,td{padding:7px 10px 7px 0;border-bottom:1px solid var(--line);vertical-align:top}tr:last-child td{border-bottom:0}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.why{color:var(--soft)}
.chip{display:inline-block;border-radius:4px;padding:1px 8px;font-size:12.5px;font-weight:600;white-space:nowrap}
.pass{color:var(--good);background:var(--good-bg)}.refuse{color:var(--bad);background:var(--bad-bg)}
.not_fed{color:var(--warn);background:var(--warn-bg)}
.mono{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.legend{display:flex;gap:18px;color:var(--soft);font-size:13px;margin:2px 0 6px;flex-wrap:wrap}
.legend i{display:inline-block;width:14px;height:3px;vertical-align:middle;margin-right:6px}svg{display:block;width:100%;height:auto}
svg text{font-size:11.5px;fill:var(--soft)}.axis{fill:var(--faint)!important}.end{text-anchor:end}.middle{text-anchor:middle}
.grid{stroke:var(--line)}.zero{stroke:var(--faint)}.marker{stroke:var(--warn);stroke-dasharray:5 4}
.oof{fill:none;stroke:var(--blue);stroke-width:2}.test{fill:none;stroke:var(--violet);stroke-width:2}.band{fill:var(--band)}
.depth{fill:var(--bad);fill-opacity:.28;stroke:var(--bad);stroke-width:1}.ideal{stroke:var(--faint);stroke-dasharray:4 4;fill:none}
.mark{fill:var(--blue);fill-opacity:.65}.best{fill:var(--violet);stroke:var(--card);stroke-width:1.5}
.failed{fill:none;stroke:var(--bad);stroke-width:1.5}.gain{fill:var(--good);fill-opacity:.8}.loss{fill:var(--bad);fill-opacity:.8}
@media print{body{background:#fff}section{break-inside:avoid}}
"""


def document(title: str, body: str, style: str = "") -> str:
    """Return a whole page; `style` is added to the common style sheet."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{CSS}{style}</style></head>\n<body><main>\n{body}\n</main></body></html>\n'


def section(title: str, note: str, *parts: str) -> str:
    """Return a card with a heading and a sentence on what is in it."""
    said = f"<p>{escape(note)}</p>" if note else ""
    return f"<section><h2>{escape(title)}</h2>{said}{''.join(parts)}</section>"


def pairs(rows: Sequence[tuple[str, str]]) -> str:
    """Return a table of names and values."""
    return "<table>" + "".join(f"<tr><td>{escape(name)}</td><td class=n>{escape(value)}</td></tr>" for name, value in rows) + "</table>"


def legend(items: Sequence[tuple[str, str]]) -> str:
    """Return the key of a chart: (colour, name)."""
    return (
        '<div class="legend">'
        + "".join(f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for colour, name in items)
        + "</div>"
    )


def table_head(names: Sequence[str], numbers: Sequence[str] = (), more: Sequence[str] = ()) -> str:
    """Return a table's first row: words, then numbers (to the right), then words again."""
    cells = [f'<th scope="col">{escape(name)}</th>' for name in names]
    cells += [f'<th scope="col" class="n">{escape(name)}</th>' for name in numbers]
    cells += [f'<th scope="col">{escape(name)}</th>' for name in more]
    return f"<tr>{''.join(cells)}</tr>"


def table_row(names: Sequence[str], numbers: Sequence[str] = (), more: Sequence[str] = ()) -> str:
    """Return a row of cells that are HTML, in the order of `table_head`."""
    cells = [f"<td>{name}</td>" for name in names]
    cells += [f'<td class="n">{value}</td>' for value in numbers]
    cells += [f'<td class="t">{text}</td>' for text in more]
    return f"<tr>{''.join(cells)}</tr>"


def scroll(label: str, content: str) -> str:
    """Return content that keeps its width on a narrow screen and can be scrolled, by keyboard too."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{content}</div>'
