"""Files of the vendor's own wire formats: one bi5 or JSON file an hour.

What belongs here: which hour a file is, and what each hour of a date is. What must not: text formats, the raw store's layout.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson

from tick_assets.domain.hour_states import HourState
from tick_assets.domain.instruments import Instrument
from tick_assets.domain.market_calendar import open_hours
from tick_assets.lakehouse.importers.candles import is_candle_payload
from tick_assets.lakehouse.importers.text_formats import ImportRefusedError
from tick_assets.lakehouse.ingestion import classify
from tick_assets.lakehouse.raw_store import HOURS, HourOutcome
from tick_assets.lakehouse.vendors import port
from tick_assets.lakehouse.vendors.port import HourResponse
from tick_assets.lakehouse.vendors.wire_formats import BI5, JSON

HOUR_NOT_DELIVERED = "HOUR_NOT_DELIVERED"
BI5_SUFFIX = ".bi5"
_BI5_PATH = re.compile(r"(?:(?P<symbol>[^/]+)/)?(?P<year>\d{4})/(?P<month>\d{2})/(?P<day>\d{2})/(?P<hour>\d{2})h_ticks\.bi5$", re.ASCII)
_JSON_NAME = re.compile(
    r"^ticks-(?P<code>[A-Z0-9.\-]+)-(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})-(?P<hour>\d{1,2})\.json$", re.ASCII
)
_SYMBOL_FOLDER = re.compile(r"^[A-Z]{6}$", re.ASCII)
_MAXIMUM_MS = 2**43


@dataclass(frozen=True)
class HourFile:
    """One hour as a file; `hour` is aware UTC."""

    path: Path
    wire_format: str
    hour: datetime


def is_hour_file(path: Path) -> bool:
    """Tell whether a file is named as a wire file, or is one by its first bytes."""
    if path.suffix.lower() == BI5_SUFFIX or _JSON_NAME.match(path.name):
        return True
    return path.suffix.lower() == ".json" and _starts_as_an_hour(path)


def _starts_as_an_hour(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(400).removeprefix(b"\xef\xbb\xbf").lstrip()
    return start.startswith(b"{") and b'"multiplier"' in start


def names_other_symbol(path: Path, instrument: Instrument) -> bool:
    """Tell whether the name of a JSON hour says that it is of another symbol."""
    match = _JSON_NAME.match(path.name)
    return (
        match is not None
        and match["code"] not in (instrument.dukascopy_code, instrument.symbol)
        and (match["code"].replace("-", "") != instrument.symbol)
    )


def hours_by_date(paths: Iterable[Path], instrument: Instrument) -> dict[date, dict[int, HourFile]]:
    """Group hour files by UTC date; an hour that is there twice is refused."""
    found: dict[date, dict[int, HourFile]] = defaultdict(dict)
    for path in paths:
        file = _hour_file(path, instrument)
        hours = found[file.hour.date()]
        if file.hour.hour in hours:
            raise ImportRefusedError(
                f"Expected the hour {file.hour:%Y-%m-%d %H}h once, was {hours[file.hour.hour].path} and {path}. Import them apart."
            )
        hours[file.hour.hour] = file
    return dict(sorted(found.items()))


def _hour_file(path: Path, instrument: Instrument) -> HourFile:
    if path.suffix.lower() == BI5_SUFFIX:
        return HourFile(path, BI5, _hour_of_bi5(path, instrument))
    if names_other_symbol(path, instrument):
        raise ImportRefusedError(f"Expected an hour of {instrument.symbol}, was {path.name}. Correct --symbol.")
    match = _JSON_NAME.match(path.name)
    return HourFile(path, JSON, _hour_of(match, path, month_offset=0) if match else _hour_of_document(path))


def _hour_of_bi5(path: Path, instrument: Instrument) -> datetime:
    match = _BI5_PATH.search(path.absolute().as_posix())
    if match is None:
        if "candle" in path.name.lower():
            raise ImportRefusedError(f"Expected hours of ticks, was {path.name}, a file of candles. Download HHh_ticks.bi5 files.")
        raise ImportRefusedError(f"Expected a path that ends with YYYY/MM-1/DD/HHh_ticks.bi5, was {path}. Restore the vendor's folders.")
    folder = match["symbol"] or ""
    if _SYMBOL_FOLDER.match(folder) and folder != instrument.symbol:
        raise ImportRefusedError(f"Expected hours of {instrument.symbol}, was {path}. Correct --symbol or give the symbol's own folder.")
    return _hour_of(match, path, month_offset=1)


def _hour_of(match: re.Match[str], path: Path, *, month_offset: int) -> datetime:
    """Return the hour that a path names; months of bi5 paths count from 0."""
    try:
        return datetime(int(match["year"]), int(match["month"]) + month_offset, int(match["day"]), int(match["hour"]), tzinfo=UTC)
    except ValueError as error:
        raise ImportRefusedError(f"Expected a path that names an hour, was {path} ({error}). Restore the vendor's folders.") from error


def _hour_of_document(path: Path) -> datetime:
    """Return the hour in which a JSON hour's own `timestamp` lies; its file name says nothing."""
    try:
        document: Any = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise ImportRefusedError(f"Expected a JSON hour at {path}, was text that does not parse ({error}). Download it again.") from error
    stamp = document.get("timestamp") if isinstance(document, dict) else None
    if type(stamp) is not int or not 0 <= stamp < _MAXIMUM_MS:
        raise ImportRefusedError(f"Expected a `timestamp` in milliseconds in {path}, was {stamp!r}. Name it ticks-EUR-USD-YYYY-M-D-H.json.")
    return datetime.fromtimestamp(stamp // 1000, UTC).replace(minute=0, second=0)


def read_date(instrument: Instrument, day: date, files: Mapping[int, HourFile], now: datetime) -> list[HourOutcome]:
    """Say what each of the 24 hours is; an hour without a file is `closed` by calendar, else `failed`: nobody knows what it held."""
    is_open = open_hours(instrument.asset_class, day)
    return [
        _read_hour(instrument, files[hour], now, is_open=is_open[hour])
        if hour in files
        else not_delivered(hour, now, is_open=is_open[hour])
        for hour in range(HOURS)
    ]


def _read_hour(instrument: Instrument, file: HourFile, now: datetime, *, is_open: bool) -> HourOutcome:
    payload, url = file.path.read_bytes(), file.path.absolute().as_uri()
    if file.wire_format == BI5 and is_candle_payload(payload):
        reason = f"{port.PAYLOAD_NOT_TICKS}: Expected ticks, was candles (open, close, low, high)."
        return HourOutcome(file.hour.hour, HourState.FAILED, now, url, BI5, payload, None, reason)
    response = HourResponse(instrument.symbol, file.hour, payload, url, file.wire_format, 200, now)
    return classify(response, price_factor=instrument.price_factor, is_open=is_open)


def not_delivered(hour: int, now: datetime, *, is_open: bool) -> HourOutcome:
    """Return the outcome of an hour outside of what was delivered."""
    if not is_open:
        return HourOutcome(hour, HourState.CLOSED, now)
    return HourOutcome(hour, HourState.FAILED, now, reason=HOUR_NOT_DELIVERED)
