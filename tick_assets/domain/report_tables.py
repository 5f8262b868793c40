"""The verdict's figures as tables that a spreadsheet opens: what the report draws, in numbers.

What belongs here: columns. What must not: files, words for people. Times are ISO-8601 UTC, money is in account currency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import polars as pl

from tick_assets.domain import metrics
from tick_assets.domain.backtest import HOUR_US, Trades
from tick_assets.domain.drift import FeatureDrift
from tick_assets.domain.evaluation import CalibrationRow, StressRow
from tick_assets.domain.feature_attribution import FeatureAttribution
from tick_assets.domain.fills import EXIT_REASONS
from tick_assets.domain.report_data import ReportData
from tick_assets.domain.ticks import Int64Array
from tick_assets.domain.walk_forward import WindowRow

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.6fZ"
GATES = {
    "gate": pl.String,
    "figure": pl.Float64,
    "comparison": pl.String,
    "threshold": pl.Float64,
    "result": pl.String,
    "reason": pl.String,
}


def tables_of(data: ReportData) -> dict[str, pl.DataFrame]:
    """Return the tables by name: gates, trades, equity, windows, stress, calibration, trials, and shap and drift where there are such."""
    tables = {
        "gates": _gates(data),
        "trades": trades_table(data.test.trades),
        "equity": _equity(data),
        "windows": _frame([window.to_row() for window in data.windows], WindowRow),
        "stress": _frame([asdict(row) for row in data.test.stress], StressRow),
        "calibration": _frame([asdict(row) for row in data.test.calibration], CalibrationRow),
        "trials": _trials(data),
    }
    if data.attribution is not None:
        tables["shap"] = _frame([asdict(row) for row in data.attribution.features], FeatureAttribution)
    if data.drift is not None:
        tables["drift"] = _frame([asdict(row) for row in data.drift.features], FeatureDrift)
    return tables


def to_csv(tables: Mapping[str, pl.DataFrame]) -> dict[str, bytes]:
    """Return the tables as CSV (UTF-8, comma, point, header) by file name; floats keep every digit."""
    return {f"{name}.csv": table.write_csv(datetime_format=TIME_FORMAT).encode() for name, table in tables.items()}


def _frame(rows: Sequence[Mapping[str, Any]], kind: type[Any]) -> pl.DataFrame:
    """Return rows as a frame; without any, the header of the rows' kind (fields kept out of its repr are series, no columns)."""
    if not rows:
        return pl.DataFrame(schema=[field.name for field in fields(kind) if field.repr])
    return pl.DataFrame(rows, infer_schema_length=None)


def _gates(data: ReportData) -> pl.DataFrame:
    rows = [(gate.name, gate.figure, gate.comparison, float(gate.threshold), gate.result, gate.reason) for gate in data.verdict.gates]
    return pl.DataFrame(rows, schema=GATES, orient="row")


def trades_table(trades: Trades) -> pl.DataFrame:
    """Return one row per trade of the test, in time order; prices are points."""
    return pl.DataFrame(
        {
            "side": np.where(trades.side > 0, "LONG", "SHORT").tolist(),
            "entry_at": _stamps(trades.entry_ts_us),
            "exit_at": _stamps(trades.exit_ts_us),
            "entry_points": trades.entry_points,
            "exit_points": trades.exit_points,
            "exit_reason": [EXIT_REASONS[reason] for reason in trades.reason],
            "net_pnl_account": trades.net_pnl_account,
            "net_bps": trades.net_bps,
        },
        schema_overrides={"side": pl.String, "exit_reason": pl.String},
    )


def _equity(data: ReportData) -> pl.DataFrame:
    profit = np.concatenate([data.result.best.hourly_pnl, data.test.hourly_pnl])
    hours = np.concatenate([data.result.hours, data.test.hours])
    parts = ["out_of_fold"] * len(data.result.hours) + ["test"] * len(data.test.hours)
    columns = {"hour": _stamps(hours * HOUR_US), "part": parts, "net_pnl": profit, "equity": np.cumsum(profit)}
    return pl.DataFrame({**columns, "drawdown": metrics.drawdown(profit)}, schema_overrides={"part": pl.String})


def _trials(data: ReportData) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "trial": trial.number,
                "state": trial.state,
                "is_best": trial.number == data.result.best.number,
                **asdict(trial.configuration.booster),
                "threshold": trial.configuration.threshold,
                "n_trades": trial.n_trades,
                "sharpe": trial.sharpe,
                "net_pnl": trial.net_pnl,
            }
            for trial in data.result.trials
        ]
    )


def _stamps(stamps_us: Int64Array) -> pl.Series:
    return pl.Series(stamps_us, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
