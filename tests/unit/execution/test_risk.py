"""Each rule of the risk policy, one literal row each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from execution.orders import Account, AccountKind, Contract, Position, Quote, Side, TerminalHealth, to_datetime
from execution.risk import ACCEPTED, RiskPolicy, RiskSnapshot, assess
from execution.sizing import entry_quantity, round_quantity_down
from tests.unit.execution.conftest import START_US, make_signal

CONTRACT = Contract("EURUSD", 5, 0.00001, 100_000.0, 0.01, 100.0, 0.01, 0.0, "USD", True, True)
SIMULATED = Account("1", "s", "USD", AccountKind.SIMULATED, True, 1000.0, 1000.0, 1000.0, True)
DEMO, LIVE = replace(SIMULATED, kind=AccountKind.DEMO), replace(SIMULATED, kind=AccountKind.LIVE)
HEALTH = TerminalHealth(True, True, "")
QUOTE = Quote("EURUSD", to_datetime(START_US), 1.0, 1.00002)
HELD = Position("1", "EURUSD", Side.BUY, 0.1, 1.0, to_datetime(START_US), 0.0, 0.0, 0.0, 0, "")
SNAPSHOT = RiskSnapshot(START_US, SIMULATED, HEALTH, CONTRACT, QUOTE, (), False, False, frozenset(), 0, 1000.0)
REAL: dict[str, Any] = {"mode": "live", "is_synthetic": False}
LIVE_WANTED = RiskPolicy(is_live_wanted=True)
LIVE_SWITCHED = RiskPolicy(is_live_wanted=True, is_live_enabled=True)


@pytest.mark.parametrize(
    ("changes", "state", "policy", "reason"),
    [
        ({}, {}, RiskPolicy(), ACCEPTED),
        ({"view": "FLAT", "action": "NONE"}, {}, RiskPolicy(), "VIEW_FLAT"),
        ({"action": "HOLD"}, {}, RiskPolicy(), "SIGNAL_MALFORMED"),
        ({"mode": "shadow"}, {}, RiskPolicy(), "MODE_MISMATCH"),
        ({"mode": "replay", "is_synthetic": False}, {"account": DEMO}, RiskPolicy(), "MODE_MISMATCH"),
        ({"mode": "live", "is_synthetic": True}, {"account": DEMO}, RiskPolicy(), "MODE_MISMATCH"),
        (REAL, {"account": DEMO}, RiskPolicy(), ACCEPTED),
        (REAL, {"account": LIVE}, RiskPolicy(), "LIVE_NOT_ENABLED"),
        (REAL, {"account": LIVE}, LIVE_WANTED, "LIVE_NOT_ENABLED"),
        (REAL, {"account": LIVE}, RiskPolicy(is_live_enabled=True), "LIVE_NOT_ENABLED"),
        (REAL, {"account": LIVE}, LIVE_SWITCHED, ACCEPTED),
        (REAL, {"account": DEMO}, LIVE_SWITCHED, "ACCOUNT_MISMATCH"),
        (REAL, {"account": replace(DEMO, kind=AccountKind.UNRECOGNIZED)}, RiskPolicy(), "ACCOUNT_MISMATCH"),
        ({}, {}, RiskPolicy(login="2"), "ACCOUNT_MISMATCH"),
        ({}, {"is_kill_switch_on": True}, RiskPolicy(), "KILL_SWITCH"),
        ({}, {"health": TerminalHealth(False, False, "x")}, RiskPolicy(), "TERMINAL_DISCONNECTED"),
        ({}, {"health": TerminalHealth(True, False, "x")}, RiskPolicy(), "TRADING_NOT_ALLOWED"),
        ({}, {"now_us": START_US + 5_000_001}, RiskPolicy(), "SIGNAL_STALE"),
        ({}, {"now_us": START_US + 5_000_000}, RiskPolicy(), ACCEPTED),
        ({}, {"now_us": START_US - 2_000_001}, RiskPolicy(), "SIGNAL_FROM_FUTURE"),
        ({"exit_at_us": 0}, {}, RiskPolicy(), "EXIT_TIME_MISSING"),
        ({}, {}, RiskPolicy(approved_models=frozenset({"other"})), "MODEL_NOT_APPROVED"),
        ({}, {"blocked_symbols": frozenset({"EURUSD"})}, RiskPolicy(), "SYMBOL_BLOCKED"),
        ({}, {"contract": replace(CONTRACT, may_buy=False)}, RiskPolicy(), "SYMBOL_NOT_TRADABLE"),
        ({}, {"positions": (HELD,)}, RiskPolicy(), "POSITION_OPEN"),
        ({}, {"is_order_in_flight": True}, RiskPolicy(), "POSITION_OPEN"),
        ({}, {"positions": (replace(HELD, symbol="USDJPY"),)}, RiskPolicy(open_positions_max=1), "POSITIONS_EXCEED_MAXIMUM"),
        ({}, {"orders_in_last_minute": 10}, RiskPolicy(), "ORDER_RATE_EXCEEDS_MAXIMUM"),
        ({}, {"quote": None}, RiskPolicy(), "QUOTE_MISSING"),
        ({}, {"quote": replace(QUOTE, ts_event=to_datetime(START_US - 11_000_000))}, RiskPolicy(), "QUOTE_STALE"),
        ({}, {"quote": replace(QUOTE, ask_price=1.003)}, RiskPolicy(), "SPREAD_EXCEEDS_MAXIMUM"),
        ({}, {"quote": replace(QUOTE, bid_price=1.002, ask_price=1.00202)}, RiskPolicy(), "PRICE_OUTSIDE_COLLAR"),
        ({}, {"account": replace(SIMULATED, equity=970.0)}, RiskPolicy(), "DAILY_LOSS"),
    ],
)
def test_risk_rule_gives_its_reason(changes: dict[str, Any], state: dict[str, Any], policy: RiskPolicy, reason: str) -> None:
    assert assess(make_signal(**changes), replace(SNAPSHOT, **state), policy).reason == reason


@pytest.mark.parametrize(("asked", "given"), [(0.009, 0.0), (0.01, 0.01), (0.019, 0.01), (0.3, 0.3), (0.29999999999, 0.29), (500.0, 100.0)])
def test_sizing_quantity_is_never_rounded_up(asked: float, given: float) -> None:
    assert round_quantity_down(asked, CONTRACT) == given


def test_sizing_smaller_of_both_maxima_counts() -> None:
    assert entry_quantity(0.5, 0.2, CONTRACT) == 0.2
