"""Fixtures of the lakehouse tests: the market, a store, real vendor files where they are.

What belongs here: fixtures. What must not: assertions.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.recorded import require_recorded
from tick_assets.domain.instruments import Market, parse_market
from tick_assets.lakehouse.raw_store import RawStore

PROJECT_ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def market() -> Market:
    return parse_market((PROJECT_ROOT / "execution" / "market.toml").read_text())


@pytest.fixture
def store(tmp_path: Path) -> RawStore:
    return RawStore(tmp_path / "raw")


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="session")
def real_data() -> Path:
    return require_recorded("vendor").parent
