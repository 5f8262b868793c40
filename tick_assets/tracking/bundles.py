"""The objects that the service pulls: `models/<symbol>/<strategy>/<version>/…` and the pointers beside them.

What belongs here: keys, order of writing and reading back. What must not: deciding what is deployed, MLflow, signing.

A version's objects are write-once, so a repeat is harmless and other bytes under the same version are refused. The pointer is written
last: a reader never sees one that names objects which are not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from tick_assets.domain.passports import canonical_json, sha256_hex

FILES = ("model.json", "passport.json", "golden.json")
CHAMPION, SHADOW = "champion", "shadow"


class BundleError(RuntimeError):
    """A bundle is incomplete, altered or would be overwritten."""


class BundleStore(Protocol):
    """The part of an object store that bundles need."""

    def put_bytes(self, key: str, content: bytes, if_none_match: bool = False) -> None: ...

    def get_bytes(self, key: str) -> bytes: ...

    def exists(self, key: str) -> bool: ...

    def list_keys(self, prefix: str) -> Iterable[str]: ...


@dataclass(frozen=True)
class Bundle:
    """One version's three files."""

    symbol: str
    strategy: str
    version: str
    model: bytes
    passport: dict[str, Any]
    golden: dict[str, Any]

    @property
    def model_sha256(self) -> str:
        return sha256_hex(self.model)

    def files(self) -> dict[str, bytes]:
        """Return the objects by name, in the order of writing."""
        return {"model.json": self.model, "golden.json": canonical_json(self.golden), "passport.json": canonical_json(self.passport)}


@dataclass(frozen=True)
class Pointer:
    """What is deployed: a version and the sha-256 of its model."""

    version: str
    sha256: str


def prefix(symbol: str, strategy: str, version: str) -> str:
    """Return the folder of one version, without a slash at the end."""
    return f"models/{symbol}/{strategy}/{version}"


def write_bundle(store: BundleStore, bundle: Bundle) -> None:
    """Write a version's objects; the same bytes again are fine, others are a `BundleError`."""
    if bundle.passport.get("payload", {}).get("model_sha256") != bundle.model_sha256:
        raise BundleError(f"Expected a passport of model {bundle.model_sha256}, was another. Sign the passport of these bytes.")
    folder = prefix(bundle.symbol, bundle.strategy, bundle.version)
    for name, data in bundle.files().items():
        key = f"{folder}/{name}"
        if store.exists(key):
            if store.get_bytes(key) != data:
                raise BundleError(f"Expected {key} to hold these bytes already, was other bytes. Register a new version.")
        else:
            store.put_bytes(key, data, if_none_match=True)


def read_bundle(store: BundleStore, symbol: str, strategy: str, version: str) -> Bundle:
    """Read a version's objects; a missing or altered one is a `BundleError`."""
    folder = prefix(symbol, strategy, version)
    missing = [name for name in FILES if not store.exists(f"{folder}/{name}")]
    if missing:
        raise BundleError(f"Expected {', '.join(FILES)} in {folder}, missing is {', '.join(missing)}. Deploy the version again.")
    model, passport, golden = (store.get_bytes(f"{folder}/{name}") for name in FILES)
    bundle = Bundle(symbol, strategy, version, model, json.loads(passport), json.loads(golden))
    expected = bundle.passport["payload"]["model_sha256"]
    if bundle.model_sha256 != expected:
        raise BundleError(f"Expected model {expected} in {folder}, was {bundle.model_sha256}. Deploy the version again.")
    return bundle


def versions(store: BundleStore, symbol: str, strategy: str) -> list[str]:
    """Return the versions that have objects, in order of text."""
    folder = f"models/{symbol}/{strategy}/"
    names = {key.removeprefix(folder).split("/")[0] for key in store.list_keys(folder) if key.count("/") == 4}
    return sorted(names)


def write_pointer(store: BundleStore, symbol: str, strategy: str, pointer: Pointer, role: str = CHAMPION) -> None:
    """Point `champion` or `shadow` at a version whose objects are there."""
    bundle = read_bundle(store, symbol, strategy, pointer.version)
    if bundle.model_sha256 != pointer.sha256:
        raise BundleError(f"Expected model {bundle.model_sha256} of version {pointer.version}, was {pointer.sha256}.")
    store.put_bytes(_pointer_key(symbol, strategy, role), canonical_json({"version": pointer.version, "sha256": pointer.sha256}))


def read_pointer(store: BundleStore, symbol: str, strategy: str, role: str = CHAMPION) -> Pointer | None:
    """Return what is deployed in a role, or None."""
    key = _pointer_key(symbol, strategy, role)
    if not store.exists(key):
        return None
    document = json.loads(store.get_bytes(key))
    return Pointer(document["version"], document["sha256"])


def deployed(store: BundleStore) -> dict[tuple[str, str, str], Pointer]:
    """Return all pointers by (symbol, strategy, role)."""
    found = {}
    for key in store.list_keys("models/"):
        parts = key.split("/")
        if len(parts) == 4 and parts[3] in (f"{CHAMPION}.json", f"{SHADOW}.json"):
            role = parts[3].removesuffix(".json")
            pointer = read_pointer(store, parts[1], parts[2], role)
            if pointer:
                found[parts[1], parts[2], role] = pointer
    return found


def _pointer_key(symbol: str, strategy: str, role: str) -> str:
    return f"models/{symbol}/{strategy}/{role}.json"
