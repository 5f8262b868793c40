"""Generate the secrets of one state folder, once, readable by their owner only. They are never printed and never logged."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path
from tempfile import mkstemp

from tick_assets.settings import Settings

API_KEY_NAMES = ("pipeline", "trader", "viewer")
"""Who calls the signal service; which scopes each name holds is the service's business."""
PRIVATE_KEY = "passport_ed25519"
PUBLIC_KEY = "passport_ed25519.pub"


def ensure_secrets(settings: Settings) -> None:
    """Write `secrets.json` and the passport key pair where they are missing; keep what is there."""
    settings.home.mkdir(parents=True, exist_ok=True)
    if not settings.secrets_file.exists():
        write_private(settings.secrets_file, json.dumps(_new_secrets(), indent=2) + "\n")
    keys = settings.home / "keys"
    if not (keys / PUBLIC_KEY).exists():
        _write_key_pair(keys)


def _new_secrets() -> dict[str, object]:
    return {
        "postgres_password": secrets.token_hex(24),
        "s3_access_key": f"TICK{secrets.token_hex(8).upper()}",
        "s3_secret_key": secrets.token_hex(24),
        "api_keys": {name: secrets.token_urlsafe(32) for name in API_KEY_NAMES},
    }


def _write_key_pair(folder: Path) -> None:
    """Write the ed25519 pair as base64 of the raw 32 bytes; the public half is written last and marks the pair as whole."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    private = Ed25519PrivateKey.generate()
    write_private(folder / PRIVATE_KEY, _base64(private.private_bytes_raw()))
    write_private(folder / PUBLIC_KEY, _base64(private.public_key().public_bytes_raw()))


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode() + "\n"


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600, whole or not at all."""
    handle, temporary = mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
    os.replace(temporary, path)
