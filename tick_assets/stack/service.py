"""What a service is: the port that the supervisor drives, one implementation per server in `services/`.

What belongs here: the contract. What must not: anything about one particular server.
"""

from __future__ import annotations

import hashlib
import json
import signal
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tick_assets.settings import PROJECT_ROOT, Settings
from tick_assets.stack.environment import service_environment
from tick_assets.stack.provision import Provisioned

ADDRESS_ENDINGS = ("_port", "_url", "_endpoint", "host")


@dataclass(frozen=True)
class Site:
    """Where a service lives: the configuration, and the Java side that was downloaded."""

    settings: Settings
    provisioned: Provisioned

    @property
    def home(self) -> Path:
        return self.settings.home

    def folder(self, service: str) -> Path:
        """Return (and make) the configuration folder of one service."""
        folder = self.home / "stack" / service
        folder.mkdir(parents=True, exist_ok=True)
        return folder


class Service(ABC):
    """One server of the stack."""

    name: str
    port_setting: str | None = None
    """The settings field of its port; None when it listens nowhere."""
    address_setting: str | None = None
    """The settings field that names a server elsewhere; when set, none is started here."""
    needs: tuple[str, ...] = ()
    start_limit_s: float = 120.0
    stop_limit_s: float = 20.0
    stop_signal: signal.Signals = signal.SIGTERM
    memory_mb: int = 0
    """What it takes at rest, for `doctor`."""
    is_optional: bool = False
    """Started only when it is asked for by name."""

    def port(self, settings: Settings) -> int | None:
        return getattr(settings, self.port_setting) if self.port_setting else None

    def is_elsewhere(self, settings: Settings) -> bool:
        return bool(self.address_setting and getattr(settings, self.address_setting))

    def is_present(self) -> bool:
        """Tell whether this checkout contains what the service runs."""
        return True

    def fingerprint(self, settings: Settings) -> str:
        """Digest the addresses that the server was started with; another digest means that it must be started again."""
        addresses = {name: str(value) for name, value in settings.model_dump().items() if name.endswith(ADDRESS_ENDINGS)}
        return hashlib.sha256(json.dumps(addresses, sort_keys=True).encode()).hexdigest()[:16]

    def variables(self, site: Site) -> dict[str, str]:
        """Return the whole environment of the process."""
        return service_environment(site.settings, self.name)

    def working_directory(self, site: Site) -> Path:
        return PROJECT_ROOT

    def fetch(self, settings: Settings, report: Callable[[str], None]) -> None:
        """Download what only this service needs; nothing when it is there."""
        return

    def prepare(self, site: Site) -> None:
        """Write configuration and whatever must exist before the process starts; repeatable."""
        return

    @abstractmethod
    def command(self, site: Site) -> list[str]:
        """Return the command line, free of secrets."""

    @abstractmethod
    def is_healthy(self, settings: Settings) -> bool:
        """Ask the running server, for two seconds at most; never raise."""

    def remark(self, settings: Settings) -> str:
        """Say what a person should know about where or how it runs; empty when nothing is unusual."""
        return ""

    def leftovers(self, settings: Settings) -> list[psutil.Process]:
        """Find processes of this service that carry no mark."""
        return []

    def complete(self, site: Site) -> None:
        """Do what needs the running server, such as making databases; repeatable."""
        return


def module_exists(name: str) -> bool:
    """Tell whether this checkout has a module, without importing it."""
    path = PROJECT_ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def answers_http(url: str, expected: tuple[int, ...] = (200,)) -> bool:
    """Tell whether an address answers with one of the expected statuses."""
    import httpx

    try:
        return httpx.get(url, timeout=2.0, trust_env=False).status_code in expected
    except httpx.HTTPError:
        return False


def is_port_free(host: str, port: int) -> bool:
    """Tell whether a server could listen on the port."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True
