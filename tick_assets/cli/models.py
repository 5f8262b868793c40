"""`tick models`, `tick verdict` and `tick verify`: which models there are, what was said of them, and whether it still comes out so.

What belongs here: options, opening the adapters, printing. What must not: figures or gates (`tracking.verification`, `domain`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote, urlsplit

import typer

from tick_assets.cli.configuration import effective_settings
from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, print_table, reporter, say

if TYPE_CHECKING:
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.settings import Settings
    from tick_assets.tracking.judgement import Bench, Case
    from tick_assets.tracking.model_index import ModelName
    from tick_assets.tracking.verification import Verification

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="<symbol>.<strategy>@<version>; see `tick models`.")]


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("models")(models)
    app.command("verdict")(verdict)
    app.command("verify")(verify)


def models(as_json: JsonOption = False) -> None:
    """List all registered versions with verdict and role."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # its own default waits for minutes where no server is
    from mlflow.exceptions import MlflowException

    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.lakehouse.object_store import ObjectStore
    from tick_assets.tracking.model_index import list_models
    from tick_assets.tracking.model_registry import ModelRegistry

    settings = effective_settings()
    try:
        with road_errors():
            registry, objects = ModelRegistry.from_settings(settings), ObjectStore.from_settings(settings)
            lines = list_models(registry, Lakehouse.from_settings(settings), objects)
    except MlflowException as error:
        raise CommandError(f"Expected MLflow to answer, was: {str(error).splitlines()[0]} Run `tick up`.") from error
    rows = [{**asdict(line), "report": path_of(line.report)} for line in lines]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows)
    else:
        say("no models yet; `tick train SYMBOL` makes one")


def verdict(model: ModelArgument, as_json: JsonOption = False) -> None:
    """Show a verdict with each gate's figure, threshold and result."""
    from tick_assets.lakehouse.catalog import Lakehouse

    with road_errors():
        row = find_verdict(Lakehouse.from_settings(effective_settings()), model)
    if as_json:
        print_json({name: value for name, value in row.items() if name != "gates_json"} | {"report": path_of(row["report_url"])})
        return
    say(row["first_line"])
    print_table([_gate_line(gate) for gate in row["gates"]])
    say(f"trials {row['n_trials']} (ledger {row['trial_ledger_sha256'][:12]}), test dates opened by {row['test_openings']} model(s)")
    say(f"report: {path_of(row['report_url'])}")


def _gate_line(gate: dict[str, Any]) -> dict[str, Any]:
    threshold = f"{gate['comparison']} {gate['threshold']:g}"
    return {"gate": gate["name"], "figure": gate["figure"], "threshold": threshold, "result": gate["result"], "what": gate["label"]}


def verify(model: ModelArgument, as_json: JsonOption = False) -> None:
    """Make a verdict again from what is stored and compare; spends nothing, and fails when anything differs."""
    from tick_assets.tracking.verification import verify as verify_case

    settings, report = effective_settings(), reporter(as_json)
    with road_errors():
        bench = open_bench(settings)
        row = find_verdict(bench.lakehouse, model)
        case = open_case(bench, model)
        mismatches = _terminal_mismatches(case, settings, report)
        found = verify_case(case, row, mismatches, report)
    _print_verification(found, as_json)
    if found.differences:
        raise CommandError(f"Expected {model} to come out as stored, was otherwise in {len(found.differences)} places. {_remedy(found)}")


def _terminal_mismatches(case: Case, settings: Settings, report: Any) -> int:
    """Trade the test dates on the simulated terminal again."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dagster calls parts of its own interface beta at every import
        from tick_assets.assets.backtests import run_on_terminal

    figures = run_on_terminal(case, settings.market_path.read_text()).figures(case.test.trades)
    report(
        f"simulated terminal: {figures['terminal_trades']} trades against {figures['backtest_trades']} of the backtest, "
        f"{figures['history_terminal_ticks']:,} ticks of its history against {figures['history_ticks']:,}"
    )
    return int(figures["mismatches"])


def _print_verification(found: Verification, as_json: bool) -> None:
    rows = [asdict(difference) for difference in found.differences]
    if as_json:
        print_json({"model_id": found.model_id, "verified": not rows, "compared": dict(found.compared), "differences": rows})
    elif rows:
        print_table([{**row, "stored": _short(row["stored"]), "recomputed": _short(row["recomputed"])} for row in rows])
    else:
        say(f"{found.model_id}: all {sum(found.compared.values())} values come out as stored; nothing was written")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _remedy(found: Verification) -> str:
    parts = {difference.part for difference in found.differences}
    if "dataset" in parts:
        return "The tables changed under the dataset's tags: run `tick drill`."
    return "The code, the policy or the market file is another one than at the verdict; train again to judge by this one."


def path_of(url: str) -> str:
    """Return the path of a file URL; anything else as it is."""
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else url


def open_bench(settings: Settings) -> Bench:
    """Open what judging works with. Reading only: no trial is made here, so none is recorded under a code commit."""
    from tick_assets.domain.gates import parse_policy
    from tick_assets.domain.instruments import parse_market
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.lakehouse.object_store import ObjectStore
    from tick_assets.tracking.judgement import Bench

    market, policy = parse_market(settings.market_path.read_text()), parse_policy(settings.policy_path.read_text())
    return Bench(Lakehouse.from_settings(settings), ObjectStore.from_settings(settings), market, policy, "")


def find_verdict(lakehouse: Lakehouse, model: str) -> dict[str, Any]:
    """Return a model's verdict, or a `CommandError` that lists the models that have one."""
    from tick_assets.tracking.model_index import verdict_rows

    rows = verdict_rows(lakehouse)
    parse_name(model, set(rows))
    return rows[model]


def parse_name(model: str, known: set[str]) -> ModelName:
    """Parse a model's name, which must be a known one."""
    from tick_assets.tracking.model_index import UnknownModelError, parse_model_name

    try:
        return parse_model_name(model, known)
    except UnknownModelError as error:
        raise CommandError(str(error)) from error


def open_case(bench: Bench, model: str) -> Case:
    """Return the case of a name that is known."""
    from tick_assets.tracking.judgement import Case

    name = parse_name(model, {model})
    return Case(bench, name.symbol, name.strategy, name.version)


@contextmanager
def road_errors() -> Iterator[None]:
    """Turn a stack that is down, or what it does not have, into the command line's errors."""
    from botocore.exceptions import BotoCoreError, ClientError
    from sqlalchemy.exc import OperationalError

    try:
        yield
    except OperationalError as error:
        raise CommandError("Expected the catalog's Postgres, was not reached. Run `tick up`.") from error
    except (BotoCoreError, ClientError) as error:
        raise CommandError(f"Expected the object store, was {error}. Run `tick up`.") from error
    except (LookupError, FileNotFoundError) as error:
        raise CommandError(str(error)) from error
    except OSError as error:  # PyArrow's word for an object store that does not answer
        raise CommandError(f"Expected the object store's files, was {str(error)[-160:]}. Run `tick up`.") from error
