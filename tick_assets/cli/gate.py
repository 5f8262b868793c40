"""`tick gate`: how often the gate is wrong, measured and as published.

What belongs here: options, progress, printing. What must not: markets or judging (`domain.calibration`), processes (`tracking`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tick_assets.cli.configuration import effective_settings
from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, note, print_json, print_table, say

if TYPE_CHECKING:
    from tick_assets.domain.calibration import Calibration

POLICY_ERROR = 0.05
REPORT_EVERY_S = 10.0


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    gate = typer.Typer(no_args_is_help=True, help="The gate's own error rate: measured on markets without an edge, and with a known one.")
    gate.command("calibrate")(calibrate)
    gate.command("show")(show)
    app.add_typer(gate, name="gate")


def calibrate(
    n: Annotated[int, typer.Option(min=1, help="Markets of each null.")] = 200,
    power_n: Annotated[int, typer.Option(min=0, help="Markets of each edge strength; 0 leaves power out.")] = 100,
    trials: Annotated[int, typer.Option(min=2, help="Configurations that the search tries in each market.")] = 20,
    days: Annotated[int, typer.Option(min=4, help="Trading days of each market.")] = 10,
    processes: Annotated[int, typer.Option(min=1, help="Markets judged at a time.")] = 2,
    quotes: Annotated[Path | None, typer.Option(help="Folder of vendor bi5 hours for the bootstrap; default: the twin's quotes.")] = None,
    quotes_symbol: Annotated[str, typer.Option(help="The symbol below --quotes; one with five digits.")] = "USDSGD",
    publish: Annotated[bool, typer.Option("--publish", help="Keep the table as the one that reports and README show.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge null markets and markets with a known edge; exit 1 where a false-pass rate may exceed 5 % (its upper 95 % bound does).

    Verdicts are kept as they come: a run that was stopped goes on, and a larger --n adds to a smaller one.
    """
    from tick_assets.tracking import gate_calibration

    settings = effective_settings()
    plan = gate_calibration.CalibrationPlan(
        settings.policy_path.read_text(), n, power_n, trials, days, quotes, quotes_symbol if quotes else ""
    )
    if quotes is not None and not (quotes / quotes_symbol).is_dir():
        raise CommandError(f"Expected a folder {quotes_symbol} in {quotes}, found none. Correct --quotes or --quotes-symbol.")
    rows = gate_calibration.calibrate(plan, settings.home / "calibration", processes, _progress())
    if publish:
        gate_calibration.publish(plan, rows, datetime.now(UTC))
    _say(rows, as_json)
    if _exceeding(rows):
        raise typer.Exit(1)


def show(as_json: JsonOption = False) -> None:
    """Print the published table and whether it is one of the policy in force."""
    from tick_assets.domain.calibration import gates_sha256
    from tick_assets.domain.gates import parse_policy
    from tick_assets.tracking.gate_calibration import published

    found = published()
    if found is None:
        raise CommandError("Expected a published calibration, found none. Run `tick gate calibrate --publish`.")
    is_current = gates_sha256(parse_policy(effective_settings().policy_path.read_text())) == found.gates_sha256
    if as_json:
        print_json({**asdict(found), "is_of_the_policy_in_force": is_current})
        return
    print_table([asdict(row) for row in found.rows])
    say(f"{found.calibrated_at}, {found.n_trials} trials on {found.days} days, bootstrap of {found.quotes}")
    say("of the policy in force" if is_current else "of ANOTHER policy than the one in force: run `tick gate calibrate --publish`")


def _progress() -> Callable[[int, int], None]:
    started = last = time.monotonic()

    def report(done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last >= REPORT_EVERY_S or done == of:
            last = time.monotonic()
            note(f"{done} of {of} markets, {last - started:.0f} s")

    return report


def _exceeding(rows: tuple[Calibration, ...]) -> list[Calibration]:
    return [row for row in rows if row.k is None and row.upper95 > POLICY_ERROR]


def _say(rows: tuple[Calibration, ...], as_json: bool) -> None:
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table([asdict(row) for row in rows])
    for row in _exceeding(rows):
        say(f"{row.market}: at most 5 % can't be shown, the 95 % bound is {row.upper95:.1%} with n = {row.n}")
