"""What a person wants to know first of the data: what is there, what is missing, and what to do about it, in words.

What belongs here: sentences and short lists of one or several symbols. What must not: counting (`tick_statistics`), HTML (`data_report`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from tick_assets.domain.hole_patterns import Hole, describe_holes
from tick_assets.domain.hour_states import HourState
from tick_assets.domain.tick_counting import GAP_DAYS, HOUR, HourCell, date_ranges
from tick_assets.domain.tick_statistics import Figures, SymbolStatistics, by_session, total

NOTHING = "Nothing has been ingested yet."
FIRST_STEPS = (
    "`tick backfill --symbols EURUSD --from 2024-01-08 --to 2024-01-12` asks the vendor, `tick import PATH --symbol EURUSD` takes local "
    "files, `make demo` runs the whole road on a synthetic market."
)
IMPORTED = "import-"
"""What the sources of local files begin with: a backfill does not ask for the rest of their dates."""
STATE_WORDS = {
    HourState.OK: "has ticks",
    HourState.CLOSED: "the market is closed by its calendar",
    HourState.VENDOR_EMPTY: "the vendor answered, with nothing, though the market is open",
    HourState.FAILED: "no usable answer, or not in the files that were imported",
    HourState.PENDING: "nobody has asked yet",
}


@dataclass(frozen=True)
class HoleStretch:
    """Missing hours of one symbol and state without an open hour between them; `end` is where the last one ends."""

    symbol: str
    start: datetime
    end: datetime
    hours: int
    state: str


def answer(statistics: SymbolStatistics) -> str:
    """Return one line on what is there and what is missing."""
    if not statistics.cells:
        return f"nothing yet: `tick backfill --symbols {statistics.symbol} --from DATE --to DATE` asks for it"
    parts = [_presence(statistics), _unpublished(statistics), _torn(statistics)]
    return "; ".join(part for part in parts if part)


def _presence(statistics: SymbolStatistics) -> str:
    if not statistics.expected:
        return "no hour in which the market is open"
    holes = [Hole(cell.date, cell.hour, str(cell.state)) for cell in statistics.holes]
    return describe_holes(holes, {(cell.date, cell.hour) for cell in statistics.expected})


def _unpublished(statistics: SymbolStatistics) -> str:
    dates = statistics.dates_not_published
    return f"{_dates(dates)} fetched and not published: no reader sees them" if dates else ""


def _torn(statistics: SymbolStatistics) -> str:
    dates = statistics.dates_torn
    return f"{_dates(dates)} with other rows than were published: replaced while they were read, so make the report again" if dates else ""


def _dates(dates: Sequence[date]) -> str:
    if len(dates) == 1:
        return f"{dates[0]}"
    return f"{len(dates):,} dates ({dates[0]} to {dates[-1]})"


def remedy(statistics: SymbolStatistics) -> str:
    """Return what to do about hours that are still open questions and dates that no reader sees; empty where that is nothing."""
    asked = [cell for cell in statistics.holes if not cell.state.is_answered]
    delivered = sorted({cell.source for cell in asked if cell.source.startswith(IMPORTED)})
    dates = sorted({cell.date for cell in asked if not cell.source.startswith(IMPORTED)} | set(statistics.dates_not_published))
    parts = [f"`tick backfill --symbols {statistics.symbol} --from {dates[0]} --to {dates[-1]}`"] if dates else []
    if delivered:
        parts.append(f"import files that hold the hours that {', '.join(delivered)} lacks: `tick import PATH --symbol {statistics.symbol}`")
    return "; ".join(parts)


def headline(all_statistics: Sequence[SymbolStatistics]) -> str:
    """Return the first sentence of the report."""
    known = [each for each in all_statistics if each.cells]
    if not known:
        return NOTHING
    expected = sum(len(each.expected) for each in known)
    holes = [cell for each in known for cell in each.holes]
    if not holes:
        return f"No hour is missing: {expected:,} of {expected:,} open hours of {_symbols(len(known))} are there."
    open_questions = sum(not cell.state.is_answered for cell in holes)
    where = sum(bool(each.holes) for each in known)
    affected = "" if len(known) == 1 else f" in {where} of {len(known)} symbols"
    asked = f"{open_questions:,} of them can still be had." if open_questions else "The vendor was asked for all of them."
    return f"{len(holes):,} of {expected:,} open hours {'is' if len(holes) == 1 else 'are'} missing{affected}. {asked}"


def _symbols(count: int) -> str:
    return "1 symbol" if count == 1 else f"{count} symbols"


def largest_holes(all_statistics: Iterable[SymbolStatistics]) -> list[HoleStretch]:
    """Return all stretches of missing hours, longest first."""
    found = [stretch for each in all_statistics for stretch in _stretches(each)]
    return sorted(found, key=lambda stretch: (-stretch.hours, stretch.start, stretch.symbol))


def repeated_holes(stretches: Iterable[HoleStretch]) -> list[list[HoleStretch]]:
    """Return stretches that begin at the same hour of the day, last as long and have the same state together, the longest first."""
    groups: dict[tuple[Any, ...], list[HoleStretch]] = {}
    for each in stretches:
        groups.setdefault((each.symbol, each.start.hour, each.hours, each.state), []).append(each)
    return sorted(groups.values(), key=lambda group: (-group[0].hours, -len(group), group[0].start))


def _stretches(statistics: SymbolStatistics) -> list[HoleStretch]:
    stretches: list[HoleStretch] = []
    previous: HourCell | None = None
    for cell in statistics.expected:
        if cell.is_hole:
            start = cell.start
            if previous and previous.is_hole and previous.state is cell.state and (cell.date - previous.date).days <= GAP_DAYS:
                last = stretches.pop()
                stretches.append(HoleStretch(last.symbol, last.start, start + HOUR, last.hours + 1, last.state))
            else:
                stretches.append(HoleStretch(statistics.symbol, start, start + HOUR, 1, str(cell.state)))
        previous = cell
    return stretches


def not_asked(statistics: SymbolStatistics) -> list[tuple[date, date]]:
    """Return the stretches between the ranges of dates for which nobody asked; they count as no hole."""
    ranges = date_ranges(statistics.dates)
    day = timedelta(days=1)
    return [(left[1] + day, right[0] - day) for left, right in pairwise(ranges)]


def to_document(statistics: SymbolStatistics) -> dict[str, Any]:
    """Return what is said of a symbol as plain values, for machines."""
    dates = statistics.dates
    return {
        "symbol": statistics.symbol,
        "answer": answer(statistics),
        "remedy": remedy(statistics),
        "first_date": dates[0] if dates else None,
        "last_date": dates[-1] if dates else None,
        "not_asked": not_asked(statistics),
        "completeness": statistics.completeness,
        "hours_expected": len(statistics.expected),
        "hours_missing": len(statistics.holes),
        "hours_by_state": {str(state): count for state, count in statistics.states().items()},
        "dates_not_published": statistics.dates_not_published,
        "dates_torn": statistics.dates_torn,
        "sources": statistics.sources,
        "is_synthetic": statistics.is_synthetic,
        "rejects": statistics.reject_counts(),
        "longest_silences": [
            {"start": each.start, "end": each.end, "seconds": each.seconds, "states": each.states} for each in statistics.silences[:10]
        ],
        "total": figures_document(total(statistics)),
        "sessions": {name: figures_document(figures) for name, figures in by_session(statistics).items()},
    }


def figures_document(figures: Figures) -> dict[str, Any]:
    """Return figures with the shares that are derived from them."""
    return {
        **asdict(figures),
        "ticks_per_minute": figures.ticks_per_minute,
        "zero_spread_share": figures.zero_spread_share,
        "equal_stamp_share": figures.equal_stamp_share,
    }
