"""`tick bench`: the benchmarks of the checkout, each a ratio against a rival in the same run.

What belongs here: options, folders of one call, printing, exit codes. What must not: any benchmark (the top-level folder `benchmarks`).
"""

from __future__ import annotations

import importlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tick_assets.cli.configuration import effective_settings, stack_errors
from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, note, print_json, print_table, say

LIST = "list"
SHOWN = ("name", "value", "unit", "rival", "rival_value", "ratio", "target", "met", "peak_mb")


def app_commands(app: typer.Typer) -> None:
    """Register the command."""
    app.command("bench")(bench)


def bench(
    name: Annotated[
        str,
        typer.Argument(
            help="A benchmark (decode.bi5, decode.json, csv.parquet, silver, features, road, gold.query, kernel.online, predict.one, "
            "backtest, walkforward), a group (data, models), or list."
        ),
    ] = "",
    ticks: Annotated[
        str, typer.Option(help="Sizes in ticks (predict.one, walkforward: in rows), separated by commas; default: the benchmark's own.")
    ] = "",
    full: Annotated[bool, typer.Option("--full", help="The sizes of the targets (20 million ticks) instead of the short ones.")] = False,
    rounds: Annotated[int, typer.Option(min=0, help="Counted rounds of each side; 0: the benchmark's own.")] = 0,
    real: Annotated[
        Path | None, typer.Option(help="Decode real hours below this folder (vendor/bi5/EURUSD) instead of synthetic ones.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 where a ratio is more than 25 % worse than benchmarks/baseline.json.")
    ] = False,
    update_baseline: Annotated[bool, typer.Option("--update-baseline", help="Accept the ratios of this run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure our road beside its rivals, side by side in one run; `tick bench list` names the benchmarks and their targets."""
    registry = _load("registry")
    if name == LIST:
        _say_list(registry, as_json)
        return
    chosen = _chosen(registry, name)
    with _plan(_sizes(ticks), full, rounds, real) as plan, stack_errors():
        findings = [finding for each in chosen for finding in _run(each, plan)]
    rows = [finding.row() for finding in findings]
    if as_json:
        print_json(rows)
    else:
        _say(rows)
    if update_baseline:
        _load("baseline").update(findings, datetime.now(UTC).date().isoformat())
    if check:
        _check(findings)


def _load(module: str) -> Any:
    """Import a module of the checkout's benchmarks; an installed wheel has none."""
    from tick_assets.settings import PROJECT_ROOT

    if not (PROJECT_ROOT / "benchmarks" / f"{module}.py").is_file():
        raise CommandError(
            f"Expected the folder benchmarks in {PROJECT_ROOT}, was none: an installed package has no benchmarks. Run this in a checkout."
        )
    if str(PROJECT_ROOT) not in sys.path:
        sys.path.insert(0, str(PROJECT_ROOT))
    return importlib.import_module(f"benchmarks.{module}")


def _chosen(registry: Any, name: str) -> Sequence[Any]:
    try:
        found: Sequence[Any] = registry.chosen(name)
    except LookupError as error:
        raise CommandError(str(error.args[0])) from error
    return found


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part.replace("_", "")) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise CommandError(f"Expected --ticks as numbers separated by commas, was {text!r}. Write --ticks 2000000,20000000.") from error
    if any(size <= 0 for size in sizes):
        raise CommandError(f"Expected --ticks above 0, was {text!r}. Write --ticks 2000000,20000000.")
    return sizes


@contextmanager
def _plan(sizes: tuple[int, ...], full: bool, rounds: int, real: Path | None) -> Iterator[Any]:
    """Give a call its folders: the cache stays, the work folder goes, with logs that a failure still needs left in place."""
    settings = effective_settings()
    signal.signal(signal.SIGTERM, _end)
    work = Path(tempfile.mkdtemp(prefix="tick-bench-"))
    try:
        yield _load("plan").Plan(settings.cache, work, note, sizes, full, rounds, real)
    except Exception:
        note(f"kept {work} with the logs of this call; remove it afterwards")
        raise
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)


def _end(number: int, frame: Any) -> None:
    """End as an exception does, so that servers of a benchmark are stopped."""
    raise SystemExit(128 + number)


def _run(benchmark: Any, plan: Any) -> list[Any]:
    note(f"{benchmark.name}: {benchmark.what}")
    try:
        found: list[Any] = benchmark.run(plan)
    except (RuntimeError, FileNotFoundError) as error:
        raise CommandError(f"{benchmark.name}: {error}") from error
    return found


def _say(rows: Sequence[dict[str, Any]]) -> None:
    print_table([row | {"value": _short(row["value"]), "rival_value": _short(row["rival_value"])} for row in rows], SHOWN)
    say()
    for row in rows:
        say(f"{row['name']} against {row['rival'] or 'nobody'}: {row['note']}")


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _say_list(registry: Any, as_json: bool) -> None:
    rows = [
        {"name": each.name, "group": each.group, "what": each.what, "targets": list(each.targets), "needs_servers": each.needs_servers}
        for each in registry.BENCHMARKS.values()
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        say(f"{row['name']:<14} {row['group']:<7} {row['what']}{' (starts servers)' if row['needs_servers'] else ''}")
        for target in row["targets"]:
            say(f"{'':<23}target: {target}")


def _check(findings: Sequence[Any]) -> None:
    baseline = _load("baseline")
    try:
        found = baseline.regressions(findings, baseline.read())
    except baseline.BaselineError as error:
        raise CommandError(str(error)) from error
    if found:
        raise CommandError(f"Expected no ratio more than 25 % worse than the baseline, was {'; '.join(map(str, found))}.")
    note("no ratio is more than 25 % worse than the baseline")
