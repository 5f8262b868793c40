"""What a replayed date should have said, from the batch path, and where the service and the terminal said otherwise.

What belongs here: pure comparisons of rows, probabilities, signals and trades, and what a rougher market made of the same signals.
What must not: the service, tables, the terminal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np

from tick_assets.domain.attribution import Attribution, Quoted, attribute, stepped_profits
from tick_assets.domain.backtest import Orders, Trades, backtest
from tick_assets.domain.dataset import TrainingDay, TrainingSet
from tick_assets.domain.fills import EXIT_REASONS
from tick_assets.domain.instruments import Market
from tick_assets.domain.orders import VIEW_NAMES, FillDraws, Views, draw_fills, orders_from_views, signal_keys, views_of
from tick_assets.domain.passports import sha256_hex
from tick_assets.domain.sampling import DEFAULT_SAMPLING, Sampling
from tick_assets.domain.signals import Strategy, entry_allowed, exit_at_us, features_sha256, signal_id
from tick_assets.domain.ticks import DAY_US, Ticks
from tick_assets.domain.training import is_in_range, predict

OPEN, CLOSE, NONE = "OPEN", "CLOSE", "NONE"
PNL_TOLERANCE = 1e-6
PROBABILITY_TOLERANCE = 1e-6
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Speaker:
    """The model whose signals are compared, with what its passport says of it."""

    model: bytes
    strategy: Strategy
    ranges: Mapping[str, Sequence[float]]

    @property
    def sha256(self) -> str:
        return sha256_hex(self.model)


@dataclass(frozen=True)
class Mismatch:
    """One thing that two sides say differently; a side that says nothing is None."""

    what: str
    key: str
    batch: Any
    replay: Any


class TerminalTrade(Protocol):
    """A trade off the simulated terminal's books."""

    @property
    def entry_ts_us(self) -> int: ...
    @property
    def exit_ts_us(self) -> int: ...
    @property
    def side(self) -> int: ...
    @property
    def entry_points(self) -> float: ...
    @property
    def exit_points(self) -> float: ...
    @property
    def exit_reason(self) -> str: ...
    @property
    def net_pnl_account(self) -> float: ...


def as_replayed(raw: Ticks, day: int) -> Ticks:
    """Return the raw rows of a date so that they can be sent as ticks, each in its place and none missing.

    A row that did not parse, or whose stamp lies outside the date (`day`, days since 1970), becomes a quote of zero at its neighbour's
    stamp. The kernel refuses and counts either form and neither touches its features, so every later row keeps its `seq`.
    """
    is_good = raw.ts_us // DAY_US == day
    if bool(is_good.all()):
        return raw
    place = np.maximum.accumulate(np.where(is_good, np.arange(len(raw)), -1))
    first = int(np.argmax(is_good)) if bool(is_good.any()) else -1
    neighbour = np.where(place >= 0, place, first)
    stamps = raw.ts_us[neighbour] if first >= 0 else np.full(len(raw), day * DAY_US, np.int64)
    points = (np.where(is_good, column, 0) for column in (raw.bid_points, raw.ask_points))
    sizes = (np.where(is_good, column, np.nan) for column in (raw.bid_size, raw.ask_size))
    return Ticks(stamps, *points, *sizes)


def unlabelled_day(
    date: str, ticks: Ticks, seq: Any, event_row: Any, features: Any, sigma_points: Any, sampling: Sampling = DEFAULT_SAMPLING
) -> TrainingDay:
    """Return a day to trade and not to learn from."""
    nothing = np.full(len(event_row), np.nan)
    label = np.zeros(len(event_row), np.int8)
    made_as = sampling.clock, sampling.feature_set
    return TrainingDay(date, ticks, seq, event_row, features, sigma_points, label, nothing, nothing, ticks.ts_us[event_row], *made_as)


# Features.


def compare_features(events: TrainingSet, documents: Sequence[Document]) -> tuple[int, list[Mismatch]]:
    """Compare event ids, their order and the features' hashes; return how many events both sides have, and the mismatches."""
    batch = {event: features_sha256(events.features[i]) for i, event in enumerate(events.event_id)}
    replay = {str(said["event_id"]): said["features_sha256"] for said in documents if said["action"] != CLOSE and said["features_sha256"]}
    shared = batch.keys() & replay.keys()
    found = [Mismatch("event", event, batch.get(event), replay.get(event)) for event in sorted(batch.keys() ^ replay.keys())]
    found += [Mismatch("features", event, batch[event], replay[event]) for event in sorted(shared) if batch[event] != replay[event]]
    if not found and list(batch) != list(replay):
        found.append(Mismatch("order of events", "all", "by seq", "another"))
    return len(shared), found


# Probabilities.


@dataclass(frozen=True)
class ComparedProbabilities:
    """How many signals both sides have, the largest difference of their probabilities, and those beyond `PROBABILITY_TOLERANCE`."""

    compared: int
    largest: float
    mismatches: list[Mismatch]


def compare_probabilities(expected: Sequence[Document], documents: Sequence[Document]) -> ComparedProbabilities:
    """Compare the probability of every signal that both sides have; a side without a number is a mismatch, not a difference."""
    batch, replay = _by_place(expected), {_place(said): said for said in documents if said["features_sha256"]}
    largest, found = 0.0, list[Mismatch]()
    shared = sorted(batch.keys() & replay.keys())
    for key in shared:
        ours, theirs = batch[key]["probability"], replay[key].get("probability")
        difference = abs(ours - theirs) if ours is not None and theirs is not None else float("inf")
        if not difference <= PROBABILITY_TOLERANCE:
            found.append(Mismatch("probability", ":".join(key), ours, theirs))
        if difference < float("inf"):
            largest = max(largest, difference)
    return ComparedProbabilities(len(shared), largest, found)


# Signals.


def expected_signals(events: TrainingSet, speaker: Speaker, price_factor: int) -> list[dict[str, Any]]:
    """Return what the model says of every event of one date, and the CLOSE of every OPEN that falls due on it, as the wire has them."""
    probability = predict(speaker.model, events.features)
    views = replay_views(events, speaker)
    orders = orders_from_views(events, views, _no_draws(events), speaker.strategy)
    spoken: list[dict[str, Any]] = []
    for i, event in enumerate(events.event_id):
        ticks, row = events.ticks[events.date_index[i]], int(events.event_row[i])
        side, stamp = int(orders.side[i]), int(events.ts_event_us[i])
        opening = {
            "event_id": event,
            "signal_id": signal_id(speaker.sha256, events.symbol, speaker.strategy.name, event, VIEW_NAMES[side]),
            "action": OPEN if side else NONE,
            "view": VIEW_NAMES[side],
            "probability": float(probability[i]),
            "ts_event": _iso(stamp),
            "exit_at": _iso(exit_at_us(stamp, speaker.strategy)) if side else None,
            "bid_price": int(ticks.bid_points[row]) / price_factor,
            "ask_price": int(ticks.ask_points[row]) / price_factor,
            "stop_loss": int(orders.stop_points[i]) / price_factor if side else None,
            "take_profit": int(orders.target_points[i]) / price_factor if side else None,
        }
        spoken.append(opening)
        if side:
            spoken += _closing(opening, ticks, row, int(orders.exit_at_us[i]), events.symbol, speaker, price_factor)
    return spoken


def _closing(
    opening: Document, ticks: Ticks, row: int, due_us: int, symbol: str, speaker: Speaker, price_factor: int
) -> list[dict[str, Any]]:
    """Return the CLOSE at the first later tick at or past `due_us`, none where the date ends before."""
    due = np.flatnonzero(ticks.ts_us[row + 1 :] >= due_us)
    if not len(due):
        return []
    at = row + 1 + int(due[0])
    name = f"CLOSE-{opening['view']}"
    changed = {
        "signal_id": signal_id(speaker.sha256, symbol, speaker.strategy.name, opening["event_id"], name),
        "action": CLOSE,
        "ts_event": _iso(int(ticks.ts_us[at])),
        "bid_price": int(ticks.bid_points[at]) / price_factor,
        "ask_price": int(ticks.ask_points[at]) / price_factor,
        "stop_loss": None,
        "take_profit": None,
    }
    return [{**opening, **changed}]


def _no_draws(events: TrainingSet) -> FillDraws:
    """Levels and sides need no draws; the columns must be there."""
    return FillDraws(*(np.ones(len(events), np.int64) for _ in range(4)))


def replay_views(events: TrainingSet, speaker: Speaker) -> Views:
    """Return the model's views with every guard applied that the service has: feature ranges and the end of the date."""
    views = views_of(predict(speaker.model, events.features), speaker.strategy.threshold)
    in_time = np.array([entry_allowed(int(stamp), speaker.strategy) for stamp in events.ts_event_us], np.bool_)
    return np.where(is_in_range(events.features, speaker.ranges, events.feature_names) & in_time, views, 0).astype(np.int8)


def compare_signals(expected: Sequence[Document], documents: Sequence[Document]) -> list[Mismatch]:
    """Compare every member of the expected signals but the probability with the service's, matched by event and by being a CLOSE or not."""
    batch = _by_place(expected)
    replay = {_place(said): said for said in documents if said["features_sha256"]}
    found = [
        Mismatch("signal", ":".join(key), _said(batch.get(key)), _said(replay.get(key))) for key in sorted(batch.keys() ^ replay.keys())
    ]
    for key in sorted(batch.keys() & replay.keys()):
        names = [name for name, value in batch[key].items() if name != "probability" and _differs(name, value, replay[key].get(name))]
        if names:
            sides = ({name: said.get(name) for name in names} for said in (batch[key], replay[key]))
            found.append(Mismatch("signal", ":".join(key), *sides))
    return found


def _differs(name: str, ours: Any, theirs: Any) -> bool:
    return bool(_value(name, ours) != _value(name, theirs))


def _by_place(spoken: Sequence[Document]) -> dict[tuple[str, str], Document]:
    return {_place(said): said for said in spoken}


def _place(said: Document) -> tuple[str, str]:
    return str(said["event_id"]), CLOSE if said["action"] == CLOSE else OPEN


def _said(said: Document | None) -> str | None:
    return None if said is None else f"{said['action']} {said['view']}"


def _value(name: str, value: Any) -> Any:
    """Return what is compared: times as instants, everything else as it is."""
    return datetime.fromisoformat(value) if value is not None and name in ("ts_event", "exit_at") else value


def _iso(ts_us: int) -> str:
    seconds, rest = divmod(ts_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).isoformat()


# Trades.


@dataclass(frozen=True)
class SpokenOrders:
    """The orders that a model's signals ask for, a row per event, with the signal id of each and the draws that it keys."""

    keys: Sequence[str]
    orders: Orders
    draws: FillDraws


def spoken_orders(events: TrainingSet, speaker: Speaker, market: Market) -> SpokenOrders:
    """Return the orders of the model's views, every guard of the service applied."""
    views = replay_views(events, speaker)
    keys = signal_keys(events, views, speaker.sha256, speaker.strategy)
    draws = draw_fills(keys, market.instrument(events.symbol), market)
    return SpokenOrders(keys, orders_from_views(events, views, draws, speaker.strategy), draws)


def expected_trades(events: TrainingSet, speaker: Speaker, market: Market) -> Trades:
    """Backtest the date with the draws of the model's signals."""
    orders = spoken_orders(events, speaker, market).orders
    return backtest(events.ticks, orders, market.instrument(events.symbol), market, speaker.strategy.max_position)


def compare_trades(made: Trades, simulated: Sequence[TerminalTrade]) -> list[Mismatch]:
    """Compare trades one by one: points, stamps and reasons exactly, money to `PNL_TOLERANCE`."""
    batch = {_trade_key(*row): float(made.net_pnl_account[i]) for i, row in enumerate(_rows_of(made))}
    replay = {
        _trade_key(
            trade.entry_ts_us, trade.exit_ts_us, trade.side, trade.entry_points, trade.exit_points, trade.exit_reason
        ): trade.net_pnl_account
        for trade in simulated
    }
    found = [Mismatch("trade", key, batch.get(key), replay.get(key)) for key in sorted(batch.keys() ^ replay.keys())]
    if len(made) != len(simulated):  # one of them made the same trade twice
        found.append(Mismatch("number of trades", "all", len(made), len(simulated)))
    return found + [
        Mismatch("trade", key, batch[key], replay[key])
        for key in sorted(batch.keys() & replay.keys())
        if abs(batch[key] - replay[key]) > PNL_TOLERANCE
    ]


def _rows_of(made: Trades) -> list[tuple[Any, ...]]:
    reasons = [EXIT_REASONS[reason] for reason in made.reason]
    return list(zip(made.entry_ts_us, made.exit_ts_us, made.side, made.entry_points, made.exit_points, reasons, strict=True))


def _trade_key(entry_ts_us: int, exit_ts_us: int, side: int, entry_points: float, exit_points: float, reason: str) -> str:
    prices = f"{float(entry_points)} to {float(exit_points)}"
    return f"{_iso(int(entry_ts_us))} to {_iso(int(exit_ts_us))} {int(side):+d} at {prices} by {reason}"


# A rougher market.


@dataclass(frozen=True)
class RoughSide:
    """The same signals of one date in a rougher market: its quotes and seed, net profit by signal id, the ids that the venue refused."""

    ticks: Ticks
    seed: int
    profits: Mapping[str, float]
    refused: Collection[str]


def attribute_replay(
    events: TrainingSet, speaker: Speaker, market: Market, calm_profits: Mapping[str, float], rough: RoughSide
) -> Attribution:
    """Attribute what one date's signals earned otherwise in a rougher market; profits are those of the broker's books by signal id."""
    instrument, spoken = market.instrument(events.symbol), spoken_orders(events, speaker, market)
    other = draw_fills(spoken.keys, instrument, replace(market, seed=rough.seed))
    rows = [row for row, key in enumerate(spoken.keys) if key in calm_profits and key in rough.profits]
    quoted, lots = Quoted(events.ticks[0], rough.ticks), speaker.strategy.max_position
    steps = stepped_profits(quoted, spoken.orders, spoken.draws, other, rows, instrument, market, lots)
    return attribute(calm_profits, rough.profits, {spoken.keys[row]: step for row, step in steps.items()}, rough.refused)
