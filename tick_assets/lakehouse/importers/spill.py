"""Parsed rows on disk by date until a whole import is read, and what each hour of them is.

What belongs here: which hours the delivered files speak for. What must not: reading files, the raw store.

An hour is spoken for by a text whose span touches it: without rows it is `closed` by calendar, else `vendor_empty`. An hour that no text
speaks for is `closed` by calendar, else `failed` with HOUR_NOT_DELIVERED: nobody knows what it held. An hour whose rows a clock could not
place is `failed` with CLOCK_HOUR_REPEATED.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Instrument
from tick_assets.domain.market_calendar import open_hours
from tick_assets.lakehouse import raw_csv
from tick_assets.lakehouse.importers.hour_files import not_delivered
from tick_assets.lakehouse.importers.parsing import ParsedText
from tick_assets.lakehouse.importers.text_formats import ImportRefusedError
from tick_assets.lakehouse.raw_store import HOUR_US, HOURS, HourOutcome

CLOCK_HOUR_REPEATED = "CLOCK_HOUR_REPEATED"
MAXIMUM_GAP_DAYS = 31
_DAY_US = HOUR_US * HOURS


@dataclass(frozen=True)
class Delivery:
    """Where a text came from, as its hours are recorded."""

    url: str
    sha256: str
    wire_format: str
    reason: str


class Spill:
    """The rows of all texts of one import, in parts on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: dict[date, list[tuple[Path, Delivery]]] = {}
        self._spoken_for: set[int] = set()
        self._uncertain: set[int] = set()

    def add(self, parsed: ParsedText, delivery: Delivery, span_us: tuple[int, int], *, is_bounded: bool) -> None:
        """Take one text's rows, which speak for a span; a long gap is refused unless a person named the dates (`is_bounded`)."""
        if not is_bounded:
            _require_no_gap(parsed.rows["ts_us"], delivery)
        self._spoken_for.update(range(span_us[0] // HOUR_US, span_us[1] // HOUR_US + 1))
        self._uncertain |= parsed.uncertain_hours
        for (number,), part in parsed.rows.group_by(pl.col("ts_us") // _DAY_US, maintain_order=True):
            parts = self._parts.setdefault(_date(int(str(number))), [])
            path = self._folder / f"{number}.{len(parts):04d}.parquet"
            part.write_parquet(path)
            parts.append((path, delivery))

    def deliveries(self) -> set[str]:
        """Return the sha-256 of every delivery that gave rows."""
        return {delivery.sha256 for parts in self._parts.values() for _, delivery in parts}

    def outcomes(
        self, instrument: Instrument, now: datetime, first: date | None, last: date | None
    ) -> Iterator[tuple[date, list[HourOutcome]]]:
        """Yield each date that a text speaks for, both bounds inclusive."""
        for number in sorted({hour // HOURS for hour in self._spoken_for}):
            day = _date(number)
            if (first is None or day >= first) and (last is None or day <= last):
                yield day, self._date_outcomes(instrument, day, now)

    def _date_outcomes(self, instrument: Instrument, day: date, now: datetime) -> list[HourOutcome]:
        parts = [(pl.read_parquet(path), delivery) for path, delivery in self._parts.get(day, [])]
        is_open = open_hours(instrument.asset_class, day)
        first_hour = raw_csv.midnight_us(day.isoformat()) // HOUR_US
        return [self._outcome(first_hour + hour, hour, parts, now, is_open=is_open[hour]) for hour in range(HOURS)]

    def _outcome(self, number: int, hour: int, parts: list[tuple[pl.DataFrame, Delivery]], now: datetime, *, is_open: bool) -> HourOutcome:
        held = [(frame.filter(pl.col("ts_us") // HOUR_US == number), delivery) for frame, delivery in parts]
        held = [part for part in held if len(part[0])]
        if held:
            rows = raw_csv.sort_rows(pl.concat([frame for frame, _ in held]))
            source = held[0][1]
            return HourOutcome(hour, HourState.OK, now, source.url, source.wire_format, b"", rows, source.reason, source.sha256)
        if number in self._uncertain:
            return HourOutcome(hour, HourState.FAILED, now, reason=CLOCK_HOUR_REPEATED)
        if number in self._spoken_for:
            return HourOutcome(hour, HourState.VENDOR_EMPTY if is_open else HourState.CLOSED, now)
        return not_delivered(hour, now, is_open=is_open)


def _require_no_gap(stamps: pl.Series, delivery: Delivery) -> None:
    """One wrong stamp would make a file speak for years."""
    ordered = stamps.sort()
    gaps = ordered.diff()
    widest = gaps.max()
    if isinstance(widest, int) and widest > MAXIMUM_GAP_DAYS * _DAY_US:
        place = gaps.arg_max() or 0
        days = [_date(int(ordered[at]) // _DAY_US) for at in (place - 1, place)]
        raise ImportRefusedError(
            f"Expected no gap of more than {MAXIMUM_GAP_DAYS} days in {delivery.url}, was none from {days[0]} to {days[1]}: "
            "a stamp is wrong, or years are glued. Give --from and --to."
        )


def _date(number: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number)).date()
