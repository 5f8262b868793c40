"""The text formats of local tick files, as values.

What belongs here: names, columns, clocks and size units of each format. What must not: reading or detecting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

MILLIONS = 1e6
UNITS = 1.0
UTC_CLOCK = "UTC"
FIXED_EST = "Etc/GMT+5"
"""UTC-5 all year; the sign in the zone's name is reversed by convention."""
EET_CLOCK = "EET"
UNKNOWN_CLOCK = ""
EPOCH_MS = "epoch_ms"
MS_OF_DAY = "ms_of_day"
BI5_FOLDER = "bi5"

Y_M_D = "%Y.%m.%d %H:%M:%S%.f"
D_M_Y = "%d.%m.%Y %H:%M:%S%.f"


class ImportRefusedError(RuntimeError):
    """Files that can't be imported without a person's decision; the message says which."""


@dataclass(frozen=True)
class TextFormat:
    """One format. `columns` in file order; `stamp` is a strftime pattern, `epoch_ms` or `ms_of_day`; `clock` an IANA zone."""

    name: str
    columns: tuple[str, ...]
    stamp: str
    clock: str
    delimiter: str = ","
    size_scale: float = UNITS
    has_header: bool = False
    is_comma_decimal: bool = False
    has_stamp_offset: bool = False
    """The stamp ends with ` GMT+0300`."""
    keeps_unchanged: bool = False
    """An empty price cell means the value of the row before."""

    def with_offset(self, hours: float) -> TextFormat:
        """Return the format on a fixed clock that is `hours` ahead of UTC."""
        return replace(self, clock=f"{OFFSET_PREFIX}{hours}")


OFFSET_PREFIX = "offset:"
_ASK_FIRST = ("stamp", "ask", "bid", "ask_size", "bid_size")
_BID_FIRST = ("stamp", "bid", "ask", "bid_size", "ask_size")

FORMATS: Mapping[str, TextFormat] = MappingProxyType(
    {
        form.name: form
        for form in (
            TextFormat("fx-data-csv", _BID_FIRST, Y_M_D, UTC_CLOCK, size_scale=MILLIONS),
            TextFormat("jforex-csv", _ASK_FIRST, D_M_Y, UTC_CLOCK, size_scale=MILLIONS),
            TextFormat("jforex-csv-local", _ASK_FIRST, D_M_Y, UTC_CLOCK, size_scale=MILLIONS, has_stamp_offset=True),
            TextFormat("jforex-csv-eet", _ASK_FIRST, Y_M_D, EET_CLOCK, size_scale=MILLIONS),
            TextFormat("dukascopy-node-csv", _ASK_FIRST, EPOCH_MS, UTC_CLOCK, size_scale=MILLIONS, has_header=True),
            TextFormat("dukascopy-node-json", _ASK_FIRST, EPOCH_MS, UTC_CLOCK, size_scale=MILLIONS),
            TextFormat("fxcm-quotes", ("stamp", "bid", "ask"), MS_OF_DAY, FIXED_EST),
            TextFormat("histdata", ("stamp", "bid", "ask", "volume"), "%Y%m%d %H%M%S%3f", FIXED_EST),
            TextFormat("truefx", ("stamp", "bid", "ask"), "%Y-%m-%d %H:%M:%S%.f%:z", UTC_CLOCK, has_header=True),
            TextFormat("truefx-native", ("pair", "stamp", "bid", "ask"), "%Y%m%d %H:%M:%S%.f", UTC_CLOCK),
            TextFormat(
                "mt5-export",
                ("date", "time", "bid", "ask", "last", "volume", "flags"),
                Y_M_D,
                UNKNOWN_CLOCK,
                delimiter="\t",
                has_header=True,
                keeps_unchanged=True,
            ),
        )
    }
)
FORMAT_NAMES = (BI5_FOLDER, *FORMATS)
