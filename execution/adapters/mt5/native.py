"""The real MetaTrader5 package, imported lazily: it exists for 64-bit Windows alone.

What must not live here: anything but finding the module. Untested against a live terminal; see the first-demo-account checklist.
"""

from __future__ import annotations

import importlib
from typing import Any


class NativeTerminalUnavailableError(RuntimeError):
    """The MetaTrader5 package is not importable on this host."""


def load_module() -> Any:
    """Return the MetaTrader5 module, or raise an error that says where it can run."""
    try:
        return importlib.import_module("MetaTrader5")
    except ImportError as error:
        raise NativeTerminalUnavailableError(
            "Expected the MetaTrader5 package, found none. It runs on 64-bit Windows beside the terminal: install "
            "tick_assets[execution] there, or use `--terminal sim`."
        ) from error
