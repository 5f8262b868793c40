"""One symbol's part of the data report: charts and tables of ticks, spreads, quote rate, silences, hours, revisions.

What belongs here: which figure is shown how, with its unit. What must not: figures themselves (`tick_statistics`), the page
(`data_report`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from html import escape

from tick_assets.domain import charts
from tick_assets.domain.data_answers import STATE_WORDS
from tick_assets.domain.data_calendar import columns_of
from tick_assets.domain.hole_patterns import hour_range, stretches
from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Instrument
from tick_assets.domain.page import legend, scroll, section, table_head, table_row
from tick_assets.domain.quantities import clock, duration, number, percent, price, stamp
from tick_assets.domain.sessions import CLOCKS, LABELS
from tick_assets.domain.tick_counting import HourCell, Silence
from tick_assets.domain.tick_statistics import (
    Figures,
    SymbolStatistics,
    by_date,
    by_hour,
    by_session,
    pip_points,
    spread_distribution,
    total,
)

SHOWN_SILENCES = 10
SHOWN_REVISIONS = 40
SHOWN_DATES = 400
TAIL = 0.995
"""The distribution shows this share of the ticks; the last bar holds the rest."""
MAXIMUM_BINS = 48


@dataclass(frozen=True)
class SpreadUnit:
    """How spreads of an instrument are drawn: pips for currency pairs, else the quote currency."""

    name: str
    points: float

    def of(self, points: float | None) -> float | None:
        return None if points is None else points / self.points


def spread_unit(instrument: Instrument) -> SpreadUnit:
    """Return the unit in which people know this instrument's spread."""
    pip = pip_points(instrument)
    return SpreadUnit("pips", pip) if pip else SpreadUnit(instrument.profit_currency, instrument.price_factor)


def symbol_part(statistics: SymbolStatistics) -> str:
    """Return all sections of one symbol."""
    name = f'<h2 class="symbol" id="{escape(statistics.symbol)}">{escape(statistics.symbol)}</h2>'
    if not statistics.hours.height:
        return f"{name}{section('Ticks', '', '<p>No published tick in this range.</p>')}{_hours_by_state(statistics)}{_dates(statistics)}"
    hourly = by_hour(statistics)
    unit = spread_unit(statistics.instrument)
    return "".join(
        [
            name,
            _tiles(statistics, unit),
            _ticks_by_date(statistics),
            f'<div class="pair">{_spread_by_hour(hourly, unit)}{_distribution(statistics, unit)}</div>',
            _sessions(statistics, unit),
            f'<div class="pair">{_quote_rate(hourly)}{_hours_by_state(statistics)}</div>',
            f'<div class="pair">{_silences(statistics)}{_revisions(statistics)}</div>',
            _dates(statistics),
        ]
    )


def _tiles(statistics: SymbolStatistics, unit: SpreadUnit) -> str:
    figures = total(statistics)
    shown = [
        (f"{figures.tick_count:,}", "published ticks"),
        (number(unit.of(figures.spread_median_points)), f"median spread, {unit.name}"),
        (number(figures.spread_median_bps), "median spread, bps of the mid price"),
        (number(figures.ticks_per_minute), "ticks a minute, over hours that have any"),
        (percent(figures.zero_spread_share), "of them without spread"),
        (percent(figures.equal_stamp_share), "with the stamp of the tick before"),
    ]
    return '<div class="tiles">' + "".join(f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for value, name in shown) + "</div>"


def _ticks_by_date(statistics: SymbolStatistics) -> str:
    columns, found = columns_of(statistics.dates), by_date(statistics)
    counts = [sum(found[day].tick_count for day in column.dates) for column in columns]
    bars = [charts.Bar(each.label, count, f"{each.span}: {count:,} ticks") for each, count in zip(columns, counts, strict=True)]
    plot, y_ticks = charts.plot_of((-0.6, len(bars) - 0.4), counts, charts.WIDE, 210, 4)
    names = [(float(place), bar.label) for place, bar in enumerate(bars) if bar.label]
    grain = "UTC date" if len(columns) >= len(found) else "UTC dates of a week or month"
    axes = charts.axes(plot, names, y_ticks, grain, "ticks")
    figures = total(statistics)
    note = f"First tick {stamp(figures.first_ts)}, last tick {stamp(figures.last_ts)}. Mid price from {figures.low:g} to {figures.high:g}."
    said = f"The most are {max(counts):,}. The table of dates has every value."
    drawn = charts.svg("Ticks by date", plot, axes, charts.columns(plot, bars), description=said)
    return section("Ticks by date", note, scroll("Ticks by date", drawn))


def _spread_by_hour(hourly: Mapping[int, Figures], unit: SpreadUnit) -> str:
    with_ticks = {hour: figures for hour, figures in hourly.items() if figures.tick_count}
    values = {
        name: [unit.of(getattr(figures, name)) or 0.0 for figures in with_ticks.values()]
        for name in ("spread_median_points", "spread_p95_points")
    }
    plot, y_ticks = charts.plot_of((-0.6, 23.6), values["spread_p95_points"], charts.HALF, 240)
    axes = charts.axes(plot, [(float(hour), f"{hour:02d}") for hour in range(0, 24, 3)], y_ticks, "UTC hour", unit.name)
    points = [
        charts.Point(hour, value, f"{hour:02d}h UTC: {word} {number(value)} {unit.name}", style, 3.5)
        for name, style, word in (("spread_p95_points", "best", "95 % within"), ("spread_median_points", "mark", "median"))
        for hour, value in zip(with_ticks, values[name], strict=True)
    ]
    lines = "".join(
        charts.line(plot, [float(hour) for hour in run], [values[name][list(with_ticks).index(hour)] for hour in run], style)
        for name, style in (("spread_median_points", "oof"), ("spread_p95_points", "test"))
        for run in (list(range(first, last + 1)) for first, last in stretches(with_ticks))
    )
    said = "; ".join(f"{hour:02d}h {number(value)}" for hour, value in zip(with_ticks, values["spread_median_points"], strict=True))
    drawn = charts.svg("Spread by UTC hour", plot, axes, lines, charts.scatter(plot, points), description=f"Median in {unit.name}: {said}.")
    key = legend([("var(--blue)", "median"), ("var(--violet)", "95 % of the ticks are within")])
    return section("Spread by hour of day", "Over all dates. An hour without ticks has no point.", key, drawn)


def _distribution(statistics: SymbolStatistics, unit: SpreadUnit) -> str:
    bins = pooled(spread_distribution(statistics))
    ticks = sum(count for _, _, count in bins)
    bars = [_bin(low, high, count / ticks, unit, place == len(bins) - 1) for place, (low, high, count) in enumerate(bins)]
    plot, y_ticks = charts.plot_of((-0.6, len(bars) - 0.4), [bar.value for bar in bars], charts.HALF, 240)
    names = [(float(i), bar.label) for i, bar in enumerate(bars)]
    axes = charts.axes(plot, names, y_ticks, f"spread, {unit.name}", "% of ticks")
    note = f"All ticks. The last bar holds the widest {100 * (1 - TAIL):.1f} % of them." if len(bars) > 1 else "All ticks."
    said = "; ".join(bar.note for bar in bars)
    return section(
        "Spread distribution", note, charts.svg("Share of ticks by spread", plot, axes, charts.columns(plot, bars), description=said)
    )


def _bin(low: int, high: int, share: float, unit: SpreadUnit, is_last: bool) -> charts.Bar:
    label = number(unit.of(low))
    span = f"{label} or more" if is_last else label if low == high else f"{label} to {number(unit.of(high))}"
    return charts.Bar(label, 100 * share, f"{span} {unit.name}: {share:.2%}")


def pooled(counts: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Return (lowest, highest, ticks) of bars of equal width in points; the last one holds the tail that few ticks reach."""
    ticks, seen = sum(count for _, count in counts), 0
    low, end = counts[0][0], counts[-1][0]
    for spread, count in counts:
        seen += count
        if seen >= TAIL * ticks:
            end = spread
            break
    width = max(1, -(-(end - low + 1) // MAXIMUM_BINS))
    bars: Counter[int] = Counter()
    for spread, count in counts:
        bars[min(spread - low, end - low + 1) // width] += count
    places = range(max(bars) + 1)
    return [
        (low + place * width, max(counts[-1][0], low) if place == places[-1] else low + (place + 1) * width - 1, bars[place])
        for place in places
    ]


def _sessions(statistics: SymbolStatistics, unit: SpreadUnit) -> str:
    pips = [f"{word}, {unit.name}" for word in ("Median", "Mean", "95 % within")]
    others = ["Median, points", "Median, bps", "95 % within, bps", "No spread", "Longest silence in an hour"]
    head = table_head(["Session window"], ["Ticks", "Ticks a minute", *pips, *others])
    rows = "".join(_session_row(LABELS[name], CLOCKS[name], figures, unit) for name, figures in by_session(statistics).items())
    rows += _session_row("All hours", "", total(statistics), unit)
    note = "Windows are kept in the clock of their city, daylight saving included, on its working days; they overlap and do not add up."
    return section("Spread and quote rate by session", note, scroll("Spread by session", f"<table>{head}{rows}</table>"))


def _session_row(label: str, clock: str, figures: Figures, unit: SpreadUnit) -> str:
    values = [
        f"{figures.tick_count:,}",
        number(figures.ticks_per_minute),
        number(unit.of(figures.spread_median_points)),
        number(unit.of(figures.spread_mean_points)),
        number(unit.of(figures.spread_p95_points)),
        number(figures.spread_median_points),
        number(figures.spread_median_bps),
        number(figures.spread_p95_bps),
        percent(figures.zero_spread_share),
        duration(figures.longest_silence_s),
    ]
    return table_row([f'{label}<br><span class="why small">{clock}</span>'], values)


def _quote_rate(hourly: Mapping[int, Figures]) -> str:
    bars = [
        charts.Bar(f"{hour:02d}", figures.ticks_per_minute or 0.0, f"{hour:02d}h UTC: {number(figures.ticks_per_minute)} ticks a minute")
        for hour, figures in hourly.items()
    ]
    plot, y_ticks = charts.plot_of((-0.6, 23.6), [bar.value for bar in bars], charts.HALF, 240)
    axes = charts.axes(plot, [(float(hour), f"{hour:02d}") for hour in range(0, 24, 3)], y_ticks, "UTC hour", "ticks a minute")
    said = "; ".join(bar.note for bar in bars if bar.value)
    drawn = charts.svg("Quote rate by UTC hour", plot, axes, charts.columns(plot, bars), description=said)
    return section("Quote rate by hour of day", "Mean over the hours that have ticks.", drawn)


def _silences(statistics: SymbolStatistics) -> str:
    found = [silence for silence in statistics.silences if not silence.has_hole]
    if not found:
        return section("Longest silences", "No date has two ticks in open hours without a hole between them.")
    head = table_head(["From, UTC", "To, UTC"], ["Without a tick"])
    rows = "".join(_silence_row(silence) for silence in found[:SHOWN_SILENCES])
    note = "The longest times without a tick while the market is open and its hours are ok. Holes are named above and left out here."
    return section("Longest silences", note, scroll("Longest silences", f"<table>{head}{rows}</table>"))


def _silence_row(silence: Silence) -> str:
    until = f"{silence.end:%H:%M:%S}" if silence.end.date() == silence.start.date() else f"{silence.end:%Y-%m-%d %H:%M:%S}"
    return table_row([f"{silence.start:%Y-%m-%d %H:%M:%S}", until], [duration(silence.seconds)])


def _hours_by_state(statistics: SymbolStatistics) -> str:
    open_hours = Counter(cell.state for cell in statistics.expected)
    head = table_head(["State"], ["Hours", "Of them open"], ["What it means"])
    rows = "".join(
        table_row([chip(state)], [f"{count:,}", f"{open_hours[state]:,}"], [STATE_WORDS[state]])
        for state, count in statistics.states().items()
    )
    note = "Open is what the market calendar says. Early closes and holidays of one country are not in it: their hours show as holes."
    return section("Hours by state", note, scroll("Hours by state", f"<table>{head}{rows}</table>"))


def _revisions(statistics: SymbolStatistics) -> str:
    revised = [cell for cell in statistics.cells if cell.revision]
    if not revised:
        return section("Revisions", "No hour came late or was changed by the vendor after it was first taken.")
    groups: dict[tuple[date, int, datetime | None], list[HourCell]] = {}
    for cell in revised:
        groups.setdefault((cell.date, cell.revision or 0, cell.checked_at), []).append(cell)
    head = table_head(["Date", "Revision", "Hours", "Checked"])
    rows = [table_row([f"{day}", f"r{revision:03d}", hours_text(cells), stamp(at)]) for (day, revision, at), cells in groups.items()]
    note = f"{len(revised):,} hours came late or were changed by the vendor after their date was written. Older rows stay in raw.ticks."
    more = f"<p>{len(rows) - SHOWN_REVISIONS:,} more.</p>" if len(rows) > SHOWN_REVISIONS else ""
    return section("Revisions", note, scroll("Revisions", f"<table>{head}{''.join(rows[-SHOWN_REVISIONS:])}</table>"), more)


def hours_text(cells: Iterable[HourCell]) -> str:
    """Return hours of a date such as `00h UTC, 03h to 05h UTC`."""
    return ", ".join(hour_range(first, last) for first, last in stretches(cell.hour for cell in cells))


def _dates(statistics: SymbolStatistics) -> str:
    found, unit = by_date(statistics), spread_unit(statistics.instrument)
    by_day: dict[date, list[HourCell]] = {day: [] for day in found}
    for cell in statistics.cells:
        by_day[cell.date].append(cell)
    refused = Counter[date]()
    for row in statistics.rejects.iter_rows(named=True):
        refused[row["date"]] += row["row_count"]
    head = table_head(
        ["Date"],
        ["Hours ok", "Open", "Ticks", "Refused", f"Median spread, {unit.name}", f"95 % within, {unit.name}", "Low", "High"],
        ["First tick", "Last tick", "Missing"],
    )
    shown = list(found.items())[-SHOWN_DATES:]
    rows = "".join(_date_row(day, by_day[day], figures, refused[day], unit) for day, figures in shown)
    table = scroll("Every date", f"<table>{head}{rows}</table>")
    which = f"All {len(found):,}" if len(shown) == len(found) else f"The newest {len(shown):,} of {len(found):,}"
    summary = f"{which} dates of {escape(statistics.symbol)} as a table"
    return f"<section><details><summary>{summary}</summary>{table}</details></section>"


def _date_row(day: date, cells: Sequence[HourCell], figures: Figures, refused: int, unit: SpreadUnit) -> str:
    missing = [
        f"{hours_text(each for each in cells if each.is_hole and each.state is state)} {state}"
        for state in HourState
        if any(each.is_hole and each.state is state for each in cells)
    ]
    values = [
        f"{sum(cell.state is HourState.OK for cell in cells)}",
        f"{sum(cell.expected for cell in cells)}",
        f"{figures.tick_count:,}",
        f"{refused:,}",
        number(unit.of(figures.spread_median_points)),
        number(unit.of(figures.spread_p95_points)),
        price(figures.low),
        price(figures.high),
    ]
    return table_row([f"{day:%a} {day}"], values, [clock(figures.first_ts), clock(figures.last_ts), "; ".join(missing)])


# Pieces.


def chip(state: HourState) -> str:
    """Return a state as a coloured word."""
    style = {HourState.OK: "pass", HourState.CLOSED: "quiet", HourState.VENDOR_EMPTY: "not_fed"}.get(state, "refuse")
    return f'<span class="chip {style}">{state}</span>'
