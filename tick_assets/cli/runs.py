"""`tick backfill` and `tick train`: Dagster runs from the command line, with progress.

What belongs here: options, launching, following and printing. What must not: what a run does (`tick_assets.assets`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tick_assets.cli.configuration import effective_settings
from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, reporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tick_assets.settings import Settings
    from tick_assets.tracking.orchestrator import Orchestrator, RunState

RUN_TIMEOUT_S = 24 * 3600.0
INGEST, TRAIN = "ingest_ticks_job", "train_models_job"
Report = Callable[[str], None]


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("backfill")(backfill)
    app.command("train")(train)


@dataclass(frozen=True)
class FinishedRun:
    """One run that succeeded, with the seconds of each of its steps."""

    run_id: str
    job: str
    seconds: dict[str, float]


def backfill(
    from_date: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC date.")],
    to_date: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC date, inclusive.")],
    symbols: Annotated[str, typer.Option(help="Comma-separated symbols; default: all configured.")] = "",
    select: Annotated[str, typer.Option(help='Asset selection, such as "silver/ticks+" or "group:raw".')] = "",
    refetch: Annotated[bool, typer.Option("--refetch", help="Ask the vendor for every hour again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Materialize data for a range of dates in one run; only hours without an answer are asked for."""
    settings, report = effective_settings(), reporter(as_json)
    chosen = tuple(part.strip() for part in symbols.split(",") if part.strip()) or settings.symbols
    with orchestrator_errors(), open_orchestrator(settings) as dagster:
        done = run_backfill(dagster, chosen, from_date.date(), to_date.date(), report, refetch=refetch, assets=_selected(select))
    if as_json:
        print_json({"run_id": done.run_id, "symbols": chosen, "from": from_date.date(), "to": to_date.date(), "seconds": done.seconds})


def train(
    symbol: Annotated[str, typer.Argument(help="Symbol, or several separated by commas.")],
    strategy: Annotated[str, typer.Option(help="Strategy.")] = "direction",
    as_json: JsonOption = False,
) -> None:
    """Train and judge a model, from its training set to the verdict; print the verdict and its report's path."""
    settings, report = effective_settings(), reporter(as_json)
    symbols = tuple(part.strip() for part in symbol.split(",") if part.strip())
    with orchestrator_errors(), open_orchestrator(settings) as dagster:
        run_training(dagster, symbols, strategy, report)
    rows = newest_verdicts(settings, symbols, strategy)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        report(f"{row['first_line']}\n  report: {row['report_url']}")
    report(f"all verdicts: {settings.reports_dir / 'index.html'}")


def run_backfill(
    dagster: Orchestrator,
    symbols: Sequence[str],
    first: date,
    last: date,
    report: Report,
    *,
    refetch: bool = False,
    assets: Sequence[Sequence[str]] | None = None,
) -> FinishedRun:
    """Run the data job over a range of dates, both inclusive, and follow it to its end."""
    if last < first:
        raise CommandError(f"Expected --from before --to, was {first} and {last}. Swap them.")
    config = {"resources": {"scope": {"config": {"symbols": sorted(symbols), "refetch": refetch}}}}
    return follow(dagster, dagster.launch(INGEST, range_tags(first.isoformat(), last.isoformat()), config, assets), report)


def run_training(dagster: Orchestrator, symbols: Sequence[str], strategy: str, report: Report) -> list[FinishedRun]:
    """Train models in as few runs as their partition keys are contiguous: one for all registered symbols."""
    ordered = dagster.register_symbols(TRAIN, symbols)
    return [
        follow(dagster, dagster.launch(TRAIN, range_tags(f"{strategy}|{part[0]}", f"{strategy}|{part[-1]}")), report)
        for part in contiguous(ordered, symbols)
    ]


def contiguous(ordered: Sequence[str], wanted: Sequence[str]) -> list[list[str]]:
    """Return the wanted keys as the fewest stretches of the ordered ones."""
    stretches: list[list[str]] = []
    before = -2
    for place, key in enumerate(ordered):
        if key not in wanted:
            continue
        if place == before + 1:
            stretches[-1].append(key)
        else:
            stretches.append([key])
        before = place
    return stretches


def range_tags(first: str, last: str) -> dict[str, str]:
    """Return the tags that make one run cover a range of partitions."""
    from tick_assets.tracking.orchestrator import RANGE_END, RANGE_START

    return {RANGE_START: first, RANGE_END: last}


def follow(dagster: Orchestrator, run_id: str, report: Report, timeout_s: float = RUN_TIMEOUT_S) -> FinishedRun:
    """Report each step of a run as it ends; a run that fails is a `CommandError` that says what failed."""
    said: set[str] = set()
    state: RunState | None = None
    for state in dagster.follow(run_id, timeout_s):
        if not said:
            report(f"  run {run_id[:8]} {state.job}: {state.status.lower()}")
            said.add("")
        for step in state.steps:
            if step.seconds is not None and step.name not in said:
                said.add(step.name)
                report(f"  {step.name:<44} {step.status.lower():<8} {step.seconds:6.1f} s")
    assert state is not None
    if state.status != "SUCCESS":
        reasons = "\n  ".join(dagster.failures(run_id)) or "no step said why"
        raise CommandError(
            f"Expected run {run_id} of {state.job} to succeed, was {state.status}:\n  {reasons}\nMend it, then run the same command again."
        )
    return FinishedRun(run_id, state.job, {step.name: step.seconds for step in state.steps if step.seconds is not None})


def newest_verdicts(settings: Settings, symbols: Sequence[str], strategy: str) -> list[dict[str, Any]]:
    """Return the newest verdict of each symbol."""
    from tick_assets.lakehouse.catalog import Lakehouse

    frame = Lakehouse.from_settings(settings).frame("evidence.verdicts", f"strategy == '{strategy}'").sort("decided_at")
    newest: dict[str, Mapping[str, Any]] = {row["symbol"]: row for row in frame.to_dicts()}
    return [dict(newest[symbol]) for symbol in symbols if symbol in newest]


@contextmanager
def open_orchestrator(settings: Settings) -> Iterator[Orchestrator]:
    """Open a client of the configured Dagster."""
    from tick_assets.tracking.orchestrator import Orchestrator

    with Orchestrator.from_settings(settings) as dagster:
        yield dagster


@contextmanager
def orchestrator_errors() -> Iterator[None]:
    """Turn what Dagster refuses into the command line's errors."""
    from tick_assets.tracking.orchestrator import OrchestratorError

    try:
        yield
    except OrchestratorError as error:
        raise CommandError(str(error)) from error


def _selected(selection: str) -> list[list[str]] | None:
    """Resolve a Dagster asset selection to keys; what lies downstream of the data job is left out."""
    if not selection:
        return None
    import dagster as dg

    from tick_assets.definitions import defs

    of_job = set(defs.resolve_job_def(INGEST).asset_layer.executable_asset_keys)
    keys = dg.AssetSelection.from_string(selection).resolve(defs.resolve_asset_graph()) & of_job
    if not keys:
        raise CommandError(
            f"Expected a selection that names assets of {INGEST}, was {selection!r}. See `dagster asset list -m tick_assets.definitions`."
        )
    return [list(key.path) for key in keys]
