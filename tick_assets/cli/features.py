"""`tick features`: what the models are told about the market, and where each number is from.

What belongs here: printing the registry. What must not: features (`domain.features`).
"""

from __future__ import annotations

import typer

from tick_assets.cli.output import JsonOption, print_json, print_table


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("features")(features)


def features(as_json: JsonOption = False) -> None:
    """List every feature with its unit, formula, memory in seconds and ticks, and source."""
    from tick_assets.domain.features import to_rows

    rows = to_rows()
    if as_json:
        print_json(rows)
        return
    print_table(rows)
