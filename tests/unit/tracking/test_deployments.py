"""Rolling back: the newest earlier version that passed, and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from tick_assets.domain.passports import sha256_hex
from tick_assets.tracking import bundles
from tick_assets.tracking.bundles import Bundle, Pointer
from tick_assets.tracking.deployments import Deployer, DeploymentRefusedError, rollback


class MemoryObjects:
    """Objects in a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_bytes(self, key: str, content: bytes, if_none_match: bool = False) -> None:
        self.objects[key] = content

    def get_bytes(self, key: str) -> bytes:
        return self.objects[key]

    def exists(self, key: str) -> bool:
        return key in self.objects

    def list_keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))


class NotedAliases:
    """Remembers the alias that was set."""

    def __init__(self) -> None:
        self.aliases: list[tuple[str, str, str]] = []

    def set_alias(self, name: str, version: str, alias: str) -> None:
        self.aliases.append((name, version, alias))


class ServiceAway:
    """A service that does not answer."""

    def is_reachable(self) -> bool:
        return False


def _deployer(passed: dict[str, bool], deployed: str) -> Deployer:
    objects: Any = MemoryObjects()
    for version, answer in passed.items():
        model = version.encode()
        payload = {"model_sha256": sha256_hex(model), "verdict": {"passed": answer}}
        bundles.write_bundle(objects, Bundle("SYNEDGE", "direction", version, model, {"payload": payload}, {}))
    if deployed:
        bundles.write_pointer(objects, "SYNEDGE", "direction", Pointer(deployed, sha256_hex(deployed.encode())))
    away: Any = ServiceAway()
    aliases: Any = NotedAliases()
    versions: Any = None
    return Deployer(objects, aliases, versions, away, b"")


def test_rollback_skips_versions_that_did_not_pass() -> None:
    deployer = _deployer({"2": True, "9": True, "10": False, "11": True}, "11")
    done = rollback(deployer, "SYNEDGE", "direction")
    assert (done["model_id"], done["before"]) == ("SYNEDGE.direction@9", "11")
    assert bundles.read_pointer(deployer.objects, "SYNEDGE", "direction") == Pointer("9", sha256_hex(b"9"))
    assert deployer.registry.aliases == [("SYNEDGE.direction", "9", "champion")]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("passed", "deployed"), [({"1": True}, "1"), ({"1": False, "2": True}, "2"), ({"1": True}, "")])
def test_rollback_without_an_earlier_pass_is_refused(passed: dict[str, bool], deployed: str) -> None:
    with pytest.raises(DeploymentRefusedError):
        rollback(_deployer(passed, deployed), "SYNEDGE", "direction")
