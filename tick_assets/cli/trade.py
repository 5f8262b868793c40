"""`tick trade`: the execution process on the command line.

What belongs here: arguments, settings to values, printing. What must not: order logic (`execution`), which never imports this package.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tick_assets.cli.errors import CommandError
from tick_assets.cli.output import JsonOption, print_json, print_table, reporter

if TYPE_CHECKING:
    from execution.adapters.mt5.terminal import MetaTrader5Terminal, TerminalSettings
    from execution.market import MarketFile
    from execution.risk import RiskPolicy
    from execution.trader import DayTicks, TickLoader
    from tick_assets.settings import Settings

Terminal = Literal["sim", "native", "bridge"]
Account = Literal["demo", "live"]


def app_commands(app: typer.Typer) -> None:
    """Register the topic's commands."""
    app.command("trade")(trade)


def trade(
    symbol: Annotated[list[str] | None, typer.Option("--symbol", help="Repeat for several. Default: all configured.")] = None,
    terminal: Annotated[Terminal, typer.Option(help="sim: in this process. native: Windows. bridge: on another host.")] = "sim",
    account: Annotated[Account, typer.Option(help="live needs a second switch: the login in <home>/execution/live_enabled.")] = "demo",
    day: Annotated[str, typer.Option("--date", help="UTC date to replay; for sim alone.")] = "",
    candidate: Annotated[str, typer.Option(help="Model version to replay instead of the deployed one; for sim alone.")] = "",
    strategy: Annotated[str, typer.Option(help="Strategy of the candidate.")] = "direction",
    as_json: JsonOption = False,
) -> None:
    """Feed a terminal's ticks to the signal service and trade its signals."""
    from tick_assets.settings import load_settings

    settings = load_settings()
    symbols = tuple(symbol or settings.symbols)
    if terminal == "sim":
        if account == "live":
            raise CommandError("Expected --account demo with --terminal sim, was live. The simulated terminal has no live account.")
        _trade_recorded(settings, symbols, _parse_date(day), candidate, strategy, as_json)
    else:
        if day or candidate:
            raise CommandError(f"Expected no --date and no --candidate with --terminal {terminal}. Use --terminal sim to replay.")
        _trade_live(settings, symbols, terminal, account, as_json)


def _parse_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"Expected --date as YYYY-MM-DD with --terminal sim, was {text!r}. Name the date to replay.") from None


def recorded_day_loader(settings: Settings) -> TickLoader:
    """Return a loader of recorded dates: the raw store's current rows in sendable form, and those that the kernel's cleaning keeps."""
    from execution.trader import DayTicks
    from tick_assets.domain.instruments import parse_market
    from tick_assets.domain.kernel import run_kernel
    from tick_assets.domain.replays import as_replayed
    from tick_assets.lakehouse.raw_store import RawStore
    from tick_assets.lakehouse.raw_ticks import read_day
    from tick_assets.lakehouse.silver import to_ticks

    market = parse_market(settings.market_path.read_text())

    def load(symbol: str, day: date) -> DayTicks:
        _, rows = read_day(RawStore(settings.raw_dir), symbol, day, settings.sources_in_order)
        current = rows.filter("is_current") if len(rows) else rows
        if not len(current):
            raise CommandError(f"Expected recorded ticks of {symbol} on {day}, found none. Run `tick backfill` or `tick import` first.")
        ticks = to_ticks(current)
        day_number = (day - date(1970, 1, 1)).days
        batch = run_kernel(ticks, market.instrument(symbol).price_factor, day_number)
        return DayTicks(symbol, as_replayed(ticks, day_number), ticks.take(batch.reason == 0))

    return load


def _trade_recorded(
    settings: Settings, symbols: tuple[str, ...], day: date, candidate: str, strategy: str, as_json: bool
) -> None:  # fmt: skip
    from execution.journal import Journal
    from execution.market import parse_market_file
    from execution.ports import ServiceUnavailableError
    from execution.service_client import connect_service
    from execution.simulate import trade_rows
    from execution.trader import trade_day

    progress = reporter(as_json)
    load = recorded_day_loader(settings)
    days: list[DayTicks] = [load(symbol, day) for symbol in symbols]
    query = {"mode": "replay", "replay_id": f"trade-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"}
    if candidate:
        query |= {"candidate": candidate, "strategy": strategy}
    service = connect_service(settings.service_address, _service_key(settings, "pipeline" if candidate else "trader"), tick_query=query)
    market = parse_market_file(settings.market_path.read_text())
    try:
        traded = trade_day(market, days, service, Journal(), on_progress=lambda done, total: progress(f"quotes {done:,} of {total:,}"))
    except ServiceUnavailableError as error:
        raise CommandError(f"{error} Run `tick up` first.") from error
    finally:
        service.end_replay()
    rows = trade_rows(traded.trades)
    if as_json:
        print_json({"symbols": symbols, "date": day, "counts": traded.counts, "trades": rows})
        return
    print_table(rows)
    net = sum(trade.net_pnl_account for trade in traded.trades)
    progress(f"{len(rows)} trades, net {net:.2f} {market.account.currency}; verdicts {dict(traded.counts.verdicts)}")


def _service_key(settings: Settings, name: str) -> str:
    keys = settings.secrets.api_keys
    if name not in keys:
        raise CommandError(f"Expected a service key named {name} in {settings.secrets_file}, found none. Run `tick up` to generate it.")
    return keys[name].get_secret_value()


def _trade_live(settings: Settings, symbols: tuple[str, ...], terminal: Terminal, account: Account, as_json: bool) -> None:
    from execution.adapters.mt5.native import NativeTerminalUnavailableError
    from execution.journal import Journal
    from execution.market import parse_market_file
    from execution.service_client import connect_service
    from execution.trader import LiveTrader, native_terminal

    folder = settings.home / "execution"
    values = _terminal_values(folder / "terminal.toml")
    terminal_settings = _terminal_settings(values)
    market = parse_market_file(settings.market_path.read_text())
    try:
        port = _bridged_terminal(values, terminal_settings, market) if terminal == "bridge" else native_terminal(terminal_settings, market)
    except NativeTerminalUnavailableError as error:
        raise CommandError(str(error)) from error
    service = connect_service(settings.service_address, _service_key(settings, "trader"))
    journal = Journal(folder / "journal.sqlite")
    policy = _policy(terminal_settings, account, folder / "live_enabled")
    trader = LiveTrader(port, service, journal, policy, symbols, kill_file=folder / "KILL")
    say = reporter(as_json)
    say(f"trading {', '.join(symbols)} on account {terminal_settings.login} ({account}); entries stop while {folder / 'KILL'} exists")
    try:
        trader.run()
    except KeyboardInterrupt:
        print_json({"counts": trader.engine.counts, "positions": len(trader.desk.managed)})
    finally:
        port.disconnect()
        journal.close()


def _terminal_values(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise CommandError(f"Expected the terminal's login, server and path in {path}, found no file. Write it.")
    return tomllib.loads(path.read_text())


def _terminal_settings(values: Mapping[str, Any]) -> TerminalSettings:
    from execution.adapters.mt5.terminal import TerminalSettings

    known = TerminalSettings.__dataclass_fields__.keys()
    return TerminalSettings(**{name: value for name, value in values.items() if name in known})


def _bridged_terminal(values: Mapping[str, Any], settings: TerminalSettings, market: MarketFile) -> MetaTrader5Terminal:
    from execution.adapters.mt5.bridge.client import BridgedMetaTrader5
    from execution.adapters.mt5.server_clock import server_clock_from
    from execution.adapters.mt5.terminal import MetaTrader5Terminal

    missing = sorted({"bridge_host", "bridge_port", "bridge_key_file"} - values.keys())
    if missing:
        raise CommandError(f"Expected {', '.join(missing)} in terminal.toml with --terminal bridge, found none. Add them.")
    key = Path(values["bridge_key_file"]).expanduser().read_bytes().strip()
    module = BridgedMetaTrader5(str(values["bridge_host"]), int(values["bridge_port"]), key)
    return MetaTrader5Terminal(module, settings, server_clock_from(market.server_clock))


def _policy(terminal: TerminalSettings, account: Account, flag_file: Path) -> RiskPolicy:
    from execution.risk import RiskPolicy
    from execution.trader import is_live_enabled

    is_enabled = is_live_enabled(flag_file, terminal.login)
    if account == "live" and not is_enabled:
        raise CommandError(f"Expected the login {terminal.login} in {flag_file}, the second switch for live trading. Write it yourself.")
    return RiskPolicy(is_live_wanted=account == "live", is_live_enabled=is_enabled, login=str(terminal.login) if terminal.login else "")
