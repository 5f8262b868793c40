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
from tick_assets.domain.learning import LearningFigures, sample_of_test
from tick_assets.domain.training import Trial
from tick_assets.domain.walk_forward import WindowRow, of_kind, summarize
from tick_assets.partitions import MODELS, models_of
from tick_assets.resources import Road
from tick_assets.tracking import judgement, robustness
from tick_assets.tracking.account_view import trade_together
from tick_assets.tracking.judgement import Bench, Case
from tick_assets.tracking.model_log import log_candidate, log_learning
from tick_assets.tracking.walk_forwards import run_walk_forward

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


@model_asset("validation", ["models/candidate"], {"python", "mlflow"})
def validation(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """Overfitting statistics of the search, and what the model learned: learning curve, degradation, reliability, abstain band."""
    learned: dict[str, LearningFigures] = {}
    rows: dict[str, Mapping[str, Any]] = {}
    with reporting(context, "models/validation") as report:
        for key, case in cases_of(context, road):
            learned[key] = judgement.learn(case)
            log_learning(road.model_registry, case.record["mlflow_run_id"], learned[key])
            rows[key] = {"model": case.model_id, **asdict(judgement.validate(case)), **_learning_row(learned[key])}
    names = list(rows)
    plot = bar_plot(
        "deflated Sharpe ratio: gate, 2014, 2025",
        names,
        {form: [rows[key][form] for key in names] for form in ("dsr", "dsr_2014", "dsr_2025")},
    )
    return finish(context, report, rows, plot, **_learning_metadata(learned))


def _learning_row(figures: LearningFigures) -> dict[str, Any]:
    band, reliability = figures.abstain, figures.reliability
    return {
        "best_round": figures.curve.best_round,
        "brier": reliability.brier,
        "expected_calibration_error": reliability.expected_calibration_error,
        "abstain_below": band.low,
        "abstain_above": band.high,
        "abstained_share": band.abstained_share,
        "net_bps_inside": band.net_bps_inside,
        "net_bps_outside": band.net_bps_outside,
    }


def _learning_metadata(learned: Mapping[str, LearningFigures]) -> dict[str, dg.MetadataValue]:
    """Return the learning curves, the degradation and the reliability diagrams of every model."""
    curves = {f"{key} {name}": getattr(each.curve, name) for key, each in learned.items() for name in ("train", "validation")}
    bins = {key: each.reliability.bins for key, each in learned.items()}
    return {
        "learning_curve": line_plot("log loss by boosting round", {name: (range(1, len(y) + 1), y) for name, y in curves.items()}),
        "degradation": table([{"model": key, **asdict(sample)} for key, each in learned.items() for sample in each.samples]),
        "reliability": line_plot(
            "observed by predicted share, out-of-fold on validation dates",
            {key: ([row.predicted for row in found], [row.observed for row in found]) for key, found in bins.items()},
        ),
    }


@model_asset("test", ["models/validation"], {"python"})
def test(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """The test dates, opened on record and traded by the fitted model at bid and ask with costs, latency and slippage.

    Beside it: simple rivals on the same events, and the same decisions in a grid of harsher markets.
    """
    curves: dict[str, tuple[Sequence[Any], Sequence[float]]] = {}
    rows: dict[str, Mapping[str, Any]] = {}
    samples: list[dict[str, Any]] = []
    rivals: list[dict[str, Any]] = []
    surface: list[dict[str, Any]] = []
    with reporting(context, "models/test") as report:
        cases = cases_of(context, road)
        for key, case in cases:
            figures = judgement.test(case, now())
            found = judgement.test_reliability(case)
            scores = {"brier": found.brier, "expected_calibration_error": found.expected_calibration_error}
            rows[key] = {"model": case.model_id, **asdict(figures), **scores, "test_openings": judgement.test_openings(case)}
            known = [*judgement.learning_of(case).samples, sample_of_test(case.test, len(case.split.test))]
            samples += [{"model": key, **asdict(sample)} for sample in known]
            curves[key] = (list(range(len(case.test.hourly_pnl))), case.test.hourly_pnl.cumsum().tolist())
            rivals += [{"model": case.model_id, **asdict(row)} for row in robustness.keep_superiority(case).rows]
            surface += [{"model": case.model_id, **asdict(cell)} for cell in robustness.keep_surface(case)]
        account = account_metadata(trade_together([case for _, case in cases], road.market), road.settings.reports_dir)
    plot = line_plot("equity on the test dates, USD by open hour", curves)
    more = {"degradation": table(samples), "rivals": table(rivals), "stress_surface": table(surface)}
    return finish(context, report, rows, plot, stress_plot=_surface_plot(surface), **more, **account)


def _surface_plot(cells: Sequence[Mapping[str, Any]]) -> dg.MetadataValue:
    """Return net profit by multiple of the spread, a line a model and commission, at the slowest latency too."""
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for cell in cells:
        name = f"{cell['model']} latency x{cell['latency_multiple']:g} commission x{cell['commission_multiple']:g}"
        x, y = lines.setdefault(name, ([], []))
        x.append(cell["spread_multiple"])
        y.append(cell["net_pnl"])
    return line_plot("net profit on the test dates by multiple of the spread, USD", lines)


@model_asset("walk_forward", ["models/test"], {"python", "iceberg"})
def walk_forward(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """Rolling, anchored and reselected windows, refitted in each; a row each in `evidence.walk_forward_windows`.

    A window that is finished is kept at once: a second start computes only what is missing.
    """
    rows: dict[str, Mapping[str, Any]] = {}
    profits: dict[str, list[float]] = {}
    windows_of: list[dict[str, Any]] = []
    summaries: list[dict[str, Any]] = []
    with reporting(context, "models/walk_forward") as report:
        for key, case in cases_of(context, road):
            windows = run_walk_forward(case, partial(_log_window, context, key))
            found = summarize(windows)
            rows[key] = {"model": case.model_id, "windows": len(windows)} | {f"{each.kind}_share": each.share for each in found}
            profits |= {f"{key} {each.kind}": [row.net_pnl for row in of_kind(windows, each.kind)] for each in found}
            windows_of += [{"model": case.model_id, **window.to_row()} for window in windows]
            summaries += [{"model": case.model_id, **each.to_row()} for each in found]
    longest = max((len(values) for values in profits.values()), default=0)
    plot = bar_plot("net profit by window, USD", [str(i) for i in range(longest)], profits)
    return finish(context, report, rows, plot, windows=table(windows_of), kinds=table(summaries))


def _log_window(context: dg.AssetExecutionContext, key: str, row: WindowRow) -> None:
    context.log.info(f"event=window model={key} kind={row.kind} number={row.window} test_date={row.test_date} net_pnl={row.net_pnl:.2f}")
