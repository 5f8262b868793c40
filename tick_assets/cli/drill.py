"""`tick drill`: build the lake again from the raw folder alone, and compare content hashes.

What belongs here: the order of a drill, its servers and its state folder, what a person reads. What must not: hashing and comparing
(`lakehouse.rebuild`), the run itself (`rebuild_run`).

A drill works beside the lake: in `TICK_HOME/drill`, with a Postgres, an S3 and a Trino of its own on free ports, and hard links to the
raw files. The lake is only read. `--in-place` is for a disaster: it drops what raw files give, in the lake itself, and builds it again;
evidence and side tables stay. What the lake held is kept in `drill-before.json` until an equal end: a drill that died is repeated.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tick_assets.cli.configuration import effective_settings, stack_errors
from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, print_table, reporter
from tick_assets.cli.tables import catalog_errors

if TYPE_CHECKING:
    from tick_assets.lakehouse.datasets import Dataset
    from tick_assets.lakehouse.rebuild import Comparison, Plan
    from tick_assets.settings import Settings

FOLDER, BEFORE = "drill", "drill-before.json"
SERVERS = ("trino",)
PORTS = ("postgres_port", "s3_port", "trino_port", "mlflow_port", "dagster_code_port", "dagster_port", "service_port")
CLOSED = "http://127.0.0.1:9"
"""A drill's vendor: nothing listens at the discard port."""
RUN_TIMEOUT_S = 24 * 3600.0
SHOWN = 20
LOG_TAIL_LINES = 25

Report = Callable[[str], None]


def app_commands(app: typer.Typer) -> None:
    """Register the command."""
    app.command("drill")(drill)


def drill(
    symbols: Annotated[str, typer.Option(help="Comma-separated symbols; default: all that the raw folder holds.")] = "",
    from_date: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC date.")] = None,
    to_date: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last UTC date, inclusive.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the drill's state folder to look at.")] = False,
    in_place: Annotated[bool, typer.Option("--in-place", help="Drop the lake's own tables and build them again.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --in-place drops anything.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Rebuild tables and views from the raw folder alone, beside the lake, and compare content hashes; exits 1 on any difference."""
    from tick_assets.lakehouse.raw_store import RawStore
    from tick_assets.lakehouse.rebuild import plan_of

    settings, report, started = effective_settings(), reporter(as_json), time.monotonic()
    names = tuple(part.strip() for part in symbols.split(",") if part.strip())
    if in_place and (names or from_date or to_date):
        raise CommandError("Expected --in-place without --symbols, --from and --to, was a part: tables are dropped whole.")
    with _alone(settings), catalog_errors(), _query_errors(), stack_errors():
        plan = plan_of(RawStore(settings.raw_dir), names, *(at.date() if at else None for at in (from_date, to_date)))
        report(f"{len(plan.pairs)} symbol-days in {settings.raw_dir}, {len(plan.ranges)} runs")
        found = _in_place(settings, plan, report, yes) if in_place else _beside(settings, plan, report, keep)
    is_equal = all(each.is_equal for each in found) if found else None
    seconds = round(time.monotonic() - started, 1)
    if as_json:
        print_json({"equal": is_equal, "in_place": in_place, "seconds": seconds, "tables": [_row(each) for each in found]})
    else:
        _say(found, is_equal, seconds, report)
    if is_equal is False:
        raise typer.Exit(1)


# The two ways.


def _beside(settings: Settings, plan: Plan, report: Report, keep: bool) -> list[Comparison]:
    """Rebuild in a stack of its own and compare with the lake, which is only read."""
    from tick_assets.lakehouse import rebuild
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.lakehouse.raw_store import RawStore

    live = Lakehouse.from_settings(settings)
    seen = rebuild.snapshots(live)
    before = _state(settings, plan, report, "the lake")
    if not any(before.values()):
        report("the lake holds nothing of it: `tick drill --in-place` builds what was lost")
    pinned = rebuild.up_to_date(live, _newest_datasets(settings))
    with _own_stack(settings, keep, report) as own:
        linked = rebuild.link_raw(RawStore(settings.raw_dir), own.raw_dir, plan)
        report(f"{linked} raw files linked into {own.raw_dir}")
        _run(own, plan, report)
        after = _state(own, plan, report, "the rebuilt lake")
        found = rebuild.compare(before, after) + rebuild.compare_datasets(pinned, Lakehouse.from_settings(own), plan)
    moved = [name for name, snapshot in rebuild.snapshots(live).items() if snapshot != seen[name]]
    if moved and not all(each.is_equal for each in found):
        report(f"{', '.join(moved)} changed while the drill ran: repeat it when nothing is being written")
    return found


def _in_place(settings: Settings, plan: Plan, report: Report, yes: bool) -> list[Comparison]:
    """Drop what the raw folder gives, build it again, compare with what was there, and set the tags of datasets again."""
    from tick_assets.lakehouse import datasets, rebuild
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.lakehouse.durable_files import write_file
    from tick_assets.lakehouse.object_store import ObjectStore
    from tick_assets.lakehouse.raw_store import RawStore

    _require_whole(RawStore(settings.raw_dir))
    lakehouse, known = Lakehouse.from_settings(settings), _datasets(settings)
    lakehouse.ensure_tables()
    kept = settings.home / BEFORE
    before = _state_before(settings, plan, kept, report)
    pinned = [each for each in known if datasets.is_pinned(lakehouse, each)]
    current = rebuild.up_to_date(lakehouse, pinned)
    _confirm(settings, [each.id[:12] for each in pinned if each not in current], yes)
    write_file(kept, json.dumps(rebuild.to_document(before)).encode())
    report(f"dropped {', '.join(rebuild.drop(lakehouse, ObjectStore.from_settings(settings))) or 'nothing: no table was there'}")
    _run(settings, plan, report, is_recorded=True)
    after = _state(settings, plan, report, "the rebuilt lake")
    found = rebuild.compare(before, after) if any(before.values()) else []
    # A lake that was lost, or dropped by a drill that died, has no tags to tell which datasets were its newest.
    found += rebuild.compare_datasets(current or _newest_datasets(settings), lakehouse, plan)
    for each in rebuild.up_to_date(lakehouse, known):
        datasets.repin(lakehouse, each)
    if all(each.is_equal for each in found):
        kept.unlink(missing_ok=True)
    return found


def _state_before(settings: Settings, plan: Plan, kept: Path, report: Report) -> dict[str, Any]:
    """Return what the lake held before a drill dropped anything: what a drill that died has kept, else what is there."""
    from tick_assets.lakehouse import rebuild

    if kept.exists():
        report(f"comparing with what an earlier drill has kept in {kept}; remove the file to forget it")
        return rebuild.from_document(json.loads(kept.read_text()))
    return _state(settings, plan, report, "the lake")


def _require_whole(store: Any) -> None:
    """Refuse to drop anything while a raw file is missing or changed: nothing else could bring its rows back."""
    found = store.verify()
    if found:
        first = found[0]
        raise CommandError(
            f"Expected raw files as their manifests say, was {len(found)} differences, first {first.symbol} {first.date} {first.file}: "
            f"{first.problem} Nothing was dropped. See `tick raw verify`; restore the files first."
        )


def _confirm(settings: Settings, lost: Sequence[str], yes: bool) -> None:
    warning = f"Datasets {', '.join(lost)} pin rows that newer raw revisions replaced; their tables can't be rebuilt. " if lost else ""
    question = f"Drop raw, silver, hour ledger and publications of {settings.warehouse} and build them from {settings.raw_dir}?"
    if not yes and not typer.confirm(warning + question, err=True):
        raise CommandError("Expected a yes to drop tables, was no. Nothing was dropped.")


# Servers and runs.


@contextmanager
def _own_stack(settings: Settings, keep: bool, report: Report) -> Iterator[Settings]:
    """Start a Postgres, an S3 and a Trino in a state folder below the lake's; end them, and remove it unless it is to be kept."""
    from tick_assets.stack.supervisor import Supervisor

    home = settings.home / FOLDER
    own = settings_of_drill(settings, home, _free_ports(settings.host, len(PORTS)))
    supervisor = Supervisor(own)
    supervisor.down(lambda line: None)  # what a drill that was killed has left
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    _write_configuration(own)
    with ExitStack() as ended:
        if not keep:
            ended.callback(shutil.rmtree, home, ignore_errors=True)
        ended.callback(supervisor.down, lambda line: None)
        supervisor.up(lambda line: report(f"   {line}"), SERVERS)
        yield own
    if keep:
        report(f"kept {home}: `TICK_HOME={home} tick up --only trino`, then `tick sql` with the same TICK_HOME")


def settings_of_drill(settings: Settings, home: Path, ports: Sequence[int]) -> Settings:
    """Return the settings of a drill: another state folder, servers of its own on these ports, a vendor that nobody answers for."""
    elsewhere = {name: "" for name in type(settings).model_fields if name.endswith("_url") or name == "s3_endpoint"}
    spark = {"spark_master": "local[2]", "spark_remote": "", "spark_jars": "", "spark_python": "", "spark_properties": {}}
    own = {"home": home, "config": None, "vendor_url": CLOSED, "vendor_json_url": CLOSED, **spark}
    files = {"market_file": settings.market_path, "policy_file": settings.policy_path}
    return type(settings)(**{**settings.model_dump(), **elsewhere, **own, **files, **dict(zip(PORTS, ports, strict=True))})


def _write_configuration(own: Settings) -> None:
    """Write what a later `tick` needs to find the kept servers, and bring the vendor's instrument table if there is one."""
    lines = [f"{name} = {getattr(own, name)}" for name in PORTS]
    (own.home / "tick.toml").write_text("# Written by `tick drill`.\n" + "\n".join(lines) + "\n")
    table = own.home.parent / own.instruments_path.name
    if table.exists():
        shutil.copy2(table, own.instruments_path)


def _free_ports(host: str, count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((host, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _run(settings: Settings, plan: Plan, report: Report, *, is_recorded: bool = False) -> None:
    """Run the data job's assets over the plan in a child process with the environment of these settings."""
    from tick_assets.stack.environment import service_environment

    ranges = [{"symbols": each.symbols, "first": each.first.isoformat(), "last": each.last.isoformat()} for each in plan.ranges]
    log = settings.logs_dir / "drill.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    has_instance = (settings.home / "dagster" / "dagster.yaml").exists()
    document = json.dumps({"ranges": ranges, "is_recorded": is_recorded and has_instance})
    with log.open("w") as stream:
        child = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tick_assets.cli.rebuild_run", document],
            env=service_environment(settings, "drill"),
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
        )
        try:
            assert child.stdout is not None
            for line in child.stdout:
                report(f"   {line.rstrip()}")
            code = child.wait(timeout=RUN_TIMEOUT_S)
        finally:
            child.terminate()
            child.wait()
    if code:
        tail = "\n  | ".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
        raise CommandError(f"Expected the rebuilding run to succeed, was exit code {code}. Its log {log} ends:\n  | {tail}")


def _state(settings: Settings, plan: Plan, report: Report, what: str) -> dict[str, Any]:
    from tick_assets.lakehouse import rebuild
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.lakehouse.query import TrinoQuery
    from tick_assets.settings import PROJECT_ROOT

    started = time.monotonic()
    lakehouse = Lakehouse.from_settings(settings)
    state = rebuild.state_of(lakehouse, TrinoQuery.from_settings(settings), plan, PROJECT_ROOT / "dbt_project")
    report(f"hashed {what}: {sum(part.rows for parts in state.values() for part in parts):,} rows in {time.monotonic() - started:.1f} s")
    return state


def _datasets(settings: Settings) -> list[Dataset]:
    from tick_assets.lakehouse.dataset_folder import DatasetFolder

    return DatasetFolder(settings.datasets_dir).all()


def _newest_datasets(settings: Settings) -> list[Dataset]:
    """Return the newest dataset of each set of symbols."""
    return list({each.symbols: each for each in _datasets(settings)}.values())


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Let one drill of a state folder run at a time."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "drill.lock").open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(f"Expected no other drill of {settings.home}, was one that runs. Wait for its end.") from error
        yield


@contextmanager
def _query_errors() -> Iterator[None]:
    from tick_assets.lakehouse.query import QueryError

    try:
        yield
    except QueryError as error:
        raise CommandError(str(error)) from error


# What a person reads.


def _row(each: Comparison) -> dict[str, Any]:
    return {
        "table": each.name,
        "rows_before": each.rows_before,
        "rows_after": each.rows_after,
        "hash_before": each.hash_before,
        "hash_after": each.hash_after,
        "equal": each.is_equal,
        "differing": list(each.differing[:SHOWN]),
        "differing_partitions": len(each.differing),
    }


def _say(found: Sequence[Comparison], is_equal: bool | None, seconds: float, report: Report) -> None:
    if is_equal is None:
        report(f"built; the lake held nothing before and no dataset is known, so there was nothing to compare with ({seconds} s)")
        return
    columns = ("table", "rows_before", "rows_after", "hash_before", "hash_after", "equal")
    print_table([_row(each) | _short(each) for each in found], columns)
    for each in found:
        for part in each.differing[:SHOWN]:
            report(f"   {each.name} {part['symbol']} {part['date']}: {part['rows_before']} rows before, {part['rows_after']} after")
        if len(each.differing) > SHOWN:
            report(f"   {each.name}: {len(each.differing) - SHOWN} more partitions")
    answer = "equal: the raw folder gives the lake again" if is_equal else "NOT equal: see the partitions above"
    report(f"{answer} ({datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {seconds} s)")


def _short(each: Comparison) -> dict[str, str]:
    return {
        "hash_before": each.hash_before[:12],
        "hash_after": each.hash_after[:12],
        "equal": "yes" if each.is_equal else "NO",
    }
