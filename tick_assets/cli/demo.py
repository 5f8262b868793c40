"""`tick demo`: the whole road in one command, on the synthetic twin or on vendor files.

What belongs here: the order of the stages and what a person reads. What must not: any stage itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tick_assets.cli import runs
from tick_assets.cli.configuration import effective_settings, enter_environment, stack_errors
from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, reporter

if TYPE_CHECKING:
    from tick_assets.settings import Settings

FIRST, LAST_TRAINING, LAST = date(2024, 1, 8), date(2024, 1, 19), date(2024, 1, 22)
"""Two trading weeks to learn from and be judged on, and the Monday after them to trade."""
EDGES = {"SYNEDGE": 2.0, "SYNNULL": 0.0, "SYNWEAK": 0.8}
MUST_PASS = "SYNEDGE"
SEED = 20240108
STRATEGY = "direction"
TWIN_PORT = 15486
DEPLOY_TIMEOUT_S = 180.0
GAP_DAYS = 4
"""Dates further apart than a long weekend are two ranges, and two runs."""
DATA_HOME = ".tick-data"
DEPLOY = "deploy_champion_job"


def app_commands(app: typer.Typer) -> None:
    """Register the command."""
    app.command("demo")(demo)


@dataclass
class Clock:
    """The seconds of each stage, printed as it begins and ends."""

    say: Any
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        self.say(f"\n== {name}")
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)
        self.say(f"   {self.seconds[name]} s")


@dataclass(frozen=True)
class Plan:
    """What to run: vendor files, symbols with their date ranges, and the date to trade afterwards."""

    folder: Path
    ranges: dict[tuple[date, date], tuple[str, ...]]
    is_synthetic: bool
    trade_on: date | None

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(sorted({symbol for symbols in self.ranges.values() for symbol in symbols}))


def demo(
    data: Annotated[Path | None, typer.Option(help="Vendor files (bi5 layout) to run instead of the synthetic twin.")] = None,
    symbols: Annotated[str, typer.Option(help="Comma-separated symbols of the data folder; default: all in it.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Run the whole road: ticks, lake, features, models, verdicts, deployment, signals, simulated orders, trace."""
    clock = Clock(reporter(as_json))
    settings, plan = _prepare(data, symbols, clock)
    with _stack(settings, clock), _twin(plan, settings), runs.orchestrator_errors():
        summary = _road(settings, plan, clock)
    summary["seconds"] = clock.seconds
    summary["total_seconds"] = round(sum(clock.seconds.values()), 1)
    if as_json:
        print_json(summary)
    _say_the_end(settings, plan, clock, summary)
    _check_promise(plan, summary)


# Before the road.


def _prepare(data: Path | None, symbols: str, clock: Clock) -> tuple[Settings, Plan]:
    """Plan the demo, write the state folder's configuration, and enter its environment."""
    if data is not None and "TICK_HOME" not in os.environ:
        os.environ["TICK_HOME"] = str(effective_settings().home.with_name(DATA_HOME))
    settings = effective_settings()
    wanted = tuple(part.strip() for part in symbols.split(",") if part.strip())
    if data is None:
        with clock.stage("synthetic market"):
            plan = _synthetic_plan(settings, clock)
    else:
        plan = _data_plan(data, wanted)
    _write_configuration(settings, plan)
    enter_environment(effective_settings())
    return effective_settings(), plan


def _synthetic_plan(settings: Settings, clock: Clock) -> Plan:
    from tick_assets.domain.synthetic_market import SyntheticMarket
    from tick_assets.lakehouse.vendors.synthetic import generate_folder

    folder = settings.home / "vendor"
    dates = [FIRST + timedelta(days=i) for i in range((LAST - FIRST).days + 1)]
    days = generate_folder(folder, {name: SyntheticMarket(k=k) for name, k in EDGES.items()}, dates, SEED)
    for name, k in EDGES.items():
        clock.say(f"   {name}: {sum(day.ticks for day in days if day.symbol == name):,} synthetic ticks, edge k = {k:g}")
    return Plan(folder, {(FIRST, LAST): tuple(sorted(EDGES))}, True, LAST)


def _data_plan(folder: Path, wanted: tuple[str, ...]) -> Plan:
    """Find each symbol's contiguous date ranges in a folder laid out as the vendor's paths."""
    if not folder.is_dir():
        raise CommandError(
            f"Expected a folder of vendor files, was {folder}. Give DATA=<folder> with <SYMBOL>/<YYYY>/<MM-1>/<DD>/<HH>h_ticks.bi5."
        )
    found = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise CommandError(f"Expected folders of {', '.join(missing)} in {folder}, found {', '.join(found) or 'none'}. Correct SYMBOLS.")
    ranges: dict[tuple[date, date], tuple[str, ...]] = {}
    for symbol in wanted or found:
        for stretch in _stretches(_dates_of(folder / symbol)):
            ranges[stretch] = (*ranges.get(stretch, ()), symbol)
    if not ranges:
        raise CommandError(f"Expected hour files below {folder}, found none. See the README for the layout.")
    return Plan(folder.absolute(), ranges, (folder / "SYNTHETIC.json").is_file(), None)


def _dates_of(folder: Path) -> list[date]:
    """Return the dates that have hour files; the vendor's months begin with 00."""
    parents = {path.parent for path in folder.glob("*/*/*/*h_ticks.bi5")}
    return sorted(date(int(day.parent.parent.name), int(day.parent.name) + 1, int(day.name)) for day in parents)


def _stretches(dates: Sequence[date]) -> list[tuple[date, date]]:
    stretches: list[tuple[date, date]] = []
    for day in dates:
        if stretches and (day - stretches[-1][1]).days <= GAP_DAYS:
            stretches[-1] = (stretches[-1][0], day)
        else:
            stretches.append((day, day))
    return stretches


def _write_configuration(settings: Settings, plan: Plan) -> None:
    """Write `tick.toml` of the state folder, so that a later `tick up` goes on with the same symbols and vendor."""
    from tick_assets.lakehouse.durable_files import write_file

    twin = f"http://127.0.0.1:{TWIN_PORT}"
    lines = {
        "source": '"synthetic-twin"' if plan.is_synthetic else '"dukascopy"',
        "symbols": str(list(plan.symbols)).replace("'", '"'),
        "vendor_url": f'"{twin}"',
        "vendor_json_url": f'"{twin}"',
    }
    if plan.is_synthetic:
        lines["train_to"] = LAST_TRAINING.isoformat()
    text = "# Written by the demo. `tick vendor serve` on this folder's vendor files answers at the address below.\n"
    write_file(settings.home / "tick.toml", (text + "".join(f"{key} = {value}\n" for key, value in lines.items())).encode())


@contextmanager
def _stack(settings: Settings, clock: Clock) -> Iterator[None]:
    """Run the embedded stack; what ran before the demo goes on running, all else is stopped."""
    from tick_assets.stack.supervisor import Supervisor

    supervisor = Supervisor(settings)
    was_running = any(status.state == "running" for status in supervisor.status())
    try:
        with stack_errors(), clock.stage("stack"):
            supervisor.up(lambda line: clock.say(f"   {line}"))
        yield
    finally:
        if not was_running:
            with stack_errors():
                supervisor.down(lambda line: None)


@contextmanager
def _twin(plan: Plan, settings: Settings) -> Iterator[None]:
    """Serve the vendor files on loopback while the demo runs."""
    import threading

    from tick_assets.domain.instruments import parse_market
    from tick_assets.lakehouse.vendors.faults import FaultScript
    from tick_assets.lakehouse.vendors.twin import TwinFolder, TwinServer

    folder = TwinFolder(plan.folder, parse_market(settings.market_path.read_text()))
    try:
        server = TwinServer(folder, FaultScript(()), "127.0.0.1", TWIN_PORT)
    except OSError as error:
        raise CommandError(f"Expected port {TWIN_PORT} to be free for the vendor's twin, was taken. Stop what listens there.") from error
    thread = threading.Thread(target=server.serve_forever, name="twin", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


# The road.


def _road(settings: Settings, plan: Plan, clock: Clock) -> dict[str, Any]:
    with runs.open_orchestrator(settings) as dagster:
        with clock.stage("data: vendor to gold (Dagster run)"):
            for (first, last), symbols in sorted(plan.ranges.items()):
                clock.say(f"   {', '.join(symbols)}: {first} .. {last}")
                runs.run_backfill(dagster, symbols, first, last, clock.say)
        with clock.stage("counts, each taken by an engine that did not write it"):
            counts = _say_counts(settings, plan, clock)
        with clock.stage("models: training set to verdict (one Dagster run)"):
            runs.run_training(dagster, plan.symbols, STRATEGY, clock.say)
            verdicts = runs.newest_verdicts(settings, plan.symbols, STRATEGY)
            for row in verdicts:
                clock.say(f"   {row['first_line']}")
        passed = [row for row in verdicts if row["passed"]]
        summary: dict[str, Any] = {"counts": counts, "verdicts": verdicts, "deployed": [], "trades": 0, "trace": None}
        if passed:
            with clock.stage("deployment by the sensor (Dagster run)"):
                summary["deployed"] = [_await_deployment(settings, dagster, row, clock) for row in passed]
    if passed and plan.trade_on:
        with clock.stage("signals and orders (simulated MetaTrader 5 terminal, replay of a date the model never saw)"):
            summary |= _trade(settings, [row["symbol"] for row in passed], plan.trade_on, clock)
        with clock.stage("one ticket, back to its line of CSV"):
            summary["trace"] = _trace(settings, summary["ticket"], clock)
    return summary


def _say_counts(settings: Settings, plan: Plan, clock: Clock) -> list[dict[str, Any]]:
    from tick_assets.cli.counts import count_stations

    rows = count_stations(settings, plan.symbols)
    for row in rows:
        clock.say(f"   {row['station']:<24} written by {row['writer']:<12} counted by {row['counted_by']:<14} {row['rows']:>12,}")
    return rows


def _await_deployment(settings: Settings, dagster: Any, verdict: dict[str, Any], clock: Clock) -> dict[str, Any]:
    """Wait until the sensor's run deployed a verdict and the service reports the model's sha-256."""
    from tick_assets.tracking.serving_client import ServingClient

    deadline = time.monotonic() + DEPLOY_TIMEOUT_S
    wanted = {"tick/verdict_id": verdict["verdict_id"]}
    while True:
        for run in dagster.runs(DEPLOY):
            if wanted.items() <= run.tags.items():
                runs.follow(dagster, run.run_id, clock.say)
                live = ServingClient.from_settings(settings).deployed_sha256(verdict["symbol"], verdict["strategy"])
                if live != verdict["model_sha256"]:
                    raise CommandError(f"Expected the service to serve {verdict['model_sha256']}, was {live}. Look at its log.")
                clock.say(f"   {verdict['model_id']} is live: the service reports sha-256 {live[:16]}…")
                return {"model_id": verdict["model_id"], "model_sha256": live}
        if time.monotonic() > deadline:
            wanted_run = f"the sensor to deploy {verdict['model_id']} within {DEPLOY_TIMEOUT_S:.0f} s"
            raise CommandError(f"Expected {wanted_run}, was no run. Look at Dagster's daemon.")
        time.sleep(1.0)


def _trade(settings: Settings, symbols: Sequence[str], day: date, clock: Clock) -> dict[str, Any]:
    """Feed a recorded date to the service, trade its signals on the simulated terminal, and bring both into the lake."""
    from execution.journal import Journal
    from execution.market import parse_market_file
    from execution.service_client import connect_service
    from execution.trader import trade_day
    from tick_assets.cli.trade import recorded_day_loader
    from tick_assets.lakehouse import evidence
    from tick_assets.lakehouse.catalog import Lakehouse

    load = recorded_day_loader(settings)
    key = settings.secrets.api_keys["trader"].get_secret_value()
    query = {"mode": "replay", "replay_id": f"demo-{int(time.time())}"}
    service = connect_service(settings.service_address, key, tick_query=query)
    market = parse_market_file(settings.market_path.read_text())
    try:
        traded = trade_day(market, [load(symbol, day) for symbol in symbols], service, Journal())
    finally:
        service.end_replay()
    lakehouse = Lakehouse.from_settings(settings)
    signals = evidence.ingest_signals(lakehouse, settings.home, [day])
    orders = evidence.ingest_orders(lakehouse, settings.home, [day])
    net = sum(trade.net_pnl_account for trade in traded.trades)
    clock.say(
        f"   {len(signals)} signals answered, {len(traded.trades)} positions opened and closed, net {net:+.2f} USD after costs (simulated)"
    )
    clock.say(f"   risk verdicts: {dict(traded.counts.verdicts)}")
    if not traded.trades:
        raise CommandError(f"Expected orders on {day}, was none among {len(signals)} signals. Look at the reasons in gold.signals.")
    return {
        "signals": len(signals),
        "order_events": len(orders),
        "trades": len(traded.trades),
        "net_pnl": net,
        "ticket": traded.trades[0].ticket,
    }


def _trace(settings: Settings, ticket: int, clock: Clock) -> dict[str, Any]:
    from tick_assets.cli.deploy import open_archive, print_trace
    from tick_assets.tracking import tracing

    document = tracing.trace(open_archive(settings), str(ticket))
    print_trace(document, lambda text: clock.say("\n".join(f"   {line}" for line in text.split("\n"))))
    if not document["holds"]:
        raise CommandError(f"Expected an unbroken road of ticket {ticket}, was broken; see the checks above.")
    return dict(document)


# After the road.


def _say_the_end(settings: Settings, plan: Plan, clock: Clock, summary: dict[str, Any]) -> None:
    clock.say("\n== verdicts")
    for row in summary["verdicts"]:
        clock.say(f"   {row['model_id']:<24} {'PASSED' if row['passed'] else 'REJECTED':<9} {row['refused_by']}")
        clock.say(f"      report: {settings.reports_dir / (row['model_id'] + '.html')}")
    clock.say(f"   all verdicts: {settings.reports_dir / 'index.html'}")
    clock.say(f"   data report: {settings.reports_dir / 'data.html'}")
    clock.say("\n== seconds by stage")
    for name, seconds in clock.seconds.items():
        clock.say(f"   {seconds:7.1f}  {name}")
    clock.say(f"   {summary['total_seconds']:7.1f}  in all")
    home = "" if settings.home.name == ".tick" else f"TICK_HOME={settings.home.name} "
    clock.say(f"\nNothing was left running. Next: `{home}.venv/bin/tick up`, then open")
    clock.say(f"   {settings.service_address}/   what is live, last orders, verdicts, buttons")
    clock.say(f"   {settings.dagster_address}/  Dagster: lineage, runs, backfills")
    clock.say(f"   {settings.mlflow_address}/  MLflow: trials and models")
    if plan.is_synthetic:
        clock.say("The market above is synthetic and the terminal is simulated; neither says anything about a real one.")


def _check_promise(plan: Plan, summary: dict[str, Any]) -> None:
    """Fail when the synthetic edge is refused or anything else passes."""
    if not plan.is_synthetic:
        return
    passed = sorted(row["symbol"] for row in summary["verdicts"] if row["passed"])
    if passed != [MUST_PASS]:
        raise CommandError(f"Expected {MUST_PASS} alone to pass, was {', '.join(passed) or 'none'}. {_what_to_do(summary)}")


def _what_to_do(summary: dict[str, Any]) -> str:
    """Tell a state folder in which other code had its look at the test dates from a broken road."""
    refused_by = next((row["refused_by"] for row in summary["verdicts"] if row["symbol"] == MUST_PASS), "")
    if refused_by == "test_vault":
        return "In this state folder a model of other code has opened these test dates: name a new folder in TICK_HOME, or remove this one."
    return "Read the reports; the gates or the road are broken."
