"""What all tests share: one embedded stack for those that are marked `stack`.

What belongs here: fixtures of the whole session. What must not: data of one test.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from tick_assets.settings import Settings, load_settings

hypothesis_settings.register_profile("house", deadline=None)
hypothesis_settings.load_profile("house")
"""A test says what is true, not how fast: on a loaded machine a deadline fails what is right."""

PORTS = ("postgres", "s3", "trino", "mlflow", "dagster_code", "dagster", "service", "nifi", "trino_worker")
KEPT = ("TICK_CACHE", "TICK_TEST_DATA")
SERVERS = ("postgres", "s3", "trino", "mlflow", "service")
ALL_SERVERS = ("postgres", "s3", "trino", "mlflow", "dagster-code", "dagster", "dagster-daemon", "service")
"""What `tick up` starts; the others only come with `--with`."""


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@pytest.fixture(scope="session", autouse=True)
def own_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the checkout's own state folder and the caller's settings out of every test."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("TICK_") and name not in KEPT]:
        del os.environ[name]
    os.environ["TICK_HOME"] = str(tmp_path_factory.mktemp("no state") / ".tick")
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def twin_port() -> int:
    """The port at which a test's vendor twin listens."""
    return free_ports(1)[0]


@contextmanager
def running_stack(home: Path, twin_port: int, symbols: str, servers: Sequence[str]) -> Iterator[Settings]:
    """Run real servers of a state folder on free ports; this process has their environment until the end."""
    from tick_assets.cli.configuration import enter_environment
    from tick_assets.stack.supervisor import Supervisor

    before = dict(os.environ)
    os.environ["TICK_HOME"] = str(home)
    for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True):
        os.environ[f"TICK_{name.upper()}_PORT"] = str(port)
    os.environ["TICK_SOURCE"] = "synthetic-twin"
    os.environ["TICK_SYMBOLS"] = symbols
    os.environ["TICK_VENDOR_URL"] = os.environ["TICK_VENDOR_JSON_URL"] = f"http://127.0.0.1:{twin_port}"
    supervisor = Supervisor(load_settings())
    try:
        supervisor.up(print, servers)
        enter_environment(load_settings())
        yield load_settings()
    finally:
        supervisor.down(print)
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def stack_settings(tmp_path_factory: pytest.TempPathFactory, twin_port: int) -> Iterator[Settings]:
    """A stack of the session's own in a folder with a space, ended with the session."""
    with running_stack(tmp_path_factory.mktemp("state folder") / ".tick", twin_port, "SYNEDGE,SYNNULL", SERVERS) as settings:
        yield settings
