"""One published date of one symbol, as the tables hold it now: clean ticks and sampled events, without labels.

What belongs here: reading main. What must not: datasets (they read tags), kernels.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from tick_assets.domain.dataset import TrainingDay, clean_rows_of
from tick_assets.domain.kernel import SIGMA_INDEX, feature_names
from tick_assets.domain.replays import unlabelled_day
from tick_assets.domain.sampling import DEFAULT_SAMPLING, Sampling
from tick_assets.domain.ticks import Ticks, empty_ticks
from tick_assets.lakehouse.catalog import Lakehouse, day_filter
from tick_assets.lakehouse.silver import to_ticks


def read_published_day(lakehouse: Lakehouse, symbol: str, day: date, sampling: Sampling = DEFAULT_SAMPLING) -> TrainingDay | None:
    """Return the date's published rows, or None where the date is not published or its features are of other ticks.

    `sampling` is the symbol's: its clock and feature set.
    """
    published = lakehouse.frame("evidence.publications", day_filter(symbol, day))
    if not len(published):
        return None
    publication = published["publication_id"][0]
    ticks = _rows(lakehouse, "silver.ticks", symbol, day, publication)
    events = _rows(lakehouse, "silver.features", symbol, day, publication).filter(pl.col("feature_set") == sampling.feature_set)
    if len(ticks) and not len(events) and len(lakehouse.frame("silver.features", day_filter(symbol, day), columns=("seq",))):
        return None
    names = feature_names(sampling.feature_set)
    features = np.ascontiguousarray(events.select(names).to_numpy(), dtype=np.float64).reshape(len(events), len(names))
    seq = events["seq"].to_numpy().astype(np.int64)
    rows = clean_rows_of(ticks["seq"].to_numpy(), seq) if len(ticks) else seq
    return unlabelled_day(day.isoformat(), to_ticks(ticks), seq, rows, features, features[:, SIGMA_INDEX], sampling)


def read_published_ticks(lakehouse: Lakehouse, symbol: str, day: date) -> Ticks:
    """Return the clean ticks of a published date, none where it is not published."""
    published = lakehouse.frame("evidence.publications", day_filter(symbol, day))
    if not len(published):
        return empty_ticks()
    return to_ticks(_rows(lakehouse, "silver.ticks", symbol, day, published["publication_id"][0]))


def _rows(lakehouse: Lakehouse, table: str, symbol: str, day: date, publication: str) -> pl.DataFrame:
    return lakehouse.frame(table, day_filter(symbol, day)).filter(pl.col("publication_id") == publication).sort("seq")
