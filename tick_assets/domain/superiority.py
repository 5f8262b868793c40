"""Hansen's test of superior predictive ability: is the model's profit more than luck beside staying flat and beside simple rivals?

What belongs here: the comparison of profit series. What must not: rules and their trades (`rivals`), thresholds: nothing here is gated.

Which way round: the rival is the benchmark, the model (or every configuration of the search) the alternative, and the loss is minus the
profit. The null says that no alternative earns more than the rival, so a small p-value means that the model is superior. `beaten` turns
it round: the model is the benchmark and all rivals are alternatives, so a small p-value there means that some rival beats the model.
Reference: Hansen, JBES 23(4), 2005; White, Econometrica 68(5), 2000; the stationary bootstrap and the `consistent` p-value of `arch`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tick_assets.domain.rivals import FLAT, Rival
from tick_assets.domain.ticks import Float64Array

REPLICATIONS = 2_000
MIN_PERIODS = 30
"""Below this many hours a bootstrap in blocks of sqrt(T) says nothing."""


@dataclass(frozen=True)
class RivalRow:
    """The model beside one rival. A p-value is None where there are too few hours.

    `p_test` compares the final model on the test dates; `p_search` every configuration of the search on out-of-fold hours, which pays
    for having chosen the best of them; `p_both` the chosen configuration out of fold and the final model on the test dates in one series,
    which does not pay for that choice.
    """

    rival: str
    n_trades: int
    net_pnl: float
    model_net_pnl: float
    p_test: float | None
    p_search: float | None
    p_both: float | None


@dataclass(frozen=True)
class Superiority:
    """All comparisons. `p_all` is the largest `p_test`: below 5 % the model is superior to every rival (an intersection-union test).

    `p_beaten` is the p-value of "no rival earns more than the model" on both series.
    """

    rows: tuple[RivalRow, ...]
    p_all: float | None
    p_beaten: float | None
    hours: int
    replications: int


def superiority_p(benchmark: Float64Array, alternatives: Float64Array, seed: int, replications: int = REPLICATIONS) -> float | None:
    """Return the consistent p-value of "no alternative earns more than the benchmark"; small means that at least one does.

    `benchmark` is a T profit series, `alternatives` T or T x k. Blocks are sqrt(T) hours long on average. Alternatives that equal the
    benchmark up to a constant have no variance to test: they count as better where the constant is above zero. Where no alternative
    earns more, Hansen's statistic is zero and p is 1 (`arch` compares without that floor and says one half). None below 30 periods.
    """
    columns = alternatives.reshape(len(benchmark), -1)
    if len(benchmark) < MIN_PERIODS:
        return None
    gain = columns - benchmark[:, None]
    is_constant = np.ptp(gain, axis=0) <= 1e-12 * np.maximum(1.0, np.abs(gain).max(axis=0))
    if bool(np.any(gain[:, is_constant].mean(axis=0) > 1e-12)):
        return 0.0
    if not bool(np.any(gain[:, ~is_constant].mean(axis=0) > 0.0)):
        return 1.0
    # Importing it takes seconds (statsmodels): only who compares pays.
    from arch.bootstrap import SPA

    block = max(1, math.isqrt(len(benchmark)))
    test = SPA(-benchmark, -columns[:, ~is_constant], block_size=block, reps=replications, bootstrap="stationary", seed=seed)
    test.compute()
    return float(test.pvalues["consistent"])


def compare(
    out_of_fold: Float64Array,
    configurations: Float64Array,
    test: Float64Array,
    rivals_before: Sequence[Rival],
    rivals_ahead: Sequence[Rival],
    seed: int,
    replications: int = REPLICATIONS,
) -> Superiority:
    """Compare a model with rivals traded on the same hours: `rivals_before` on those of the search, `rivals_ahead` on the test dates.

    `out_of_fold` and `test` are the model's hourly net profit, `configurations` (T x N) that of every configuration of the search.
    """
    ahead = {rival.name: rival for rival in rivals_ahead}
    pairs = [(before, ahead[before.name]) for before in rivals_before]
    model = np.concatenate([out_of_fold, test])
    series = [np.concatenate([before.hourly_pnl, after.hourly_pnl]) for before, after in pairs]
    rows = tuple(
        RivalRow(
            rival=before.name,
            n_trades=before.n_trades + after.n_trades,
            net_pnl=before.net_pnl + after.net_pnl,
            model_net_pnl=float(model.sum()),
            p_test=superiority_p(after.hourly_pnl, test, seed, replications),
            p_search=superiority_p(before.hourly_pnl, configurations, seed, replications),
            p_both=superiority_p(joined, model, seed, replications),
        )
        for (before, after), joined in zip(pairs, series, strict=True)
    )
    tested = [row.p_test for row in rows if row.p_test is not None]
    return Superiority(
        rows=rows,
        p_all=max(tested) if len(tested) == len(rows) and tested else None,
        p_beaten=superiority_p(model, np.column_stack(series), seed, replications) if series else None,
        hours=len(model),
        replications=replications,
    )


def flat_p(superiority: Superiority) -> float | None:
    """Return the p-value of "the model earns no more than staying flat" on the test dates."""
    return next((row.p_test for row in superiority.rows if row.rival == FLAT), None)
