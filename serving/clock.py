"""Time, injected: the service never reads a clock elsewhere."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(ABC):
    """Where the time comes from."""

    @abstractmethod
    def now_us(self) -> int:
        """Return microseconds since 1970 UTC."""

    @abstractmethod
    def monotonic_s(self) -> float:
        """Return seconds that never jump, for leases and rates."""


class SystemClock(Clock):
    """The machine's clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_s(self) -> float:
        return time.monotonic()


class ManualClock(Clock):
    """A clock that stands until it is moved; the fake for tests."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def monotonic_s(self) -> float:
        return self._now_us / 1e6

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._now_us += round(seconds * 1e6)

    def set(self, now_us: int) -> None:
        """Put the clock to a time."""
        self._now_us = now_us


def iso_of(ts_us: int) -> str:
    """Return a stamp as ISO-8601 UTC with six decimals and Z."""
    return (_EPOCH + timedelta(microseconds=ts_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def date_of(ts_us: int) -> str:
    """Return a stamp's UTC date, `YYYY-MM-DD`."""
    return (_EPOCH + timedelta(microseconds=ts_us)).strftime("%Y-%m-%d")


def us_of(at: datetime) -> int:
    """Return an aware datetime as microseconds since 1970 UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def parse_stamp(text: str) -> int:
    """Parse an aware ISO-8601 time into microseconds; a naive one is a `ValueError`."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"Expected a time with an offset or Z, was {text!r}.")
    return us_of(at)
