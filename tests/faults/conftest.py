"""A stack of the fault tests' own, which they may stop: Postgres and S3 only; a test that needs Trino starts it there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import running_stack
from tick_assets.settings import Settings

DATA_SERVERS = ("postgres", "s3")


@pytest.fixture(scope="module")
def data_stack(tmp_path_factory: pytest.TempPathFactory, twin_port: int) -> Iterator[Settings]:
    """The two servers that hold the data."""
    with running_stack(tmp_path_factory.mktemp("fault stack") / ".tick", twin_port, "SYNEDGE", DATA_SERVERS) as settings:
        yield settings
