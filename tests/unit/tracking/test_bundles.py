"""Bundles: write-once objects, a pointer that is written last and never names what is not there."""

from __future__ import annotations

import pytest

from tick_assets.domain.passports import sha256_hex
from tick_assets.tracking import bundles
from tick_assets.tracking.bundles import Bundle, BundleError, Pointer


class MemoryObjects:
    """Objects in a dictionary; keys come in the order in which they were written."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_bytes(self, key: str, content: bytes, if_none_match: bool = False) -> None:
        assert not (if_none_match and key in self.objects)
        self.objects[key] = content

    def get_bytes(self, key: str) -> bytes:
        return self.objects[key]

    def exists(self, key: str) -> bool:
        return key in self.objects

    def list_keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))


def _bundle(version: str = "1", model: bytes = b"{}") -> Bundle:
    return Bundle(
        "SYNEDGE", "direction", version, model, {"payload": {"model_sha256": sha256_hex(model)}}, {"rows": [], "probabilities": []}
    )


def test_write_bundle_repeat_is_harmless_and_other_bytes_are_refused() -> None:
    store = MemoryObjects()
    bundles.write_bundle(store, _bundle())
    bundles.write_bundle(store, _bundle())
    assert bundles.read_bundle(store, "SYNEDGE", "direction", "1") == _bundle()
    with pytest.raises(BundleError, match="new version"):
        bundles.write_bundle(store, _bundle(model=b"[]"))


def test_write_pointer_without_its_objects_is_refused() -> None:
    store = MemoryObjects()
    with pytest.raises(BundleError, match="missing"):
        bundles.write_pointer(store, "SYNEDGE", "direction", Pointer("1", _bundle().model_sha256))
    assert bundles.read_pointer(store, "SYNEDGE", "direction") is None


def test_deployed_both_roles_are_listed() -> None:
    store = MemoryObjects()
    for version, model, role in (("1", b"{}", "champion"), ("2", b"[]", "shadow")):
        bundle = _bundle(version, model)
        bundles.write_bundle(store, bundle)
        bundles.write_pointer(store, "SYNEDGE", "direction", Pointer(version, bundle.model_sha256), role)
    found = bundles.deployed(store)
    assert {key[2]: pointer.version for key, pointer in found.items()} == {"champion": "1", "shadow": "2"}
    assert bundles.versions(store, "SYNEDGE", "direction") == ["1", "2"]


def test_read_bundle_altered_model_is_refused() -> None:
    store = MemoryObjects()
    bundles.write_bundle(store, _bundle())
    store.objects["models/SYNEDGE/direction/1/model.json"] = b"[]"
    with pytest.raises(BundleError, match="Expected model"):
        bundles.read_bundle(store, "SYNEDGE", "direction", "1")
