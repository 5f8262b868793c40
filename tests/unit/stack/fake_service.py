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

    def __init__(self, name: str, port_setting: str, needs: tuple[str, ...] = (), code: str = SERVER) -> None:
        self.name, self.port_setting, self.needs, self._code = name, port_setting, needs, code
        self.prepared = 0

    def prepare(self, site: Site) -> None:
        self.prepared += 1

    def command(self, site: Site) -> list[str]:
        return [sys.executable, "-c", self._code, str(self.port(site.settings))]

    def is_healthy(self, settings: Settings) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(("127.0.0.1", self.port(settings) or 0)) == 0
