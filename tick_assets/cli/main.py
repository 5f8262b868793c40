"""The `tick` command: build the application from the topics of this package, and end every failure with a message and an exit code.

What belongs here: registration, errors, exit codes. What must not: commands (one module per topic) or heavy imports.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

import typer

from tick_assets.cli.errors import CommandError

TOPICS = (
    "stack",
    "demo",
    "vendor",
    "raw",
    "runs",
    "data",
    "tables",
    "report",
    "datasets",
    "drill",
    "maintain",
    "side",
    "features",
    "models",
    "gate",
    "drift",
    "deploy",
    "trade",
    "replay",
    "tester",
    "bench",
)
INTERRUPTED = 130


def build_app() -> typer.Typer:
    """Assemble the application; a topic that this checkout does not contain is left out."""
    app = typer.Typer(
        name="tick",
        help="From FX ticks to a gated model, a signal and an order. State: TICK_HOME (default .tick); downloads: TICK_CACHE.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for topic in TOPICS:
        module = f"{__package__}.{topic}"
        if importlib.util.find_spec(module) is not None:
            importlib.import_module(module).app_commands(app)
    return app


def run() -> None:
    """Run the command line: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted."""
    try:
        build_app()(standalone_mode=True)
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    run()
