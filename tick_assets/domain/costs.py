"""Profit and loss of one trade in account currency, costs included.

What belongs here: the arithmetic of contract, conversion and commission. What must not: how a price came to be (`fills`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tick_assets.domain.instruments import Instrument, Market

FloatArray = npt.NDArray[np.float64]


def net_pnl_account(
    instrument: Instrument,
    market: Market,
    side: npt.ArrayLike,
    entry_points: npt.ArrayLike,
    exit_points: npt.ArrayLike,
    lots: float,
) -> FloatArray:
    """Return net profit in account currency. `side` is +1 or -1, prices are in points; both commissions are charged."""
    entry, exit_ = np.asarray(entry_points, np.float64), np.asarray(exit_points, np.float64)
    gross = np.asarray(side, np.float64) * (exit_ - entry) / instrument.price_factor * instrument.contract_size * lots
    if instrument.profit_currency != market.account_currency:
        gross = gross / (exit_ / instrument.price_factor)
    return np.asarray(gross - 2.0 * instrument.commission_per_lot_side * lots)


def net_return_bps(
    instrument: Instrument, market: Market, side: npt.ArrayLike, entry_points: npt.ArrayLike, exit_points: npt.ArrayLike
) -> FloatArray:
    """Return net profit of one lot over its notional at entry, in basis points."""
    notional = np.asarray(entry_points, np.float64) / instrument.price_factor * instrument.contract_size
    if instrument.profit_currency != market.account_currency:
        notional = np.full_like(notional, instrument.contract_size)
    return np.asarray(net_pnl_account(instrument, market, side, entry_points, exit_points, 1.0) / notional * 1e4)
