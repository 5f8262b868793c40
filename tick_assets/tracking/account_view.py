"""Models under judgement traded together: their test dates in one account.

What belongs here: what each case brings to the account. What must not: the account itself (`domain.account`), Dagster.
"""

from __future__ import annotations

from collections.abc import Sequence

from tick_assets.domain.account import AccountLimits, Line, limits_of, trade_account
from tick_assets.domain.equity import AccountView, view_account
from tick_assets.domain.instruments import Market
from tick_assets.domain.orders import orders_from_views
from tick_assets.tracking.judgement import Case


def line_of(case: Case) -> Line:
    """Return the orders of a case's model on its test dates, those that its own backtest ran."""
    events, result = case.events.on_dates(case.split.test), case.test
    orders = orders_from_views(events, result.views, result.draws, case.strategy)
    return Line(case.bench.market.instrument(case.symbol), events.ticks, orders, case.strategy.max_position)


def trade_together(cases: Sequence[Case], market: Market, limits: AccountLimits | None = None) -> AccountView:
    """Trade the test dates of all cases in one account, under the market file's limits where none are given."""
    return view_account(trade_account([line_of(case) for case in cases], market, limits or limits_of(market)))
