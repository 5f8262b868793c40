"""The as-of join: what was known of something at a moment, of values that are corrected later.

What belongs here: which row counts, over columns. What must not: where values are kept (`lakehouse.side_tables`), SQL (the gold views'
`asof` says the same in SQL, and a test holds the two together).

Each value has two times: `ts_event`, when what it says happened or is due, and `known_at`, from when on one could know it. A correction is
another row with the same `ts_event` and a later `known_at`.

    as known at t    among rows with known_at <= t, the newest by ts_event; of equal ones the one known last; of equal ones the later row.
                     A row known in the very microsecond of t counts. A forecast counts once it is known, though its event is still due.
    in hindsight     among rows with ts_event <= t, the newest by ts_event in its last correction, whenever that was known. No decision at
                     t could read it: it is here to be compared with.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from tick_assets.domain.ticks import Int64Array

NOTHING = -1
"""The row of a moment at which nothing was known."""

SERIES = ("feed", "key", "name")
"""What names one series of values."""


def known_rows(ts_event_us: Int64Array, known_at_us: Int64Array, at_us: Int64Array) -> Int64Array:
    """Return for each moment the row that counts as known then, or NOTHING. Stamps are microseconds since 1970, in any order."""
    if len(ts_event_us) == 0:
        return np.full(len(at_us), NOTHING, np.int64)
    by_age = _oldest_first(ts_event_us, known_at_us)
    age = np.empty_like(by_age)
    age[by_age] = np.arange(len(by_age))
    by_knowledge = np.argsort(known_at_us, kind="stable")
    newest_so_far = np.maximum.accumulate(age[by_knowledge])
    place = np.searchsorted(known_at_us[by_knowledge], at_us, side="right") - 1
    return np.where(place < 0, NOTHING, by_age[newest_so_far[np.maximum(place, 0)]])


def hindsight_rows(ts_event_us: Int64Array, known_at_us: Int64Array, at_us: Int64Array) -> Int64Array:
    """Return for each moment the row that counts in hindsight, or NOTHING."""
    if len(ts_event_us) == 0:
        return np.full(len(at_us), NOTHING, np.int64)
    by_age = _oldest_first(ts_event_us, known_at_us)
    place = np.searchsorted(ts_event_us[by_age], at_us, side="right") - 1
    return np.where(place < 0, NOTHING, by_age[np.maximum(place, 0)])


def _oldest_first(ts_event_us: Int64Array, known_at_us: Int64Array) -> Int64Array:
    """Return the rows by `ts_event`, then `known_at`, then their own order."""
    return np.asarray(np.lexsort((known_at_us, ts_event_us)), np.int64)


def join_as_of(events: pl.DataFrame, values: pl.DataFrame, *, is_hindsight: bool = False) -> pl.DataFrame:
    """Return each event with every series of its key, as known at the event's `ts_event`.

    `events` has `key`, `ts_event` and any other columns; `values` has `feed, key, name, ts_event, known_at, value, text` in the order of
    their delivery. There is a row for each event and series, events in their order and series by name; it adds `feed`, `name`, `value`,
    `text`, `value_ts_event` and `value_known_at`, null where nothing was known yet. An event whose key has no series is left out.
    """
    parts = [
        _one_series(events.with_row_index("event").filter(pl.col("key") == series["key"][0]), series, is_hindsight=is_hindsight)
        for series in values.partition_by(*SERIES, maintain_order=True)
    ]
    if not parts:
        return _one_series(events.with_row_index("event").clear(), values, is_hindsight=is_hindsight).drop("event")
    return pl.concat(parts).sort("event", "feed", "name", maintain_order=True).drop("event")


def _one_series(events: pl.DataFrame, series: pl.DataFrame, *, is_hindsight: bool) -> pl.DataFrame:
    stamps = (frame[name].dt.epoch("us").to_numpy() for frame, name in ((series, "ts_event"), (series, "known_at"), (events, "ts_event")))
    rows = hindsight_rows(*stamps) if is_hindsight else known_rows(*stamps)
    place = pl.Series(rows).replace(NOTHING, None)
    taken = series.select("value", "text", pl.col("ts_event").alias("value_ts_event"), pl.col("known_at").alias("value_known_at"))
    return events.with_columns(
        pl.lit(series["feed"][0] if len(series) else None, pl.String).alias("feed"),
        pl.lit(series["name"][0] if len(series) else None, pl.String).alias("name"),
        *(taken[name].gather(place.cast(pl.UInt32)).alias(name) for name in taken.columns),
    )
