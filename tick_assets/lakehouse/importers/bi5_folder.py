"""Folders of bi5 hours.

What belongs here: finding hour files and saying what each hour is. What must not: text formats, the raw store's layout.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Instrument
from tick_assets.domain.market_calendar import open_hours
from tick_assets.lakehouse.importers.text_formats import ImportRefusedError
from tick_assets.lakehouse.ingestion import classify
from tick_assets.lakehouse.raw_store import HOURS, HourOutcome
from tick_assets.lakehouse.vendors.port import HourResponse
from tick_assets.lakehouse.vendors.wire_formats import BI5

HOUR_NOT_DELIVERED = "HOUR_NOT_DELIVERED"
_HOUR_PATH = re.compile(r"(?P<year>\d{4})/(?P<month>\d{2})/(?P<day>\d{2})/(?P<hour>\d{2})h_ticks\.bi5$")


def hours_by_date(paths: Iterable[Path]) -> dict[date, dict[int, Path]]:
    """Group hour files by UTC date; months in their paths count from 0."""
    found: dict[date, dict[int, Path]] = defaultdict(dict)
    for path in paths:
        match = _HOUR_PATH.search(path.absolute().as_posix())
        if match is None:
            raise ImportRefusedError(
                f"Expected a path that ends with YYYY/MM-1/DD/HHh_ticks.bi5, was {path}. Restore the vendor's folders."
            )
        day = date(int(match["year"]), int(match["month"]) + 1, int(match["day"]))
        found[day][int(match["hour"])] = path
    return dict(sorted(found.items()))


def read_date(instrument: Instrument, day: date, files: Mapping[int, Path], now: datetime) -> list[HourOutcome]:
    """Say what each of the 24 hours is; an hour without a file is `closed` by calendar, else `failed`: nobody knows what it held."""
    is_open = open_hours(instrument.asset_class, day)
    outcomes = []
    for hour in range(HOURS):
        if hour in files:
            at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
            url = files[hour].absolute().as_uri()
            response = HourResponse(instrument.symbol, at, files[hour].read_bytes(), url, BI5, 200, now)
            outcomes.append(classify(response, price_factor=instrument.price_factor, is_open=is_open[hour]))
        else:
            outcomes.append(not_delivered(hour, now, is_open=is_open[hour]))
    return outcomes


def not_delivered(hour: int, now: datetime, *, is_open: bool) -> HourOutcome:
    """Return the outcome of an hour outside of what was delivered."""
    if not is_open:
        return HourOutcome(hour, HourState.CLOSED, now)
    return HourOutcome(hour, HourState.FAILED, now, reason=HOUR_NOT_DELIVERED)
