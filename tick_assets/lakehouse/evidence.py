"""Signals and order events, from the documents that service and execution wrote to rows of `evidence.signals` and `evidence.orders`.

What belongs here: translation, and reading the service's `evidence/{signals,replays,executions}/<date>.jsonl` into the tables. What must
not: judging. The whole document is kept in `payload_json`, so nothing that a newer service says is lost. Rows are replaced by their ids:
a repeat changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tick_assets.domain.passports import canonical_json, finite

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse

Document = Mapping[str, Any]
SIGNAL_KEY = ("signal_id", "action")
ORDER_KEY = ("order_event_id",)

_SIGNAL_TEXTS = ("signal_id", "event_id", "symbol", "strategy", "action", "view", "mode", "features_sha256")
_SIGNAL_TIMES = ("issued_at", "valid_until", "exit_at")
_SIGNAL_NUMBERS = ("probability", "bid_price", "ask_price", "stop_loss", "take_profit", "max_position")
_ORDER_TEXTS = ("symbol", "account", "signal_id", "client_order_id", "side", "state", "reason")
_ORDER_COUNTS = {
    "ticket": ("ticket", "venue_order_id"),
    "deal": ("deal", "exit_deal_id", "venue_deal_id"),
    "position_id": ("position_id", "closes"),
    "magic": ("magic",),
    "retcode": ("retcode", "venue_code"),
}
"""Columns in the terminal's words, and the members that execution says them with, the first that is there wins."""
_ORDER_NUMBERS = {
    "volume": ("volume", "filled_quantity", "quantity"),
    "price": ("exit_price", "price"),
    "stop_loss": ("stop_loss",),
    "take_profit": ("take_profit",),
    "profit": ("profit", "net_pnl_account"),
}


def ingest_signals(lakehouse: Lakehouse, home: Path, dates: Sequence[date]) -> list[dict[str, Any]]:
    """Bring the signals of these dates' files, replayed and live, into `evidence.signals` and return their rows; live wins."""
    folders = (home / "evidence" / name for name in ("replays", "signals"))
    rows = signal_rows(document for folder in folders for document in _documents(folder, dates))
    lakehouse.replace_keys("evidence.signals", rows, SIGNAL_KEY)
    return rows


def ingest_orders(lakehouse: Lakehouse, home: Path, dates: Sequence[date]) -> list[dict[str, Any]]:
    """Bring the order events of these dates' files into `evidence.orders` and return their rows."""
    rows = order_rows(_documents(home / "evidence" / "executions", dates))
    lakehouse.replace_keys("evidence.orders", rows, ORDER_KEY)
    return rows


def _documents(folder: Path, dates: Sequence[date]) -> list[dict[str, Any]]:
    paths = (folder / f"{day.isoformat()}.jsonl" for day in dates)
    return [document for path in paths if path.is_file() for document in read_lines(path.read_bytes())]


def read_lines(text: bytes) -> list[dict[str, Any]]:
    """Parse JSON lines; a last line that a crash cut short is left out."""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith(b"\n") and line.strip()]


def signal_rows(documents: Iterable[Document]) -> list[dict[str, Any]]:
    """Return one row per (signal, action); the last document of a pair wins."""
    return list({(row["signal_id"], row["action"]): row for row in map(_signal_row, documents)}.values())


def order_rows(documents: Iterable[Document]) -> list[dict[str, Any]]:
    """Return one row per order event; the last document of an id wins."""
    return list({row["order_event_id"]: row for row in map(_order_row, documents)}.values())


def _signal_row(document: Document) -> dict[str, Any]:
    model = document.get("model") or {}
    stamp = parse_time(document["ts_event"])
    return {
        **{name: _text(document.get(name)) for name in _SIGNAL_TEXTS},
        **{name: _time(document.get(name)) for name in _SIGNAL_TIMES},
        **{name: _number(document.get(name)) for name in _SIGNAL_NUMBERS},
        "ts_event": stamp,
        "date": stamp.date(),
        "is_synthetic": bool(document.get("is_synthetic")),
        "model_id": _text(model.get("id")),
        "model_sha256": _text(model.get("sha256")),
        "passport_id": _text(model.get("passport_id")),
        "reasons_json": _json(document.get("reasons") or []),
        "payload_json": _json(document),
    }


def _order_row(document: Document) -> dict[str, Any]:
    stamp = parse_time(document.get("ts_event") or document["received_at"])
    return {
        **{name: _text(document.get(name)) for name in _ORDER_TEXTS},
        **{name: _count(_first(document, members)) for name, members in _ORDER_COUNTS.items()},
        **{name: _number(_first(document, members)) for name, members in _ORDER_NUMBERS.items()},
        "client_order_id": _text(_first(document, ("client_order_id", "order_key"))),
        "order_event_id": str(document["event_id"]),
        "ts_event": stamp,
        "date": stamp.date(),
        "is_synthetic": bool(document.get("is_synthetic")),
        "payload_json": _json(document),
    }


def parse_time(text: str) -> datetime:
    """Parse ISO-8601 with an offset or Z; a naive time is a `ValueError`."""
    stamp = datetime.fromisoformat(text)
    if stamp.tzinfo is None:
        raise ValueError(f"Expected a time with an offset, was {text!r}.")
    return stamp.astimezone(UTC)


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _count(value: Any) -> int | None:
    """Return an id or code as a number; one that is none (a venue may have texts) stays in the payload alone."""
    return int(value) if str(value).lstrip("-").isdigit() else None


def _json(value: Any) -> str:
    return canonical_json(finite(value)).decode()


def _first(document: Document, names: Sequence[str]) -> Any:
    return next((document[name] for name in names if document.get(name) is not None), None)


def evidence_dates(home: Path) -> list[date]:
    """Return the dates that have any evidence."""
    return sorted({date.fromisoformat(path.stem) for path in (home / "evidence").glob("*/*.jsonl")})
