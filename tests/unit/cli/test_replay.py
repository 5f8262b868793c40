"""`tick replay`: its options, and what it prints besides the counts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from execution.orders import Quote
from tick_assets.cli.errors import CommandError
from tick_assets.cli.replay import LeaderQuotes, ReplayCounts, StochasticRun, _print, _require_whole, replay
from tick_assets.domain.attribution import Attribution

COUNTS = ReplayCounts(10, 10, 0, 12, 0, 1e-9, 12, 0, 3, 0)
ROUGH = StochasticRun(7, 2, 1, 1, 5.5, 8.0, Attribution(-1.0, -2.0, 0.25, -0.5, 0.75, 0.0, -2.5))


def test_replay_seed_without_stochastic_is_refused() -> None:
    with pytest.raises(CommandError, match="Expected --seed with --stochastic"):
        replay("SYNEDGE", datetime(2024, 1, 9), seed=7)  # noqa: DTZ001  # typer gives a date of no zone


def test_replay_json_keeps_its_keys_and_adds_probabilities(capsys: pytest.CaptureFixture[str]) -> None:
    _print(COUNTS, [], None, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert list(document) == [
        "events", "features_compared", "feature_mismatches", "probabilities_compared", "probability_mismatches",
        "probability_difference_max", "signals", "signal_mismatches", "trades", "trade_mismatches",
    ]  # fmt: skip


def test_replay_json_of_a_stochastic_run_attributes_the_difference(capsys: pytest.CaptureFixture[str]) -> None:
    _print(COUNTS, [], ROUGH, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["attribution"] == {
        "latency": -1.0, "spread": -2.0, "slippage": 0.25, "rejects": -0.5, "missed": 0.75, "residual": 0.0, "total": -2.5,
    }  # fmt: skip
    assert document["stochastic"] == {
        "seed": 7, "trades": 2, "orders_refused": 1, "signals_lost": 1, "net_pnl": 5.5, "net_pnl_deterministic": 8.0,
    }  # fmt: skip


def test_replay_table_of_a_stochastic_run_goes_from_one_profit_to_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    _print(COUNTS, [], ROUGH, as_json=False)
    words = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert words[10:] == [
        ["what", "account_currency"], ["net", "profit,", "deterministic", "8"], ["latency", "-1"], ["spread", "-2"], ["slippage", "0.25"],
        ["rejects", "-0.5"], ["missed", "0.75"], ["residual", "0"], ["net", "profit,", "seed", "7", "5.5"],
    ]  # fmt: skip


def test_replay_residual_that_is_not_zero_fails() -> None:
    _require_whole(None)
    _require_whole(ROUGH)
    with pytest.raises(CommandError, match=r"\+0\.010000 left"):
        _require_whole(replace(ROUGH, attribution=replace(ROUGH.attribution, residual=0.01)))


def test_leader_s_quotes_are_handed_out_in_step_and_once() -> None:
    at = [datetime(2024, 1, 9, 10, minute, tzinfo=UTC) for minute in range(6)]
    beside = LeaderQuotes([Quote("GBPUSD", stamp, 1.0, 1.1, 1.0, 1.0) for stamp in at])
    assert [quote.ts_event.minute for quote in beside.until(at[2])] == [0, 1, 2]
    assert list(beside.until(at[2])) == []
    assert [quote.ts_event.minute for quote in beside.until(at[5])] == [3, 4, 5]
