"""What the pipeline asks of the signal service: reload a model, and what is deployed.

What belongs here: three calls and their errors. What must not: anything the service decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tick_assets.settings import Settings


class ServingError(RuntimeError):
    """The service could not be reached, refused the call or serves another model."""


@dataclass(frozen=True)
class ServingClient:
    """One service and a key with the scopes `admin` and `signals:read`."""

    address: str
    api_key: str
    timeout_s: float = 10.0
    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], None] = field(default=time.sleep)

    @classmethod
    def from_settings(cls, settings: Settings) -> ServingClient:
        """Return the client of the configured service."""
        return cls(settings.service_address, settings.secrets.api_keys["pipeline"].get_secret_value())

    def models(self) -> list[dict[str, Any]]:
        """Return what is live or in shadow, as the service says it."""
        return list(self._call("GET", "/v1/models")["models"])

    def refused(self) -> list[dict[str, Any]]:
        """Return the bundles that the service refused, with reasons."""
        return list(self._call("GET", "/v1/models")["refused"])

    def reload(self, symbol: str, strategy: str) -> dict[str, Any]:
        """Make the service pull a model's pointer now."""
        return dict(self._call("POST", f"/v1/models/{symbol}/{strategy}:reload") or {})

    def is_reachable(self) -> bool:
        """Tell whether the service answers at all."""
        try:
            self._call("GET", "/health")
        except ServingError:
            return False
        return True

    def deployed_sha256(self, symbol: str, strategy: str, mode: str = "live") -> str | None:
        """Return the sha-256 of the model that the service reports, or None when it serves none."""
        for item in self.models():
            if (item.get("symbol"), item.get("strategy"), item.get("mode", "live")) == (symbol, strategy, mode):
                return str(item["model"]["sha256"])
        return None

    def wait_until_deployed(self, symbol: str, strategy: str, sha256: str, mode: str = "live", within_s: float = 15.0) -> None:
        """Return once the service reports this model; `ServingError` when it does not in time (it also pulls every 10 s)."""
        waited, found = 0.0, self.deployed_sha256(symbol, strategy, mode)
        while found != sha256:
            if waited >= within_s:
                raise ServingError(f"Expected the service to serve {symbol}.{strategy} {sha256}, was {found}. Refused: {self.refused()}.")
            self.sleep(0.5)
            waited += 0.5
            found = self.deployed_sha256(symbol, strategy, mode)

    def _call(self, method: str, path: str) -> Any:
        try:
            with httpx.Client(base_url=self.address, timeout=self.timeout_s, transport=self.transport) as client:
                response = client.request(method, path, headers={"X-API-Key": self.api_key})
        except httpx.TransportError as error:
            raise ServingError(f"Expected the service at {self.address}, was not reached. Run `tick up`.") from error
        if response.is_error:
            raise ServingError(f"Expected {method} {path} to succeed, was {response.status_code}: {response.text[:500]}")
        return response.json() if response.content else None
