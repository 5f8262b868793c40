"""What a materialization shows of several models in one account: equity, exposure, figures, refusals, and a page of them.

What belongs here: the shape of metadata, its plots and the page's file. What must not: figures (`domain.equity`).
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from tick_assets.assets.reporting import line_plot, now, table
from tick_assets.domain.backtest import HOUR_US
from tick_assets.domain.equity import AccountView
from tick_assets.domain.report_account import account_page
from tick_assets.domain.ticks import Int64Array
from tick_assets.lakehouse.durable_files import write_file

PAGE = "account.html"


def account_metadata(view: AccountView, reports_dir: Path) -> dict[str, dg.MetadataValue]:
    """Return the account's figures, its equity above the opening balance and its gross exposure by open hour; write its page."""
    write_file(reports_dir / PAGE, account_page(view, now()).encode())
    curve, exposure, currency = view.curve, view.exposure, view.run.market.account_currency
    hours = _moments(curve.hours)
    equity = {"equity": (hours, (curve.equity - curve.opening).tolist()), "balance": (hours, (curve.balance - curve.opening).tolist())}
    held = {symbol: (hours, exposure.mean_gross_notional[:, i].tolist()) for i, symbol in enumerate(exposure.symbols)}
    refusals = [{"reason": reason, "orders": count} for reason, count in view.run.refusals().items()]
    return {
        "account": table([asdict(view.figures)]),
        "account_equity": line_plot(f"all models in one account: {currency} above {curve.opening:,.0f} by open hour", equity),
        "account_exposure": line_plot(f"gross exposure, mean of each open hour, {currency}", held),
        "account_refusals": table(refusals),
        "account_page": dg.MetadataValue.path(reports_dir / PAGE),
    }


def _moments(hours: Int64Array) -> Sequence[datetime]:
    return [datetime.fromtimestamp(int(hour) * HOUR_US / 1e6, UTC) for hour in hours]
