"""The last word on a model: the simulated terminal's backtest of the test dates, and the gate's verdict.

What belongs here: bringing execution's simulator to the domain's orders, and what is reported. What must not: gates or fill rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import dagster as dg
import numpy as np

from execution.market import MarketFile, parse_market_file
from execution.orders import to_datetime
from execution.recorded import holding_terminal, read_day
from execution.simulate import SimulatedSignal, SimulatedTrade, signals_of, simulate_symbol
from tick_assets.assets.models import cases_of, finish, model_asset
from tick_assets.assets.reporting import bar_plot, now, reporting, table
from tick_assets.domain.backtest import Orders, Trades
from tick_assets.domain.dataset import TrainingSet
from tick_assets.domain.leak_findings import count_leaks, state
from tick_assets.domain.orders import orders_from_views, signal_keys
from tick_assets.domain.replays import compare_trades
from tick_assets.domain.terminal_history import HistoryComparison, compare_history, history_figures
from tick_assets.domain.ticks import Ticks, day_start_us
from tick_assets.resources import Road
from tick_assets.tracking import judgement
from tick_assets.tracking.judgement import Case
from tick_assets.tracking.model_log import log_verdict
from tick_assets.tracking.report_files import write_index, write_report
from tick_assets.tracking.verdict_report import report_data


@dataclass(frozen=True)
class TerminalDay:
    """One date on the terminal: its history against the lakehouse's, and the trades that were made on the terminal's own ticks."""

    history: HistoryComparison
    trades: Sequence[SimulatedTrade]


@dataclass(frozen=True)
class TerminalRun:
    """The test dates on the terminal."""

    days: Sequence[TerminalDay]

    @property
    def trades(self) -> list[SimulatedTrade]:
        """Return the trades of all dates, in order."""
        return [trade for day in self.days for trade in day.trades]

    def figures(self, made: Trades) -> dict[str, Any]:
        """Return what is stored of the run. `mismatches` counts trades that differ from the backtest's and history that differs."""
        differing = compare_trades(made, self.trades)
        history = history_figures([day.history for day in self.days])
        return {
            "backtest_trades": len(made),
            "terminal_trades": len(self.trades),
            "terminal_net_pnl_usd": sum(trade.net_pnl_account for trade in self.trades),
            **history,
            "trade_mismatches": len(differing),
            "mismatches": len(differing) + history["history_mismatches"],
        }


def run_on_terminal(case: Case, market_text: str) -> TerminalRun:
    """Trade the test dates on the simulated terminal, a date at a time, each on the history that the terminal itself gives."""
    events = case.events.on_dates(case.split.test)
    orders, keys = case_orders(case, events)
    market, days = parse_market_file(market_text), list[TerminalDay]()
    for place, ticks in enumerate(events.ticks):
        chosen = np.flatnonzero(events.date_index == place)
        signals = signals_of(case.symbol, keys, events.ts_event_us, orders, case.strategy.max_position, chosen)
        days.append(trade_on_terminal(market, case.symbol, events.dates[place], ticks, signals, case.strategy_name))
    return TerminalRun(days)


def case_orders(case: Case, events: TrainingSet) -> tuple[Orders, list[str]]:
    """Return the orders of the model's views on its test dates, and their signal ids."""
    orders = orders_from_views(events, case.test.views, case.test.draws, case.strategy)
    return orders, signal_keys(events, case.test.views, case.record["model_sha256"], case.strategy)


def trade_on_terminal(
    market: MarketFile, symbol: str, date: str, ticks: Ticks, signals: Sequence[SimulatedSignal], strategy: str
) -> TerminalDay:
    """Bring one date's ticks to a terminal, ask it for its history by the port, compare, and trade on what it answered."""
    factor = market.symbol(symbol).price_factor
    told = read_day(holding_terminal(market, {symbol: ticks}), symbol, day_start_us(date))
    history = compare_history(date, ticks, told.ticks, told.bars, factor)
    placed = signals if history.has_same_ticks else [replace(signal, row=-1) for signal in signals]
    return TerminalDay(history, simulate_symbol(market, symbol, told.placed(factor), placed, strategy).trades)


@model_asset("mt5_backtest", ["models/walk_forward"], {"python"})
def mt5_backtest(context: dg.AssetExecutionContext, road: Road) -> dg.MaterializeResult:
    """The test dates once more, through the order path of execution on the simulated MetaTrader 5 terminal and on its own history.

    Its ticks and minute bars must equal the lakehouse's, and its trades the backtest's, one for one.
    """
    rows: dict[str, Mapping[str, Any]] = {}
    differences: list[dict[str, Any]] = []
    histories: list[dict[str, Any]] = []
    market_text = road.settings.market_path.read_text()
    with reporting(context, "models/mt5_backtest") as report:
        for key, case in cases_of(context, road):
            run = run_on_terminal(case, market_text)
            figures = run.figures(case.test.trades)
            case.store.write(case.version, "mt5_backtest", figures | {"history": [day.history.to_row() for day in run.days]})
            rows[key] = {"model": case.model_id, **figures}
            differences += [{"model": case.model_id, **asdict(row)} for row in compare_trades(case.test.trades, run.trades)]
            histories += [{"model": case.model_id, **history_row(day.history)} for day in run.days]
    names = list(rows)
    plot = bar_plot(
        "trades on the test dates", names, {side: [rows[name][f"{side}_trades"] for name in names] for side in ("backtest", "terminal")}
    )
    return finish(context, report, rows, plot, differences=table(differences), history=table(histories), terminal="simulated")


def history_row(day: HistoryComparison) -> dict[str, Any]:
    """Return one date of the history table, stamps as a person reads them."""
    row = day.to_row()
    return {name: _read(value) if name.endswith("_ts_us") else value for name, value in row.items()}


def _read(ts_us: int) -> str:
    return "none" if ts_us < 0 else f"{to_datetime(ts_us):%Y-%m-%d %H:%M:%S.%f}"


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
    examined = judgement.find_leaks(case, at)
    mismatches = case.store.read(case.version, "mt5_backtest")["mismatches"]
    decision = judgement.decide(
        case,
        validation,
        windows,
        judgement.completeness_of(case),
        count_leaks(examined),
        mismatches,
    )
    shown = report_data(case, decision, validation, windows, at, state(examined))
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
