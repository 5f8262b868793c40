"""A stack of the fault tests' own, which they may stop: Postgres and S3 only; a test that needs Trino starts it there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PORTS, free_ports
from tick_assets.settings import Settings, load_settings

DATA_SERVERS = ("postgres", "s3")


@pytest.fixture(scope="module")
def data_stack(tmp_path_factory: pytest.TempPathFactory, twin_port: int) -> Iterator[Settings]:
    """The two servers that hold the data, on free ports; this process has their environment."""
    from tick_assets.cli.configuration import enter_environment
    from tick_assets.stack.supervisor import Supervisor

    home: Path = tmp_path_factory.mktemp("fault stack") / ".tick"
    before = dict(os.environ)
    os.environ["TICK_HOME"] = str(home)
    for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True):
        os.environ[f"TICK_{name.upper()}_PORT"] = str(port)
    os.environ["TICK_SOURCE"] = "synthetic-twin"
    os.environ["TICK_SYMBOLS"] = "SYNEDGE"
    os.environ["TICK_VENDOR_URL"] = os.environ["TICK_VENDOR_JSON_URL"] = f"http://127.0.0.1:{twin_port}"
    supervisor = Supervisor(load_settings())
    try:
        supervisor.up(print, DATA_SERVERS)
        enter_environment(load_settings())
        yield load_settings()
    finally:
        supervisor.down(print)
        os.environ.clear()
        os.environ.update(before)
