"""Drift of the events that came after a model's training data: what was published since, live recordings among it.

What belongs here: which rows are compared. What must not: the figures (`domain.drift`), printing.
All sampled events of a date are compared, not those with a signal: a model that is FLAT chooses its events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from tick_assets.domain.drift import Drift, measure_drift
from tick_assets.domain.ticks import Float64Array
from tick_assets.lakehouse.datasets import read_pinned
from tick_assets.tracking.judgement import Case

LIVE_SOURCE = "live-"


class NoEventsError(LookupError):
    """There is nothing to compare with."""


@dataclass(frozen=True)
class LiveDrift:
    """What was compared with a model's training events, and how they differ."""

    model_id: str
    dates: tuple[date, ...]
    sources: tuple[str, ...]
    drift: Drift


def drift_since(case: Case, first: date | None = None, last: date | None = None, is_live: bool = False) -> LiveDrift:
    """Compare the events of published dates, by default all after the dataset's window, with those that the model was fitted on.

    `is_live` leaves only dates whose ticks the signal service recorded. Without events it is a `NoEventsError`.
    """
    names = tuple(case.record["features"])
    begin = first or case.dataset.last + timedelta(days=1)
    published = _published(case, begin, last, is_live)
    rows = _features(case, published)
    if not len(rows):
        kind = "live recorded" if is_live else "published"
        raise NoEventsError(
            f"Expected {kind} events of {case.symbol} from {begin} on, was none. "
            f"Run `tick backfill --symbols {case.symbol} --from {begin} --to DATE`."
        )
    drift = measure_drift(_reference(case, names), _matrix(rows, names), names)
    sources = published.filter(pl.col("date").is_in(rows["date"].implode()))["source"].drop_nulls().unique().sort().to_list()
    return LiveDrift(case.model_id, tuple(rows["date"].unique().sort().to_list()), tuple(sources), drift)


def _published(case: Case, first: date, last: date | None, is_live: bool) -> pl.DataFrame:
    until = f" and date <= '{last}'" if last else ""
    rows = case.bench.lakehouse.frame("evidence.publications", f"symbol == '{case.symbol}' and date >= '{first}'{until}")
    return rows.filter(pl.col("source").str.starts_with(LIVE_SOURCE)) if is_live else rows


def _features(case: Case, published: pl.DataFrame) -> pl.DataFrame:
    """Return the model's feature set on the published dates."""
    if not len(published):
        return pl.DataFrame({"date": []}, schema={"date": pl.Date})
    dates: list[date] = published["date"].sort().to_list()
    first, last = dates[0], dates[-1]
    condition = f"symbol == '{case.symbol}' and date >= '{first}' and date <= '{last}' and feature_set == '{case.record['feature_set']}'"
    rows = case.bench.lakehouse.frame("silver.features", condition)
    return rows.join(published.select("date", "publication_id"), on=["date", "publication_id"], how="semi")


def _reference(case: Case, names: Sequence[str]) -> Float64Array:
    """Return the pinned features of the train and validation dates."""
    split = case.record["split"]
    dates = [date.fromisoformat(day) for day in (*split["train"], *split["validation"])]
    rows = read_pinned(case.bench.lakehouse, case.dataset, "silver.features", (case.symbol,))
    kept = rows.filter(pl.col("date").is_in(dates) & (pl.col("feature_set") == case.record["feature_set"]))
    return _matrix(kept, names)


def _matrix(rows: pl.DataFrame, names: Sequence[str]) -> Float64Array:
    return np.asarray(rows.select(names).fill_null(float("nan")).to_numpy(), np.float64)
