"""The vendor port: one hour of one symbol, as delivered.

What belongs here: the port, its response and the errors of a payload. What must not: a network, a wire format, or the states of the ledger.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from tick_assets.lakehouse.vendors.instrument_table import ListedInstrument

HOUR_MS = 3_600_000
HOUR_US = HOUR_MS * 1000
SOURCE_HEADER = "X-Tick-Source"

PAYLOAD_TRUNCATED = "PAYLOAD_TRUNCATED"
PAYLOAD_LENGTH = "PAYLOAD_LENGTH"
PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
PAYLOAD_NOT_TICKS = "PAYLOAD_NOT_TICKS"
OFFSET_OUTSIDE_HOUR = "OFFSET_OUTSIDE_HOUR"
TIMESTAMP_OUTSIDE_HOUR = "TIMESTAMP_OUTSIDE_HOUR"
PRICE_FACTOR_MISMATCH = "PRICE_FACTOR_MISMATCH"


class PayloadError(ValueError):
    """A delivered payload is no hour of ticks; `reason` is its code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class VendorInterruptedError(RuntimeError):
    """Asking was ended by `TickVendor.interrupt`; the hour has no answer."""


@dataclass(frozen=True)
class HourResponse:
    """What came back for one symbol-hour. `http_status` is 0 and `error` filled when no answer came at all.

    `claimed_source` is what the vendor says of itself: the twin names a synthetic market so.
    """

    symbol: str
    hour: datetime
    payload: bytes
    url: str
    wire_format: str
    http_status: int
    fetched_at: datetime
    error: str = ""
    claimed_source: str = ""


class TickVendor(ABC):
    """Delivers hours of ticks. Implementations retry what is worth retrying and never raise for a bad answer."""

    concurrency: int = 1
    """How many hours may be asked at the same time."""
    second_look_s: float = 0.0
    """How long to wait before an hour whose answer is in doubt is asked once more."""

    @abstractmethod
    def fetch_hour(self, symbol: str, hour: datetime, *, avoiding: str = "") -> HourResponse:
        """Ask for the hour that begins at `hour` (aware, on the hour); `avoiding` names a wire format to ask last."""

    def listing(self, symbol: str) -> ListedInstrument | None:
        """Return what the vendor's own metadata say of a symbol, where they are known."""
        return None

    def describe_feeds(self) -> str:
        """Return one word of key=value per feed on its health; empty where there is nothing to say."""
        return ""

    def interrupt(self) -> None:  # noqa: B027
        """End all asking soon: waits end at once, and hours under way end in `VendorInterruptedError`."""

    def close(self) -> None:  # noqa: B027
        """Release connections; a vendor without any needs nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def hour_start_us(hour: datetime) -> int:
    """Return the hour's beginning in microseconds since 1970; naive stamps and parts of hours are refused."""
    if hour.tzinfo is None or (hour.minute, hour.second, hour.microsecond) != (0, 0, 0):
        raise ValueError(f"Expected an aware time on the hour, was {hour.isoformat()}. Truncate it and attach UTC.")
    return int(hour.astimezone(UTC).timestamp()) * 1_000_000
