"""A rougher market on the simulated terminal: the parts of the difference add up to what its books say, to the last bit that counts."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

import numpy as np
import pytest

from execution.market import default_market_text
from execution.simulate import SimulatedTrade, signals_of, simulate_signals
from tick_assets.cli.replay import StochasticRun, _document, attribution_rows, run_stochastic
from tick_assets.domain.dataset import TrainingSet, day_from_ticks, training_set
from tick_assets.domain.instruments import parse_market
from tick_assets.domain.replays import Speaker, compare_trades, expected_trades, spoken_orders
from tick_assets.domain.signals import Strategy
from tick_assets.domain.synthetic_market import SyntheticMarket, generate_day
from tick_assets.domain.training import BoosterParams, feature_ranges, fit_final

DAY = date(2024, 1, 9)
TEXT = default_market_text()
MARKET = parse_market(TEXT)
SYMBOL = "SYNEDGE"


@pytest.fixture(scope="module")
def events() -> TrainingSet:
    raw = generate_day(SyntheticMarket(k=2.0), 3, SYMBOL, DAY).ticks
    return training_set(SYMBOL, [day_from_ticks(SYMBOL, DAY.isoformat(), raw, MARKET, Strategy())])


@pytest.fixture(scope="module")
def speaker(events: TrainingSet) -> Speaker:
    return Speaker(fit_final(events, BoosterParams()), Strategy(threshold=0.52), feature_ranges(events))


@pytest.fixture(scope="module")
def calm(events: TrainingSet, speaker: Speaker) -> list[SimulatedTrade]:
    spoken = spoken_orders(events, speaker, MARKET)
    chosen = range(len(events))
    signals = signals_of(SYMBOL, spoken.keys, events.ts_event_us, spoken.orders, speaker.strategy.max_position, chosen)
    trades = simulate_signals({SYMBOL: events.ticks[0]}, signals, TEXT)
    assert compare_trades(expected_trades(events, speaker, MARKET), trades) == []
    return trades


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stochastic_parts_add_up_to_the_difference_of_the_books(
    events: TrainingSet, speaker: Speaker, calm: list[SimulatedTrade], seed: int
) -> None:
    rough = run_stochastic(events, speaker, MARKET, TEXT, calm, seed)
    found = rough.attribution
    assert len(calm) > 50
    assert abs(found.residual) < 1e-9
    assert found.total == pytest.approx(rough.net_pnl - rough.net_pnl_deterministic, abs=1e-9)
    assert found.latency + found.spread + found.slippage + found.rejects + found.missed == pytest.approx(found.total, abs=1e-9)
    assert (found.spread < 0, rough.signals_lost > 0, rough.orders_refused > 0) == (True, True, True)
    assert min(abs(part) for part in (found.latency, found.slippage, found.rejects, found.missed)) > 0


def test_stochastic_parts_add_up_where_swap_is_charged(events: TrainingSet, speaker: Speaker) -> None:
    text = TEXT.replace("charges_swap = false", "charges_swap = true")
    market = parse_market(text)
    assert market.account.charges_swap
    spoken = spoken_orders(events, speaker, market)
    signals = signals_of(SYMBOL, spoken.keys, events.ts_event_us, spoken.orders, speaker.strategy.max_position, range(len(events)))
    rough = run_stochastic(events, speaker, market, text, simulate_signals({SYMBOL: events.ticks[0]}, signals, text), 1)
    assert abs(rough.attribution.residual) < 1e-9


def test_stochastic_run_depends_on_the_seed_alone(events: TrainingSet, speaker: Speaker, calm: list[SimulatedTrade]) -> None:
    first, again, other = (run_stochastic(events, speaker, MARKET, TEXT, calm, seed) for seed in (1, 1, 2))
    assert first == again
    assert first.attribution != other.attribution


def test_stochastic_document_and_table_have_every_part(events: TrainingSet, speaker: Speaker, calm: list[SimulatedTrade]) -> None:
    rough = run_stochastic(events, speaker, MARKET, TEXT, calm, 1)
    document = _document(rough)
    assert list(document["attribution"]) == ["latency", "spread", "slippage", "rejects", "missed", "residual", "total"]
    assert document["stochastic"]["seed"] == 1
    rows = attribution_rows(rough)
    amounts = np.array([row["account_currency"] for row in rows])
    assert amounts[:-1].sum() == pytest.approx(amounts[-1], abs=1e-3)
    assert _document(None) == {}
    assert asdict(rough).keys() == StochasticRun.__dataclass_fields__.keys()
