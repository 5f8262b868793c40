"""Model assets: candidate, validation, test and walk-forward of each symbol and strategy, under one MLflow run per Dagster run.

What belongs here: the order of calls and what is reported. What must not: statistics, training, encoding.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import dagster as dg
import numpy as np

from tick_assets.assets.account import account_metadata
from tick_assets.assets.reporting import MODEL_OWNERS, Report, bar_plot, line_plot, now, reporting, table
from tick_assets.domain.training import Trial
from tick_assets.partitions import MODELS, models_of
from tick_assets.resources import Road
from tick_assets.tracking import judgement
from tick_assets.tracking.account_view import trade_together
from tick_assets.tracking.judgement import Bench, Case
from tick_assets.tracking.model_log import log_candidate

GROUP = "models"
SINGLE_RUN = dg.BackfillPolicy.single_run()


def bench_of(road: Road) -> Bench:
    """Return what every stage works with."""
    return Bench(road.lakehouse, road.object_store, road.market, road.policy, road.code_commit)


def cases_of(context: dg.AssetExecutionContext, road: Road) -> list[tuple[str, Case]]:
    """Return (partition key, case) of every model of this run."""
    bench = bench_of(road)
    keys = context.partition_keys
    return [(key, Case(bench, symbol, strategy)) for key, (symbol, strategy) in zip(keys, models_of(keys), strict=True)]


def finish(
    context: dg.AssetExecutionContext, report: Report, rows: Mapping[str, Mapping[str, Any]], plot: dg.MetadataValue, **more: Any
) -> dg.MaterializeResult:
    """Attach each model's figures to its own partition, and return the run's."""
    for key, figures in rows.items():
        context.add_asset_metadata({name: _plain(value) for name, value in figures.items()}, partition_key=key)
    report.values |= {"dagster/row_count": len(rows), "models": table(list(rows.values())), "plot": plot} | more
    return dg.MaterializeResult(metadata=report.metadata())


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else str(value)
    return str(value)


def model_asset(name: str, deps: Sequence[str], kinds: set[str]) -> Callable[..., Any]:
    """Return the decorator that all model assets share."""
    return dg.asset(
        key=["models", name],
        deps=[key.split("/") for key in deps],
        group_name=GROUP,
        owners=MODEL_OWNERS,
        kinds=kinds,
        partitions_def=MODELS,
        backfill_policy=SINGLE_RUN,
    )


def _log_trial(context: dg.AssetExecutionContext, key: str, trial: Trial) -> None:
    context.log.info(f"event=trial model={key} number={trial.number} sharpe={trial.sharpe:.4f}")


@model_asset("candidate", ["datasets/training_set"], {"xgboost", "mlflow"})
def candidate(context: dg.AssetExecutionContext, road: Road, mlflow: dg.ResourceParam[Any]) -> dg.MaterializeResult:
    """A searched and fitted booster; every trial is in MLflow and `evidence.trials`, the version in the registry."""
    rows: dict[str, Mapping[str, Any]] = {}
    curves: dict[str, tuple[Sequence[Any], Sequence[float]]] = {}
    parent = mlflow.active_run().info.run_id
    with reporting(context, "models/candidate") as report:
        for key, case in cases_of(context, road):
            fitted = judgement.make_candidate(case, partial(_log_trial, context, key))
            run_id, version = log_candidate(road.model_registry, parent, case.symbol, case.strategy_name, fitted)
            judgement.keep_candidate(case, fitted, version, run_id, now())
            best = fitted.result.best
            rows[key] = {
                "model": f"{case.symbol}.{case.strategy_name}@{version}",
                "trials": len(fitted.result.trials),
                "threshold": best.configuration.threshold,
                "sharpe_per_hour": best.sharpe,
                "trades": best.n_trades,
                "net_pnl_usd": best.net_pnl,
                "model_sha256": fitted.record["model_sha256"],
                "dataset_id": fitted.record["dataset_id"],
                "mlflow_run_id": run_id,
            }
            curves[key] = (list(range(len(best.hourly_pnl))), best.hourly_pnl.cumsum().tolist())
    return finish(context, report, rows, line_plot("out-of-fold equity of the best trial, USD by open hour", curves))


@model_asset("validation", ["models/candidate"], {"python"})
def validation(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """Overfitting statistics of the search: DSR in three forms, PBO, probability of an out-of-sample loss, MinTRL."""
    with reporting(context, "models/validation") as report:
        found = {key: (case.model_id, judgement.validate(case)) for key, case in cases_of(context, road)}
    rows = {key: {"model": model_id, **asdict(figures)} for key, (model_id, figures) in found.items()}
    names = list(rows)
    plot = bar_plot(
        "deflated Sharpe ratio: gate, 2014, 2025",
        names,
        {form: [rows[key][form] for key in names] for form in ("dsr", "dsr_2014", "dsr_2025")},
    )
    return finish(context, report, rows, plot)


@model_asset("test", ["models/validation"], {"python"})
def test(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """The test dates, traded once by the fitted model at bid and ask with costs, latency and slippage."""
    curves: dict[str, tuple[Sequence[Any], Sequence[float]]] = {}
    rows: dict[str, Mapping[str, Any]] = {}
    with reporting(context, "models/test") as report:
        cases = cases_of(context, road)
        for key, case in cases:
            rows[key] = {"model": case.model_id, **asdict(judgement.test(case))}
            curves[key] = (list(range(len(case.test.hourly_pnl))), case.test.hourly_pnl.cumsum().tolist())
        account = account_metadata(trade_together([case for _, case in cases], road.market))
    return finish(context, report, rows, line_plot("equity on the test dates, USD by open hour", curves), **account)


@model_asset("walk_forward", ["models/test"], {"python", "iceberg"})
def walk_forward(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """Rolling windows, refitted with the frozen configuration; a row each in `evidence.walk_forward_windows`."""
    rows: dict[str, Mapping[str, Any]] = {}
    profits: dict[str, list[float]] = {}
    windows_of: list[dict[str, Any]] = []
    with reporting(context, "models/walk_forward") as report:
        for key, case in cases_of(context, road):
            windows = judgement.walk_forward(case)
            rows[key] = {"model": case.model_id, "windows": len(windows), "winning": sum(window.is_profitable for window in windows)}
            profits[key] = [window.net_pnl for window in windows]
            windows_of += [{"model": case.model_id, **window.to_row()} for window in windows]
    longest = max((len(values) for values in profits.values()), default=0)
    plot = bar_plot("net profit by window, USD", [str(i) for i in range(longest)], profits)
    return finish(context, report, rows, plot, windows=table(windows_of))
