"""The service's core: live feeds and replays, from columns of ticks to signals that are recorded, kept and published.

What belongs here: the order of things for accepted ticks. What must not: HTTP, JSON parsing, model files.
For live ticks: order and clock checks, recording, kernel and models, evidence, then publication. So a signal that anyone saw can be
traced to recorded ticks. Feeds are per account and symbol, as recordings are. All of it runs on the event loop's one thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from serving.clock import Clock, date_of, parse_stamp
from serving.evidence import EvidenceFiles
from serving.live_switch import LiveSwitch
from serving.metrics import Metrics
from serving.model_store import ModelStore
from serving.problems import Problem
from serving.recorder import Recorder
from serving.served_model import LIVE, REPLAY, ModelSlot, ServedModel
from serving.signal_log import SignalLog
from serving.symbol_feed import CLOSE, OPEN, FeedStep, Pending, Signal, SymbolFeed
from serving.tick_batches import SymbolBatch, interleaved
from tick_assets.domain.instruments import Market
from tick_assets.domain.kernel import LEAD_FEATURE_SET, OnlineKernel
from tick_assets.domain.ticks import DAY_US, Int64Array, Ticks

MAX_REPLAYS = 64
REPLAYED_SHOWN = 200
_Key = TypeVar("_Key", bound=Hashable)


@dataclass
class TakenTicks:
    """What a request of ticks caused."""

    accepted: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)
    signals: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Replay:
    """A replay session: its own kernels, the deployed models or one candidate."""

    replay_id: str
    candidate: ServedModel | None
    feeds: dict[str, SymbolFeed] = field(default_factory=dict)
    ticks: int = 0


class SignalService:
    """Owns all kernel state of this process."""

    def __init__(
        self,
        market: Market,
        clock: Clock,
        models: ModelStore,
        recorder: Recorder,
        evidence: EvidenceFiles,
        replay_evidence: EvidenceFiles,
        log: SignalLog,
        live: LiveSwitch,
        metrics: Metrics,
        future_ms: int,
    ) -> None:
        self.market = market
        self.log = log
        self.live = live
        self.feeds: dict[tuple[str, str], SymbolFeed] = {}
        self.replays: dict[str, Replay] = {}
        self._followers = followers_of(market)
        self._clock = clock
        self._models = models
        self._recorder = recorder
        self._evidence = evidence
        self._replay_evidence = replay_evidence
        self._metrics = metrics
        self._future_us = future_ms * 1000
        self.replayed: deque[dict[str, Any]] = deque(maxlen=REPLAYED_SHOWN)

    def restore(self) -> int:
        """Take up where an earlier process stopped: today's ticks into the kernels, today's signals into the log; return the ticks."""
        today = date_of(self._clock.now_us())
        restored = 0
        for (account, symbol), ticks in self._recorder.read_date(today).items():
            if symbol in self.market.instruments and len(ticks):
                self._feed(account, symbol).warm_up(ticks)
                restored += len(ticks)
        documents = list(self._evidence.read(today))
        self.log.add(documents)
        self._restore_pending(documents)
        for date_iso in self._replay_evidence.dates()[-1:]:
            self.replayed.extend(self._replay_evidence.read(date_iso))
        return restored

    def compile(self) -> None:
        """Make numba compile the kernel before the first tick arrives."""
        instrument = next(iter(self.market.instruments.values()))
        feed = SymbolFeed(instrument)
        integers, sizes = np.ones(1, np.int64), np.ones(1)
        feed.take(Ticks(integers, integers, integers, sizes, sizes), (), None)
        feed.take_one((2, 1, 1, 1.0, 1.0), (), None)
        OnlineKernel("", 1, feature_set=LEAD_FEATURE_SET).push_leader(1, 1, 1)

    def take_live(self, batches: list[SymbolBatch], account: str) -> TakenTicks:
        """Take live ticks; refused ones are named by their place in the request."""
        taken, now_us = TakenTicks(), self._clock.now_us()
        for batch in interleaved(batches):
            if len(batch.rows) == 1:
                self._take_live_one(batch, account, now_us, taken)
            else:
                self._take_live_many(batch, account, now_us, taken)
        taken.rejected.sort()
        return taken

    def take_replay(self, batches: list[SymbolBatch], replay_id: str, candidate: ServedModel | None) -> TakenTicks:
        """Take ticks of a replay on event time; no tick is recorded and nothing is published, its signals are evidence of their own."""
        replay, taken = self._replay(replay_id, candidate), TakenTicks()
        for batch in interleaved(batches):
            symbol = batch.instrument.symbol
            feed = self._linked(replay.feeds, str, symbol)
            step = feed.take(batch.ticks, self._replay_slots(replay, symbol), None)
            replay.ticks += len(batch.rows)
            taken.accepted += len(batch.rows) - len(step.refused)
            taken.rejected += [(batch.index[row], code) for row, code in step.refused]
            documents = [signal.document() for signal in step.signals]
            _append_by_date(self._replay_evidence, documents)
            self.replayed.extend(documents)
            taken.signals += documents
            self._count(symbol, len(batch.rows) - len(step.refused), REPLAY, step.refused, step.signals)
        taken.rejected.sort()
        return taken

    def end_replay(self, replay_id: str) -> bool:
        """Forget a replay; return whether there was one."""
        return self.replays.pop(replay_id, None) is not None

    def _take_live_one(self, batch: SymbolBatch, account: str, now_us: int, taken: TakenTicks) -> None:
        """Take one tick: the rules of `_take_live_many` without columns."""
        symbol, row = batch.instrument.symbol, batch.rows[0]
        feed = self._feed(account, symbol)
        code = self._reason_against(row[0], feed, account, now_us)
        if code:
            self._finish(batch, [], 0, [(0, code)], FeedStep([], []), taken)
            return
        self._recorder.append_rows(account, symbol, [row], now_us)
        step = feed.take_one(row, self._models.slots(symbol), now_us, self._blocked())
        self._finish(batch, [0], 1, [], step, taken)

    def _take_live_many(self, batch: SymbolBatch, account: str, now_us: int, taken: TakenTicks) -> None:
        symbol = batch.instrument.symbol
        feed = self._feed(account, symbol)
        kept, refused = self._in_order(batch.ticks, feed, account, now_us)
        self._recorder.append_rows(account, symbol, [batch.rows[row] for row in kept], now_us)
        step = feed.take(batch.ticks.take(kept), self._models.slots(symbol), now_us, self._blocked())
        self._finish(batch, kept.tolist(), len(kept), refused, step, taken)

    def _finish(
        self, batch: SymbolBatch, kept: list[int], accepted: int, refused: list[tuple[int, str]], step: FeedStep, taken: TakenTicks
    ) -> None:
        """Issue the signals and add one symbol's part to the answer."""
        refused = [*refused, *((kept[row], code) for row, code in step.refused)]
        taken.accepted += accepted - len(step.refused)
        taken.rejected += [(batch.index[row], code) for row, code in refused]
        if step.signals:
            taken.signals += self._issue(step.signals)
        self._count(batch.instrument.symbol, accepted - len(step.refused), LIVE, refused, step.signals)

    def _blocked(self) -> tuple[str, ...]:
        return () if self.live.is_started else ("LIVE_STOPPED",)

    def _reason_against(self, ts_us: int, feed: SymbolFeed, account: str, now_us: int) -> str:
        """Return why the stream does not take a stamp, or an empty string."""
        if ts_us > now_us + self._future_us:
            return "TIMESTAMP_IN_FUTURE"
        if ts_us < feed.last_ts_us:
            return "TIMESTAMP_OUT_OF_ORDER"
        is_new_date = ts_us // DAY_US != feed.last_ts_us // DAY_US
        if is_new_date and self._recorder.is_closed(account, feed.instrument.symbol, date_of(ts_us)):
            return "RECORDING_CLOSED"
        return ""

    def _in_order(self, ticks: Ticks, feed: SymbolFeed, account: str, now_us: int) -> tuple[Int64Array, list[tuple[int, str]]]:
        """Return the rows that the stream takes, and the others with their reason."""
        is_future = ticks.ts_us > now_us + self._future_us
        usable = np.where(is_future, 0, ticks.ts_us)
        newest = np.maximum.accumulate(np.concatenate(([feed.last_ts_us], usable)))[:-1]
        is_late = ~is_future & (ticks.ts_us < newest)
        is_closed = np.zeros(len(ticks), np.bool_)
        for day in np.unique(ticks.ts_us[~is_future & ~is_late] // DAY_US):
            if self._recorder.is_closed(account, feed.instrument.symbol, date_of(int(day) * DAY_US)):
                is_closed |= ticks.ts_us // DAY_US == day
        refused = [(int(row), "TIMESTAMP_IN_FUTURE") for row in np.flatnonzero(is_future)]
        refused += [(int(row), "TIMESTAMP_OUT_OF_ORDER") for row in np.flatnonzero(is_late)]
        refused += [(int(row), "RECORDING_CLOSED") for row in np.flatnonzero(is_closed & ~is_future & ~is_late)]
        return np.flatnonzero(~(is_future | is_late | is_closed)), refused

    def _issue(self, signals: list[Signal]) -> list[dict[str, Any]]:
        """Write new signals to the evidence, keep them, publish them."""
        documents = [signal.document() for signal in signals]
        new = [document for document in documents if document["signal_id"] not in self.log]
        _append_by_date(self._evidence, new)
        self.log.publish(self.log.add(new))
        return documents

    def _feed(self, account: str, symbol: str) -> SymbolFeed:
        return self._linked(self.feeds, lambda name: (account, name), symbol)

    def _linked(self, feeds: dict[_Key, SymbolFeed], key_of: Callable[[str], _Key], symbol: str) -> SymbolFeed:
        """Return the feed of a symbol among these; a new one is linked to those of the symbols that it leads."""
        key = key_of(symbol)
        if key not in feeds:
            feed = feeds[key] = SymbolFeed(self.market.instruments[symbol])
            feed.followers = [self._linked(feeds, key_of, follower) for follower in self._followers.get(symbol, ())]
        return feeds[key]

    def _replay(self, replay_id: str, candidate: ServedModel | None) -> Replay:
        replay = self.replays.get(replay_id)
        if replay is None:
            if len(self.replays) >= MAX_REPLAYS:
                raise Problem(409, "REPLAYS_EXHAUSTED", f"Expected at most {MAX_REPLAYS} replays. End one with DELETE /v1/replays/<id>.")
            replay = self.replays[replay_id] = Replay(replay_id, candidate)
        if candidate is not None and (replay.candidate is None or replay.candidate.sha256 != candidate.sha256):
            raise Problem(409, "REPLAY_CANDIDATE_CHANGED", "Expected the candidate that the replay began with. Begin another replay.")
        return replay

    def _replay_slots(self, replay: Replay, symbol: str) -> tuple[ModelSlot, ...]:
        if replay.candidate is not None:
            return (ModelSlot(REPLAY, replay.candidate),) if replay.candidate.symbol == symbol else ()
        return tuple(slot for slot in self._models.slots(symbol) if slot.mode == LIVE)

    def _restore_pending(self, documents: list[dict[str, Any]]) -> None:
        """Await again the CLOSE of every OPEN that had none."""
        closed = {
            (document["event_id"], document["strategy"], document["model"]["sha256"])
            for document in documents
            if document["action"] == CLOSE
        }
        for document in documents:
            key = (document["event_id"], document["strategy"], document["model"]["sha256"])
            if document["action"] != OPEN or key in closed:
                continue
            for (_, symbol), feed in self.feeds.items():
                if symbol == document["symbol"]:
                    feed.pending.append(_pending_of(document, feed))
                    break

    def _count(self, symbol: str, accepted: int, mode: str, refused: list[tuple[int, str]], signals: list[Signal]) -> None:
        self._metrics.ticks.labels(symbol, mode).inc(accepted)
        for _, code in refused:
            self._metrics.ticks_refused.labels(symbol, code).inc()
        for signal in signals:
            self._metrics.signals.labels(symbol, signal.action, signal.mode).inc()
            for reason in signal.reasons:
                self._metrics.signal_reasons.labels(reason).inc()


def followers_of(market: Market) -> dict[str, tuple[str, ...]]:
    """Return the symbols that each leader leads."""
    leaders = {instrument.sampling.leader for instrument in market.instruments.values() if instrument.sampling.leader}
    return {
        leader: tuple(symbol for symbol, instrument in market.instruments.items() if instrument.sampling.leader == leader)
        for leader in leaders
    }


def _pending_of(document: dict[str, Any], feed: SymbolFeed) -> Pending:
    factor = feed.instrument.price_factor
    ts_event_us, valid_until_us = parse_stamp(document["ts_event"]), parse_stamp(document["valid_until"])
    signal = Signal(
        signal_id=document["signal_id"],
        event_id=document["event_id"],
        symbol=document["symbol"],
        strategy=document["strategy"],
        action=OPEN,
        view=document["view"],
        probability=document["probability"],
        ts_event_us=ts_event_us,
        issued_at_us=parse_stamp(document["issued_at"]),
        valid_until_us=valid_until_us,
        exit_at_us=parse_stamp(document["exit_at"]),
        bid_points=round(document["bid_price"] * factor),
        ask_points=round(document["ask_price"] * factor),
        stop_points=None,
        target_points=None,
        price_factor=factor,
        max_position=document["max_position"],
        mode=document["mode"],
        is_synthetic=document["is_synthetic"],
        model_id=document["model"]["id"],
        model_sha256=document["model"]["sha256"],
        passport_id=document["model"]["passport_id"],
        features_sha256=document["features_sha256"],
        reasons=(),
    )
    return Pending(signal, (valid_until_us - ts_event_us) // 1000)


def _append_by_date(evidence: EvidenceFiles, documents: list[dict[str, Any]]) -> None:
    """Append signals to the file of the date of their tick."""
    by_date: dict[str, list[dict[str, Any]]] = {}
    for document in documents:
        by_date.setdefault(document["ts_event"][:10], []).append(document)
    for date_iso, dated in by_date.items():
        evidence.append(date_iso, dated)
