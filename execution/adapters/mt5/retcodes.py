"""What each trade-server return code means for an order that was sent.

Definitive rejections that a fresh price or another filling mode can cure are RETRYABLE; everything whose outcome is not known is
UNKNOWN and is reconciled, never sent again. A code that is not in the table is UNKNOWN too.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from execution.orders import Outcome

RETCODES: Mapping[int, tuple[Outcome, str]] = MappingProxyType(
    {
        10004: (Outcome.RETRYABLE, "REQUOTE"),
        10006: (Outcome.REJECTED, "REJECT"),
        10007: (Outcome.REJECTED, "CANCEL"),
        10008: (Outcome.PLACED, "PLACED"),
        10009: (Outcome.FILLED, "DONE"),
        10010: (Outcome.PARTIALLY_FILLED, "DONE_PARTIAL"),
        10011: (Outcome.UNKNOWN, "ERROR"),
        10012: (Outcome.UNKNOWN, "TIMEOUT"),
        10013: (Outcome.REJECTED, "INVALID"),
        10014: (Outcome.REJECTED, "INVALID_VOLUME"),
        10015: (Outcome.REJECTED, "INVALID_PRICE"),
        10016: (Outcome.REJECTED, "INVALID_STOPS"),
        10017: (Outcome.REJECTED, "TRADE_DISABLED"),
        10018: (Outcome.REJECTED, "MARKET_CLOSED"),
        10019: (Outcome.REJECTED, "NO_MONEY"),
        10020: (Outcome.RETRYABLE, "PRICE_CHANGED"),
        10021: (Outcome.REJECTED, "PRICE_OFF"),
        10022: (Outcome.REJECTED, "INVALID_EXPIRATION"),
        10023: (Outcome.REJECTED, "ORDER_CHANGED"),
        10024: (Outcome.REJECTED, "TOO_MANY_REQUESTS"),
        10025: (Outcome.UNCHANGED, "NO_CHANGES"),
        10026: (Outcome.REJECTED, "SERVER_DISABLES_AT"),
        10027: (Outcome.REJECTED, "CLIENT_DISABLES_AT"),
        10028: (Outcome.RETRYABLE, "LOCKED"),
        10029: (Outcome.RETRYABLE, "FROZEN"),
        10030: (Outcome.RETRYABLE, "INVALID_FILL"),
        10031: (Outcome.UNKNOWN, "CONNECTION"),
        10032: (Outcome.REJECTED, "ONLY_REAL"),
        10033: (Outcome.REJECTED, "LIMIT_ORDERS"),
        10034: (Outcome.REJECTED, "LIMIT_VOLUME"),
        10035: (Outcome.REJECTED, "INVALID_ORDER"),
        10036: (Outcome.POSITION_CLOSED, "POSITION_CLOSED"),
        10038: (Outcome.REJECTED, "INVALID_CLOSE_VOLUME"),
        10039: (Outcome.REJECTED, "CLOSE_ORDER_EXIST"),
        10040: (Outcome.REJECTED, "LIMIT_POSITIONS"),
        10041: (Outcome.REJECTED, "REJECT_CANCEL"),
        10042: (Outcome.REJECTED, "LONG_ONLY"),
        10043: (Outcome.REJECTED, "SHORT_ONLY"),
        10044: (Outcome.REJECTED, "CLOSE_ONLY"),
        10045: (Outcome.REJECTED, "FIFO_CLOSE"),
        10046: (Outcome.REJECTED, "HEDGE_PROHIBITED"),
    }
)


def outcome_of(retcode: int) -> tuple[Outcome, str]:
    """Return the outcome and reason of a return code; an unlisted one is UNKNOWN."""
    return RETCODES.get(retcode, (Outcome.UNKNOWN, f"RETCODE_{retcode}"))
