"""Which of the data's servers answer: what a failed run is told beside its error.

What belongs here: one look at each address. What must not: starting or stopping (`stack`), or judging why.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tick_assets.settings import Settings

_TIMEOUT_S = 2.0
_PORTS = {"https": 443, "http": 80, "postgresql": 5432}


def silent_servers(settings: Settings, names: tuple[str, ...] = ("postgres", "s3")) -> list[str]:
    """Return "name at host:port" of each server that takes no connection now; a state folder without secrets has no servers to ask."""
    if not settings.postgres_url and not settings.secrets_file.is_file():
        return []
    addresses = {"postgres": settings.postgres_address, "s3": settings.s3_address, "trino": settings.trino_address}
    places = {name: urlsplit(addresses[name]) for name in names}
    found = {name: (place.hostname or "", place.port or _PORTS.get(place.scheme, 80)) for name, place in places.items()}
    return [f"{name} at {host}:{port}" for name, (host, port) in found.items() if not _answers(host, port)]


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _TIMEOUT_S).close()
    except OSError:
        return False
    return True
