"""Openings of test dates, written once and never again, in the object store.

What belongs here: names of the objects. What must not: which openings count (`domain.vault`).

    vault/<symbol>/<strategy>/<opening id>.json    who opened which test dates when, write-once
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tick_assets.domain.passports import canonical_json
from tick_assets.domain.vault import Opening
from tick_assets.lakehouse.object_store import ObjectExistsError


class VaultObjects(Protocol):
    """The part of an object store that the vault needs."""

    def put_bytes(self, key: str, content: bytes, if_none_match: bool = False) -> None: ...

    def get_bytes(self, key: str) -> bytes: ...

    def exists(self, key: str) -> bool: ...

    def list_keys(self, prefix: str) -> Iterator[str]: ...


@dataclass(frozen=True)
class VaultRecords:
    """The record of one symbol and strategy."""

    objects: VaultObjects
    symbol: str
    strategy: str

    @property
    def _prefix(self) -> str:
        return f"vault/{self.symbol}/{self.strategy}/"

    def record(self, opening: Opening) -> Opening:
        """Record an opening before the dates are looked at, and return the record: of a repeat, the first one."""
        key = f"{self._prefix}{opening.id}.json"
        try:
            self.objects.put_bytes(key, canonical_json(opening.to_dict()), if_none_match=True)
        except ObjectExistsError:
            return self._read(key)
        return opening

    def find(self, opening_id: str) -> Opening | None:
        """Return one opening, or none where it was never recorded."""
        key = f"{self._prefix}{opening_id}.json"
        return self._read(key) if self.objects.exists(key) else None

    def all(self) -> list[Opening]:
        """Return every opening, oldest first."""
        return sorted(map(self._read, self.objects.list_keys(self._prefix)), key=lambda opening: opening.opened_at)

    def _read(self, key: str) -> Opening:
        return Opening.from_dict(json.loads(self.objects.get_bytes(key)))
