"""The container deployment describes what `tick up` starts, with the same configuration files and no secret in it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tick_assets.settings import PROJECT_ROOT, Settings
from tick_assets.stack.environment import environment
from tick_assets.stack.secrets import ensure_secrets
from tick_assets.stack.services import ALL_SERVICES
from tick_assets.stack.services.dagster import INSTANCE
from tick_assets.stack.services.trino import CATALOG_FILE


@pytest.fixture
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text())
    return document


def test_compose_has_every_service_of_the_stack(compose: dict[str, Any]) -> None:
    assert {service.name for service in ALL_SERVICES if not service.is_optional} - set(compose["services"]) == set()


def test_compose_opens_ports_on_loopback_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_compose_takes_every_secret_from_the_environment(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in (service.get("environment") or {}).items():
            if re.search("SECRET|PASSWORD|ACCESS_KEY", name):
                assert str(value).startswith("${TICK_SECRET_"), name


def test_environment_gives_every_variable_of_the_configuration_files(settings: Settings) -> None:
    ensure_secrets(settings)
    wanted = set(re.findall(r"\$\{ENV:(\w+)\}", CATALOG_FILE.read_text())) | set(re.findall(r"env: (\w+)", INSTANCE.read_text()))
    assert wanted - set(environment(settings)) == set()


def test_tick_environment_is_read_back_as_the_same_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = Settings(home=settings.home, cache=settings.cache, trino_port=27481, symbols=("EURUSD", "XAUUSD"), spark_driver_memory="3g")
    ensure_secrets(changed)
    for name, value in environment(changed).items():
        monkeypatch.setenv(name, value)
    again = Settings()
    assert (again.home, again.trino_port, again.symbols, again.spark_driver_memory) == (changed.home, 27481, changed.symbols, "3g")
