"""The command line's own error: what a person did or must do, without a traceback."""

from __future__ import annotations


class CommandError(Exception):
    """A refusal or failure, worded "Expected …, was …. Do …."; `main.run` prints it to stderr and exits 1."""
