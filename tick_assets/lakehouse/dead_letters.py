"""Dead letters: files that could not be sent, each a JSON document under its own key, until it is sent.

What belongs here: keeping, listing and clearing them. What must not: deciding that a file is one.

    dead_letters/<key>.json    the key's folders too, so that files of the same name don't overwrite each other
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tick_assets.lakehouse.durable_files import write_file
from tick_assets.lakehouse.evidence import parse_time
from tick_assets.lakehouse.replicator import DeadLetter

_SUFFIX = ".json"


class DeadLetters:
    """The dead letters of one state folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, letter: DeadLetter) -> None:
        """Keep a letter in the place of an earlier one of the same key."""
        document = asdict(letter) | {"failed_at": letter.failed_at.isoformat()}
        write_file(self._path(letter.key), json.dumps(document, indent=1).encode())

    def clear(self, key: str) -> None:
        """Forget a key's letter; none is fine."""
        self._path(key).unlink(missing_ok=True)

    def all(self) -> list[DeadLetter]:
        """Return the letters in key order."""
        return [_letter(path) for path in sorted(self._folder.rglob(f"[!.]*{_SUFFIX}"))]

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"


def _letter(path: Path) -> DeadLetter:
    document = json.loads(path.read_text())
    return DeadLetter(**document | {"failed_at": parse_time(document["failed_at"])})
