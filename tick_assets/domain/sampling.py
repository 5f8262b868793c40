"""When a symbol's events are sampled, how they are labelled, and which symbol leads it: what its section may add to its contract.

What belongs here: the values, their defaults and the parser. What must not: clocks (`clocks`), labels (`labels`), reading the file.

    [symbols.EURUSD]
    leader = "GBPUSD"            # its features are then those of lead_v1
    [symbols.EURUSD.sampling]
    clock = "ticks_500"          # time_<n>s | ticks_<n> | cusum_<x>
    features = "micro_v1"        # base_v1 | micro_v1; a leader's is lead_v1
    [symbols.EURUSD.labels]
    horizon_s = 600
    stop_sigmas = 2.0
    target_sigmas = 3.0

Without them a symbol has the defaults below. Execution reads the same file and ignores these keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tick_assets.domain.clocks import SAMPLING_CLOCK, parse_clock
from tick_assets.domain.features import FEATURE_SET, LEAD_FEATURE_SET, feature_names

LONGEST_HORIZON_S = 43_200
"""Half a date: no position crosses midnight, so a longer one would leave hardly an event that may be traded."""


@dataclass(frozen=True)
class Sampling:
    """A symbol's clock, barriers (sigmas of the mid price over the horizon), leader (empty: none) and features.

    `features` is what the file says; `feature_set` is what the symbol has, as a leader brings its own.
    """

    clock: str = SAMPLING_CLOCK
    horizon_s: int = 300
    stop_sigmas: float = 3.0
    target_sigmas: float = 3.0
    leader: str = ""
    features: str = FEATURE_SET

    @property
    def feature_set(self) -> str:
        return LEAD_FEATURE_SET if self.leader else self.features


DEFAULT_SAMPLING = Sampling()


def parse_sampling(symbol: str, values: Mapping[str, Any]) -> Sampling:
    """Return what a symbol's section says; an unknown key, clock or figure is a `ValueError`."""
    sampling = _section(symbol, values, "sampling", ("clock", "features"))
    labels = _section(symbol, values, "labels", ("horizon_s", "stop_sigmas", "target_sigmas"))
    made = Sampling(**sampling, **labels, leader=values.get("leader", ""))
    parse_clock(made.clock)
    if not isinstance(made.horizon_s, int) or not 1 <= made.horizon_s <= LONGEST_HORIZON_S:
        raise ValueError(f"Expected horizon_s from 1 to {LONGEST_HORIZON_S} in [symbols.{symbol}.labels], was {made.horizon_s!r}.")
    if min(made.stop_sigmas, made.target_sigmas) <= 0:
        raise ValueError(f"Expected stop_sigmas and target_sigmas above zero in [symbols.{symbol}.labels], was {labels}.")
    if made.leader == symbol:
        raise ValueError(f"Expected another symbol as leader of {symbol}, was itself. Remove the key or name another one.")
    _check_features(symbol, made)
    return made


def _check_features(symbol: str, made: Sampling) -> None:
    feature_names(made.features)
    if made.features == LEAD_FEATURE_SET and not made.leader:
        raise ValueError(f"Expected a leader of {symbol} for the features {LEAD_FEATURE_SET}, was none. Name it in [symbols.{symbol}].")
    if made.leader and made.features not in (FEATURE_SET, LEAD_FEATURE_SET):
        raise ValueError(
            f"Expected the features {LEAD_FEATURE_SET} beside a leader of {symbol}, was {made.features}. Remove one of the two keys."
        )


def _section(symbol: str, values: Mapping[str, Any], name: str, known: tuple[str, ...]) -> dict[str, Any]:
    found = dict(values.get(name, {}))
    unknown = sorted(found.keys() - set(known))
    if unknown:
        raise ValueError(f"Expected the keys {', '.join(known)} in [symbols.{symbol}.{name}], was {unknown}. Remove or correct them.")
    return found
