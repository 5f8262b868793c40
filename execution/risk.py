"""Whether an entry may be sent: one verdict with a reason code, before every order.

What belongs here: the policy and pure checks over a snapshot. What must not: asking the terminal, quantities (`sizing`), sending.
A denial of ours is no rejection by the venue. Closing trades are never checked: they stay allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from execution.orders import (
    Account,
    AccountKind,
    Contract,
    Position,
    Quote,
    TerminalHealth,
    to_us,
)
from execution.signals import Signal

ACCEPTED = "ACCEPTED"


@dataclass(frozen=True)
class RiskPolicy:
    """Limits of the trader; None switches a limit off."""

    is_live_wanted: bool = False
    """First switch: the person asked for the live account."""
    is_live_enabled: bool = False
    """Second switch: the host allows live trading at all."""
    login: str = ""
    quantity_max: float = 1.0
    open_positions_max: int | None = 10
    orders_per_minute_max: int | None = 10
    spread_bps_max: float | None = 20.0
    collar_bps: float | None = 10.0
    """How far the market's mid may have moved from the signal's."""
    quote_age_ms_max: int | None = 10_000
    clock_skew_ms_max: int = 2_000
    daily_loss_pct_max: float | None = 3.0
    approved_models: frozenset[str] | None = None
    """Approved model sha-256; None approves what the service serves live (it verifies the signed passport)."""


REPLAY_POLICY = replace(
    RiskPolicy(),
    quantity_max=1e9,
    open_positions_max=None,
    orders_per_minute_max=None,
    spread_bps_max=None,
    collar_bps=None,
    quote_age_ms_max=None,
    daily_loss_pct_max=None,
)
"""For replays that are compared with a backtest: the rules that a backtest does not know are off."""


@dataclass(frozen=True)
class RiskVerdict:
    """`reason` is ACCEPTED or the code of the first rule that denies."""

    is_accepted: bool
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class RiskSnapshot:
    """What the rules look at, taken at one moment."""

    now_us: int
    account: Account
    health: TerminalHealth
    contract: Contract
    quote: Quote | None
    positions: Sequence[Position]
    is_order_in_flight: bool
    is_kill_switch_on: bool
    blocked_symbols: frozenset[str]
    orders_in_last_minute: int
    day_start_equity: float


_Rule = Callable[[Signal, RiskSnapshot, RiskPolicy], str]


def assess(signal: Signal, snapshot: RiskSnapshot, policy: RiskPolicy) -> RiskVerdict:
    """Return the verdict on an entry; the rules run in a fixed order and the first denial counts."""
    for rule in _RULES:
        reason = rule(signal, snapshot, policy)
        if reason:
            return RiskVerdict(False, reason)
    return RiskVerdict(True, ACCEPTED)


def _action(signal: Signal, snapshot: RiskSnapshot, policy: RiskPolicy) -> str:
    if signal.view == "FLAT" or signal.action == "NONE":
        return "VIEW_FLAT"
    return "" if signal.action == "OPEN" and signal.view in ("LONG", "SHORT") else "SIGNAL_MALFORMED"


def _mode(signal: Signal, snapshot: RiskSnapshot, policy: RiskPolicy) -> str:
    is_simulated = snapshot.account.kind is AccountKind.SIMULATED
    allowed = ("live", "replay") if is_simulated else ("live",)
    is_allowed = signal.mode in allowed and (is_simulated or not signal.is_synthetic)
    return "" if is_allowed else "MODE_MISMATCH"


def _account(signal: Signal, snapshot: RiskSnapshot, policy: RiskPolicy) -> str:
    account = snapshot.account
    if policy.login and account.login != policy.login:
        return "ACCOUNT_MISMATCH"
    if account.kind is AccountKind.UNRECOGNIZED:
        return "ACCOUNT_MISMATCH"
    is_live = account.kind is AccountKind.LIVE
    if is_live and not (policy.is_live_wanted and policy.is_live_enabled):
        return "LIVE_NOT_ENABLED"
    return "ACCOUNT_MISMATCH" if policy.is_live_wanted and not is_live else ""


def _kill_switch(signal: Signal, snapshot: RiskSnapshot, policy: RiskPolicy) -> str:
    return "KILL_SWITCH" if snapshot.is_kill_switch_on else ""


def _health(signal: Signal, snapshot: RiskSnapshot, policy: RiskPolicy) -> str:
    if not snapshot.health.is_connected:
        return "TERMINAL_DISCONNECTED"
    return "" if snapshot.health.may_trade and snapshot.account.may_trade else "TRADING_NOT_ALLOWED"


def _staleness(signal: Signal, snapshot: RiskSnapshot, policy: RiskPolicy) -> str:
    if snapshot.now_us > signal.valid_until_us:
        return "SIGNAL_STALE"
    return "SIGNAL_FROM_FUTURE" if signal.ts_us > snapshot.now_us + policy.clock_skew_ms_max * 1000 else ""


def _exit_time(signal: Signal, snapshot: RiskSnapshot, policy: RiskPolicy) -> str:
    return "" if signal.exit_at_us > signal.ts_us else "EXIT_TIME_MISSING"


def _model(signal: Signal, snapshot: RiskSnapshot, policy: RiskPolicy) -> str:
    if policy.approved_models is None:
        return ""
    return "" if signal.model_sha256 in policy.approved_models else "MODEL_NOT_APPROVED"


def _symbol(signal: Signal, snapshot: RiskSnapshot, policy: RiskPolicy) -> str:
    if signal.symbol in snapshot.blocked_symbols:
        return "SYMBOL_BLOCKED"
    may_enter = snapshot.contract.may_buy if signal.view == "LONG" else snapshot.contract.may_sell
    return "" if may_enter else "SYMBOL_NOT_TRADABLE"


def _exposure(signal: Signal, snapshot: RiskSnapshot, policy: RiskPolicy) -> str:
    if snapshot.is_order_in_flight or any(position.symbol == signal.symbol for position in snapshot.positions):
        return "POSITION_OPEN"
    if policy.open_positions_max is not None and len(snapshot.positions) >= policy.open_positions_max:
        return "POSITIONS_EXCEED_MAXIMUM"
    limit = policy.orders_per_minute_max
    return "ORDER_RATE_EXCEEDS_MAXIMUM" if limit is not None and snapshot.orders_in_last_minute >= limit else ""


def _quote(signal: Signal, snapshot: RiskSnapshot, policy: RiskPolicy) -> str:
    quote = snapshot.quote
    if quote is None or quote.bid_price <= 0.0:
        return "QUOTE_MISSING"
    age_us = snapshot.now_us - to_us(quote.ts_event)
    if policy.quote_age_ms_max is not None and age_us > policy.quote_age_ms_max * 1000:
        return "QUOTE_STALE"
    mid = (quote.bid_price + quote.ask_price) / 2.0
    if policy.spread_bps_max is not None and (quote.ask_price - quote.bid_price) / mid * 1e4 > policy.spread_bps_max:
        return "SPREAD_EXCEEDS_MAXIMUM"
    moved_bps = abs(mid - (signal.bid_price + signal.ask_price) / 2.0) / mid * 1e4
    return "PRICE_OUTSIDE_COLLAR" if policy.collar_bps is not None and moved_bps > policy.collar_bps else ""


def _daily_loss(signal: Signal, snapshot: RiskSnapshot, policy: RiskPolicy) -> str:
    if policy.daily_loss_pct_max is None or snapshot.day_start_equity <= 0.0:
        return ""
    floor = snapshot.day_start_equity * (1.0 - policy.daily_loss_pct_max / 100.0)
    return "DAILY_LOSS" if snapshot.account.equity <= floor else ""


_RULES: tuple[_Rule, ...] = (
    _action,
    _mode,
    _account,
    _kill_switch,
    _health,
    _staleness,
    _exit_time,
    _model,
    _symbol,
    _exposure,
    _quote,
    _daily_loss,
)
