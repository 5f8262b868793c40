"""The signal service as a process of the stack. Only its command line and health; the rest is `serving`."""

from __future__ import annotations

import sys

from tick_assets.settings import Settings
from tick_assets.stack.service import Service, Site, answers_http, module_exists


class SignalService(Service):
    """The FastAPI service that turns ticks into signals."""

    name = "service"
    port_setting = "service_port"
    address_setting = "service_url"
    needs = ("s3",)
    memory_mb = 300

    def is_present(self) -> bool:
        return module_exists("serving")

    def command(self, site: Site) -> list[str]:
        return [sys.executable, "-m", "serving"]

    def is_healthy(self, settings: Settings) -> bool:
        return answers_http(f"http://{settings.host}:{settings.service_port}/health")
