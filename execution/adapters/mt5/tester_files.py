"""Files for MetaTrader's own Strategy Tester: ticks and minute bars of a custom symbol, and the signals that the tester's expert reads.

What belongs here: text in MetaTrader's import formats, in server wall time. What must not: writing files, choosing a model.

Formats: a header of names in angle brackets, tab separated, CRLF. Ticks carry both prices in every row (flags 6 = bid and ask); MetaTrader
imports them in time order alone, so that stamps which a clock change sets back are refused. Bars must be imported too: where a minute has
no bar, MetaTrader drops its ticks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from execution.adapters.mt5 import constants as mt5
from execution.adapters.mt5.server_clock import ServerClock, to_server_us, to_server_us_array
from execution.history import PastBars
from execution.market import MarketFile, SymbolSpec
from execution.simulate import SimulatedSignal, TickColumns

TICK_COLUMNS = ("DATE", "TIME", "BID", "ASK", "LAST", "VOLUME", "FLAGS")
BAR_COLUMNS = ("DATE", "TIME", "OPEN", "HIGH", "LOW", "CLOSE", "TICKVOL", "VOL", "SPREAD")
SIGNAL_COLUMNS = ("TIME", "VIEW", "STOP", "TARGET", "EXIT", "LOTS", "SIGNAL_ID")
_FLAGS = mt5.TICK_FLAG_BID | mt5.TICK_FLAG_ASK
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = "\r\n"


class UnorderedServerTimeError(ValueError):
    """Ticks whose server stamps step back; MetaTrader stops an import there."""


def tick_header() -> str:
    """Return the first line of a file of ticks."""
    return _header(TICK_COLUMNS)


def tick_lines(ticks: TickColumns, spec: SymbolSpec, clock: ServerClock) -> Iterator[str]:
    """Yield a line per tick; stamps in milliseconds of server time, both prices with the symbol's digits."""
    stamps_ms = to_server_us_array(clock, ticks.ts_us) // 1000
    _require_order(stamps_ms, 1000, spec.symbol)
    factor, digits = spec.price_factor, spec.digits
    for stamp, bid, ask in zip(stamps_ms.tolist(), ticks.bid_points.tolist(), ticks.ask_points.tolist(), strict=True):
        date, time = _second(stamp // 1000)
        yield f"{date}\t{time}.{stamp % 1000:03d}\t{bid / factor:.{digits}f}\t{ask / factor:.{digits}f}\t\t\t{_FLAGS}{_END}"


def bar_header() -> str:
    """Return the first line of a file of minute bars."""
    return _header(BAR_COLUMNS)


def bar_lines(bars: PastBars, spec: SymbolSpec, clock: ServerClock) -> Iterator[str]:
    """Yield a line per minute bar; the spread is left 0 because the tester takes it from the ticks."""
    stamps_s = to_server_us_array(clock, bars.ts_us) // 1_000_000
    _require_order(stamps_s, 1, spec.symbol)
    columns = (bars.open_price, bars.high_price, bars.low_price, bars.close_price)
    for i, stamp in enumerate(stamps_s.tolist()):
        prices = "\t".join(f"{column[i]:.{spec.digits}f}" for column in columns)
        yield "\t".join(_second(stamp)) + f"\t{prices}\t{bars.tick_count[i]}\t0\t0{_END}"


def signal_header() -> str:
    """Return the first line of a file of signals."""
    return "\t".join(SIGNAL_COLUMNS) + _END


def signal_lines(signals: Sequence[SimulatedSignal], spec: SymbolSpec, clock: ServerClock) -> Iterator[str]:
    """Yield a line per signal in time order: server time of its tick, view, levels as prices, server time of its exit, lots, id."""
    for signal in sorted(signals, key=lambda given: (given.ts_us, given.row)):
        view = "LONG" if signal.view > 0 else "SHORT"
        levels = "\t".join(f"{points / spec.price_factor:.{spec.digits}f}" for points in (signal.stop_points, signal.target_points))
        at, until = (_moment(to_server_us(clock, moment)) for moment in (signal.ts_us, signal.exit_at_us))
        yield f"{at}\t{view}\t{levels}\t{until}\t{signal.lots:g}\t{signal.signal_id}{_END}"


def symbol_settings(market: MarketFile, symbol: str) -> Mapping[str, Any]:
    """Return what a custom symbol has to be set to, by MetaTrader's own names, so that the tester counts as our backtest does."""
    spec = market.symbol(symbol)
    return {
        "Digits": spec.digits,
        "Tick size": f"{1 / spec.price_factor:.{spec.digits}f}",
        "Contract size": spec.contract_size,
        "Base currency": spec.base_currency,
        "Profit currency": spec.profit_currency,
        "Margin currency": spec.base_currency,
        "Calculation": "Forex",
        "Execution": "Market",
        "Filling": "Fill or Kill, Immediate or Cancel",
        "Minimal volume": spec.volume_min,
        "Volume step": spec.volume_step,
        "Maximal volume": spec.volume_max,
        "Stops level": spec.stops_level,
        "Commission per lot and side": f"{spec.commission_per_lot_side} {market.account.currency}",
        "Deposit": f"{market.account.balance:.0f} {market.account.currency}",
        "Leverage": f"1:{market.account.leverage}",
    }


def import_clock_of(section: Mapping[str, Any]) -> str:
    """Return the name by which `tick import --utc-offset` knows the clock of a `[server_clock]` section."""
    kind = section.get("kind")
    if kind == "ny_plus_7":
        return "ny+7"
    return str(section["zone"]) if kind == "zoneinfo" else f"{float(section['offset_hours']):g}"


def _header(names: Sequence[str]) -> str:
    return "\t".join(f"<{name}>" for name in names) + _END


def _require_order(stamps: npt.NDArray[np.int64], per_second: int, symbol: str) -> None:
    steps = np.flatnonzero(np.diff(stamps) < 0)
    if len(steps):
        at = " ".join(_second(int(stamps[steps[0]]) // per_second))
        raise UnorderedServerTimeError(
            f"Expected {symbol} in order of server time, was set back after {at}: the server's clock changes while the market is open. "
            "Use a fixed [server_clock] in the market file."
        )


@lru_cache(maxsize=4096)
def _second(server_s: int) -> tuple[str, str]:
    """Return date and time of server seconds as MetaTrader writes them."""
    moment = _EPOCH + timedelta(seconds=server_s)
    return f"{moment:%Y.%m.%d}", f"{moment:%H:%M:%S}"


def _moment(server_us: int) -> str:
    date, time = _second(server_us // 1_000_000)
    return f"{date} {time}.{server_us // 1000 % 1000:03d}"
