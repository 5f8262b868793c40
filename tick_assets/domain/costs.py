"""Profit and loss of one trade in account currency, costs included.

What belongs here: the arithmetic of contract, conversion, commission, swap and notional. What must not: how a price came to be (`fills`).
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
    gross = gross_pnl_account(instrument, market, side, entry_points, exit_points, lots)
    return np.asarray(gross - 2.0 * instrument.commission_per_lot_side * lots)


def gross_pnl_account(
    instrument: Instrument,
    market: Market,
    side: npt.ArrayLike,
    entry_points: npt.ArrayLike,
    exit_points: npt.ArrayLike,
    lots: float,
) -> FloatArray:
    """Return profit in account currency before commission and swap, a foreign profit currency converted at the exit price."""
    entry, exit_ = np.asarray(entry_points, np.float64), np.asarray(exit_points, np.float64)
    gross = np.asarray(side, np.float64) * (exit_ - entry) / instrument.price_factor * instrument.contract_size * lots
    return _in_account_currency(instrument, market, gross, exit_)


def swap_account(
    instrument: Instrument, market: Market, side: npt.ArrayLike, nights: npt.ArrayLike, exit_points: npt.ArrayLike, lots: float
) -> FloatArray:
    """Return swap in account currency, negative where it is paid, as MetaTrader's points mode has it: points a lot and night.

    A foreign profit currency is converted at the exit price, as profit is.
    """
    points = np.where(np.asarray(side) > 0, instrument.swap_long_points, instrument.swap_short_points) * np.asarray(nights, np.float64)
    swap = points / instrument.price_factor * instrument.contract_size * lots
    return _in_account_currency(instrument, market, swap, np.asarray(exit_points, np.float64))


def notional_account(instrument: Instrument, market: Market, points: npt.ArrayLike, lots: float) -> FloatArray:
    """Return a position's size in account currency at a price."""
    price = np.asarray(points, np.float64) / instrument.price_factor
    if instrument.profit_currency != market.account_currency:
        price = np.ones_like(price)
    return np.asarray(price * instrument.contract_size * lots)


def _in_account_currency(instrument: Instrument, market: Market, amount: FloatArray, exit_points: FloatArray) -> FloatArray:
    if instrument.profit_currency == market.account_currency:
        return amount
    return np.asarray(amount / (exit_points / instrument.price_factor))


def net_return_bps(
    instrument: Instrument, market: Market, side: npt.ArrayLike, entry_points: npt.ArrayLike, exit_points: npt.ArrayLike
) -> FloatArray:
    """Return net profit of one lot over its notional at entry, in basis points."""
    notional = np.asarray(entry_points, np.float64) / instrument.price_factor * instrument.contract_size
    if instrument.profit_currency != market.account_currency:
        notional = np.full_like(notional, instrument.contract_size)
    return np.asarray(net_pnl_account(instrument, market, side, entry_points, exit_points, 1.0) / notional * 1e4)
