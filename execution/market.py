"""Contract specifications and account terms, read from the market file.

What belongs here: the trader's own reader of `market.toml`. What must not: a live terminal's contract (the adapter asks the terminal).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from importlib import resources
from typing import Any, TypeVar

T = TypeVar("T")


class UnknownSymbolError(LookupError):
    """A symbol has no section in the market file."""


@dataclass(frozen=True)
class AccountTerms:
    """What the simulated broker grants. `margin_mode` is `hedging` or `netting`.

    The pipeline's backtest, which the terminal must match trade for trade, reads `charges_swap` from the same file.
    """

    currency: str
    leverage: int
    balance: float
    margin_mode: str
    trade_mode: str
    server: str
    login: int
    stop_out_pct: float
    margin_call_pct: float
    charges_swap: bool = False


@dataclass(frozen=True)
class ExecutionModel:
    """Seed and parameters of the latency draws."""

    seed: int
    latency_median_ms: float
    latency_sigma: float
    quote_wait_ms: int


@dataclass(frozen=True)
class SymbolSpec:
    """One symbol's contract; `price = points / price_factor`, commission is in account currency per lot and side."""

    symbol: str
    asset_class: str
    price_factor: int
    digits: int
    contract_size: float
    base_currency: str
    profit_currency: str
    commission_per_lot_side: float
    slippage_mean_points: float
    volume_min: float
    volume_step: float
    volume_max: float
    swap_long_points: float
    swap_short_points: float
    stops_level: int
    freeze_level: int
    execution: str
    filling_mode: int
    triple_swap_weekday: str = "wednesday"


@dataclass(frozen=True)
class MarketFile:
    """The whole file. `server_clock` is the raw section: the MetaTrader adapter interprets it."""

    account: AccountTerms
    execution: ExecutionModel
    server_clock: Mapping[str, Any]
    symbols: Mapping[str, SymbolSpec]

    def symbol(self, name: str) -> SymbolSpec:
        """Return one symbol's contract; `UnknownSymbolError` names the remedy."""
        try:
            return self.symbols[name]
        except KeyError:
            known = ", ".join(sorted(self.symbols))
            raise UnknownSymbolError(f"Expected one of {known}, was {name!r}. Add [symbols.{name}] to the market file.") from None


def _pick(kind: type[T], section: str, values: Mapping[str, Any], **fixed: Any) -> T:
    fields = kind.__dataclass_fields__  # type: ignore[attr-defined]
    names = fields.keys() - fixed.keys()
    missing = sorted(name for name in names - values.keys() if fields[name].default is MISSING)
    if missing:
        raise ValueError(f"Expected the keys {missing} in [{section}] of the market file, found none. Add them.")
    return kind(**fixed, **{name: values[name] for name in names & values.keys()})


def parse_market_file(text: str) -> MarketFile:
    """Parse the market file's text; a missing key is a `ValueError`, a malformed file a `tomllib.TOMLDecodeError`."""
    document = tomllib.loads(text)
    return MarketFile(
        account=_pick(AccountTerms, "account", document["account"]),
        execution=_pick(ExecutionModel, "execution", document["execution"]),
        server_clock=document["server_clock"],
        symbols={name: _pick(SymbolSpec, f"symbols.{name}", values, symbol=name) for name, values in document["symbols"].items()},
    )


def default_market_text() -> str:
    """Return the text of the market file that ships with this package."""
    return resources.files("execution").joinpath("market.toml").read_text()
