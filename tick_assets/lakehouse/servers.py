"""Which of the data's servers answer, and whether their disk is full: what a failed run is told beside its error.

What belongs here: one look at each address and at the disk. What must not: starting or stopping (`stack`), or judging why.
"""

from __future__ import annotations

import errno
import shutil
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tick_assets.settings import Settings

_TIMEOUT_S = 2.0
FULL_BELOW_BYTES = 20_000_000
"""With less room than this a commit of a small day may fail; the servers' own messages don't say so."""
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


def full_disk(settings: Settings, error: BaseException) -> str:
    """Say how much room the state folder's disk has, when that or the error tells that it was too little; else nothing."""
    free = shutil.disk_usage(settings.home).free if settings.home.exists() else FULL_BELOW_BYTES
    if free >= FULL_BELOW_BYTES and not _says_full(error):
        return ""
    return f"room on the disk of {settings.home}, was {free / 1e6:.1f} MB free"


def _says_full(error: BaseException | None) -> bool:
    """Tell whether an error, or what led to it, is that of a full disk."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
