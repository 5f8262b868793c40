"""`tick setup | up | down | status | doctor`: the embedded stack from the command line.

What belongs here: options and printing. What must not: starting and stopping itself (see `tick_assets.stack`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tick_assets.cli.configuration import effective_settings, stack_errors
from tick_assets.cli.output import JsonOption, print_json, print_table, reporter, say

if TYPE_CHECKING:
    from tick_assets.settings import Settings
    from tick_assets.stack.doctor import Finding
    from tick_assets.stack.supervisor import ServiceStatus

OnlyOption = Annotated[str, typer.Option("--only", help="Comma-separated services, such as postgres,s3,trino,mlflow; default: all.")]
WithOption = Annotated[str, typer.Option("--with", help="Comma-separated services beyond the standard ones: nifi, trino-worker.")]


def app_commands(app: typer.Typer) -> None:
    """Register the stack's commands."""
    for command in (setup, up, down, status, doctor):
        app.command()(command)


def setup(as_json: JsonOption = False) -> None:
    """Download into TICK_CACHE what the servers and Spark need; does nothing when all is there."""
    from tick_assets.stack.provision import provision

    with stack_errors():
        done = provision(effective_settings(), reporter(as_json))
    if as_json:
        print_json(done)
    else:
        say(f"set up: {done.downloaded_mb} MB downloaded in {done.seconds} s" if done.downloaded_mb else "set up: nothing to download")


def up(only: OnlyOption = "", extra: WithOption = "", as_json: JsonOption = False) -> None:
    """Start the servers that are not running, and wait until they answer."""
    from tick_assets.stack.supervisor import Supervisor

    settings = effective_settings()
    with stack_errors():
        statuses = Supervisor(settings).up(reporter(as_json), _names(only), _names(extra))
    if as_json:
        print_json(statuses)
        return
    names = {status.name for status in statuses}
    pages = {"dagster": ("Dagster", settings.dagster_address), "service": ("Control page", settings.service_address)}
    pages |= {"mlflow": ("MLflow", settings.mlflow_address), "trino": ("Trino", settings.trino_address)}
    pages |= {"nifi": ("NiFi", f"{settings.nifi_address}/nifi")}
    for name, (title, address) in pages.items():
        if name in names:
            say(f"{title:<15} {address}")


def down(only: OnlyOption = "", as_json: JsonOption = False) -> None:
    """Stop the servers and everything that they started; leaves no process behind."""
    from tick_assets.stack.supervisor import Supervisor

    supervisor = Supervisor(effective_settings())
    with stack_errors():
        supervisor.down(reporter(as_json), _names(only))
    if as_json:
        print_json(supervisor.status())


def status(as_json: JsonOption = False) -> None:
    """Say what runs; exits non-zero when a server crashed or does not answer."""
    from tick_assets.stack.supervisor import Supervisor

    with stack_errors():
        statuses = Supervisor(effective_settings()).status()
    _print_statuses(statuses, as_json)
    if any(status.is_broken for status in statuses):
        raise typer.Exit(1)


def _print_statuses(statuses: Sequence[ServiceStatus], as_json: bool) -> None:
    rows = [asdict(status) for status in statuses]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ("name", "state", "pid", "port", "memory_mb", "log"))


def doctor(as_json: JsonOption = False) -> None:
    """Print the effective configuration without secrets, and check this machine; exits non-zero on a problem."""
    from tick_assets.stack.doctor import configuration, examine

    settings = effective_settings()
    spark, addresses = _spark_of(settings)
    findings = [*examine(settings), addresses]
    if as_json:
        print_json({"configuration": configuration(settings), "spark": spark, "checks": findings})
    else:
        print_table([{"setting": name, "value": value} for name, value in configuration(settings).items()])
        say()
        print_table([{"property of Spark": name, "value": value} for name, value in spark.items()])
        say()
        print_table([{"check": item.name, "ok": "yes" if item.ok else "NO", "found": item.found} for item in findings])
        for item in findings:
            if not item.ok:
                say(f"{item.name}: {item.remedy}")
    if not all(item.ok for item in findings):
        raise typer.Exit(1)


def _spark_of(settings: Settings) -> tuple[dict[str, str], Finding]:
    """Return the effective properties of a session, and whether its addresses can work together."""
    from tick_assets.lakehouse.spark import SparkPlaceError, session_config
    from tick_assets.stack.doctor import Finding, shown_properties

    where = settings.spark_remote.partition(";")[0] or settings.spark_master
    try:
        return shown_properties(session_config(settings)), Finding("spark", True, where)
    except SparkPlaceError as error:
        return {}, Finding("spark", False, where, str(error))


def _names(only: str) -> list[str]:
    return [name.strip() for name in only.split(",") if name.strip()]
