"""The stack's own error, with a remedy in every message; the command line turns it into an exit code."""

from __future__ import annotations


class StackError(Exception):
    """Something that a person can put right: "Expected …, was …. Do …"."""
