"""`tick replay`: a recorded date through the service and the simulated terminal, compared with the batch path and the backtest.

What belongs here: choosing the model, feeding the service over HTTP, counting. What must not: what is compared (`domain.replays`), where
a difference comes from (`domain.attribution`), or order logic (`execution`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tick_assets.cli.configuration import effective_settings
from tick_assets.cli.deploy import deployment_errors
from tick_assets.cli.errors import CommandError
from tick_assets.cli.models import open_bench, road_errors
from tick_assets.cli.output import JsonOption, note, print_json, print_table, reporter, say
from tick_assets.cli.trade import recorded_day_loader

if TYPE_CHECKING:
    from execution.disturbance import DisturbedRun
    from execution.orders import Quote
    from execution.simulate import SimulatedTrade, TickColumns
    from execution.trader import DayTicks, TickLoader, TradedDay
    from tick_assets.domain.attribution import Attribution
    from tick_assets.domain.dataset import TrainingSet
    from tick_assets.domain.instruments import Market
    from tick_assets.domain.replays import Mismatch, Speaker
    from tick_assets.settings import Settings
    from tick_assets.tracking.judgement import Bench

SHOWN = 10


def app_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("replay")(replay)


@dataclass(frozen=True)
class ReplayCounts:
    """What was compared and what differs."""

    events: int
    features_compared: int
    feature_mismatches: int
    probabilities_compared: int
    probability_mismatches: int
    probability_difference_max: float
    signals: int
    signal_mismatches: int
    trades: int
    trade_mismatches: int


@dataclass(frozen=True)
class Spokesman:
    """The model of a replay and how the service is asked to use it."""

    model_id: str
    query: Mapping[str, str]
    speaker: Speaker


@dataclass(frozen=True)
class Replayed:
    """What the service answered, signal by signal, and what the terminal made of it."""

    documents: Sequence[Mapping[str, Any]]
    day: TradedDay


@dataclass(frozen=True)
class StochasticRun:
    """The same signals in a rougher market, and where the difference in profit comes from; money is in account currency."""

    seed: int
    trades: int
    orders_refused: int
    signals_lost: int
    net_pnl: float
    net_pnl_deterministic: float
    attribution: Attribution


def replay(
    symbol: Annotated[str, typer.Option(help="Symbol.")],
    day: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="UTC date.")],
    strategy: Annotated[str, typer.Option(help="Strategy of the model.")] = "direction",
    stochastic: Annotated[
        bool, typer.Option("--stochastic", help="Trade the same signals once more in a rougher market, and say what that cost and why.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of --stochastic. Default: the market file's plus one.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Replay a recorded date through service and simulated terminal; fails when anything differs from the batch path."""
    if seed is not None and not stochastic:
        raise CommandError("Expected --seed with --stochastic, was alone: the deterministic run draws by the market file's seed.")
    settings, report = effective_settings(), reporter(as_json)
    at = day.date()
    with road_errors(), deployment_errors():
        bench = open_bench(settings)
        load = recorded_day_loader(settings)
        recorded, leader = load(symbol, at), _leader_day(bench, load, symbol, at, report)
        events = _batch_events(bench, recorded, leader, at, report)
        chosen = _spokesman(settings, bench, symbol, strategy)
        report(f"model: {chosen.model_id}" if chosen else "model: none is deployed and none was judged; features alone are compared")
        if stochastic and chosen is None:
            raise CommandError("Expected a model with --stochastic, was none deployed or judged. Run `tick train` first.")
        replayed = _through_service(settings, recorded, leader, chosen, report)
    counts, mismatches = compare(events, replayed, chosen, bench)
    rough = None
    if stochastic and chosen is not None and not mismatches:
        text, drawn_by = settings.market_path.read_text(), bench.market.seed + 1 if seed is None else seed
        rough = run_stochastic(events, chosen.speaker, bench.market, text, replayed.day.trades, drawn_by)
    _print(counts, mismatches, rough, as_json)
    if mismatches:
        raise CommandError(f"Expected the replay of {symbol} on {at} to equal the batch path, was otherwise in {len(mismatches)} places.")
    _require_whole(rough)


def _require_whole(rough: StochasticRun | None) -> None:
    from tick_assets.domain.replays import PNL_TOLERANCE

    if rough is not None and abs(rough.attribution.residual) > PNL_TOLERANCE:
        raise CommandError(
            f"Expected the parts to add up to the difference, was {rough.attribution.residual:+.6f} left. Backtest and terminal disagree."
        )


def run_stochastic(
    events: TrainingSet, speaker: Speaker, market: Market, market_text: str, calm_trades: Sequence[SimulatedTrade], seed: int
) -> StochasticRun:
    """Trade one date's signals again with other draws, wider spreads, refused, requoted and lost orders, and attribute the difference."""
    from execution.disturbance import LOST
    from tick_assets.domain.replays import RoughSide, attribute_replay
    from tick_assets.domain.ticks import Ticks

    rough = _disturbed(events, speaker, market, market_text, seed)
    calm = {trade.signal_id: trade.net_pnl_account for trade in calm_trades}
    profits = {trade.signal_id: trade.net_pnl_account for trade in rough.run.trades}
    quotes = rough.ticks
    ticks = Ticks(quotes.ts_us, quotes.bid_points, quotes.ask_points, quotes.bid_size, quotes.ask_size)
    attribution = attribute_replay(events, speaker, market, calm, RoughSide(ticks, seed, profits, rough.run.refused.keys()))
    lost = sum(reason == LOST for reason in rough.run.denied.values())
    refused = len(rough.run.refused)
    return StochasticRun(seed, len(profits), refused, lost, sum(profits.values()), sum(calm.values()), attribution)


def _disturbed(events: TrainingSet, speaker: Speaker, market: Market, market_text: str, seed: int) -> DisturbedRun:
    from execution.disturbance import Disturbance, simulate_disturbed
    from execution.market import parse_market_file
    from execution.simulate import signals_of
    from tick_assets.domain.replays import spoken_orders

    spoken, strategy = spoken_orders(events, speaker, market), speaker.strategy
    signals = signals_of(events.symbol, spoken.keys, events.ts_event_us, spoken.orders, strategy.max_position, range(len(events)))
    return simulate_disturbed(
        parse_market_file(market_text), events.symbol, events.ticks[0], signals, Disturbance(seed), strategy.name
    )  # fmt: skip


def compare(events: TrainingSet, replayed: Replayed, chosen: Spokesman | None, bench: Bench) -> tuple[ReplayCounts, list[Mismatch]]:
    """Compare features, and with a model its signals and trades."""
    from tick_assets.domain import replays

    compared, features = replays.compare_features(events, replayed.documents)
    if chosen is None:
        return ReplayCounts(len(events), compared, len(features), 0, 0, 0.0, 0, 0, 0, 0), features
    factor = bench.market.instrument(events.symbol).price_factor
    expected = replays.expected_signals(events, chosen.speaker, factor)
    probabilities = replays.compare_probabilities(expected, replayed.documents)
    signals = replays.compare_signals(expected, replayed.documents)
    made = replays.expected_trades(events, chosen.speaker, bench.market)
    trades = replays.compare_trades(made, replayed.day.trades)
    counts = ReplayCounts(
        events=len(events),
        features_compared=compared,
        feature_mismatches=len(features),
        probabilities_compared=probabilities.compared,
        probability_mismatches=len(probabilities.mismatches),
        probability_difference_max=probabilities.largest,
        signals=len(expected),
        signal_mismatches=len(signals),
        trades=len(made),
        trade_mismatches=len(trades),
    )
    return counts, [*features, *probabilities.mismatches, *signals, *trades]


def _print(counts: ReplayCounts, mismatches: Sequence[Mismatch], rough: StochasticRun | None, as_json: bool) -> None:
    if as_json:
        print_json(asdict(counts) | _document(rough))
        for row in mismatches[:SHOWN]:
            note(f"{row.what} {row.key}: batch {row.batch}, replay {row.replay}")
        return
    for name, value in asdict(counts).items():
        say(f"{name:<27} {value}")
    if mismatches:
        print_table([asdict(row) for row in mismatches[:SHOWN]])
    if rough is not None:
        say()
        print_table(attribution_rows(rough))


def _document(rough: StochasticRun | None) -> dict[str, Any]:
    """Return the parts of the JSON document that a stochastic run adds."""
    if rough is None:
        return {}
    values = asdict(rough)
    return {"attribution": values.pop("attribution"), "stochastic": values}


def attribution_rows(rough: StochasticRun) -> list[dict[str, Any]]:
    """Return the table: net profit of the deterministic run, each part of the difference, net profit of the stochastic run."""
    parts = {name: value for name, value in asdict(rough.attribution).items() if name != "total"}
    return [
        {"what": "net profit, deterministic", "account_currency": round(rough.net_pnl_deterministic, 4)},
        *({"what": name, "account_currency": round(value, 4)} for name, value in parts.items()),
        {"what": f"net profit, seed {rough.seed}", "account_currency": round(rough.net_pnl, 4)},
    ]


def _leader_day(bench: Bench, load: TickLoader, symbol: str, day: date, report: Any) -> DayTicks | None:
    """Return the recorded date of the symbol's leader, None without a leader or a recording of it."""
    leader = bench.market.sampling_of(symbol).leader
    if not leader:
        return None
    try:
        return load(leader, day)
    except CommandError:
        report(f"the leader {leader} has no recorded ticks on {day}: its features are unknown")
        return None


def _batch_events(bench: Bench, recorded: DayTicks, leader: DayTicks | None, day: date, report: Any) -> TrainingSet:
    """Return the published rows of the date; where it is not published, what the kernel makes of the raw rows."""
    from tick_assets.domain.dataset import training_set
    from tick_assets.lakehouse.published_days import read_published_day

    published = read_published_day(bench.lakehouse, recorded.symbol, day, bench.market.sampling_of(recorded.symbol))
    if published is not None:
        return training_set(recorded.symbol, [published])
    report(f"{recorded.symbol} {day} is not published: compared with the kernel over the raw rows")
    return training_set(recorded.symbol, [_kernel_day(bench, recorded, leader, day)])


def _kernel_day(bench: Bench, recorded: DayTicks, leader: DayTicks | None, day: date) -> Any:
    import numpy as np

    from tick_assets.domain.kernel import run_kernel
    from tick_assets.domain.replays import unlabelled_day
    from tick_assets.domain.ticks import Ticks, empty_ticks

    def columns(of: TickColumns) -> Ticks:
        return Ticks(of.ts_us, of.bid_points, of.ask_points, of.bid_size, of.ask_size)

    ticks = columns(recorded.recorded)
    instrument = bench.market.instrument(recorded.symbol)
    sampling, number = instrument.sampling, (day - date(1970, 1, 1)).days
    beside = (columns(leader.clean) if leader else empty_ticks()) if sampling.leader else None
    batch = run_kernel(ticks, instrument.price_factor, number, sampling.clock, beside, sampling.feature_set)
    valid = batch.reason == 0
    rows = (np.cumsum(valid) - 1)[batch.event_row].astype(np.int64)
    return unlabelled_day(day.isoformat(), ticks.take(valid), batch.event_row, rows, batch.features, batch.sigma_points, sampling)


def _spokesman(settings: Settings, bench: Bench, symbol: str, strategy: str) -> Spokesman | None:
    """Return the model that the service serves, else the newest judged candidate, else None."""
    from tick_assets.tracking.candidates import CandidateStore, NoCandidateError
    from tick_assets.tracking.serving_client import ServingClient

    live = [item for item in ServingClient.from_settings(settings).models() if (item["symbol"], item["mode"]) == (symbol, "live")]
    deployed = [str(item["version"]) for item in live if item["strategy"] == strategy]
    if deployed:
        # Several live models of one symbol would speak, and trade, all at once: then the one is asked for by its version.
        query = {} if len(live) == 1 else {"candidate": deployed[0], "strategy": strategy}
        return _opened(settings, bench, symbol, strategy, deployed[0], query)
    store = CandidateStore(bench.objects, symbol, strategy)
    try:
        version = store.latest_version()
        store.read(version, "gate_verdict")
    except NoCandidateError:
        return None
    _publish(settings, bench, symbol, strategy, version)
    return _opened(settings, bench, symbol, strategy, version, {"candidate": version, "strategy": strategy})


def _publish(settings: Settings, bench: Bench, symbol: str, strategy: str, version: str) -> None:
    """Put a judged candidate's bundle where the service can open it; no pointer names it."""
    from tick_assets.lakehouse.raw_store import RawStore
    from tick_assets.tracking import deployments
    from tick_assets.tracking.judgement import Case

    case = Case(bench, symbol, strategy, version)
    manifests = deployments.raw_manifests(case, RawStore(settings.raw_dir), settings.sources_in_order)
    deployments.publish(case, deployments.deployer_from(settings), manifests, datetime.now(UTC))


def _opened(settings: Settings, bench: Bench, symbol: str, strategy: str, version: str, query: Mapping[str, str]) -> Spokesman:
    from tick_assets.domain.passports import decode_key, verify
    from tick_assets.domain.replays import Speaker
    from tick_assets.domain.signals import Strategy
    from tick_assets.tracking.bundles import read_bundle

    bundle = read_bundle(bench.objects, symbol, strategy, version)
    payload = verify(bundle.passport, decode_key((settings.home / "keys" / "passport_ed25519.pub").read_text()))
    speaker = Speaker(bundle.model, Strategy(**payload["strategy"]), payload["feature_ranges"])
    return Spokesman(payload["model_id"], query, speaker)


@dataclass
class LeaderQuotes:
    """The leader's quotes of a date, handed out in step with the follower's."""

    quotes: Sequence[Quote]
    taken: int = 0

    def until(self, last: datetime) -> Sequence[Quote]:
        """Return the quotes that were not handed out yet and are not later than a stamp."""
        begin = self.taken
        while self.taken < len(self.quotes) and self.quotes[self.taken].ts_event <= last:
            self.taken += 1
        return self.quotes[begin : self.taken]


def _through_service(settings: Settings, recorded: DayTicks, leader: DayTicks | None, chosen: Spokesman | None, report: Any) -> Replayed:
    """Trade the date on the simulated terminal with what the service says; its order events stay here, so nothing is kept of them.

    The service gets the leader's recorded quotes beside the symbol's; what it says of the leader is left out.
    """
    import httpx

    from execution.journal import Journal
    from execution.market import parse_market_file
    from execution.ports import ServiceUnavailableError
    from execution.service_client import HttpSignalService, to_wire
    from execution.signals import Signal, parse_signal
    from execution.simulate import quotes_of
    from execution.trader import trade_day

    class RecordingService(HttpSignalService):
        """Keeps the signals as they were answered."""

        def __init__(self, client: httpx.Client, tick_query: Mapping[str, str]) -> None:
            super().__init__(client, tick_query)
            self.query = tick_query
            self.documents: list[dict[str, Any]] = []

        def post_ticks(self, quotes: Sequence[Any]) -> list[Signal]:
            sent = [*beside.until(quotes[-1].ts_event), *quotes]
            answer = self._post("/v1/ticks", {"ticks": [to_wire(quote) for quote in sent]}, self.query)
            said = [values for values in answer["signals"] if values["symbol"] == recorded.symbol]
            self.documents.extend(said)
            return [parse_signal(values) for values in said]

        def report(self, events: Sequence[Mapping[str, Any]]) -> None:
            pass

    replay_id = f"replay-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    query = {"mode": "replay", "replay_id": replay_id, **(chosen.query if chosen else {})}
    key = settings.secrets.api_keys["pipeline"].get_secret_value()
    market = parse_market_file(settings.market_path.read_text())
    led_by = list(quotes_of(leader.symbol, leader.recorded, market.symbol(leader.symbol).price_factor)) if leader else []
    beside = LeaderQuotes(led_by)
    with httpx.Client(base_url=settings.service_address, headers={"X-API-Key": key}, timeout=60.0) as client:
        service = RecordingService(client, query)
        try:
            traded = trade_day(market, [recorded], service, Journal())
        except ServiceUnavailableError as error:
            raise CommandError(f"{error} Run `tick up` first.") from error
        finally:
            _end_replay(client, replay_id)
    report(f"{traded.counts.quotes:,} quotes, {len(service.documents):,} signals, {len(traded.trades):,} trades")
    return Replayed(service.documents, traded)


def _end_replay(client: Any, replay_id: str) -> None:
    """Let the service forget the replay's kernels; it holds a limited number."""
    import contextlib

    import httpx

    with contextlib.suppress(httpx.HTTPError):
        client.delete(f"/v1/replays/{replay_id}")
