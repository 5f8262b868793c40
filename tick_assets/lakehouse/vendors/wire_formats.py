"""The wire formats by name.

What belongs here: choosing a decoder. What must not: a decoder.
"""

from __future__ import annotations

from datetime import datetime

from tick_assets.domain.ticks import Ticks
from tick_assets.lakehouse.vendors import port
from tick_assets.lakehouse.vendors.bi5 import decode_bi5
from tick_assets.lakehouse.vendors.json_feed import decode_json
from tick_assets.lakehouse.vendors.port import PayloadError

BI5 = "bi5"
JSON = "json"
WIRE_FORMATS = (BI5, JSON)


def decode_hour(wire_format: str, payload: bytes, hour: datetime, price_factor: int) -> Ticks:
    """Decode a delivered hour of either format, in vendor order; a web page or other bytes are a `PayloadError`."""
    if is_web_page(payload):
        raise PayloadError(port.PAYLOAD_NOT_TICKS, "Expected ticks, was a web page.")
    if wire_format == BI5:
        return decode_bi5(payload, hour)
    if wire_format == JSON:
        return decode_json(payload, hour, price_factor)
    raise ValueError(f"Expected a wire format of {', '.join(WIRE_FORMATS)}, was {wire_format!r}. Correct the configuration.")


def is_web_page(payload: bytes) -> bool:
    """Tell whether a payload is markup, as error pages and login portals are."""
    return payload[:256].lstrip()[:1] == b"<"
