"""Compiled code has a cache of its own for each state of the sources."""

from pathlib import Path

from tick_assets.settings import Settings
from tick_assets.stack.environment import domain_digest, environment
from tick_assets.stack.secrets import ensure_secrets


def test_domain_digest_changes_with_any_source(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "fills.py").write_text("SLIP = 1\n")
    before = domain_digest(tmp_path)
    domain_digest.cache_clear()
    (tmp_path / "inner" / "fills.py").write_text("SLIP = 2\n")
    assert len(before) == 12
    assert domain_digest(tmp_path) != before


def test_numba_caches_below_the_digest(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / ".tick", cache=tmp_path / "cache")
    ensure_secrets(settings)
    assert environment(settings)["NUMBA_CACHE_DIR"] == str(tmp_path / "cache" / "numba" / domain_digest())
