"""Files that are there whole or not at all, also after a crash.

What belongs here: temporary file, fsync, rename, lock, and sweeping what killed writers left. What must not: what the files mean.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_PREFIX = ".tmp-"
_READ_ONLY = 0o444
_READ_WRITE = 0o644


def write_file(path: Path, content: bytes, *, is_read_only: bool = False) -> None:
    """Replace `path` by `content` in one step; the temporary file is gone afterwards, whatever happened short of a crash.

    A disk that is full or read-only is an `OSError` that names `path`; what was there before is still there.
    """
    try:
        make_folder(path.parent)
        _replace(path, content, _READ_ONLY if is_read_only else _READ_WRITE)
    except OSError as error:
        problem = f"Expected to write {len(content)} bytes, was: {error.strerror}. No file is half written; mend the disk and run again"
        raise OSError(error.errno, problem, str(path)) from error


def _replace(path: Path, content: bytes, mode: int) -> None:
    temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    try:
        with temporary.open("wb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # says that the writer lives, to `remove_leftovers`
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and its parents, each of which survives a power cut."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames inside a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> int:
    """Remove temporary files whose writer was killed, and return how many; those of living writers stay."""
    return sum(_remove_if_orphaned(path) for path in sorted(folder.glob(f"{TEMPORARY_PREFIX}*")))


def _remove_if_orphaned(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file between processes and threads; the kernel releases it when the holder dies."""
    make_folder(path.parent)
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
