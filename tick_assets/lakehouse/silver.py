# H4: STOP. Read /work/lead/NOTE_H4.md (from the lead) before you go on, then delete this line.
"""Silver by Spark: whole symbol-days through the domain kernel, one task each and no shuffle.

What belongs here: turning Arrow batches of one table into rows of another, and the audits of what was staged. What must not: rules
about ticks (`domain.kernel`), the branch protocol (`publishing`), bars (`bars`) or Dagster.

A day is put in order from its own columns before it is worked on, so the order of rows, files and tasks changes nothing. A task sees one
Iceberg file, which is one symbol-day as this project writes it; where a day lies in several files (after a compaction, or somebody else's
append) its rows are brought together by a shuffle first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from tick_assets.domain.instruments import Market
from tick_assets.domain.kernel import FEATURE_NAMES, FEATURE_SET, REASONS, run_features, run_kernel
from tick_assets.domain.labels import LABEL_SET, label_events
from tick_assets.domain.signals import Strategy, event_id
from tick_assets.domain.ticks import MALFORMED_TS, Ticks
from tick_assets.lakehouse.catalog import MAIN, Lakehouse, whole_partitions
from tick_assets.lakehouse.content_hash import content_hashes
from tick_assets.lakehouse.partition_files import file_counts
from tick_assets.lakehouse.publishing import Staged, reject, stage
from tick_assets.lakehouse.raw_ticks import in_vendor_order
from tick_assets.lakehouse.spark import partition_filter, read_partitions
from tick_assets.lakehouse.tables import definition_of
from tick_assets.settings import CATALOG

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

CLEANING = "clean_v1"
MAXIMUM_REJECT_SHARE = 0.5
"""A partition that loses more than this share of its rows is refused: then the parser is wrong, not the market (FXCM loses 10 %)."""

DayKey = tuple[str, date]
Day = Callable[[DayKey, pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class RawFiles:
    """What the raw store lists for one symbol and date: the current source (None: nothing recorded) and the rows of its files."""

    source: str | None
    rows: Mapping[str, int]


@dataclass(frozen=True)
class Partitions:
    """Whole partitions to write: the product of symbols and dates, the publication id of each, and the files that it stands for."""

    symbols: tuple[str, ...]
    dates: tuple[date, ...]
    publication_ids: Mapping[DayKey, str]
    raw_files: Mapping[DayKey, RawFiles] = field(default_factory=dict)

    @property
    def condition(self) -> str:
        return partition_filter(self.symbols, self.dates)


def publication_id(symbol: str, day: date, revision_sha256s: Sequence[str]) -> str:
    """Name what a partition is made from: the same raw files and cleaning give the same id, so a re-run changes nothing."""
    return hashlib.sha256("|".join([symbol, day.isoformat(), CLEANING, *revision_sha256s]).encode()).hexdigest()[:32]


def to_ticks(frame: pl.DataFrame) -> Ticks:
    """Return the kernel's columns; a row that did not parse keeps its place under the malformed stamp."""
    stamps = frame["ts_event"].dt.epoch("us").fill_null(MALFORMED_TS).to_numpy()
    points = (frame[name].fill_null(0).to_numpy() for name in ("bid_points", "ask_points"))
    sizes = (frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("bid_size", "ask_size"))
    return Ticks(stamps, *points, *sizes)


# What a task does with one day.


def clean_day(key: DayKey, rows: pl.DataFrame, kept: bool, publications: Mapping[DayKey, str]) -> pl.DataFrame:
    """Return the valid rows of a raw day with their `seq`, or (not `kept`) the refused ones with their reason; any order will do."""
    rows = in_vendor_order(rows)
    day_number = (key[1] - date(1970, 1, 1)).days
    batch = run_kernel(to_ticks(rows), 1, day_number)
    numbered = rows.with_columns(
        pl.Series("seq", np.arange(len(rows), dtype=np.int64)),
        pl.Series("reason_code", np.asarray(REASONS)[batch.reason], pl.String),
        pl.lit(publications[key]).alias("publication_id"),
    )
    return numbered.filter((pl.col("reason_code") == "") if kept else (pl.col("reason_code") != ""))


def sample_day(key: DayKey, rows: pl.DataFrame, market: Market, strategy: Strategy) -> pl.DataFrame:
    """Return the sampled events of a clean day, in any order: features, and labels where the event could be traded (else null)."""
    rows = rows.sort("seq")
    ticks = to_ticks(rows)
    batch = run_features(ticks)
    events = rows[batch.event_row].select("symbol", "date", "ts_event", "seq", "publication_id")
    ids = [event_id(key[0], key[1].isoformat(), seq) for seq in events["seq"]]
    labels = label_events(ticks, batch.event_row, batch.sigma_points, market.instrument(key[0]), market, strategy)
    labelled = pl.DataFrame(
        {
            "event": labels.event,
            "ts_label_end": pl.Series(labels.ts_label_end_us).cast(pl.Datetime("us", "UTC")),
            "label": labels.label.astype(np.int32),
            "net_return_bps": labels.net_return_bps,
            "long_net_bps": labels.long_net_bps,
            "short_net_bps": labels.short_net_bps,
        }
    )
    features = (
        pl.DataFrame(batch.features, schema=list(FEATURE_NAMES))
        if len(ids)
        else pl.DataFrame(schema=dict.fromkeys(FEATURE_NAMES, pl.Float64))
    )
    return (
        pl.concat([events.with_columns(pl.Series("event_id", ids, pl.String)), features], how="horizontal")
        .with_columns(pl.lit(FEATURE_SET).alias("feature_set"), pl.lit(LABEL_SET).alias("label_set"))
        .with_columns(pl.Series("event", np.arange(len(ids), dtype=np.int64)))
        .join(labelled, on="event", how="left", maintain_order="left")
        .drop("event")
    )


def _by_day(batches: Iterable[pa.RecordBatch], work: Day, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Gather the rows of each (symbol, date) and yield what `work` makes of them; a day that comes in two pieces is a `ValueError`."""
    key: DayKey | None = None
    parts: list[pl.DataFrame] = []
    done: set[DayKey] = set()

    def flush() -> Iterator[pa.RecordBatch]:
        if key is None:
            return
        if key in done:
            raise ValueError(f"Expected the rows of {key} in one piece, found them twice. Read them with `whole_days`.")
        done.add(key)
        made = work(key, pl.concat(parts))
        yield from made.select(schema.names).to_arrow().cast(schema).to_batches(max_chunksize=200_000)

    for batch in batches:
        if batch.num_rows == 0:
            continue
        frame = pl.DataFrame(pa.Table.from_batches([batch]))
        for part in frame.partition_by("symbol", "date", maintain_order=True):
            part_key = (part["symbol"][0], part["date"][0])
            if part_key != key:
                yield from flush()
                key, parts = part_key, []
            parts.append(part)
    yield from flush()


# Frames of rows to stage.


def table_schema(spark: SparkSession, table: str) -> StructType:
    """Return the columns that a table's definition names, as Spark types; `stage` leaves those that somebody added null."""
    from pyspark.sql.types import StructType

    known = definition_of(table).column_types
    return StructType([field for field in spark.table(f"{CATALOG}.{table}").schema.fields if field.name in known])


def map_days(source: DataFrame, work: Day, schema: StructType) -> DataFrame:
    """Return what `work` makes of each symbol-day of the rows, one task a file."""
    from pyspark.sql.pandas.types import to_arrow_schema

    arrow = to_arrow_schema(schema, timestamp_utc=True)
    return source.mapInArrow(partial(_by_day, work=work, schema=arrow), schema)


def whole_days(spark: SparkSession, lakehouse: Lakehouse, table: str, partitions: Partitions, snapshot_id: int | None) -> DataFrame:
    """Read partitions of a snapshot (None: the table is empty) so that the rows of a symbol-day reach one task, one day after another.

    Only where a day lies in several files does that cost a shuffle.
    """
    rows = read_partitions(spark, table, partitions.condition, snapshot_id)
    files = file_counts(lakehouse, table, whole_partitions(partitions.symbols, partitions.dates), snapshot_id)
    if max(files.values(), default=0) <= 1:
        return rows
    return rows.repartition("symbol", "date").sortWithinPartitions("symbol", "date")


def stage_rejects(spark: SparkSession, lakehouse: Lakehouse, partitions: Partitions, raw_snapshot: int | None, run: str) -> Staged:
    """Stage `silver.tick_rejects`: the refused rows of the current raw rows of a snapshot, with their reasons."""
    work = partial(clean_day, kept=False, publications=dict(partitions.publication_ids))
    table = "silver.tick_rejects"
    raw = whole_days(spark, lakehouse, "raw.ticks", partitions, raw_snapshot).where("is_current")
    return stage(spark, table, map_days(raw, work, table_schema(spark, table)), partitions.symbols, partitions.dates, run)


def stage_ticks(spark: SparkSession, lakehouse: Lakehouse, partitions: Partitions, raw_snapshot: int | None, run: str) -> Staged:
    """Stage `silver.ticks`: the valid rows of the current raw rows of a snapshot, numbered in vendor order before cleaning."""
    work = partial(clean_day, kept=True, publications=dict(partitions.publication_ids))
    table = "silver.ticks"
    raw = whole_days(spark, lakehouse, "raw.ticks", partitions, raw_snapshot).where("is_current").drop("raw_line", "known_at")
    return stage(spark, table, map_days(raw, work, table_schema(spark, table)), partitions.symbols, partitions.dates, run)


def sampled_events(spark: SparkSession, lakehouse: Lakehouse, partitions: Partitions, market: Market, strategy: Strategy) -> DataFrame:
    """Return features and labels of the sampled events of published ticks, side by side."""
    from pyspark.sql.types import IntegerType, StructType

    features, labels = table_schema(spark, "silver.features"), table_schema(spark, "silver.labels")
    extra = [field for field in labels.fields if field.name not in features.names]
    schema = StructType([*features.fields, *extra])
    assert isinstance(schema["label"].dataType, IntegerType)
    source = whole_days(spark, lakehouse, "silver.ticks", partitions, lakehouse.snapshot_id("silver.ticks"))
    return map_days(source, partial(sample_day, market=market, strategy=strategy), schema)


def stage_features(spark: SparkSession, partitions: Partitions, events: DataFrame, run: str) -> Staged:
    """Stage `silver.features`."""
    names = table_schema(spark, "silver.features").names
    return stage(spark, "silver.features", events.select(*names), partitions.symbols, partitions.dates, run)


def stage_labels(spark: SparkSession, partitions: Partitions, events: DataFrame, run: str) -> Staged:
    """Stage `silver.labels`: only events that could be traded have one."""
    names = table_schema(spark, "silver.labels").names
    return stage(spark, "silver.labels", events.where("label is not null").select(*names), partitions.symbols, partitions.dates, run)


# Audits.


@dataclass(frozen=True)
class DayCounts:
    """Rows of one symbol and date by table."""

    symbol: str
    date: date
    raw_rows: int
    silver_rows: int
    reject_rows: int


def audit_ticks(
    lakehouse: Lakehouse, partitions: Partitions, raw_snapshot: int | None, ticks: Staged, rejects: Staged
) -> tuple[list[DayCounts], dict[DayKey, str]]:
    """Check on the branches, with another engine than the writer, that no current raw row was lost, doubled or misnumbered.

    Return the counts and the content hash of every partition.
    """
    raw = _raw_rows(lakehouse, partitions, raw_snapshot)
    stale = sorted(key for key, listed in partitions.raw_files.items() if _rows_by_file(raw, key, listed) != listed.rows)
    if stale:
        reject(
            lakehouse, ticks, f"expected raw.ticks to hold the files that the raw store lists, was not so for {stale[:3]}: write it first"
        )
    current = _current_rows(raw)
    kept, refused = (lakehouse.partition_rows(staged.table, staged.branch) for staged in (ticks, rejects))
    counts = [DayCounts(*key, current.get(key, 0), kept.get(key, 0), refused.get(key, 0)) for key in sorted(ticks.keys)]
    for found in counts:
        if found.raw_rows != found.silver_rows + found.reject_rows:
            reject(lakehouse, ticks, f"expected raw = silver + rejects, was {found}")
        if found.reject_rows > MAXIMUM_REJECT_SHARE * found.raw_rows:
            reject(lakehouse, ticks, f"expected at most {MAXIMUM_REJECT_SHARE:.0%} rejects, was {found}")
    repeated = _repeated_seq(lakehouse, partitions, ticks, rejects)
    if repeated:
        reject(lakehouse, ticks, f"expected every seq once, was repeated on {repeated[:3]}")
    return counts, content_hashes(lakehouse, ticks.table, partitions.symbols, partitions.dates, ticks.branch)


def _raw_rows(lakehouse: Lakehouse, partitions: Partitions, snapshot_id: int | None) -> pl.DataFrame:
    """Return the number of rows, and of current ones, by symbol, date and file."""
    names = ("symbol", "date", "source", "source_file", "is_current")
    condition = whole_partitions(partitions.symbols, partitions.dates)
    rows = lakehouse.frame("raw.ticks", condition, MAIN if snapshot_id is None else str(snapshot_id), names)
    return rows.group_by("symbol", "date", "source", "source_file").agg(pl.len().alias("rows"), pl.col("is_current").sum().alias("current"))


def _rows_by_file(raw: pl.DataFrame, key: DayKey, listed: RawFiles) -> dict[str, int]:
    """Return the rows of each file of the current source that the table holds of one symbol and date."""
    found = raw.filter(pl.col("symbol") == key[0], pl.col("date") == key[1], pl.col("source") == (listed.source or ""))
    return dict(zip(found["source_file"], found["rows"], strict=True))


def _current_rows(raw: pl.DataFrame) -> dict[DayKey, int]:
    counted = raw.group_by("symbol", "date").agg(pl.col("current").sum())
    return {(row["symbol"], row["date"]): row["current"] for row in counted.to_dicts()}


def _repeated_seq(lakehouse: Lakehouse, partitions: Partitions, *staged: Staged) -> list[DayKey]:
    """Return the partitions in which a rank was given twice, over valid and refused rows together."""
    names = ("symbol", "date", "seq")
    condition = whole_partitions(partitions.symbols, partitions.dates)
    rows = pl.concat([lakehouse.frame(each.table, condition, each.branch, names).select(names) for each in staged])
    counted = rows.group_by("symbol", "date").agg(pl.len().alias("rows"), pl.col("seq").n_unique().alias("ranks"))
    return [(row["symbol"], row["date"]) for row in counted.filter(pl.col("rows") != pl.col("ranks")).to_dicts()]


def count_days(lakehouse: Lakehouse, tables: Sequence[str], partitions: Partitions) -> list[dict[str, Any]]:
    """Return the published rows of each table, symbol and date, zeros included."""
    found = {name: lakehouse.partition_rows(name) for name in tables}
    return [
        {"table": name, "symbol": symbol, "date": day, "rows": found[name].get((symbol, day), 0)}
        for name in tables
        for symbol in partitions.symbols
        for day in partitions.dates
    ]
