"""One symbol's stream: kernel, models and pending exits; columns of ticks in, signals out.

What belongs here: what an event becomes. What must not: I/O, clocks (the time is passed in), HTTP.

Rules beyond DESIGN §5:
- An event always yields a signal for each model that speaks, action NONE when something speaks against opening; `reasons` lists all of it.
- `valid_until` = `ts_event` + the strategy's `valid_ms`. A signal that would be issued later than that is FLAT with TICK_STALE.
- Before the kernel is warm no event is sampled; the first valid tick of each minute then yields FLAT with KERNEL_NOT_WARM.
- The first valid tick at or past the `exit_at` of an OPEN yields CLOSE, with the OPEN's `event_id`, view and `exit_at`, the tick's own time
  and prices, and `signal_id` = signal_id(model, symbol, strategy, event, "CLOSE-LONG" or "CLOSE-SHORT").
- With no model an event yields FLAT with MODEL_MISSING; its signal_id takes an empty model hash.
- A replay takes rows as the vendor ordered them, as batch does; a live stream is ordered by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.clock import date_of, iso_of
from serving.served_model import LIVE, REPLAY, ModelSlot
from tick_assets.domain import signals as rules
from tick_assets.domain.instruments import Instrument
from tick_assets.domain.kernel import REASONS, SIGMA_INDEX, WARM_UP_S, KernelBatch, OnlineKernel
from tick_assets.domain.signals import Strategy
from tick_assets.domain.ticks import DAY_US, Int64Array, Ticks

OPEN, CLOSE, NONE = "OPEN", "CLOSE", "NONE"
VIEWS = {1: "LONG", -1: "SHORT", 0: "FLAT"}
_DEFAULT_STRATEGY = Strategy()
_MINUTE_US = 60_000_000

TickRow = tuple[int, int, int, float, float]
"""(ts_us, bid_points, ask_points, bid_size, ask_size)."""


@dataclass(frozen=True)
class Signal:
    """A signal, prices in points and times in microseconds; `document` is its wire form."""

    signal_id: str
    event_id: str
    symbol: str
    strategy: str
    action: str
    view: str
    probability: float | None
    ts_event_us: int
    issued_at_us: int
    valid_until_us: int
    exit_at_us: int | None
    bid_points: int
    ask_points: int
    stop_points: int | None
    target_points: int | None
    price_factor: int
    max_position: float
    mode: str
    is_synthetic: bool
    model_id: str | None
    model_sha256: str | None
    passport_id: str | None
    features_sha256: str | None
    reasons: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the wire form; price = points / price_factor, by division."""
        factor = self.price_factor
        return {
            "signal_id": self.signal_id,
            "event_id": self.event_id,
            "symbol": self.symbol,
            "strategy": self.strategy,
            "action": self.action,
            "view": self.view,
            "probability": self.probability,
            "ts_event": iso_of(self.ts_event_us),
            "issued_at": iso_of(self.issued_at_us),
            "valid_until": iso_of(self.valid_until_us),
            "exit_at": None if self.exit_at_us is None else iso_of(self.exit_at_us),
            "bid_price": self.bid_points / factor,
            "ask_price": self.ask_points / factor,
            "stop_loss": None if self.stop_points is None else self.stop_points / factor,
            "take_profit": None if self.target_points is None else self.target_points / factor,
            "max_position": self.max_position,
            "mode": self.mode,
            "is_synthetic": self.is_synthetic,
            "model": {"id": self.model_id, "sha256": self.model_sha256, "passport_id": self.passport_id},
            "features_sha256": self.features_sha256,
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True)
class Pending:
    """An emitted OPEN that awaits its CLOSE."""

    signal: Signal
    valid_ms: int


@dataclass(frozen=True)
class FeedStep:
    """What one batch caused: the kernel's refusals as (row, reason code), and signals in order."""

    refused: list[tuple[int, str]]
    signals: list[Signal]


_NOTHING = FeedStep([], [])


@dataclass(frozen=True)
class _Event:
    """A sampled row."""

    row: int
    event_id: str
    ts_us: int
    bid_points: int
    ask_points: int
    features: npt.NDArray[np.float64] | None


class SymbolFeed:
    """The state of one symbol's stream. `now_us` None means event time: a replay."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        sampling = instrument.sampling
        self.kernel = OnlineKernel(instrument.symbol, instrument.price_factor, sampling.clock, sampling.feature_set)
        self.followers: list[SymbolFeed] = []
        """The feeds of the symbols that this one leads; its valid ticks go to them too."""
        self.last_ts_us = 0
        self.pending: list[Pending] = []
        self._day = -1
        self._first_us = -1
        self._last_cold_minute = -1

    def warm_up(self, ticks: Ticks) -> None:
        """Take recorded ticks without saying anything about them."""
        for part in split_days(ticks):
            self._open_day(int(part.ts_us[0]) // DAY_US)
            batch = self.kernel.push_many(part)
            self._lead(part, batch)
            self._cold_rows(part, np.flatnonzero(batch.reason == 0))
            self.last_ts_us = max(self.last_ts_us, int(part.ts_us.max()))

    def take(self, ticks: Ticks, slots: Sequence[ModelSlot], now_us: int | None, blocked: Sequence[str] = ()) -> FeedStep:
        """Push ticks through the kernel and say what they cause; `blocked` are reasons against any OPEN."""
        refused: list[tuple[int, str]] = []
        signals: list[Signal] = []
        offset = 0
        for part in split_days(ticks):
            step = self._take_day(part, slots, now_us, blocked)
            refused += [(offset + row, code) for row, code in step.refused]
            signals += step.signals
            offset += len(part)
        return FeedStep(refused, signals)

    def _take_day(self, ticks: Ticks, slots: Sequence[ModelSlot], now_us: int | None, blocked: Sequence[str]) -> FeedStep:
        first_seq = self._open_day(int(ticks.ts_us[0]) // DAY_US)
        batch = self.kernel.push_many(ticks)
        self._lead(ticks, batch)
        self.last_ts_us = max(self.last_ts_us, int(ticks.ts_us.max()))
        return self._say(ticks, batch, first_seq, slots, now_us, blocked)

    def take_one(self, row: TickRow, slots: Sequence[ModelSlot], now_us: int | None, blocked: Sequence[str] = ()) -> FeedStep:
        """Take one tick, as `take` does, at a fraction of its cost where the tick causes nothing."""
        ts_us = row[0]
        first_seq = self._open_day(ts_us // DAY_US)
        step = self.kernel.push(*row)
        if self.followers and step.reason == 0:
            self._lead_by(row)
        self.last_ts_us = max(self.last_ts_us, ts_us)
        is_cold = self._first_us < 0 or ts_us - self._first_us < WARM_UP_S * 1_000_000
        is_quiet = step.reason == 0 and not step.sampled and not is_cold
        if is_quiet and not any(ts_us >= (pending.signal.exit_at_us or 0) for pending in self.pending):
            return _NOTHING
        sampled = [] if step.features is None else [step.features]
        features = np.array(sampled).reshape(len(sampled), len(self.kernel.feature_names))
        batch = KernelBatch(np.array([step.reason], np.int8), np.zeros(len(sampled), np.int64), features)
        return self._say(to_ticks([row]), batch, first_seq, slots, now_us, blocked)

    def _lead(self, ticks: Ticks, batch: KernelBatch) -> None:
        """Hand the valid ticks on to the followers."""
        if self.followers:
            for row in zip(*(column.tolist() for column in ticks.take(batch.reason == 0).columns), strict=True):
                self._lead_by(row)

    def _lead_by(self, row: TickRow) -> None:
        for follower in self.followers:
            follower.kernel.push_leader(*row[:3])

    def _say(
        self,
        ticks: Ticks,
        batch: KernelBatch,
        first_seq: int,
        slots: Sequence[ModelSlot],
        now_us: int | None,
        blocked: Sequence[str],
    ) -> FeedStep:
        """Turn what the kernel made of one date's ticks into refusals and signals."""
        valid = np.flatnonzero(batch.reason == 0)
        refused = [(int(row), REASONS[batch.reason[row]]) for row in np.flatnonzero(batch.reason)]
        date_iso = date_of(int(ticks.ts_us[0]))
        placed = self._due_closes(ticks, valid, -1, now_us)
        for row in self._cold_rows(ticks, valid):
            event = self._event(ticks, row, first_seq, date_iso, None)
            placed.append((row, self._silent(event, slots, now_us, ("KERNEL_NOT_WARM",))))
        events = [self._event(ticks, int(row), first_seq, date_iso, batch.features[i]) for i, row in enumerate(batch.event_row)]
        placed += self._speak(events, slots, now_us, blocked, ticks, valid)
        placed.sort(key=lambda item: (item[0], item[1].action != CLOSE))
        return FeedStep(refused, [signal for _, signal in placed])

    def _open_day(self, day: int) -> int:
        """Return the `seq` of the next row of the date; a new date begins at zero."""
        if day == self._day:
            return self.kernel.seq
        self._day, self._first_us, self._last_cold_minute = day, -1, -1
        return 0

    def _cold_rows(self, ticks: Ticks, valid: Int64Array) -> list[int]:
        """Return the first valid row of each minute in which the kernel was not warm yet."""
        if len(valid) == 0:
            return []
        if self._first_us < 0:
            self._first_us = int(ticks.ts_us[valid[0]])
        cold = valid[ticks.ts_us[valid] - self._first_us < WARM_UP_S * 1_000_000]
        rows: list[int] = []
        if len(cold):
            minutes, first = np.unique(ticks.ts_us[cold] // _MINUTE_US, return_index=True)
            rows = [int(cold[i]) for minute, i in zip(minutes, first, strict=True) if minute > self._last_cold_minute]
            self._last_cold_minute = max(self._last_cold_minute, int(minutes[-1]))
        return rows

    def _event(self, ticks: Ticks, row: int, first_seq: int, date_iso: str, features: npt.NDArray[np.float64] | None) -> _Event:
        event_id = rules.event_id(self.instrument.symbol, date_iso, first_seq + row, self.instrument.sampling.clock)
        return _Event(row, event_id, int(ticks.ts_us[row]), int(ticks.bid_points[row]), int(ticks.ask_points[row]), features)

    def _speak(
        self,
        events: list[_Event],
        slots: Sequence[ModelSlot],
        now_us: int | None,
        blocked: Sequence[str],
        ticks: Ticks,
        valid: Int64Array,
    ) -> list[tuple[int, Signal]]:
        if not events:
            return []
        if not slots:
            return [(event.row, self._silent(event, slots, now_us, ("MODEL_MISSING", *blocked))) for event in events]
        placed: list[tuple[int, Signal]] = []
        rows = np.array([event.features for event in events])
        for slot in slots:
            probabilities = slot.model.predictor.predict(rows)
            for event, probability in zip(events, probabilities, strict=True):
                signal = self._judge(event, float(probability), slot, now_us, blocked)
                placed.append((event.row, signal))
                if signal.action == OPEN:
                    self.pending.append(Pending(signal, slot.model.strategy.valid_ms))
                    placed += self._due_closes(ticks, valid, event.row, now_us)
        return placed

    def _judge(self, event: _Event, probability: float, slot: ModelSlot, now_us: int | None, blocked: Sequence[str]) -> Signal:
        """Return OPEN when the model has a view and nothing speaks against it, else NONE with the reasons."""
        model, strategy = slot.model, slot.model.strategy
        assert event.features is not None
        view = rules.view_of(probability, strategy.threshold)
        reasons = [
            *blocked,
            *(["TICK_STALE"] if _is_stale(event, strategy, now_us) else []),
            *([] if rules.entry_allowed(event.ts_us, strategy) else ["ENTRY_TOO_LATE"]),
            *([] if model.is_in_range(event.features) else ["FEATURE_OUT_OF_RANGE"]),
            *([] if view else ["PROBABILITY_INSIDE_BAND"]),
        ]
        base = self._base(event, slot, now_us, VIEWS[0 if reasons else view])
        base = replace(base, probability=probability, features_sha256=rules.features_sha256(event.features), reasons=tuple(reasons))
        if reasons:
            return base
        stop, target = rules.levels(view, event.bid_points, event.ask_points, float(event.features[SIGMA_INDEX]), strategy)
        return replace(base, action=OPEN, exit_at_us=rules.exit_at_us(event.ts_us, strategy), stop_points=stop, target_points=target)

    def _silent(self, event: _Event, slots: Sequence[ModelSlot], now_us: int | None, reasons: Sequence[str]) -> Signal:
        """Return FLAT for an event that no model was asked about."""
        strategy = slots[0].model.strategy if slots else _DEFAULT_STRATEGY
        stale = ("TICK_STALE",) if _is_stale(event, strategy, now_us) else ()
        missing = ("MODEL_MISSING",) if not slots and "MODEL_MISSING" not in reasons else ()
        base = self._base(event, slots[0] if slots else None, now_us, VIEWS[0])
        return replace(base, reasons=(*reasons, *missing, *stale))

    def _base(self, event: _Event, slot: ModelSlot | None, now_us: int | None, view: str) -> Signal:
        model = slot.model if slot else None
        strategy = model.strategy if model else _DEFAULT_STRATEGY
        symbol = self.instrument.symbol
        return Signal(
            signal_id=rules.signal_id(model.sha256 if model else "", symbol, strategy.name, event.event_id, view),
            event_id=event.event_id,
            symbol=symbol,
            strategy=strategy.name,
            action=NONE,
            view=view,
            probability=None,
            ts_event_us=event.ts_us,
            issued_at_us=event.ts_us if now_us is None else now_us,
            valid_until_us=event.ts_us + strategy.valid_ms * 1000,
            exit_at_us=None,
            bid_points=event.bid_points,
            ask_points=event.ask_points,
            stop_points=None,
            target_points=None,
            price_factor=self.instrument.price_factor,
            max_position=strategy.max_position,
            mode=REPLAY if now_us is None else (slot.mode if slot else LIVE),
            is_synthetic=model.is_synthetic if model else self.instrument.base_currency == "SYN",
            model_id=model.model_id if model else None,
            model_sha256=model.sha256 if model else None,
            passport_id=model.passport_id if model else None,
            features_sha256=None if event.features is None else rules.features_sha256(event.features),
            reasons=(),
        )

    def _due_closes(self, ticks: Ticks, valid: Int64Array, after_row: int, now_us: int | None) -> list[tuple[int, Signal]]:
        """Emit CLOSE for every pending OPEN whose time has come in these ticks, after `after_row`."""
        placed: list[tuple[int, Signal]] = []
        kept: list[Pending] = []
        later = valid[valid > after_row]
        stamps = ticks.ts_us[later]
        for pending in self.pending:
            due = stamps >= (pending.signal.exit_at_us or 0)
            if not due.any():
                kept.append(pending)
                continue
            row = int(later[int(np.argmax(due))])
            placed.append((row, _close_of(pending, ticks, row, now_us)))
        self.pending = kept
        return placed


def to_ticks(rows: Sequence[TickRow]) -> Ticks:
    """Return rows as columns."""
    ts_us, bid, ask, bid_size, ask_size = zip(*rows, strict=True)
    return Ticks(
        np.array(ts_us, np.int64),
        np.array(bid, np.int64),
        np.array(ask, np.int64),
        np.array(bid_size, np.float64),
        np.array(ask_size, np.float64),
    )


def split_days(ticks: Ticks) -> list[Ticks]:
    """Split ticks into runs of one UTC date each."""
    if len(ticks) == 0:
        return []
    days = ticks.ts_us // DAY_US
    cuts = np.flatnonzero(np.diff(days)) + 1
    bounds = [0, *(int(cut) for cut in cuts), len(ticks)]
    return [ticks.take(slice(start, end)) for start, end in pairwise(bounds)]


def _is_stale(event: _Event, strategy: Strategy, now_us: int | None) -> bool:
    return now_us is not None and now_us > event.ts_us + strategy.valid_ms * 1000


def _close_of(pending: Pending, ticks: Ticks, row: int, now_us: int | None) -> Signal:
    opened, ts_us = pending.signal, int(ticks.ts_us[row])
    close_id = rules.signal_id(opened.model_sha256 or "", opened.symbol, opened.strategy, opened.event_id, f"CLOSE-{opened.view}")
    return replace(
        opened,
        signal_id=close_id,
        action=CLOSE,
        ts_event_us=ts_us,
        issued_at_us=ts_us if now_us is None else now_us,
        valid_until_us=(ts_us if now_us is None else now_us) + pending.valid_ms * 1000,
        bid_points=int(ticks.bid_points[row]),
        ask_points=int(ticks.ask_points[row]),
        stop_points=None,
        target_points=None,
        reasons=("EXIT_AT_REACHED",),
    )
