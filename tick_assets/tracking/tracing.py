"""The road of one order, backwards: order, signal, passport, features, tick, raw line, delivered response.

What belongs here: finding each thing by what the one before it says, and checking that the two agree. What must not: printing, writing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tick_assets.domain import passports
from tick_assets.domain.explanation import Explanation, explain
from tick_assets.domain.orders import VIEW_NAMES
from tick_assets.domain.signals import Strategy, event_id, features_sha256, signal_id
from tick_assets.lakehouse import evidence, raw_csv
from tick_assets.lakehouse.catalog import Lakehouse
from tick_assets.lakehouse.raw_store import HOUR_US, HourEntry, RawStore
from tick_assets.tracking import bundles

TICKET_MEMBERS = ("ticket", "position_id", "venue_order_id", "order")
LEAST_ID_DIGITS = 8
_HEX = frozenset("0123456789abcdef")
_TICK_VALUES = ("ts_event", "ask_points", "bid_points", "ask_size", "bid_size")
Document = Mapping[str, Any]


class TraceError(LookupError):
    """Something on the road is not where the thing before it says."""


@dataclass(frozen=True)
class Archive:
    """Where the things of the road lie."""

    home: Path
    lakehouse: Lakehouse
    objects: bundles.BundleStore
    raw: RawStore
    public_key: bytes


@dataclass(frozen=True)
class OrderTrail:
    """All order events of one signal, in time order, and the other signals that the same ticket names (replays number anew)."""

    signal_id: str
    events: tuple[Document, ...]
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """One agreement between neighbours on the road."""

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True)
class Origin:
    """What a signal stands on. `signal` is the document as issued, or None where only orders are left of it."""

    signal_id: str
    signal: Document | None
    bundle: bundles.Bundle
    payload: Mapping[str, Any]
    features_row: Mapping[str, Any]
    features: np.ndarray
    explanation: Explanation

    @property
    def view(self) -> str:
        """The view that model, features and guards give now."""
        return VIEW_NAMES[self.explanation.view]


@dataclass(frozen=True)
class RawPlace:
    """One line of a raw file, and the delivery of its hour."""

    path: Path
    source_row: int
    line: str
    sha256: str
    manifest_sha256: str
    hour: HourEntry
    delivered: Path

    @property
    def physical_line(self) -> int:
        """The line in the file; the header is line 1."""
        return self.source_row + 1


# Orders and signals.


def find_orders(archive: Archive, ticket: str) -> OrderTrail:
    """Return the newest order trail of a ticket, or of the beginning of a signal id; none is a `TraceError`."""
    found = [document for document in _orders(archive, ticket) if _is_named(document, ticket)]
    newest: dict[str, str] = {}
    for document in found:
        newest[document["signal_id"]] = max(newest.get(document["signal_id"], ""), _arrival(document))
    if not newest:
        raise TraceError(
            f"Expected a ticket (position or order id) or {LEAST_ID_DIGITS} digits of a signal id, was {ticket!r}. "
            "See gold.orders with `tick sql`."
        )
    chosen, *others = sorted(newest, key=lambda name: newest[name], reverse=True)
    return OrderTrail(chosen, orders_of(archive, chosen), tuple(others))


def orders_of(archive: Archive, signal: str) -> tuple[Document, ...]:
    """Return the order events of a signal in time order, each once."""
    events = {document["event_id"]: document for document in _orders(archive, signal) if document.get("signal_id") == signal}
    return tuple(sorted(events.values(), key=lambda document: (document.get("ts_event") or "", _sequence(document))))


def _sequence(document: Document) -> int:
    """Return the event's number within its order: `<order>:<number>:<state>`."""
    parts = str(document["event_id"]).split(":")
    return int(parts[-2]) if len(parts) >= 3 and parts[-2].isdigit() else 0


def _arrival(document: Document) -> str:
    return str(document.get("received_at") or document.get("ts_event") or "")


def _is_named(document: Document, ticket: str) -> bool:
    if not document.get("signal_id"):
        return False
    return ticket in {str(document.get(member)) for member in TICKET_MEMBERS} or _begins(str(document["signal_id"]), ticket)


def _begins(identity: str, beginning: str) -> bool:
    return len(beginning) >= LEAST_ID_DIGITS and set(beginning) <= _HEX and identity.startswith(beginning)


def _orders(archive: Archive, needle: str) -> list[Document]:
    """Return order events that hold the text: of the files as the service wrote them, else of the table."""
    found = list(_lines_with(archive.home / "evidence" / "executions", needle))
    return found or list(_payloads(archive.lakehouse, "evidence.orders", needle))


def find_signal(archive: Archive, beginning: str) -> Document | None:
    """Return an issued signal by the beginning of its id, of the live files first, or None; several are a `TraceError`."""
    folders = (archive.home / "evidence" / name for name in ("signals", "replays"))
    documents = [document for folder in folders for document in _lines_with(folder, beginning)]
    documents = documents or list(_payloads(archive.lakehouse, "evidence.signals", beginning))
    found = {str(document["signal_id"]): document for document in reversed(documents) if _begins(str(document["signal_id"]), beginning)}
    if len(found) > 1:
        raise TraceError(f"Expected one signal, was {len(found)} whose ids begin with {beginning}. Give more digits.")
    return next(iter(found.values()), None)


def _lines_with(folder: Path, needle: str) -> Iterator[Document]:
    """Yield the documents whose line holds the text, the newest file first."""
    wanted = needle.encode()
    for path in sorted(folder.glob("*.jsonl"), reverse=True):
        lines = [line for line in path.read_bytes().splitlines(keepends=True) if wanted in line]
        yield from evidence.read_lines(b"".join(lines))


def _payloads(lakehouse: Lakehouse, table: str, needle: str) -> Iterator[Document]:
    texts = lakehouse.frame(table, columns=("payload_json",))["payload_json"].drop_nulls()
    yield from evidence.read_lines("".join(f"{text}\n" for text in texts if needle in text).encode())


# What a signal stands on.


def find_origin(archive: Archive, signal: str, issued: Document | None, orders: Sequence[Document]) -> Origin:
    """Return model, passport and features of a signal, from what was issued or else from what its orders say of it."""
    stated = [issued] if issued is not None else list(orders)
    symbol, strategy = _first(stated, "symbol"), _first(stated, "strategy")
    event = _first(stated, "event_id") if issued is not None else _first(stated, "sampled_event_id")
    stamp = evidence.parse_time(_first(stated, "ts_event"))
    if not (symbol and strategy and event):
        raise TraceError(f"Expected symbol, strategy and event of signal {signal}, was an order event without them.")
    if issued is not None and not _model_of(stated):
        raise TraceError(f"Expected a model behind signal {signal}, was none: {', '.join(issued['reasons'])}.")
    bundle = _bundle_of(archive, symbol, strategy, event, signal, stated)
    payload = passports.verify(bundle.passport, archive.public_key)
    row = _features_row(archive.lakehouse, symbol, stamp.date(), event, payload["feature_set"])
    features = np.array([row[name] for name in payload["features"]], np.float64)
    strategy_values = Strategy(**payload["strategy"]) if isinstance(payload["strategy"], Mapping) else Strategy(name=strategy)
    stamp_us = epoch_us(row["ts_event"])
    made = explain(bundle.model, features, payload["features"], payload["feature_ranges"], strategy_values, stamp_us)
    return Origin(signal, issued, bundle, payload, row, features, made)


def _first(documents: Iterable[Document], member: str) -> str:
    return next((str(document[member]) for document in documents if document.get(member)), "")


def _bundle_of(archive: Archive, symbol: str, strategy: str, event: str, signal: str, stated: Sequence[Document]) -> bundles.Bundle:
    """Return the bundle of the model that spoke: a signal id is the hash of model, event and view, so it names its model.

    Two versions can hold the same model; then the passport that was stated decides.
    """
    found = [
        bundle
        for version in bundles.versions(archive.objects, symbol, strategy)
        if (bundle := bundles.read_bundle(archive.objects, symbol, strategy, version)).model_sha256 == _model_of(stated)
        or signal in {signal_id(bundle.model_sha256, symbol, strategy, event, view) for view in VIEW_NAMES.values()}
    ]
    if not found:
        raise TraceError(f"Expected the bundle of the model behind signal {signal} under models/{symbol}/{strategy}/, was none.")
    passport = _first(stated, "passport_id") or _first([_mapping(document, "model") for document in stated], "passport_id")
    return next((bundle for bundle in found if bundle.passport["passport_id"] == passport), found[-1])


def _model_of(stated: Sequence[Document]) -> str:
    return _first(stated, "model_sha256") or _first([_mapping(document, "model") for document in stated], "sha256")


def _mapping(document: Document, member: str) -> Document:
    value = document.get(member)
    return value if isinstance(value, Mapping) else {}


def _features_row(lakehouse: Lakehouse, symbol: str, day: date, event: str, feature_set: str) -> Mapping[str, Any]:
    condition = f"symbol == '{symbol}' and date == '{day}' and event_id == '{event}' and feature_set == '{feature_set}'"
    rows = lakehouse.frame("silver.features", condition).to_dicts()
    if len(rows) != 1:
        raise TraceError(
            f"Expected one row of silver.features for event {event}, was {len(rows)}. "
            f"Run `tick backfill --symbols {symbol} --from {day} --to {day}`."
        )
    return rows[0]


def epoch_us(stamp: datetime) -> int:
    """Return microseconds since 1970 of an aware stamp, exactly."""
    return round((stamp - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6)


# Ticks and files.


def find_tick(lakehouse: Lakehouse, symbol: str, day: date, seq: int) -> Mapping[str, Any]:
    """Return the row of silver.ticks; none is a `TraceError`."""
    rows = lakehouse.frame("silver.ticks", f"symbol == '{symbol}' and date == '{day}' and seq == {seq}").to_dicts()
    if len(rows) != 1:
        raise TraceError(f"Expected one row of silver.ticks for {symbol} {day} seq {seq}, was {len(rows)}. Run `tick drill`.")
    return rows[0]


def find_raw(store: RawStore, tick: Mapping[str, Any]) -> RawPlace:
    """Return the line of the raw file that a tick came from, and the delivery of its hour."""
    symbol, day, source = tick["symbol"], tick["date"], tick["source"]
    manifest = store.manifest(source, symbol, day)
    name = str(tick["source_file"]).rsplit("/", 1)[-1]
    entry = next((entry for entry in manifest.revisions if entry.file == name), None) if manifest else None
    if manifest is None or entry is None:
        raise TraceError(f"Expected {tick['source_file']} in a manifest of the raw store, was none. Run `tick raw verify`.")
    path = store.revision_path(source, symbol, entry)
    content = path.read_bytes()
    lines = content.decode().split("\n")
    hour = manifest.hours[epoch_us(tick["ts_event"]) // HOUR_US % 24]
    delivered = store.delivered_path(source, symbol, hour.response_sha256)
    row = int(tick["source_row"])
    return RawPlace(path, row, lines[row], hashlib.sha256(content).hexdigest(), entry.sha256, hour, delivered)


def line_values(place: RawPlace) -> Mapping[str, Any]:
    """Parse the line as the raw store does, under its file's own header."""
    with place.path.open("rb") as file:
        header = file.readline()
    return raw_csv.parse_csv(header + place.line.encode() + b"\n", place.path.name).row(0, named=True)


# Checks.


def check_origin(origin: Origin) -> list[Check]:
    """Hold a signal against what it stands on."""
    row, payload = origin.features_row, origin.payload
    event = event_id(row["symbol"], row["date"].isoformat(), row["seq"], payload["sampling_clock"])
    identity = signal_id(origin.bundle.model_sha256, row["symbol"], _strategy_name(payload), row["event_id"], origin.view)
    checks = [
        Check("passport signature", True, f"ed25519, passport {origin.bundle.passport['passport_id']}"),
        Check("model bytes are the passport's", origin.bundle.model_sha256 == payload["model_sha256"], origin.bundle.model_sha256),
        Check("event id names symbol, date and seq", event == row["event_id"], row["event_id"]),
        Check("signal id names model, event and view", identity == origin.signal_id, f"{origin.view} {identity}"),
    ]
    issued = origin.signal
    if issued is not None:
        digest = features_sha256(origin.features)
        checks.append(Check("features are the ones the service saw", issued["features_sha256"] == digest, digest))
        stated = issued["probability"]
        holds = stated is not None and math.isclose(stated, origin.explanation.probability, abs_tol=1e-9)
        checks.append(Check("probability comes out again", holds, f"{origin.explanation.probability:.9f}"))
    return checks


def _strategy_name(payload: Mapping[str, Any]) -> str:
    strategy = payload["strategy"]
    return str(strategy["name"] if isinstance(strategy, Mapping) else strategy)


def check_raw(tick: Mapping[str, Any], place: RawPlace) -> list[Check]:
    """Hold a tick against its line, the file against its manifest and the delivery against its name."""
    values = line_values(place)
    differing = [name for name in _TICK_VALUES if values[name] != tick[name] and not (_is_absent(values[name]) and _is_absent(tick[name]))]
    kept = place.delivered
    digest = hashlib.sha256(kept.read_bytes()).hexdigest() if place.hour.response_sha256 and kept.is_file() else "no file"
    return [
        Check("the line's values are the tick's", not differing, ", ".join(differing) or place.line),
        Check("the file is the manifest's", place.sha256 == place.manifest_sha256, place.sha256),
        Check("the delivery is the manifest's", digest == place.hour.response_sha256, digest),
    ]


def _is_absent(value: Any) -> bool:
    return value is None or value != value


# The whole road.


def trace(archive: Archive, ticket: str) -> dict[str, Any]:
    """Return the whole road of an order as one document; `checks` hold every agreement on it."""
    trail = find_orders(archive, ticket)
    issued = find_signal(archive, trail.signal_id)
    origin = find_origin(archive, trail.signal_id, issued, trail.events)
    row = origin.features_row
    tick = find_tick(archive.lakehouse, row["symbol"], row["date"], row["seq"])
    place = find_raw(archive.raw, tick)
    checks = [*check_origin(origin), *check_raw(tick, place)]
    return {
        "ticket": ticket,
        "holds": all(check.holds for check in checks),
        "order": _order_summary(trail),
        "signal": _signal_summary(origin),
        "passport": _passport_summary(origin),
        "features": {
            name: row[name] for name in ("symbol", "date", "ts_event", "seq", "event_id", "feature_set", *origin.payload["features"])
        },
        "tick": {
            name: tick[name] for name in ("symbol", "date", "seq", *_TICK_VALUES, "price_factor", "source", "source_file", "source_row")
        },
        "raw": _raw_summary(place),
        "checks": [asdict(check) for check in checks],
    }


def _order_summary(trail: OrderTrail) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for document in trail.events:
        merged |= {name: value for name, value in document.items() if value not in (None, "") and document.get("intent") != "CLOSE"}
    names = (
        "account", "symbol", "side", "quantity", "filled_quantity", "price", "stop_loss", "take_profit", "position_id", "venue_order_id",
        "venue_deal_id", "exit_price", "exit_reason", "net_pnl_account",
    )  # fmt: skip
    return {
        "signal_id": trail.signal_id,
        **{name: merged.get(name) for name in names},
        "events": [{name: event.get(name) for name in ("ts_event", "intent", "state", "reason")} for event in trail.events],
        "same_ticket_signals": list(trail.others),
    }


def _signal_summary(origin: Origin) -> dict[str, Any]:
    issued = origin.signal or {}
    return {
        "signal_id": origin.signal_id,
        "event_id": origin.features_row["event_id"],
        "view": issued.get("view", origin.view),
        "probability": issued.get("probability", origin.explanation.probability),
        "mode": issued.get("mode"),
        "found_in": "evidence" if origin.signal is not None else "recomputed from its event",
    }


def _passport_summary(origin: Origin) -> dict[str, Any]:
    payload = origin.payload
    names = ("model_id", "model_sha256", "dataset_id", "code_commit", "mlflow_run_id", "is_synthetic", "issued_at")
    verdict = {name: payload["verdict"][name] for name in ("id", "passed", "answer")}
    return {"passport_id": origin.bundle.passport["passport_id"], **{name: payload[name] for name in names}, "verdict": verdict}


def _raw_summary(place: RawPlace) -> dict[str, Any]:
    return {
        "file": str(place.path),
        "physical_line": place.physical_line,
        "line": place.line,
        "sha256": place.manifest_sha256,
        "hour": place.hour.hour,
        "url": place.hour.url,
        "response_sha256": place.hour.response_sha256,
        "delivered": str(place.delivered),
    }
