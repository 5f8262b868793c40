"""The five states of a symbol-hour; no other state is representable.

What belongs here: the states and what they mean. What must not: how a state is
found out (`lakehouse.ingestion`) or kept (`lakehouse.raw_store`).
"""

from __future__ import annotations

from enum import StrEnum


class HourState(StrEnum):
    """`OK` has rows; `CLOSED` and `VENDOR_EMPTY` were answered without rows; `FAILED` has no usable answer; `PENDING` was not asked."""

    OK = "ok"
    CLOSED = "closed"
    VENDOR_EMPTY = "vendor_empty"
    FAILED = "failed"
    PENDING = "pending"

    @property
    def is_answered(self) -> bool:
        """Tell whether nothing is left to ask the vendor."""
        return self in (HourState.OK, HourState.CLOSED, HourState.VENDOR_EMPTY)
