"""What the signal service sends: wire types and their parser.

What must not live here: what to do about a signal (`risk`, `desk`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from execution.orders import to_us


@dataclass(frozen=True)
class Signal:
    """One signal. Times are microseconds since 1970 UTC; `quantity_max` is in lots; levels are prices, 0 for none."""

    signal_id: str
    event_id: str
    symbol: str
    strategy: str
    action: str
    view: str
    probability: float
    ts_us: int
    valid_until_us: int
    exit_at_us: int
    bid_price: float
    ask_price: float
    stop_loss: float
    take_profit: float
    quantity_max: float
    mode: str
    is_synthetic: bool
    model_id: str
    model_sha256: str
    passport_id: str
    reasons: tuple[str, ...]


def parse_moment_us(text: str) -> int:
    """Return microseconds of an ISO-8601 stamp with a zone; one without is a `ValueError`."""
    return to_us(datetime.fromisoformat(text))


def parse_signal(values: Mapping[str, Any]) -> Signal:
    """Parse one signal of the service's JSON; a missing or malformed field is a `ValueError` that names the signal."""
    try:
        model = values.get("model") or {}
        return Signal(
            signal_id=str(values["signal_id"]),
            event_id=str(values["event_id"]),
            symbol=str(values["symbol"]),
            strategy=str(values["strategy"]),
            action=str(values["action"]),
            view=str(values["view"]),
            probability=float(values["probability"]) if values.get("probability") is not None else float("nan"),
            ts_us=parse_moment_us(values["ts_event"]),
            valid_until_us=parse_moment_us(values["valid_until"]),
            exit_at_us=parse_moment_us(values["exit_at"]) if values.get("exit_at") else 0,
            bid_price=float(values["bid_price"]),
            ask_price=float(values["ask_price"]),
            stop_loss=float(values.get("stop_loss") or 0.0),
            take_profit=float(values.get("take_profit") or 0.0),
            quantity_max=float(values.get("max_position") or 0.0),
            mode=str(values["mode"]),
            is_synthetic=bool(values["is_synthetic"]),
            model_id=str(model.get("id") or ""),
            model_sha256=str(model.get("sha256") or ""),
            passport_id=str(model.get("passport_id") or ""),
            reasons=tuple(str(reason) for reason in values.get("reasons") or ()),
        )
    except (KeyError, TypeError, ValueError) as error:
        name = values.get("signal_id", "without an id")
        raise ValueError(f"Expected a signal of /v1, was one ({name}) with a bad field: {error}. Check the service's version.") from error
