"""The text formats of local tick files, as values.

What belongs here: names, columns, clocks and size units of each format. What must not: reading or detecting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

MILLIONS = 1e6
UNITS = 1.0
UTC_CLOCK = "utc"
EST_CLOCK = "-5"
"""UTC-5 all year."""
EET_CLOCK = "eet"
UNKNOWN_CLOCK = ""
AUTO_CLOCK = "auto"
EPOCH_MS = "epoch_ms"
MS_OF_DAY = "ms_of_day"
BI5_FORMAT = "bi5"
JSON_FORMAT = "dukascopy-json"

Y_M_D = "%Y.%m.%d %H:%M:%S%.f"
D_M_Y = "%d.%m.%Y %H:%M:%S%.f"
ISO = "%Y-%m-%d %H:%M:%S%.f"
ISO_OFFSET = "%Y-%m-%d %H:%M:%S%.f%:z"
GMT_OFFSET = "%d.%m.%Y %H:%M:%S%.f GMT%z"


class ImportRefusedError(RuntimeError):
    """Files that can't be imported without a person's decision; the message says which."""


@dataclass(frozen=True)
class TextFormat:
    """One format. `columns` in file order; `stamp` is a strftime pattern, `epoch_ms` or `ms_of_day`; `clock` a name of `clocks`."""

    name: str
    columns: tuple[str, ...]
    stamp: str
    clock: str
    delimiter: str = ","
    size_scale: float = UNITS
    has_header: bool = False
    is_comma_decimal: bool = False
    keeps_unchanged: bool = False
    """An empty price cell means the value of the row before."""

    @property
    def says_utc_itself(self) -> bool:
        """Tell whether each stamp fixes its own place in UTC, whatever clock is named."""
        return self.stamp in (EPOCH_MS, ISO_OFFSET, GMT_OFFSET)

    def on_clock(self, clock: str) -> TextFormat:
        """Return the format on a named clock; stamps that say UTC themselves refuse one."""
        if self.says_utc_itself:
            raise ImportRefusedError(
                f"Expected no --utc-offset for {self.name}, whose stamps name their own offset, was {clock!r}. Leave it out."
            )
        return replace(self, clock=clock)


ASK_FIRST = ("stamp", "ask", "bid", "ask_size", "bid_size")
BID_FIRST = ("stamp", "bid", "ask", "bid_size", "ask_size")
MT5_COLUMNS = ("date", "time", "bid", "ask", "last", "volume", "flags")

FORMATS: Mapping[str, TextFormat] = MappingProxyType(
    {
        form.name: form
        for form in (
            TextFormat("fx-data-csv", BID_FIRST, Y_M_D, UTC_CLOCK, size_scale=MILLIONS),
            TextFormat("jforex-csv", ASK_FIRST, D_M_Y, UTC_CLOCK, size_scale=MILLIONS),
            TextFormat("jforex-csv-local", ASK_FIRST, GMT_OFFSET, UTC_CLOCK, size_scale=MILLIONS),
            TextFormat("jforex-csv-eet", ASK_FIRST, Y_M_D, EET_CLOCK, size_scale=MILLIONS),
            TextFormat("dukascopy-node-csv", ASK_FIRST, EPOCH_MS, UTC_CLOCK, size_scale=MILLIONS, has_header=True),
            TextFormat("dukascopy-node-json", ASK_FIRST, EPOCH_MS, UTC_CLOCK, size_scale=MILLIONS),
            TextFormat("fxcm-quotes", ("stamp", "bid", "ask"), MS_OF_DAY, EST_CLOCK),
            TextFormat("histdata", ("stamp", "bid", "ask", "volume"), "%Y%m%d %H%M%S%3f", EST_CLOCK),
            TextFormat("truefx", ("stamp", "bid", "ask"), ISO_OFFSET, UTC_CLOCK, has_header=True),
            TextFormat("truefx-native", ("pair", "stamp", "bid", "ask"), "%Y%m%d %H:%M:%S%.f", UTC_CLOCK),
            TextFormat("mt5-export", MT5_COLUMNS, Y_M_D, UNKNOWN_CLOCK, delimiter="\t", has_header=True, keeps_unchanged=True),
        )
    }
)
WIRE_FORMAT_NAMES = (BI5_FORMAT, JSON_FORMAT)
FORMAT_NAMES = (*WIRE_FORMAT_NAMES, *FORMATS)
