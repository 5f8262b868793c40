"""Up, down and status over small stand-ins: idempotence, mending, taken ports, and nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.unit.stack.fake_service import FakeService
from tick_assets.settings import Settings
from tick_assets.stack import supervisor as supervising
from tick_assets.stack.errors import StackError
from tick_assets.stack.processes import marked_processes
from tick_assets.stack.service import Site
from tick_assets.stack.supervisor import Supervisor


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def ports(settings: Settings) -> Settings:
    """Settings with two free ports."""
    return settings.model_copy(update={"postgres_port": free_port(), "trino_port": free_port()})


@pytest.fixture
def services() -> list[FakeService]:
    return [FakeService("postgres", "postgres_port"), FakeService("trino", "trino_port", ("postgres",))]


@pytest.fixture
def stack(ports: Settings, services: list[FakeService], site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr(supervising, "provisioned", lambda settings: site.provisioned)
    stack = Supervisor(ports, services)
    yield stack
    stack.down(print)
    assert marked_processes(ports.home) == {}


def states(stack: Supervisor) -> list[str]:
    return [status.state for status in stack.status()]


def pids(stack: Supervisor) -> list[int | None]:
    return [status.pid for status in stack.status()]


def test_up_starts_all_and_down_leaves_none(stack: Supervisor) -> None:
    stack.up(print)
    assert states(stack) == ["running", "running"]
    stack.down(print)
    assert states(stack) == ["stopped", "stopped"]


def test_up_twice_changes_nothing(stack: Supervisor) -> None:
    stack.up(print)
    before = pids(stack)
    stack.up(print)
    assert pids(stack) == before


def test_up_crashed_server_is_mended_alone(stack: Supervisor) -> None:
    stack.up(print)
    postgres, trino = pids(stack)
    assert trino is not None
    os.kill(trino, signal.SIGKILL)
    os.waitpid(trino, 0)
    assert states(stack) == ["running", "crashed"]
    stack.up(print)
    assert pids(stack)[0] == postgres
    assert states(stack) == ["running", "running"]


def test_up_server_whose_health_lies_in_a_crashed_one_is_left_alone(ports: Settings, stack: Supervisor) -> None:
    services = [FakeService("postgres", "postgres_port"), FakeService("trino", "trino_port", ("postgres",), asks="postgres_port")]
    leaning = Supervisor(ports, services)
    leaning.up(print)
    postgres, trino = pids(leaning)
    assert postgres is not None
    os.kill(postgres, signal.SIGKILL)
    os.waitpid(postgres, 0)
    assert states(leaning) == ["crashed", "unhealthy"]
    leaning.up(print)
    assert states(leaning) == ["running", "running"]
    assert pids(leaning)[1] == trino
    assert pids(leaning)[0] != postgres


def test_up_lost_state_file_replaces_the_orphans(stack: Supervisor, ports: Settings) -> None:
    stack.up(print)
    before = pids(stack)
    (ports.home / "stack" / "state.json").unlink()
    stack.up(print)
    assert states(stack) == ["running", "running"]
    assert not set(pids(stack)) & set(before)


def test_up_only_starts_what_is_needed_too(stack: Supervisor) -> None:
    stack.up(print, ["trino"])
    assert states(stack) == ["running", "running"]
    stack.down(print)
    stack.up(print, ["postgres"])
    assert states(stack) == ["running", "stopped"]


def test_up_unknown_name_lists_the_names(stack: Supervisor) -> None:
    with pytest.raises(StackError, match="postgres, trino, was oracle"):
        stack.up(print, ["oracle"])


def test_up_taken_port_names_port_service_and_setting(stack: Supervisor, ports: Settings) -> None:
    expected = rf"port {ports.trino_port} to be free for trino.*process {os.getpid()}.*TICK_TRINO_PORT"
    with socket.create_server(("127.0.0.1", ports.trino_port)), pytest.raises(StackError, match=expected):
        stack.up(print)
    assert states(stack) == ["stopped", "stopped"]


def test_up_changed_port_starts_the_server_again(stack: Supervisor, ports: Settings, services: list[FakeService]) -> None:
    stack.up(print)
    moved = Supervisor(ports.model_copy(update={"trino_port": free_port()}), services)
    moved.up(print)
    assert states(moved) == ["running", "running"]


def test_up_server_that_dies_shows_its_last_words(stack: Supervisor, ports: Settings) -> None:
    dying = FakeService("postgres", "postgres_port", code="raise SystemExit('no room at the inn')")
    with pytest.raises(StackError, match="no room at the inn"):
        Supervisor(ports, [dying]).up(print)


def test_up_server_elsewhere_is_not_started(ports: Settings, services: list[FakeService], stack: Supervisor) -> None:
    services[1].address_setting = "trino_url"
    elsewhere = Supervisor(ports.model_copy(update={"trino_url": "http://trino.example:8080"}), services)
    elsewhere.up(print)
    assert states(elsewhere) == ["running", "external"]
    elsewhere.down(print)
