"""How much to trade: the quantity of one entry, in lots.

What must not live here: whether to trade (`risk`).
"""

from __future__ import annotations

import math

from execution.orders import Contract


def round_quantity_down(quantity: float, contract: Contract) -> float:
    """Return the largest allowed quantity <= `quantity`; 0.0 when that is below the minimum. Never rounds up."""
    if quantity < contract.quantity_min - 1e-9:
        return 0.0
    steps = math.floor((quantity - contract.quantity_min) / contract.quantity_step + 1e-9)
    return min(round(contract.quantity_min + steps * contract.quantity_step, 8), contract.quantity_max)


def entry_quantity(signal_maximum: float, own_maximum: float, contract: Contract) -> float:
    """Return the quantity of an entry: what the signal allows, capped by our own maximum and the contract's."""
    return round_quantity_down(min(signal_maximum, own_maximum, contract.quantity_max), contract)
