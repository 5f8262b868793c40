"""The vendor's feeds: a wire format at an address, and which of them a configuration means.

What belongs here: addresses. What must not: requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tick_assets.domain.instruments import Instrument
from tick_assets.lakehouse.vendors.bi5 import bi5_path
from tick_assets.lakehouse.vendors.json_feed import json_path
from tick_assets.lakehouse.vendors.wire_formats import BI5, JSON
from tick_assets.settings import Settings

PUBLIC_RATE_PER_S = 10.0
"""What the vendor's public servers are asked at most, unless the settings say otherwise: they are free, and they throttle."""


@dataclass(frozen=True)
class Feed:
    """One wire format at one base address; `rate_per_s` is the most requests a second, 0 no limit."""

    wire_format: str
    base_url: str
    rate_per_s: float = 0.0

    def url(self, instrument: Instrument, hour: datetime) -> str:
        path = bi5_path(instrument.symbol, hour) if self.wire_format == BI5 else json_path(instrument.dukascopy_code, hour)
        return self.base_url.rstrip("/") + path


def feeds_of(settings: Settings) -> tuple[Feed, ...]:
    """Choose feeds: those whose address was configured; with both or neither configured JSON first, as its answers name their hour."""
    public = {Settings.model_fields[name].default for name in ("vendor_url", "vendor_json_url")}

    def feed(wire_format: str, url: str) -> Feed:
        rate = settings.vendor_rate_per_s
        if rate is None:
            rate = PUBLIC_RATE_PER_S if url in public else 0.0
        return Feed(wire_format, url, rate)

    both = [feed(wire_format, url) for wire_format, url in ((JSON, settings.vendor_json_url), (BI5, settings.vendor_url)) if url]
    return tuple(each for each in both if each.base_url not in public) or tuple(both)
