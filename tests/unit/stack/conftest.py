"""A state folder and a cache of their own for every test of the stack; no test here starts a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tick_assets.settings import Settings
from tick_assets.stack.provision import Provisioned
from tick_assets.stack.service import Site


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty state folder, in a path with a space."""
    for name in ("TICK_HOME", "TICK_CACHE", "TICK_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return Settings(home=tmp_path / "state folder" / ".tick", cache=tmp_path / "cache folder")


@pytest.fixture
def site(settings: Settings) -> Site:
    """A site whose Java side exists in name only."""
    return Site(settings, Provisioned(Path("trino"), Path("s3proxy.jar"), (Path("a.jar"),), Path("java25"), Path("java21")))
