"""Write a synthetic market as a vendor folder.

What belongs here: files of generated hours, the marker that says they are synthetic, the latent series beside the folder.
What must not: the process itself (`domain.synthetic_market`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from tick_assets.domain.synthetic_market import SyntheticDay, SyntheticMarket, generate_day
from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse.durable_files import write_file
from tick_assets.lakehouse.vendors.bi5 import bi5_path, encode_bi5
from tick_assets.lakehouse.vendors.port import HOUR_US, hour_start_us
from tick_assets.lakehouse.vendors.twin import SYNTHETIC_MARKER

SYMBOL_PREFIX = "SYN"


class RealNameError(ValueError):
    """A synthetic market was asked for under a name that is not marked as synthetic."""


@dataclass(frozen=True)
class GeneratedDay:
    """What was written for one symbol-date."""

    symbol: str
    date: date
    ticks: int
    bytes: int


def latent_folder(root: Path) -> Path:
    """Return where the latent series go: beside the vendor folder, never inside it."""
    return root.parent / f"{root.name}.latent"


def generate_folder(
    root: Path,
    markets: Mapping[str, SyntheticMarket],
    dates: Iterable[date],
    seed: int,
    progress: Callable[[GeneratedDay], None] | None = None,
) -> list[GeneratedDay]:
    """Write all hours of the dates for each symbol, closed ones as empty files, and mark the folder as synthetic."""
    real = sorted(symbol for symbol in markets if not symbol.startswith(SYMBOL_PREFIX))
    if real:
        raise RealNameError(f"Expected synthetic symbols to begin with {SYMBOL_PREFIX}, was {', '.join(real)}. Choose such a name.")
    _write_marker(root, markets, seed)
    written = []
    for day in dates:
        for symbol, market in markets.items():
            generated = _write_day(root, symbol, day, generate_day(market, seed, symbol, day))
            written.append(generated)
            if progress is not None:
                progress(generated)
    return written


def _write_marker(root: Path, markets: Mapping[str, SyntheticMarket], seed: int) -> None:
    """Add to the marker's symbols: a folder may be filled by several commands."""
    path = root / SYNTHETIC_MARKER
    known = json.loads(path.read_text())["symbols"] if path.is_file() else {}
    symbols = {**known, **{symbol: {"seed": seed, **asdict(market)} for symbol, market in markets.items()}}
    write_file(path, (json.dumps({"source": "synthetic", "symbols": symbols}, indent=1, sort_keys=True) + "\n").encode())


def _write_day(root: Path, symbol: str, day: date, generated: SyntheticDay) -> GeneratedDay:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    size = 0
    for hour in (midnight + timedelta(hours=number) for number in range(24)):
        payload = encode_bi5(_ticks_of_hour(generated.ticks, hour), hour)
        path = root / bi5_path(symbol, hour)[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload)
        size += len(payload)
    _write_latent(latent_folder(root) / symbol / f"{day.isoformat()}.parquet", generated)
    return GeneratedDay(symbol, day, len(generated.ticks), size)


def _ticks_of_hour(ticks: Ticks, hour: datetime) -> Ticks:
    start_us = hour_start_us(hour)
    first, last = ticks.ts_us.searchsorted([start_us, start_us + HOUR_US])
    return ticks.take(slice(int(first), int(last)))


def _write_latent(path: Path, generated: SyntheticDay) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame({"ts_us": generated.ticks.ts_us, "signal": generated.signal, "mid_points": generated.mid_points})
    frame.write_parquet(path)
