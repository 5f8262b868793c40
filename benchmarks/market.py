"""The ticks of benchmarks: a dense synthetic market, kept in the cache by its parameters, as vendor hours or as a raw store.

What belongs here: sizes, dates, folders. What must not: the market itself (`tick_assets.domain.synthetic_market`), measuring.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.plan import Report
    from tick_assets.domain.synthetic_market import SyntheticMarket
    from tick_assets.domain.ticks import Ticks
    from tick_assets.lakehouse.raw_store import RawStore

FIRST = date(2024, 1, 8)
SEED = 20240108
SOURCE = "synthetic-twin"
SYMBOLS = ("SYNEDGE", "SYNNULL", "SYNWEAK")
DAY_S = 86_400
DENSE_DAY, USUAL_DAY, THIN_DAY = 1_000_000, 100_000, 29_000
"""Ticks of a symbol and date: of a EURUSD day at its densest, of a busy pair, and of the design's base shape."""


def weekdays(count: int) -> list[date]:
    """Return that many dates from the first Monday on, without Saturdays and Sundays."""
    return [FIRST + timedelta(days=7 * (number // 5) + number % 5) for number in range(count)]


def shape(ticks: int, per_day: int, symbols: Sequence[str]) -> tuple[list[date], int]:
    """Return the dates and the ticks a day that come nearest to a size; a size below one date of all symbols thins the market out."""
    whole = per_day * len(symbols)
    if ticks < whole:
        return weekdays(1), max(1, ticks // len(symbols))
    return weekdays(round(ticks / whole)), per_day


def _market(per_day: int) -> SyntheticMarket:
    from tick_assets.domain.synthetic_market import SyntheticMarket

    return SyntheticMarket(k=0.0, mean_gap_s=DAY_S / per_day)


def _folder(cache: Path, kind: str, per_day: int) -> Path:
    """Return the folder of a market; other parameters, or another generator's, are another folder."""
    parameters = json.dumps({"seed": SEED, **asdict(_market(per_day))}, sort_keys=True)
    return cache / "bench" / f"{kind}-{hashlib.sha256(parameters.encode()).hexdigest()[:12]}"


def _is_made(root: Path, symbol: str, day: date) -> bool:
    return _mark(root, symbol, day).is_file()


def _mark(root: Path, symbol: str, day: date) -> Path:
    """Return the file that says that a symbol's date is whole, with its ticks; it lies beside the folder."""
    return root.parent / f"{root.name}.made" / f"{symbol}.{day.isoformat()}"


def _say_made(root: Path, symbol: str, day: date, ticks: int) -> None:
    path = _mark(root, symbol, day)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(ticks))


def ticks_of(root: Path, symbols: Sequence[str], dates: Sequence[date]) -> int:
    """Return how many ticks were made of these symbols and dates."""
    return sum(int(_mark(root, symbol, day).read_text()) for symbol in symbols for day in dates)


def vendor_folder(cache: Path, symbols: Sequence[str], dates: Sequence[date], per_day: int, report: Report) -> Path:
    """Return a folder of vendor hours that holds these symbols and dates; what is missing is generated."""
    from tick_assets.lakehouse.vendors.synthetic import generate_folder

    root = _folder(cache, "vendor", per_day)
    missing = [(symbol, day) for day in dates for symbol in symbols if not _is_made(root, symbol, day)]
    if missing:
        report(f"  generating {len(missing)} symbol-days of {per_day:,} ticks in {root}")
    for symbol, day in missing:
        made = generate_folder(root, {symbol: _market(per_day)}, [day], SEED)
        _say_made(root, symbol, day, made[0].ticks)
    return root


def raw_store(cache: Path, symbols: Sequence[str], dates: Sequence[date], per_day: int, report: Report) -> RawStore:
    """Return a raw store that holds these symbols and dates; what is missing is generated."""
    from tick_assets.domain.synthetic_market import generate_day
    from tick_assets.lakehouse.raw_store import RawStore

    store = RawStore(_folder(cache, "raw", per_day))
    missing = [(symbol, day) for day in dates for symbol in symbols if not _is_made(store.root, symbol, day)]
    if missing:
        report(f"  writing {len(missing)} raw files of {per_day:,} ticks in {store.root}")
    for symbol, day in missing:
        ticks = generate_day(_market(per_day), SEED, symbol, day).ticks
        store.record(SOURCE, symbol, day, 100_000, _outcomes(ticks, day), now=datetime(2024, 2, 1, tzinfo=UTC))
        _say_made(store.root, symbol, day, len(ticks))
    return store


def _outcomes(ticks: Ticks, day: date) -> list[Any]:
    """Return what the 24 hours of a date came to, as ingestion would say it."""
    from tick_assets.domain.hour_states import HourState
    from tick_assets.lakehouse.raw_csv import rows_from_ticks
    from tick_assets.lakehouse.raw_manifests import HourOutcome

    begun = datetime(day.year, day.month, day.day, tzinfo=UTC)
    edges = ticks.ts_us.searchsorted([int((begun + timedelta(hours=hour)).timestamp()) * 1_000_000 for hour in range(25)])
    made = []
    for hour, (low, high) in enumerate(itertools.pairwise(edges)):
        rows = rows_from_ticks(ticks.take(slice(int(low), int(high)))) if high > low else None
        made.append(HourOutcome(hour, HourState.OK if rows is not None else HourState.CLOSED, begun, rows=rows))
    return made


def csv_files(store: RawStore, symbols: Sequence[str], dates: Sequence[date]) -> list[str]:
    """Return the paths of the raw files, by date and symbol."""
    return [str(store.folder(SOURCE, symbol) / f"{day.isoformat()}.r000.csv") for day in dates for symbol in symbols]


def hour_files(folder: Path, dates: Sequence[date] = ()) -> list[tuple[str, str]]:
    """Return the hour files of a symbol's vendor folder and the hours that they hold, in order; by default of all its dates."""
    wanted = {day.isoformat() for day in dates}
    found = []
    for path in sorted(folder.glob("*/*/*/*h_ticks.bi5")):
        year, month, day = (int(part.name) for part in (path.parents[2], path.parents[1], path.parents[0]))
        hour = datetime(year, month + 1, day, int(path.name[:2]), tzinfo=UTC)
        if not wanted or hour.date().isoformat() in wanted:
            found.append((str(path), hour.isoformat()))
    return found


def real_folder(root: Path, symbol: str) -> Path:
    """Return a symbol's folder of real vendor hours below a folder of test data, or below the vendor folder itself."""
    for folder in (root / "vendor" / "bi5" / symbol, root / symbol, root):
        if any(folder.glob("*/*/*/*h_ticks.bi5")):
            return folder
    raise FileNotFoundError(f"Expected hour files of {symbol} below {root}, was none. Give the folder that holds vendor/bi5/{symbol}.")
