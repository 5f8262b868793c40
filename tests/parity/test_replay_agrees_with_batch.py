"""The service's feed over a replayed date says what the batch path says, rows that can't be sent included."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pytest

from serving.predictor import BoosterPredictor
from serving.served_model import LIVE, ModelSlot, ServedModel
from serving.symbol_feed import SymbolFeed
from tick_assets.domain import replays
from tick_assets.domain.dataset import TrainingSet, day_from_ticks, training_set
from tick_assets.domain.instruments import Instrument, Market
from tick_assets.domain.kernel import run_kernel
from tick_assets.domain.replays import Speaker, as_replayed
from tick_assets.domain.signals import Strategy
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.ticks import DAY_US, MALFORMED_TS, Ticks
from tick_assets.domain.training import BoosterParams, feature_ranges, fit_final

DAY = date(2024, 1, 9)
DAY_NUMBER = (DAY - date(1970, 1, 1)).days
INSTRUMENT = Instrument("SYN", "fx", 100_000, 5, 100_000.0, "SYN", "USD", 3.5, 0.3, 0.01, 0.01, 100.0, "")
MARKET = Market("USD", 20240108, 100.0, 0.6, 60_000, {"SYN": INSTRUMENT})


def _dirty(ticks: Ticks) -> Ticks:
    """Spoil a row of every kind: malformed, of the next date, crossed, repeated."""
    stamps, bid, ask = ticks.ts_us.copy(), ticks.bid_points.copy(), ticks.ask_points.copy()
    stamps[[0, 700, 701, 9000]] = MALFORMED_TS
    stamps[5000] = (DAY_NUMBER + 1) * DAY_US + 5
    bid[6000] = ask[6000] + 3
    rows = np.sort(np.append(np.arange(len(ticks)), 8000))
    return Ticks(stamps, bid, ask, ticks.bid_size, ticks.ask_size).take(rows)


@pytest.fixture(scope="module")
def raw() -> Ticks:
    return _dirty(generate_day(SyntheticMarket(k=2.0), 3, "SYN", DAY).ticks)


@pytest.fixture(scope="module")
def events(raw: Ticks) -> TrainingSet:
    return training_set("SYN", [day_from_ticks("SYN", DAY.isoformat(), raw, MARKET, Strategy())])


@pytest.fixture(scope="module")
def speaker(events: TrainingSet) -> Speaker:
    ranges = dict(feature_ranges(events)) | {"spread_bps": (0.0, float(np.quantile(events.features[:, 0], 0.9)))}
    return Speaker(fit_final(events, BoosterParams()), Strategy(threshold=0.52), ranges)


@pytest.fixture(scope="module")
def documents(raw: Ticks, events: TrainingSet, speaker: Speaker) -> list[dict[str, Any]]:
    low, high = np.array([speaker.ranges[name] for name in events.feature_names]).T
    model = ServedModel(
        "SYN", speaker.strategy, "1", "SYN.direction@1", speaker.sha256, "p", True, low, high, BoosterPredictor(speaker.model), {}, 0
    )  # fmt: skip
    feed, sent = SymbolFeed(INSTRUMENT), as_replayed(raw, DAY_NUMBER)
    parts = [sent.take(slice(start, start + 500)) for start in range(0, len(sent), 500)]
    return [signal.document() for part in parts for signal in feed.take(part, (ModelSlot(LIVE, model),), None).signals]


def test_as_replayed_keeps_every_row_in_its_place(raw: Ticks) -> None:
    sent = as_replayed(raw, DAY_NUMBER)
    before, after = run_kernel(raw, 1, DAY_NUMBER), run_kernel(sent, 1, DAY_NUMBER)
    assert len(sent) == len(raw)
    assert ((before.reason == 0) == (after.reason == 0)).all()
    assert before.event_row.tolist() == after.event_row.tolist()
    assert before.features.tobytes() == after.features.tobytes()
    assert (sent.ts_us // DAY_US == DAY_NUMBER).all()


def test_as_replayed_clean_rows_stay_the_same_object(raw: Ticks) -> None:
    clean = raw.take(raw.ts_us // DAY_US == DAY_NUMBER)
    assert as_replayed(clean, DAY_NUMBER) is clean


def test_as_replayed_date_without_a_good_row_is_all_refused() -> None:
    bad = Ticks(np.full(3, MALFORMED_TS), *np.zeros((2, 3), np.int64), *np.ones((2, 3)))
    assert (run_kernel(as_replayed(bad, DAY_NUMBER), 1, DAY_NUMBER).reason != 0).all()


def test_replay_features_equal_the_batch(events: TrainingSet, documents: Sequence[dict[str, Any]]) -> None:
    assert replays.compare_features(events, documents) == (len(events), [])


def test_replay_signals_equal_the_batch(events: TrainingSet, speaker: Speaker, documents: Sequence[dict[str, Any]]) -> None:
    expected = replays.expected_signals(events, speaker, INSTRUMENT.price_factor)
    assert replays.compare_signals(expected, documents) == []
    said = {reason for document in documents for reason in document["reasons"]}
    assert {"FEATURE_OUT_OF_RANGE", "ENTRY_TOO_LATE", "EXIT_AT_REACHED", "PROBABILITY_INSIDE_BAND"} <= said


@pytest.mark.parametrize(
    "change",
    [
        {"signal_id": "0" * 64},
        {"view": "FLAT"},
        {"stop_loss": 1.0},
        {"exit_at": "2024-01-09T00:00:00Z"},
        {"event_id": "0" * 64},
    ],
)
def test_compare_signals_finds_one_changed_member(
    events: TrainingSet, speaker: Speaker, documents: Sequence[dict[str, Any]], change: dict[str, Any]
) -> None:
    expected = replays.expected_signals(events, speaker, INSTRUMENT.price_factor)
    place = next(i for i, document in enumerate(documents) if document["action"] == "OPEN")
    changed = [{**document, **change} if i == place else document for i, document in enumerate(documents)]
    assert replays.compare_signals(expected, changed)


def test_replay_probabilities_equal_the_batch(
    events: TrainingSet, speaker: Speaker, documents: Sequence[dict[str, Any]]
) -> None:  # fmt: skip
    expected = replays.expected_signals(events, speaker, INSTRUMENT.price_factor)
    found = replays.compare_probabilities(expected, documents)
    assert (found.compared, found.mismatches) == (len(expected), [])
    assert found.largest <= replays.PROBABILITY_TOLERANCE


@pytest.mark.parametrize(("change", "mismatches"), [(9e-7, 0), (2e-6, 1), (None, 1)])
def test_compare_probabilities_tolerance_and_a_side_without_one(
    events: TrainingSet, speaker: Speaker, documents: Sequence[dict[str, Any]], change: float | None, mismatches: int
) -> None:
    expected = replays.expected_signals(events, speaker, INSTRUMENT.price_factor)
    spoken = [document for document in documents if document["features_sha256"]]
    said = None if change is None else spoken[3]["probability"] + change
    changed = [{**document, "probability": said} if i == 3 else document for i, document in enumerate(spoken)]
    found = replays.compare_probabilities(expected, changed)
    assert (found.compared, len(found.mismatches)) == (len(expected), mismatches)
    assert found.largest == pytest.approx(change or 0.0, abs=1e-9)
    assert replays.compare_signals(expected, changed) == []


def test_compare_features_finds_a_missing_and_a_changed_event(events: TrainingSet, documents: Sequence[dict[str, Any]]) -> None:
    warm = [document for document in documents if document["features_sha256"] and document["action"] != "CLOSE"]
    changed = [{**warm[0], "features_sha256": "0" * 64}, *warm[2:]]
    compared, found = replays.compare_features(events, changed)
    assert (compared, sorted(row.what for row in found)) == (len(events) - 1, ["event", "features"])


def test_compare_trades_finds_a_missing_and_a_revalued_trade(events: TrainingSet, speaker: Speaker) -> None:
    made = replays.expected_trades(events, speaker, MARKET)
    kept = made.take(np.arange(1, len(made)))
    assert len(made) > 2
    assert [row.what for row in replays.compare_trades(made, _as_simulated(kept))] == ["trade", "number of trades"]
    assert replays.compare_trades(made, _as_simulated(made)) == []
    assert len(replays.compare_trades(made, _as_simulated(made, extra=0.01))) == len(made)


def _as_simulated(trades: Any, extra: float = 0.0) -> list[Any]:
    from execution.simulate import SimulatedTrade
    from tick_assets.domain.fills import EXIT_REASONS

    return [
        SimulatedTrade(
            "", "SYN", int(trades.entry_ts_us[i]), int(trades.exit_ts_us[i]), int(trades.side[i]), float(trades.entry_points[i]),
            float(trades.exit_points[i]), EXIT_REASONS[trades.reason[i]], float(trades.net_pnl_account[i]) + extra, i,
        )
        for i in range(len(trades))
    ]  # fmt: skip
