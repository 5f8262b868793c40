"""A service that is a few lines of Python: it listens on its port, and is healthy when that answers."""

from __future__ import annotations

import socket
import sys

from tick_assets.settings import Settings
from tick_assets.stack.service import Service, Site

SERVER = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"


class FakeService(Service):
    """Stands for one of the servers, under its name, port and needs."""

    start_limit_s = 20.0
    stop_limit_s = 3.0

    def __init__(self, name: str, port_setting: str, needs: tuple[str, ...] = (), code: str = SERVER, asks: str = "") -> None:
        """Make a service; `asks` names the setting of another's port that must answer too before this one counts as healthy."""
        self.name, self.port_setting, self.needs, self._code = name, port_setting, needs, code
        self._asks = asks
        self.prepared = 0

    def prepare(self, site: Site) -> None:
        self.prepared += 1

    def command(self, site: Site) -> list[str]:
        return [sys.executable, "-c", self._code, str(self.port(site.settings))]

    def is_healthy(self, settings: Settings) -> bool:
        ports = [self.port(settings) or 0, *([getattr(settings, self._asks)] if self._asks else [])]
        return all(_answers(port) for port in ports)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
