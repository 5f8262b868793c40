"""The calendar of a symbol's hours as a picture: days across, hours down, coloured by state.

What belongs here: which colour an hour gets, and how a long range is folded into weeks or months. What must not: other charts
(`data_figures`), the page (`data_report`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tick_assets.domain import charts
from tick_assets.domain.hour_states import HourState
from tick_assets.domain.tick_counting import HourCell, date_ranges
from tick_assets.domain.tick_statistics import SymbolStatistics

SHADES = 5
MAXIMUM_COLUMNS = 130
"""More dates than this are folded into weeks, more weeks into months."""
WORST_FIRST = (HourState.FAILED, HourState.PENDING, HourState.VENDOR_EMPTY, HourState.CLOSED)
MONDAY, NAMED_DATES = 0, 10
UNPUBLISHED = "unpublished"
LEGEND = (
    ("ok3", "ticks, stronger is more"),
    ("closed", "closed"),
    ("vendor_empty", "vendor_empty: nothing came"),
    ("failed", "failed"),
    ("pending", "pending: not asked"),
    (UNPUBLISHED, "not published"),
)


@dataclass(frozen=True)
class Column:
    """One column: a date, the dates of a week or month, or none where nobody asked for a stretch of dates."""

    label: str
    dates: tuple[date, ...]

    @property
    def span(self) -> str:
        """The first and the last date, or the only one."""
        return " to ".join(dict.fromkeys(day.isoformat() for day in (*self.dates[:1], *self.dates[-1:])))


def calendar(statistics: SymbolStatistics) -> str:
    """Return the heat map of one symbol."""
    columns = columns_of(statistics.dates)
    counts = {(row["date"], row["hour"]): row["tick_count"] for row in statistics.hours.iter_rows(named=True)}
    busy = _busy_hour(list(counts.values()))
    by_date: dict[date, list[HourCell]] = defaultdict(list)
    for cell in statistics.cells:
        by_date[cell.date].append(cell)
    cells = [
        _field(place, hour, [by_date[day][hour] for day in column.dates], counts, busy)
        for place, column in enumerate(columns)
        for hour in range(24)
        if column.dates
    ]
    grid = charts.Grid(len(columns), 24)
    names = [(float(place), column.label) for place, column in enumerate(columns) if column.label]
    rows = [(float(hour), f"{hour:02d}h") for hour in range(0, 24, 6)]
    states = ", ".join(f"{count:,} {state}" for state, count in statistics.states().items() if count)
    said = f"UTC hours of {len(statistics.dates):,} dates: {states}. The table of dates names the holes."
    return charts.heat_map(f"Hours of {statistics.symbol} by state", grid, cells, names, rows, said)


def columns_of(dates: Sequence[date]) -> list[Column]:
    """Return the dates one by one, or folded into weeks (from Monday) or months where they are many."""
    if len(dates) <= MAXIMUM_COLUMNS:
        return _date_columns(dates)
    weeks: dict[date, list[date]] = defaultdict(list)
    months: dict[date, list[date]] = defaultdict(list)
    for day in dates:
        weeks[day - timedelta(days=day.weekday())].append(day)
        months[day.replace(day=1)].append(day)
    folded = weeks if len(weeks) <= MAXIMUM_COLUMNS else months
    return [Column(f"{first:%b %Y}", tuple(days)) for first, days in folded.items()]


def _date_columns(dates: Sequence[date]) -> list[Column]:
    columns: list[Column] = []
    for place, (first, last) in enumerate(date_ranges(dates)):
        days = [day for day in dates if first <= day <= last]
        columns += [Column("", ())] if place else []
        columns += [Column(_name(day, day == first, len(days)), (day,)) for day in days]
    return columns


def _name(day: date, with_year: bool, days: int) -> str:
    if with_year:
        return f"{day.day} {day:%b %Y}"
    return f"{day.day} {day:%b}" if day.weekday() == MONDAY or days <= NAMED_DATES else ""


def _field(place: int, hour: int, cells: Sequence[HourCell], counts: Mapping[tuple[date, int], int], busy: float) -> charts.Cell:
    """Colour by the worst that the dates of the column have in this hour; a hole is never hidden by its neighbours."""
    holes = Counter(cell.state for cell in cells if cell.is_hole)
    worst = next((state for state in WORST_FIRST if holes[state]), None)
    if worst is not None:
        return charts.Cell(place, hour, str(worst), _note(hour, cells, holes))
    ticks = [counts.get((cell.date, cell.hour), 0) for cell in cells if cell.state is HourState.OK]
    if not ticks:
        return charts.Cell(place, hour, "closed")
    if not all(ticks):
        return charts.Cell(place, hour, UNPUBLISHED, f"{_dates(cells)} {hour:02d}h UTC: fetched, and no published tick")
    shade = min(SHADES, 1 + int(SHADES * sum(ticks) / len(ticks) / busy))
    return charts.Cell(place, hour, f"ok{shade}")


def _note(hour: int, cells: Sequence[HourCell], holes: Mapping[HourState, int]) -> str:
    said = ", ".join(f"{count} {state}" for state, count in holes.items()) if len(cells) > 1 else ", ".join(holes)
    return f"{_dates(cells)} {hour:02d}h UTC: {said}"


def _dates(cells: Sequence[HourCell]) -> str:
    return f"{cells[0].date}" if len(cells) == 1 else f"{cells[0].date} to {cells[-1].date}"


def _busy_hour(counts: Sequence[int]) -> float:
    """Return the ticks of an hour that is busier than 19 of 20, so that one wild hour does not pale all others."""
    return float(sorted(counts)[int(0.95 * (len(counts) - 1))]) if counts else 1.0
