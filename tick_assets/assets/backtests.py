"""The last word on a model: the simulated terminal's backtest of the test dates, and the gate's verdict.

What belongs here: bringing execution's simulator to the domain's orders, and what is reported. What must not: gates or fill rules.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg
import numpy as np

from execution.simulate import SimulatedSignal, SimulatedTrade, simulate_signals
from tick_assets.assets.models import cases_of, finish, model_asset
from tick_assets.assets.reporting import bar_plot, now, reporting, table
from tick_assets.domain.orders import orders_from_views, signal_keys
from tick_assets.domain.replays import compare_trades
from tick_assets.resources import Road
from tick_assets.tracking import judgement
from tick_assets.tracking.judgement import Case
from tick_assets.tracking.model_log import log_verdict
from tick_assets.tracking.report_files import write_index, write_report
from tick_assets.tracking.verdict_report import report_data


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


@model_asset("gate_verdict", ["models/mt5_backtest"], {"python", "iceberg"})
def gate_verdict(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """Every gate's figure against the policy: a row in `evidence.verdicts`, a report, MLflow artifacts. Only a pass is deployed."""
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
    shown = report_data(case, decision, validation, windows, at)
    files = write_report(shown, road.settings.reports_dir)
    if files.card is not None:
        case.store.write_card(case.version, files.card.read_bytes())
    row = judgement.keep_decision(case, decision, validation, files.page.as_uri(), at)
    log_verdict(road.model_registry, case.symbol, case.strategy_name, row, decision.verdict.to_dict(), files.documents)
    index = write_index(road.lakehouse, road.settings.reports_dir, at)
    return {
        "model": case.model_id,
        "passed": decision.verdict.passed,
        "verdict_id": decision.verdict_id,
        "verdict": decision.verdict.answer,
        "refused_by": ", ".join(decision.verdict.refused_by),
        "strong_drift": ", ".join(shown.drift.alarms) if shown.drift else "",
        "report": str(files.page),
        "all_reports": str(index),
        "gates": [{"model": case.model_id, **asdict(gate)} for gate in decision.verdict.gates],
    }
