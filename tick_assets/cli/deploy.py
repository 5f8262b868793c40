"""`tick deploy`, `tick rollback`, `tick trace` and `tick why`: what is served, and the road of an order or signal backwards.

What belongs here: options, opening the adapters, printing. What must not: steps of a deployment, finding things (`tracking`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tick_assets.cli.configuration import effective_settings
from tick_assets.cli.errors import CommandError
from tick_assets.cli.models import ModelArgument, find_verdict, open_bench, open_case, road_errors
from tick_assets.cli.output import JsonOption, print_json, print_table, say

if TYPE_CHECKING:
    from tick_assets.domain.explanation import Explanation
    from tick_assets.settings import Settings
    from tick_assets.tracking.tracing import Archive, Document, Origin


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("deploy")(deploy)
    app.command("rollback")(rollback)
    app.command("trace")(trace)
    app.command("why")(why)


def deploy(
    model: ModelArgument,
    shadow: Annotated[bool, typer.Option("--shadow", help="Serve it without execution; any verdict will do.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Deploy a model whose verdict is a pass, and wait until the service says that it serves it."""
    from tick_assets.lakehouse.raw_store import RawStore
    from tick_assets.tracking import bundles, deployments

    settings = effective_settings()
    with road_errors(), deployment_errors():
        bench = open_bench(settings)
        find_verdict(bench.lakehouse, model)
        case = open_case(bench, model)
        manifests = deployments.raw_manifests(case, RawStore(settings.raw_dir), settings.sources_in_order)
        role = bundles.SHADOW if shadow else bundles.CHAMPION
        done = deployments.deploy(
            case, deployments.deployer_from(settings), role=role, raw_manifests=manifests, issued_at=datetime.now(UTC)
        )  # fmt: skip
    if as_json:
        print_json(done)
    else:
        say(f"{done['model_id']} is {done['role']}, service: {done['service']}")
        say(f"model {done['model_sha256']}\npassport {done['passport_id']}")


def rollback(
    symbol: Annotated[str, typer.Argument(help="Symbol.")],
    strategy: Annotated[str, typer.Option(help="Strategy.")] = "direction",
    as_json: JsonOption = False,
) -> None:
    """Deploy the newest earlier version that passed."""
    from tick_assets.tracking import deployments

    with road_errors(), deployment_errors():
        done = deployments.rollback(deployments.deployer_from(effective_settings()), symbol, strategy)
    if as_json:
        print_json(done)
    else:
        say(f"{done['model_id']} is champion again instead of version {done['before']}, service: {done['service']}")


def trace(
    ticket: Annotated[str, typer.Argument(help="A position or order id of the terminal, or the beginning of a signal id.")],
    as_json: JsonOption = False,
) -> None:
    """Follow an order back to the line of the raw file and the delivery it came from, and check each step."""
    from tick_assets.tracking import tracing

    with road_errors(), deployment_errors():
        document = tracing.trace(open_archive(effective_settings()), ticket)
    if as_json:
        print_json(document)
    else:
        print_trace(document)
    if not document["holds"]:
        broken = [check["name"] for check in document["checks"] if not check["holds"]]
        raise CommandError(f"Expected an unbroken road of ticket {ticket}, was broken at: {'; '.join(broken)}. Run `tick raw verify`.")


def print_trace(document: Mapping[str, Any], say: Callable[[str], None] = say) -> None:
    """Print the road of a ticket, from the order back to the delivery, and what was checked."""
    order, signal, passport = document["order"], document["signal"], document["passport"]
    tick, raw = document["tick"], document["raw"]
    states = ", ".join(f"{event['intent']} {event['state']}" for event in order["events"])
    what = f"{order['side']} {order['filled_quantity']} {order['symbol']} at {order['price']}" if order["side"] else "none sent"
    say(f"order     {what}, account {order['account']}: {states}")
    if order["exit_price"] is not None:
        say(f"          closed at {order['exit_price']} by {order['exit_reason']}, net {order['net_pnl_account']:.2f}")
    if order["same_ticket_signals"]:
        say(f"          the newest of {len(order['same_ticket_signals']) + 1} orders with this ticket; trace another by its signal id")
    say(f"signal    {signal['signal_id']} {signal['view']}, probability {signal['probability']:.4f} ({signal['found_in']})")
    say(f"passport  {passport['passport_id']} of {passport['model_id']}: {passport['verdict']['answer']}")
    say(f"          model {passport['model_sha256']}, dataset {passport['dataset_id']}")
    say(f"features  event {signal['event_id']}")
    say(f"tick      {tick['symbol']} {tick['ts_event'].isoformat()} seq {tick['seq']}: {tick['bid_points']} / {tick['ask_points']} points")
    say(f"raw file  {raw['file']}, line {raw['physical_line']}:\n          {raw['line']}")
    say(f"          sha-256 {raw['sha256']}")
    say(f"delivered {raw['url'] or '(a local file)'}\n          sha-256 {raw['response_sha256']}")
    for check in document["checks"]:
        say(f"check     {'holds ' if check['holds'] else 'BROKEN'} {check['name']}")


def why(
    signal_id: Annotated[str, typer.Argument(help="The beginning of a signal id, eight digits or more.")],
    as_json: JsonOption = False,
) -> None:
    """Show what each feature contributed to a signal, what the guards found and what became of its order."""
    from tick_assets.tracking import tracing

    with road_errors(), deployment_errors():
        archive = open_archive(effective_settings())
        issued = tracing.find_signal(archive, signal_id)
        if issued is None:
            trail = tracing.find_orders(archive, signal_id)
            whole, orders = trail.signal_id, trail.events
        else:
            whole = str(issued["signal_id"])
            orders = tracing.orders_of(archive, whole)
        origin = tracing.find_origin(archive, whole, issued, orders)
    document = _explanation(origin, orders)
    if as_json:
        print_json(document)
    else:
        _print_why(document, origin.explanation)


def _explanation(origin: Origin, orders: tuple[Document, ...]) -> dict[str, Any]:
    made, issued = origin.explanation, origin.signal or {}
    return {
        "signal_id": origin.signal_id,
        "model_id": origin.payload["model_id"],
        "event_id": origin.features_row["event_id"],
        "symbol": origin.features_row["symbol"],
        "ts_event": origin.features_row["ts_event"],
        "action": issued.get("action"),
        "view": issued.get("view", origin.view),
        "probability": made.probability,
        "bias": made.bias,
        "contributions": [asdict(row) for row in made.contributions],
        "guards": [asdict(guard) for guard in made.guards],
        "reasons": list(issued.get("reasons", [])),
        "verdicts": [{name: order.get(name) for name in ("ts_event", "intent", "state", "verdict", "reason")} for order in orders],
    }


def _print_why(document: Mapping[str, Any], made: Explanation) -> None:
    from tick_assets.domain.explanation import log_odds

    say(f"{document['view']} {document['symbol']} {document['ts_event'].isoformat()} by {document['model_id']}")
    say(f"probability {made.probability:.4f} that a long is the better side: log-odds {log_odds(made):+.4f}, bias {made.bias:+.4f} and")
    print_table([{**asdict(row), "contribution": f"{row.contribution:+.4f}"} for row in made.contributions])
    print_table([{"guard": guard.name, "holds": "yes" if guard.holds else guard.reason, "detail": guard.detail} for guard in made.guards])
    if document["reasons"]:
        say(f"the signal's reasons: {', '.join(document['reasons'])}")
    if document["verdicts"]:
        print_table(document["verdicts"])
    else:
        say("no order event: no execution process acted on it")


def open_archive(settings: Settings) -> Archive:
    """Open where the things of the road lie."""
    from tick_assets.domain.passports import decode_key
    from tick_assets.lakehouse.catalog import Lakehouse
    from tick_assets.lakehouse.object_store import ObjectStore
    from tick_assets.lakehouse.raw_store import RawStore
    from tick_assets.tracking.tracing import Archive

    public_key = decode_key((settings.home / "keys" / "passport_ed25519.pub").read_text())
    lakehouse, objects = Lakehouse.from_settings(settings), ObjectStore.from_settings(settings)
    return Archive(settings.home, lakehouse, objects, RawStore(settings.raw_dir), public_key)


@contextmanager
def deployment_errors() -> Iterator[None]:
    """Turn a refusal, or a bundle or passport that does not hold, into the command line's errors."""
    from tick_assets.domain.passports import PassportError
    from tick_assets.tracking.bundles import BundleError
    from tick_assets.tracking.dataset_versions import DatasetVersionError
    from tick_assets.tracking.deployments import DeploymentRefusedError
    from tick_assets.tracking.serving_client import ServingError

    try:
        yield
    except (DeploymentRefusedError, BundleError, PassportError, DatasetVersionError, ServingError) as error:
        raise CommandError(str(error)) from error
