"""The tables of a verdict survive CSV, and sum to what the report says."""

from __future__ import annotations

import io

import polars as pl
import pytest

from tests.unit.domain.report_values import small_report
from tick_assets.domain.report_tables import tables_of, to_csv


def read(name: str) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(to_csv(tables_of(small_report()))[name]), try_parse_dates=False)


def test_tables_are_these() -> None:
    assert sorted(tables_of(small_report())) == [
        "calibration",
        "drift",
        "equity",
        "gates",
        "shap",
        "stress",
        "trades",
        "trials",
        "windows",
    ]


@pytest.mark.parametrize("name", ["calibration", "drift", "gates", "shap", "stress", "trials", "windows"])
def test_csv_round_trip_gives_the_same_numbers(name: str) -> None:
    table = tables_of(small_report())[name]
    found = pl.read_csv(io.BytesIO(to_csv({name: table})[f"{name}.csv"]), schema=table.schema)
    assert found.equals(table, null_equal=True)


def test_trades_csv_has_each_trade_with_utc_stamps() -> None:
    data, trades = small_report(), read("trades.csv")
    assert len(trades) == data.test.figures.n_trades > 0
    assert trades["net_pnl_account"].sum() == pytest.approx(data.test.figures.net_pnl)
    assert trades["entry_at"].str.contains(r"^2024-01-11T\d\d:\d\d:\d\d\.\d{6}Z$").all()
    assert set(trades["side"].unique()) == {"LONG", "SHORT"}
    assert set(trades["exit_reason"].unique()) <= {"STOP", "TARGET", "TIME", "END_OF_DATA"}


def test_equity_csv_ends_on_the_sum_of_both_parts() -> None:
    data, equity = small_report(), read("equity.csv")
    assert equity["equity"][-1] == pytest.approx(data.result.best.net_pnl + data.test.figures.net_pnl)
    assert equity["part"].unique(maintain_order=True).to_list() == ["out_of_fold", "test"]
    assert equity["hour"][0] == "2024-01-08T00:00:00.000000Z"


def test_gates_csv_has_every_gate_in_order() -> None:
    gates = read("gates.csv")
    assert gates["gate"].to_list()[:3] == ["completeness", "leak_firewall", "label_overlaps"]
    assert set(gates["result"].unique()) <= {"pass", "refuse", "not_fed"}
