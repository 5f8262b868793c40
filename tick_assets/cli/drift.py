"""`tick drift`: whether the market that a model sees now still is the one that it was fitted on.

What belongs here: options, opening the adapters, printing. What must not: figures (`domain.drift`) or which rows (`tracking.live_drift`).
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tick_assets.cli.configuration import effective_settings
from tick_assets.cli.errors import CommandError
from tick_assets.cli.models import ModelArgument, find_verdict, open_bench, open_case, road_errors
from tick_assets.cli.output import JsonOption, print_json, print_table, say

if TYPE_CHECKING:
    from tick_assets.tracking.live_drift import LiveDrift


def app_commands(app: typer.Typer) -> None:
    """Register the command of this module."""
    app.command("drift")(drift)


def drift(
    model: ModelArgument,
    from_date: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC date; default: after the training set's window.")
    ] = None,
    to_date: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC date, inclusive.")] = None,
    is_live: Annotated[bool, typer.Option("--live", help="Only dates whose ticks the signal service recorded.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare the features of published events with those that a model was fitted on: PSI and KS of each, and which drifted."""
    from tick_assets.tracking.live_drift import drift_since

    first, last = (at.date() if at else None for at in (from_date, to_date))
    if first and last and last < first:
        raise CommandError(f"Expected --from before --to, was {first} and {last}. Swap them.")
    with road_errors():
        bench = open_bench(effective_settings())
        find_verdict(bench.lakehouse, model)
        found = drift_since(open_case(bench, model), first, last, is_live)
    if as_json:
        print_json({**asdict(found), "worst": found.drift.worst, "alarms": found.drift.alarms})
    else:
        _print_drift(found)


def _print_drift(found: LiveDrift) -> None:
    drift = found.drift
    say(headline(found))
    say(
        f"{drift.new_events} events of {found.dates[0]} to {found.dates[-1]} ({', '.join(found.sources)}) against "
        f"{drift.reference_events} of the training; chance alone shows a PSI of {drift.chance_psi:.3f}"
    )
    print_table([_line(asdict(row)) for row in drift.features])


def headline(found: LiveDrift) -> str:
    """Return the answer in one sentence."""
    alarms = found.drift.alarms
    if alarms:
        return (
            f"STRONG drift of {len(alarms)} of {len(found.drift.features)} features since {found.model_id} was fitted: {', '.join(alarms)}."
        )
    return f"Drift since {found.model_id} was fitted: {found.drift.worst}."


def _line(row: dict[str, Any]) -> dict[str, Any]:
    names = {
        "feature": "feature",
        "psi": "psi",
        "ks": "ks",
        "reference_median": "median, training",
        "new_median": "median, now",
        "word": "drift",
    }
    return {shown: f"{row[name]:.4g}" if isinstance(row[name], float) else row[name] for name, shown in names.items()}
