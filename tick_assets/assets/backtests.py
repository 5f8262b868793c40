"""The last word on a model: the simulated terminal's backtest of the test dates, and the gate's verdict.

What belongs here: bringing execution's simulator to the domain's orders, and what is reported. What must not: gates or fill rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np

from execution.simulate import SimulatedSignal, SimulatedTrade, simulate_signals
from tick_assets.assets.models import cases_of, finish, model_asset
from tick_assets.assets.reporting import bar_plot, now, reporting, table
from tick_assets.domain.orders import orders_from_views, signal_keys
from tick_assets.domain.replays import compare_trades
from tick_assets.domain.report import ReportData, render_report
from tick_assets.lakehouse.durable_files import write_file
from tick_assets.resources import Road
from tick_assets.tracking import judgement, robustness
from tick_assets.tracking.judgement import Case, Decision
from tick_assets.tracking.model_log import log_verdict


def terminal_trades(case: Case, market_text: str) -> list[SimulatedTrade]:
    """Trade the test dates on the simulated terminal, a date at a time."""
    events = case.events.on_dates(case.split.test)
    result = case.test
    orders = orders_from_views(events, result.views, result.draws, case.strategy)
    keys = signal_keys(events, result.views, case.record["model_sha256"], case.strategy)
    trades: list[SimulatedTrade] = []
    for place, ticks in enumerate(events.ticks):
        rows = np.flatnonzero((events.date_index == place) & (orders.side != 0))
        signals = [
            SimulatedSignal(
                signal_id=keys[row],
                symbol=case.symbol,
                ts_us=int(events.ts_event_us[row]),
                view=int(orders.side[row]),
                stop_points=int(orders.stop_points[row]),
                target_points=int(orders.target_points[row]),
                exit_at_us=int(orders.exit_at_us[row]),
                lots=case.strategy.max_position,
                row=int(events.event_row[row]),
            )
            for row in rows
        ]
        trades += simulate_signals({case.symbol: ticks}, signals, market_text, case.strategy_name)
    return trades


@model_asset("mt5_backtest", ["models/walk_forward"], {"python"})
def mt5_backtest(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """The test dates once more, through the order path of execution on the simulated MetaTrader 5 terminal.

    It must agree trade for trade.
    """
    rows: dict[str, Mapping[str, Any]] = {}
    differences: list[dict[str, Any]] = []
    market_text = road.settings.market_path.read_text()
    with reporting(context, "models/mt5_backtest") as report:
        for key, case in cases_of(context, road):
            simulated = terminal_trades(case, market_text)
            differing = compare_trades(case.test.trades, simulated)
            figures = {
                "backtest_trades": len(case.test.trades),
                "terminal_trades": len(simulated),
                "mismatches": len(differing),
                "terminal_net_pnl_usd": sum(trade.net_pnl_account for trade in simulated),
            }
            case.store.write(case.version, "mt5_backtest", figures)
            rows[key] = {"model": case.model_id, **figures}
            differences += [{"model": case.model_id, **asdict(row)} for row in differing]
    names = list(rows)
    plot = bar_plot(
        "trades on the test dates", names, {side: [rows[name][f"{side}_trades"] for name in names] for side in ("backtest", "terminal")}
    )
    return finish(context, report, rows, plot, differences=table(differences), terminal="simulated")


def _write_report(road: Road, case: Case, decision: Decision, validation: Any, windows: Sequence[Any]) -> Path:
    page = render_report(
        ReportData(
            model_id=case.model_id,
            verdict=decision.verdict,
            result=case.search_result,
            validation=validation,
            test=case.test,
            windows=windows,
            dates=case.events.dates,
            account_currency=road.market.account_currency,
            lots=case.strategy.max_position,
            is_synthetic=case.dataset.is_synthetic,
            issued_at=now(),
            identities=_identities(case, decision, validation),
            gate_reasons={gate.name: gate.reason for gate in road.policy.gates},
            surface=robustness.surface_of(case),
            superiority=robustness.superiority_of(case),
        )
    )
    path = road.settings.reports_dir / f"{case.model_id}.html"
    write_file(path, page.encode())
    return path


def _identities(case: Case, decision: Decision, validation: Any) -> dict[str, str]:
    return {
        "verdict": decision.verdict_id,
        "model sha-256": case.record["model_sha256"],
        "dataset": case.dataset.id,
        "code": case.record["code_commit"],
        "MLflow run": case.record["mlflow_run_id"],
        "policy sha-256": decision.verdict.policy_sha256,
        "trial ledger sha-256": validation.ledger_sha256,
    }


@model_asset("gate_verdict", ["models/mt5_backtest"], {"python", "iceberg"})
def gate_verdict(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """Every gate's figure against the policy: a row in `evidence.verdicts`, a report, an MLflow artifact. Only a pass is deployed."""
    rows: dict[str, Mapping[str, Any]] = {}
    with reporting(context, "models/gate_verdict") as report:
        for key, case in cases_of(context, road):
            rows[key] = _judge(road, case)
            context.log.info(f"event=verdict model={case.model_id} {rows[key]['verdict']}")
    gates = [gate for row in rows.values() for gate in row["gates"]]
    shown = {key: {name: value for name, value in row.items() if name != "gates"} for key, row in rows.items()}
    passing = {
        key: [sum(gate["result"] == result for gate in row["gates"]) for result in ("pass", "refuse", "not_fed")]
        for key, row in rows.items()
    }
    return finish(context, report, shown, bar_plot("gates by result", ["pass", "refuse", "no figure"], passing), gates=table(gates))


def _judge(road: Road, case: Case) -> dict[str, Any]:
    at = now()
    validation = judgement.validate(case)
    windows = judgement.windows_of(case)
    leaks = judgement.find_leaks(case, at)
    mismatches = case.store.read(case.version, "mt5_backtest")["mismatches"]
    decision = judgement.decide(
        case,
        validation,
        windows,
        judgement.completeness_of(case),
        leaks,
        mismatches,
    )
    path = _write_report(road, case, decision, validation, windows)
    row = judgement.keep_decision(case, decision, validation, path.as_uri(), at)
    log_verdict(road.model_registry, case.symbol, case.strategy_name, row, decision.verdict.to_dict(), path)
    return {
        "model": case.model_id,
        "passed": decision.verdict.passed,
        "verdict_id": decision.verdict_id,
        "verdict": decision.verdict.answer,
        "refused_by": ", ".join(decision.verdict.refused_by),
        "report": str(path),
        "gates": [{"model": case.model_id, **asdict(gate)} for gate in decision.verdict.gates],
    }
