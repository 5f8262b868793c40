"""What is known of one source, symbol and date: its manifest as a value, and what an answer makes of it.

What belongs here: the values, their JSON text with its own hash, merging outcomes. What must not: files, folders, CSV text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from tick_assets.domain.hour_states import HourState
from tick_assets.lakehouse import raw_csv

HOURS = 24
_SELF = "manifest_sha256"


class RawStoreError(RuntimeError):
    """The raw store's content contradicts its manifest, or a write contradicts its content."""


@dataclass(frozen=True)
class HourEntry:
    """One hour in a manifest; `revision` is the one whose rows are current, null as long as none holds the hour."""

    hour: int
    state: HourState = HourState.PENDING
    revision: int | None = None
    url: str = ""
    wire_format: str = ""
    response_sha256: str = ""
    canonical_sha256: str = ""
    rows: int = 0
    checked_at: str = ""
    reason: str = ""


@dataclass(frozen=True)
class RevisionEntry:
    """One CSV file in a manifest and the hours that it holds."""

    revision: int
    file: str
    sha256: str
    bytes: int
    rows: int
    hours: tuple[int, ...]
    written_at: str


@dataclass(frozen=True)
class Manifest:
    """All that is known of one source, symbol and date. `origin` is `vendor`, `import` or `live`."""

    source: str
    symbol: str
    date: str
    price_factor: int
    origin: str = "vendor"
    hours: tuple[HourEntry, ...] = field(default_factory=lambda: tuple(HourEntry(hour) for hour in range(HOURS)))
    revisions: tuple[RevisionEntry, ...] = ()
    schema: int = 1

    @property
    def is_written(self) -> bool:
        """Tell whether r000 exists."""
        return bool(self.revisions)

    @property
    def hours_to_ask(self) -> tuple[int, ...]:
        """Hours without a usable answer yet: pending or failed."""
        return tuple(entry.hour for entry in self.hours if not entry.state.is_answered)

    def to_json(self) -> bytes:
        """Return the manifest as text, with a hash over all else that it says."""
        document = asdict(self)
        return _manifest_text(document | {_SELF: _sha256_of(document)})

    @staticmethod
    def from_json(content: bytes) -> Manifest:
        """Parse a manifest; one that was changed since it was written is a `RawStoreError`."""
        try:
            document: dict[str, Any] = json.loads(content)
            _require_unchanged(document, content)
            document.pop(_SELF, None)
            hours = tuple(HourEntry(**{**entry, "state": HourState(entry["state"])}) for entry in document.pop("hours"))
            revisions = tuple(RevisionEntry(**{**entry, "hours": tuple(entry["hours"])}) for entry in document.pop("revisions"))
            return Manifest(**document, hours=hours, revisions=revisions)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RawStoreError(f"Expected a manifest, was text that is none ({error}).") from error


def _require_unchanged(document: dict[str, Any], content: bytes) -> None:
    """Compare a manifest with the hash that it states; those written before hashes were stated are taken as they are."""
    if _SELF not in document:
        return
    found = _sha256_of({name: value for name, value in document.items() if name != _SELF})
    if document[_SELF] != found or _manifest_text(document) != content:
        raise RawStoreError(f"Expected a manifest with sha-256 {document[_SELF]}, was changed: {found}.")


def _manifest_text(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def _sha256_of(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class HourOutcome:
    """What one hour turned out to be. `rows` (raw_csv.ROW_SCHEMA) is given exactly for `ok`; `response` is what was delivered, if anything;
    `kept_sha256` names a delivery of many hours that `keep_delivered` took before.
    """

    hour: int
    state: HourState
    checked_at: datetime
    url: str = ""
    wire_format: str = ""
    response: bytes = b""
    rows: pl.DataFrame | None = None
    reason: str = ""
    kept_sha256: str = ""

    @property
    def response_sha256(self) -> str:
        if self.kept_sha256:
            return self.kept_sha256
        return hashlib.sha256(self.response).hexdigest() if self.response else ""


def to_iso(at: datetime) -> str:
    """Return an aware time as ISO-8601 in UTC with Z."""
    if at.tzinfo is None:
        raise ValueError(f"Expected an aware datetime, was {at.isoformat()}. Attach a time zone.")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def merge_outcomes(before: Manifest, outcomes: Sequence[HourOutcome]) -> tuple[Manifest, dict[int, pl.DataFrame]]:
    """Return the manifest after the outcomes, and the rows of the hours whose canonical hash is new or in no revision yet."""
    entries = {entry.hour: entry for entry in before.hours}
    rows: dict[int, pl.DataFrame] = {}
    for outcome in outcomes:
        old = entries[outcome.hour]
        new = _next_entry(old, outcome)
        entries[outcome.hour] = new
        if outcome.rows is not None and (new.canonical_sha256 != old.canonical_sha256 or old.revision is None):
            rows[outcome.hour] = outcome.rows
    return replace(before, hours=tuple(entries[hour] for hour in range(HOURS))), rows


def _next_entry(old: HourEntry, outcome: HourOutcome) -> HourEntry:
    checked_at = to_iso(outcome.checked_at)
    if outcome.state is not HourState.OK:
        if old.state is HourState.OK:
            return replace(old, reason=f"later answer ignored: {outcome.state} {outcome.reason}".rstrip())
        return HourEntry(
            hour=old.hour,
            state=outcome.state,
            revision=old.revision,
            url=outcome.url,
            wire_format=outcome.wire_format,
            response_sha256=outcome.response_sha256,
            checked_at=checked_at,
            reason=outcome.reason,
        )
    if outcome.rows is None or outcome.rows.is_empty():
        raise ValueError(f"Expected rows for an hour that is ok, was none at hour {outcome.hour}. Use closed or vendor_empty.")
    canonical = raw_csv.canonical_sha256(outcome.rows)
    if canonical == old.canonical_sha256:
        return replace(old, state=HourState.OK, checked_at=checked_at, reason=outcome.reason)
    return HourEntry(
        hour=old.hour,
        state=HourState.OK,
        revision=old.revision,
        url=outcome.url,
        wire_format=outcome.wire_format,
        response_sha256=outcome.response_sha256,
        canonical_sha256=canonical,
        rows=len(outcome.rows),
        checked_at=checked_at,
        reason=outcome.reason,
    )
