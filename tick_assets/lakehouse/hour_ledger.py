"""The hour ledger as a table, and what it says about completeness.

What belongs here: `evidence.hour_ledger` from the raw store's manifests, and the hours in a state with what was asked and answered.
What must not: how a state came to be (`ingestion`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Market
from tick_assets.domain.market_calendar import open_hours
from tick_assets.lakehouse.catalog import partition_filter, whole_partitions
from tick_assets.lakehouse.raw_store import HourEntry, Manifest, RawStore

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse

Ledger = list[dict[str, Any]]


def publish(lakehouse: Lakehouse, store: RawStore, symbols: Sequence[str], dates: Sequence[date], order: Sequence[str]) -> Ledger:
    """Replace the ledger rows of all symbols and dates, and return them: those of each date's current source."""
    rows = [row for symbol in symbols for day in dates for row in store.ledger_rows(_source(store, symbol, day, order), symbol, day)]
    lakehouse.replace_rows("evidence.hour_ledger", rows, whole_partitions(symbols, dates))
    return rows


def _source(store: RawStore, symbol: str, day: date, order: Sequence[str]) -> str:
    """Return the current source of a date; before any has r000, the first that was asked, so that its failures are seen."""
    asked = (source for source in order if store.manifest(source, symbol, day) is not None)
    return store.current_source(symbol, day, order) or next(asked, order[0])


@dataclass(frozen=True)
class StatedHour:
    """One hour of the raw store: its state, why, and where it was asked for; `is_expected` says that the calendar has the market open."""

    symbol: str
    date: date
    hour: int
    source: str
    origin: str
    is_expected: bool
    entry: HourEntry


@dataclass(frozen=True)
class SymbolHours:
    """How many hours of a symbol are in each state, and the share of its expected hours that are `ok`."""

    symbol: str
    states: dict[HourState, int]
    expected: int
    completeness: float


def stated_hours(
    store: RawStore, market: Market, symbols: Sequence[str], dates: Sequence[date], order: Sequence[str]
) -> Iterator[StatedHour]:
    """Yield every hour of the symbols and dates as its current source has it; a date that nobody asked for is 24 times pending."""
    for symbol in symbols:
        for day in dates:
            source = _source(store, symbol, day, order)
            manifest = store.manifest(source, symbol, day) or Manifest(source, symbol, day.isoformat(), 1)
            is_open = open_hours(market.instrument(symbol).asset_class, day)
            for entry in manifest.hours:
                yield StatedHour(symbol, day, entry.hour, source, manifest.origin, is_open[entry.hour], entry)


def summarize(hours: Sequence[StatedHour], symbol: str) -> SymbolHours:
    """Count the hours of one symbol by state."""
    own = [hour for hour in hours if hour.symbol == symbol]
    expected = [hour for hour in own if hour.is_expected]
    ok = sum(hour.entry.state is HourState.OK for hour in expected)
    states = {state: sum(hour.entry.state is state for hour in own) for state in HourState}
    return SymbolHours(symbol, states, len(expected), ok / len(expected) if expected else 0.0)


def recorded_dates(store: RawStore, symbols: Sequence[str]) -> list[date]:
    """Return every date from the first to the last that any source has of the symbols."""
    found = {day for source in store.sources() for symbol in symbols for day in store.dates(source, symbol)}
    return [min(found) + timedelta(days=i) for i in range((max(found) - min(found)).days + 1)] if found else []


def missing_symbols(ledger: Ledger, market: Market, symbols: Sequence[str], dates: Sequence[date]) -> list[tuple[str, date]]:
    """Return the (symbol, date) pairs whose calendar expects ticks and that have none, dates before its first tick left out."""
    present = {(row["symbol"], row["date"]) for row in ledger if row["state"] == HourState.OK}
    closed = _hours_in(ledger, HourState.CLOSED)
    return [
        (symbol, day)
        for symbol in symbols
        for day in dates
        if (symbol, day) not in present and any((symbol, day, hour) not in closed for hour in expected_hours(market, symbol, day))
    ]


def _hours_in(ledger: Ledger, state: HourState) -> set[tuple[str, date, int]]:
    return {(row["symbol"], row["date"], row["hour"]) for row in ledger if row["state"] == state}


def expected_hours(market: Market, symbol: str, day: date) -> list[int]:
    """Return the UTC hours of a date in which the symbol's market is open."""
    return [hour for hour, is_open in enumerate(open_hours(market.instrument(symbol).asset_class, day)) if is_open]


def completeness(ledger: Ledger, market: Market, symbol: str, dates: Sequence[date]) -> float:
    """Return the share of a symbol's expected hours on these dates that are `ok`; an hour that no ledger row names is missing.

    An hour that the ledger has as closed (before the instrument's first tick) is not expected. A window in which the market never opens
    has nothing to be complete about: 0.0.
    """
    ok, closed = _hours_in(ledger, HourState.OK), _hours_in(ledger, HourState.CLOSED)
    calendar = {(symbol, day, hour) for day in dates for hour in expected_hours(market, symbol, day)}
    expected = calendar - closed
    return len(expected & ok) / len(expected) if expected else 0.0


@dataclass(frozen=True)
class DayCompleteness:
    """How many of a symbol's expected hours of one UTC date are `ok`."""

    symbol: str
    date: str
    hours_ok: int
    hours_expected: int


def days_complete(lakehouse: Lakehouse, market: Market, symbols: Sequence[str], first: date, last: date) -> tuple[DayCompleteness, ...]:
    """Return the completeness of every date of a window, both ends included, on which the market opens, from the ledger as it stands."""
    rows = lakehouse.frame("evidence.hour_ledger", partition_filter(tuple(symbols), first, last)).to_dicts()
    ok, closed = _hours_in(rows, HourState.OK), _hours_in(rows, HourState.CLOSED)
    dates = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    return tuple(
        DayCompleteness(symbol, day.isoformat(), sum((symbol, day, hour) in ok for hour in expected), len(expected))
        for symbol in sorted(symbols)
        for day in dates
        if (expected := [hour for hour in expected_hours(market, symbol, day) if (symbol, day, hour) not in closed])
    )


def share_of(days: Sequence[DayCompleteness]) -> float | None:
    """Return the share of expected hours that are `ok`, null where none is expected."""
    expected = sum(day.hours_expected for day in days)
    return sum(day.hours_ok for day in days) / expected if expected else None


def window_completeness(lakehouse: Lakehouse, market: Market, symbol: str, first: date, last: date) -> float:
    """Return `completeness` of every date of a window, both ends included, from the ledger as it stands."""
    rows = lakehouse.frame("evidence.hour_ledger", partition_filter(symbol, first, last)).to_dicts()
    dates = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    return completeness(rows, market, symbol, dates)
