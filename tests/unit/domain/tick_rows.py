"""Small literal markets for the tests of statistics: ticks, ledgers and what is counted of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time

import polars as pl

from tick_assets.domain import tick_counting as counting
from tick_assets.domain.instruments import Instrument
from tick_assets.domain.tick_statistics import Publication, SymbolStatistics

MONDAY = date(2024, 1, 8)
EURUSD = Instrument("EURUSD", "fx", 100_000, 5, 100_000.0, "EUR", "USD", 3.5, 0.3, 0.01, 0.01, 100.0, "EUR-USD")
USDJPY = replace(EURUSD, symbol="USDJPY", price_factor=1_000, digits=3)
XAGUSD = replace(EURUSD, symbol="XAGUSD", asset_class="metal", price_factor=1_000, digits=3)
BTCUSD = replace(EURUSD, symbol="BTCUSD", asset_class="crypto", price_factor=10, digits=1)

Quote = tuple[str, int, int]


def at(day: date, clock: str) -> datetime:
    """Return a UTC stamp of a date."""
    return datetime.combine(day, time.fromisoformat(clock), tzinfo=UTC)


def tick_rows(quotes: Sequence[Quote], day: date = MONDAY, factor: int = 100_000) -> pl.DataFrame:
    """Return ticks of one date from (time of day, bid points, ask points)."""
    rows = [(day, at(day, clock), seq, bid, ask, factor, "p1") for seq, (clock, bid, ask) in enumerate(quotes)]
    schema = {
        "date": pl.Date,
        "ts_event": counting.UTC_STAMP,
        "seq": pl.Int64,
        "bid_points": pl.Int64,
        "ask_points": pl.Int64,
        "price_factor": pl.Int32,
        "publication_id": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def ledger_rows(states: Mapping[tuple[date, int], str], source: str = "dukascopy", revision: int | None = 0) -> pl.DataFrame:
    """Return ledger rows of (date, hour): state."""
    rows = [(day, hour, state, source, revision if state == "ok" else None, None) for (day, hour), state in states.items()]
    return pl.DataFrame(rows, schema=LEDGER, orient="row")


LEDGER = {
    "date": pl.Date,
    "hour": pl.Int64,
    "state": pl.String,
    "source": pl.String,
    "revision": pl.Int64,
    "checked_at": counting.UTC_STAMP,
}


def full_days(dates: Sequence[date], **other: str) -> dict[tuple[date, int], str]:
    """Return `ok` for all hours, but what `other` says of an hour of every date: h00="vendor_empty"."""
    return {(day, hour): other.get(f"h{hour:02d}", "ok") for day in dates for hour in range(24)}


def statistics_of(
    instrument: Instrument,
    ledger: pl.DataFrame,
    ticks: pl.DataFrame | None = None,
    rejects: pl.DataFrame | None = None,
    is_published: bool = True,
) -> SymbolStatistics:
    """Return the statistics of ticks of one symbol under a ledger."""
    ticks = counting.in_time_order(tick_rows([]) if ticks is None else ticks)
    cells = counting.hour_cells(instrument, ledger, counting.date_ranges([*ledger["date"], *ticks["date"]]))
    hours = counting.count_hours(ticks)
    found = dict(ticks.group_by("date").agg(pl.len()).iter_rows())
    published = sorted(set(ledger["date"])) if is_published else []
    return SymbolStatistics(
        instrument,
        cells,
        tuple(Publication(day, "p1", "dukascopy", found.get(day, 0), 0, found.get(day, 0)) for day in published),
        hours,
        counting.count_spreads(ticks),
        pl.DataFrame(schema=counting.REJECTS_SCHEMA) if rejects is None else rejects,
        counting.find_silences(counting.longest_gaps(ticks), counting.date_edges(hours), cells),
    )
