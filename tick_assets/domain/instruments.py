"""Contract specifications and trading costs, parsed from the one market file.

What belongs here: values and the parser. What must not: reading the file (the composition root does) or using the values.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any

from tick_assets.domain.sampling import DEFAULT_SAMPLING, Sampling, parse_sampling

SYNTHETIC = "SYN", "synthetic"
"""What the symbols and the sources of made-up markets begin with."""


def is_synthetic(symbol: str, source: str) -> bool:
    """Tell whether ticks are made up: their source says so, or their symbol does, whoever recorded it."""
    return symbol.startswith(SYNTHETIC[0]) or source.startswith(SYNTHETIC[1])


class UnknownSymbolError(LookupError):
    """A symbol has no section in the market file."""


@dataclass(frozen=True)
class Instrument:
    """One symbol's contract. `price = points / price_factor`; commissions are in the account's currency."""

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
    dukascopy_code: str
    swap_long_points: float = 0.0
    swap_short_points: float = 0.0
    triple_swap_weekday: str = "wednesday"
    """The weekday of the server clock whose night counts three times, Saturday and Sunday none; `none`: all seven count once."""
    sampling: Sampling = DEFAULT_SAMPLING


@dataclass(frozen=True)
class AccountTerms:
    """What the broker grants: opening balance in account currency, leverage, and the margin level in per cent that ends positions.

    `charges_swap` is whether backtests of single models and the simulated terminal charge swap; several in one account always do.
    """

    balance: float = 100_000.0
    leverage: float = 100.0
    stop_out_pct: float = 50.0
    charges_swap: bool = False


@dataclass(frozen=True)
class Market:
    """The market file: account currency, execution draws, all instruments, the account's terms, the broker's clock, limits.

    `server_clock` and `limits` are the file's sections as they are: `rollovers` and `account` read them.
    """

    account_currency: str
    seed: int
    latency_median_ms: float
    latency_sigma: float
    quote_wait_ms: int
    instruments: Mapping[str, Instrument]
    account: AccountTerms = AccountTerms()
    server_clock: Mapping[str, Any] = field(default_factory=lambda: {"kind": "ny_plus_7"})
    limits: Mapping[str, Any] = field(default_factory=dict)

    def instrument(self, symbol: str) -> Instrument:
        """Return one instrument; `UnknownSymbolError` names the remedy."""
        try:
            return self.instruments[symbol]
        except KeyError:
            known = ", ".join(sorted(self.instruments))
            raise UnknownSymbolError(
                f"Expected one of the symbols {known}, was {symbol!r}. Add a section [symbols.{symbol}] to the market file."
            ) from None

    def sampling_of(self, symbol: str) -> Sampling:
        """Return how a symbol is sampled and labelled; one that the file does not name has the defaults."""
        return self.instruments[symbol].sampling if symbol in self.instruments else DEFAULT_SAMPLING


_ACCOUNT_KEYS = tuple(AccountTerms.__dataclass_fields__)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
"""In the order of `date.weekday()`."""


def parse_market(text: str) -> Market:
    """Parse the market file's text; a missing key or an unsupported currency pair is a `ValueError`."""
    document = tomllib.loads(text)
    account = document["account"]["currency"]
    execution = document["execution"]
    _check_leaders(document["symbols"])
    return Market(
        account_currency=account,
        seed=int(execution["seed"]),
        latency_median_ms=float(execution["latency_median_ms"]),
        latency_sigma=float(execution["latency_sigma"]),
        quote_wait_ms=int(execution["quote_wait_ms"]),
        instruments={name: _parse_instrument(name, values, account) for name, values in document["symbols"].items()},
        account=AccountTerms(**{name: document["account"][name] for name in _ACCOUNT_KEYS if name in document["account"]}),
        server_clock=document.get("server_clock", {"kind": "ny_plus_7"}),
        limits=document.get("limits", {}),
    )


def _parse_instrument(symbol: str, values: Mapping[str, Any], account_currency: str) -> Instrument:
    fields = Instrument.__dataclass_fields__
    wanted = fields.keys() - {"symbol", "sampling"}
    missing = sorted(name for name in wanted - values.keys() if fields[name].default is MISSING)
    if missing:
        raise ValueError(f"Expected the keys {missing} in [symbols.{symbol}] of the market file, found none. Add them.")
    if account_currency not in (values["profit_currency"], values["base_currency"]):
        raise ValueError(
            f"Expected the account currency {account_currency} on one side of {symbol}, "
            f"was {values['base_currency']}/{values['profit_currency']}. Crosses need a conversion rate, which is not supported."
        )
    triple = values.get("triple_swap_weekday", "wednesday")
    if triple not in (*WEEKDAYS, "none"):
        choices = ", ".join((*WEEKDAYS, "none"))
        raise ValueError(f"Expected triple_swap_weekday of [symbols.{symbol}] to be one of {choices}, was {triple!r}. Correct it.")
    chosen = {name: values[name] for name in wanted & values.keys()}
    return Instrument(symbol=symbol, sampling=parse_sampling(symbol, values), **chosen)


def _check_leaders(symbols: Mapping[str, Mapping[str, Any]]) -> None:
    for symbol, values in symbols.items():
        if values.get("leader") and values["leader"] not in symbols:
            raise ValueError(
                f"Expected the leader of {symbol} to be a symbol of the market file, was {values['leader']!r}. "
                f"Add [symbols.{values['leader']}] or remove the key."
            )
