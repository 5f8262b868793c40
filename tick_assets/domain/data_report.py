"""The state of the data as one page that anyone can open: what is missing comes first, then what the ticks look like.

What belongs here: the order of the page and its first screen. What must not: one symbol's charts (`data_figures`), its calendar
(`data_calendar`), sentences (`data_answers`), figures (`tick_statistics`). The page holds everything it needs: no script, no network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from tick_assets.domain.data_answers import FIRST_STEPS, HoleStretch, answer, headline, largest_holes, not_asked, remedy, repeated_holes
from tick_assets.domain.data_calendar import LEGEND, calendar
from tick_assets.domain.data_figures import chip, symbol_part
from tick_assets.domain.hour_states import HourState
from tick_assets.domain.page import document, scroll, section, table_head, table_row
from tick_assets.domain.quantities import percent
from tick_assets.domain.tick_statistics import SymbolStatistics

SHOWN_HOLES = 8
QUOTES_STATEMENT = (
    "The ticks are indicative quotes of one venue: the best bid and ask that a vendor showed, not prices at which an account could have "
    "traded, and not the whole market. Another venue has other quotes, other spreads and other quote rates at the same time."
)
SYNTHETIC_STATEMENT = "made by a seeded process to try the machinery. It says nothing about any real market."
COUNTED_STATEMENT = (
    "Counted are the rows of silver.ticks and silver.tick_rejects that evidence.publications lists, and the newest state of each hour in "
    "evidence.hour_ledger. Spread is ask minus bid; bps are of the mid price, kept to three digits. All dates and hours are UTC."
)

STYLE = """
main{max-width:1320px}.holes{border-color:var(--warn);background:var(--warn-bg)}
.screen{display:grid;grid-template-columns:minmax(0,1fr);gap:18px;margin:0 0 18px}.screen section{margin:0 0 14px}
.side section:last-child,.wide section:last-child{margin:0}
@media(min-width:1180px){.screen{grid-template-columns:minmax(0,1.8fr) minmax(372px,1fr)}}
.symbols{list-style:none;margin:0 0 18px;padding:0}.symbols li{background:var(--card);border:1px solid var(--line);border-bottom:0;
padding:9px 16px;display:flex;flex-wrap:wrap;gap:2px 14px;align-items:baseline}
.symbols li:first-child{border-radius:8px 8px 0 0}.symbols li:last-child{border-radius:0 0 8px 8px;border-bottom:1px solid var(--line)}
.symbols li:only-child{border-radius:8px}.symbols a{font-weight:600;color:inherit;min-width:76px}.symbols .says{flex:1 1 320px}
@media(min-width:900px){.symbols li{display:grid;grid-template-columns:76px 138px minmax(0,1fr) minmax(0,max-content)}
.symbols .facts{text-align:right;max-width:54ch}}
.symbols .facts{color:var(--soft);font-size:13px}.symbols code{font-size:12.5px}
.symbols .todo{display:block;color:var(--soft);font-size:13.5px}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere;background:var(--page);border-radius:3px;
padding:0 4px}
h2.symbol{font-size:21px;margin:34px 0 12px}.small{font-size:12.5px}.quiet{color:var(--soft);background:var(--line)}
.calendar h3{font-size:14px;margin:8px 0 4px}.scroll{overflow-x:auto}.scroll svg{min-width:600px}.scroll td{white-space:nowrap}
.scroll td.t{white-space:normal;min-width:16ch}th{vertical-align:bottom}th.n{white-space:normal}
.n{padding-left:10px}
.tight{font-size:13.5px}.tight .chip{font-size:12px;padding:1px 6px}.tight td{white-space:nowrap}
.tight th,.tight td{padding-right:6px}.side section{padding:14px 16px}
.pair{align-items:start}
.banner{border-left:6px solid var(--violet);background:var(--card);border-radius:6px;padding:10px 16px;margin:0 0 14px}
details summary{cursor:pointer;font-weight:600}
.keys svg{display:inline-block;width:12px;height:12px;vertical-align:-1px;margin-right:6px}.keys{gap:2px 16px}
.column{fill:var(--blue);fill-opacity:.8}.ok1{fill:var(--blue);fill-opacity:.22}.ok2{fill:var(--blue);fill-opacity:.4}
.ok3{fill:var(--blue);fill-opacity:.58}.ok4{fill:var(--blue);fill-opacity:.78}.ok5{fill:var(--blue)}.closed{fill:var(--line);fill-opacity:.7}
.vendor_empty{fill:#e39a1f}.failed{fill:var(--bad)!important;stroke:none}.pending{fill:var(--card);stroke:var(--bad);stroke-width:1}
.unpublished{fill:var(--violet)}
@media(max-width:600px){main{padding:14px 10px 40px}.answer{font-size:17px;padding:14px 16px}section{padding:14px 12px}}
"""


@dataclass(frozen=True)
class DataReport:
    """Everything the page shows."""

    symbols: Sequence[SymbolStatistics]
    made_at: datetime
    code_commit: str = ""
    unknown: Sequence[str] = ()
    """Symbols that have data and no section in the market file: nothing can be said of their prices or hours."""


def render_data_report(report: DataReport) -> str:
    """Return the whole page as HTML text."""
    known = [each for each in report.symbols if each.cells]
    parts = [_answer(report), _banner(known), _unknown(report), _symbols(report.symbols)]
    if known:
        parts += [_screen(known), *(symbol_part(each) for each in known), _statement(known, report)]
    return document("Data report", "\n".join(part for part in parts if part), STYLE)


def _answer(report: DataReport) -> str:
    holes = [cell for each in report.symbols for cell in each.holes]
    is_known = any(each.cells for each in report.symbols)
    is_open = any(not cell.state.is_answered for cell in holes) or any(
        each.dates_torn or each.dates_not_published for each in report.symbols
    )
    style = "answer" if is_open or not is_known else "answer holes" if holes else "answer passed"
    made = report.made_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    steps = "" if is_known else f"<p>{in_code(FIRST_STEPS)}</p>"
    return f'<h1 class="{style}">{escape(headline(report.symbols))}</h1>{steps}<p class="sub">Data report · {_range(report)}made {made}</p>'


def _range(report: DataReport) -> str:
    dates = sorted({day for each in report.symbols for day in each.dates})
    return f"{dates[0]} to {dates[-1]}, {len(dates):,} dates · " if dates else ""


def _banner(known: Sequence[SymbolStatistics]) -> str:
    names = [each.symbol for each in known if each.is_synthetic]
    return f'<p class="banner"><b>{escape(", ".join(names))}</b>: synthetic, {SYNTHETIC_STATEMENT}</p>' if names else ""


def _unknown(report: DataReport) -> str:
    if not report.unknown:
        return ""
    names = escape(", ".join(report.unknown))
    return f'<p class="banner"><b>{names}</b>: there is data, and no section in the market file, so nothing is said of it here.</p>'


def _symbols(symbols: Sequence[SymbolStatistics]) -> str:
    return f'<ul class="symbols">{"".join(_symbol_line(each) for each in symbols)}</ul>' if symbols else ""


def _symbol_line(statistics: SymbolStatistics) -> str:
    name = escape(statistics.symbol)
    says = in_code(answer(statistics))
    if not statistics.cells:
        return f'<li><a>{name}</a><span class="says">{says}</span></li>'
    style = "pass" if not statistics.holes else "refuse" if remedy(statistics) else "not_fed"
    share = percent(statistics.completeness)
    todo = f'<span class="todo">{in_code(remedy(statistics))}</span>' if remedy(statistics) else ""
    return (
        f'<li><a href="#{name}">{name}</a><span class="chip {style}">{share} complete</span><span class="says">{says}{todo}</span>'
        f'<span class="facts">{_facts(statistics)}</span></li>'
    )


def _facts(statistics: SymbolStatistics) -> str:
    dates = statistics.dates
    refused = sum(statistics.reject_counts().values())
    parts = [
        f"{dates[0]} to {dates[-1]}",
        f"{sum(each.found_rows for each in statistics.publications):,} ticks",
        f"{refused:,} refused",
        escape(", ".join(statistics.sources)),
        *(f"nobody asked for {first} to {last}" for first, last in not_asked(statistics)),
    ]
    return " · ".join(part for part in parts if part)


def _screen(known: Sequence[SymbolStatistics]) -> str:
    calendars = "".join(f"<h3>{escape(each.symbol)}</h3>{scroll(f'Calendar of {each.symbol}', calendar(each))}" for each in known)
    keys = "".join(_key(style, name) for style, name in LEGEND)
    hours = section("Every hour by state", "", f'<div class="legend keys">{keys}</div><div class="calendar">{calendars}</div>')
    return f'<div class="screen"><div class="wide">{hours}</div><div class="side">{_largest(known)}{_refused(known)}</div></div>'


def _key(style: str, name: str) -> str:
    box = f'<rect class="{style}" x="0.5" y="0.5" width="11" height="11"/>'
    return f'<span><svg class="key" viewBox="0 0 12 12" aria-hidden="true">{box}</svg>{escape(name)}</span>'


def _largest(known: Sequence[SymbolStatistics]) -> str:
    groups = repeated_holes(largest_holes(known))
    if not groups:
        return section("Largest holes", "", "<p>None: every open hour has ticks.</p>")
    head = table_head(["Symbol", "From, UTC"], ["Hours"], ["State"])
    rows = "".join(_hole_row(group) for group in groups[:SHOWN_HOLES])
    left = [stretch for group in groups[SHOWN_HOLES:] for stretch in group]
    more = f'<p class="small">And {len(left):,} more, {left[0].hours:,} hours or less each.</p>' if left else ""
    return section("Largest holes", "", f'<table class="tight">{head}{rows}</table>{more}')


def _hole_row(group: Sequence[HoleStretch]) -> str:
    first, last = group[0], group[-1]
    when = f"{first.start:%Y-%m-%d %H:%M}"
    if len(group) > 1:
        when = f'{len(group):,} times {first.start:%H:%M}<br><span class="why small">{first.start:%Y-%m-%d} to {last.start:%Y-%m-%d}</span>'
    hours = f"{first.hours:,}" if len(group) == 1 else f"{first.hours:,} each"
    return table_row([escape(first.symbol), when], [hours], [chip(HourState(first.state))])


def _refused(known: Sequence[SymbolStatistics]) -> str:
    rows = [
        table_row([escape(each.symbol), escape(reason)], [f"{count:,}", percent(count / (count_all(each)))])
        for each in known
        for reason, count in each.reject_counts().items()
    ]
    if not rows:
        return section("Refused rows", "", "<p>None: every current row of the vendor is a valid quote.</p>")
    head = table_head(["Symbol", "Reason"], ["Rows", "Of all rows"])
    return section("Refused rows", "", scroll("Refused rows", f"<table>{head}{''.join(rows)}</table>"))


def count_all(statistics: SymbolStatistics) -> int:
    """Return the published rows, valid and refused."""
    return sum(each.found_rows for each in statistics.publications) + sum(statistics.reject_counts().values())


def _statement(known: Sequence[SymbolStatistics], report: DataReport) -> str:
    sources = "; ".join(f"{each.symbol} from {', '.join(each.sources) or 'nobody yet'}" for each in known)
    code = f" Code {escape(report.code_commit)}." if report.code_commit else ""
    text = f"<p>{QUOTES_STATEMENT}</p><p>Sources: {escape(sources)}.</p><p>{COUNTED_STATEMENT}{code}</p>"
    return section("What the data are", "", text)


def in_code(text: str) -> str:
    """Return escaped text with what stands between backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))
