"""The environments of rivals: packages that the project itself does not need, locked in a file each, made on first use.

What belongs here: making it. What must not: any rival.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.plan import Report

LOCK = Path(__file__).with_name("rivals.txt")
"""Of the data's rivals."""
MODEL_LOCK = Path(__file__).with_name("model_rivals.txt")
"""Of the models' rivals: hftbacktest lowers numpy, nautilus_trader pins pandas 2, and 80 packages come with them; who measures data alone
does without."""


def rivals_python(cache: Path, report: Report, lock: Path = LOCK) -> str:
    """Return the interpreter of the environment of a lock; it is made, or brought to the lock, where it is not."""
    from tick_assets.lakehouse.durable_files import locked

    folder = cache / lock.stem
    cache.mkdir(parents=True, exist_ok=True)
    mark, wanted = folder / "lock.sha256", hashlib.sha256(lock.read_bytes()).hexdigest()
    with locked(cache / f"{lock.stem}.lock"):
        if not mark.is_file() or mark.read_text() != wanted:
            report(f"  making the rivals' environment in {folder}")
            _uv("venv", "--clear", "--python", sys.executable, str(folder))
            _uv("pip", "sync", "--require-hashes", "--python", str(_python(folder)), str(lock))
            mark.write_text(wanted)
    return str(_python(folder))


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _uv(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "uv", *arguments, "--quiet"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"Expected uv {arguments[0]} to make the rivals' environment, was: {done.stderr.strip()} Check the network.")
