"""The vendor's fake: scripted answers, a record of what was asked.

What belongs here: one class for tests. What must not: defaults that hide a missing script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from tick_assets.lakehouse.vendors.instrument_table import ListedInstrument
from tick_assets.lakehouse.vendors.port import HourResponse, TickVendor


class FakeVendor(TickVendor):
    """Answers each (symbol, hour) with the next of its scripted `(status, payload)`, then repeats the last; unscripted hours are empty."""

    def __init__(
        self,
        answers: Mapping[tuple[str, datetime], Sequence[tuple[int, bytes]]],
        now: datetime,
        wire_format: str = "bi5",
        listings: Mapping[str, ListedInstrument] | None = None,
    ) -> None:
        self._answers = {key: list(script) for key, script in answers.items()}
        self._now = now
        self._wire_format = wire_format
        self._listings = dict(listings or {})
        self.asked: list[tuple[str, datetime]] = []

    def fetch_hour(self, symbol: str, hour: datetime, *, avoiding: str = "") -> HourResponse:
        self.asked.append((symbol, hour))
        script = self._answers.get((symbol, hour), [(200, b"")])
        status, payload = script.pop(0) if len(script) > 1 else script[0]
        url = f"fake://{symbol}/{hour.isoformat()}"
        return HourResponse(symbol, hour, payload, url, self._wire_format, status, self._now)

    def listing(self, symbol: str) -> ListedInstrument | None:
        return self._listings.get(symbol)
