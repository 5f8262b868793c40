"""Every table of the lakehouse: columns, partitions, key and what does not count in its content hash.

What belongs here: definitions. What must not: connecting to a catalog (`catalog`), reading or writing rows.

Columns are added at the end and never renamed or dropped: `Lakehouse.ensure_tables` evolves what exists. All columns are optional,
because Spark and Arrow frames are nullable and the audits, not the writer, say what may be null. No table has a sort order: a file of
a symbol-day holds its rows in vendor order, which a sort by stamp would lose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import BooleanType, DateType, DoubleType, IcebergType, IntegerType, LongType, NestedField, StringType, TimestamptzType

from tick_assets.domain.kernel import ALL_FEATURE_NAMES, FEATURE_NAMES

NAMESPACES = ("raw", "silver", "gold", "evidence")

_TYPES: dict[str, IcebergType] = {
    "string": StringType(),
    "date": DateType(),
    "timestamp": TimestamptzType(),
    "long": LongType(),
    "int": IntegerType(),
    "double": DoubleType(),
    "bool": BooleanType(),
}

PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.distribution-mode": "none",
    "write.spark.fanout.enabled": "true",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
}
"""Fanout: without it Spark sorts rows by partition before it writes, and the order within a day is not kept by that sort."""

BY_SYMBOL_AND_DATE = ("symbol", "date")

_NOT_CONTENT = frozenset(
    {"known_at", "publication_id", "run_id", "source_file", "checked_at", "published_at", "recorded_at", "decided_at", "report_url"}
    | {"leader_publication_id"}
)


@dataclass(frozen=True)
class TableDefinition:
    """One table. `columns` is "name type, …"; `key` orders the rows of one (symbol, date)."""

    name: str
    columns: str
    key: tuple[str, ...]
    partitions: tuple[str, ...] = ()
    not_content: frozenset[str] = field(default=_NOT_CONTENT)

    @cached_property
    def column_types(self) -> dict[str, str]:
        """Column names and type words, in order."""
        return dict(column.split() for column in self.columns.split(","))

    @cached_property
    def schema(self) -> Schema:
        """The Iceberg schema; field ids are positions."""
        return Schema(*(NestedField(i, name, _TYPES[kind]) for i, (name, kind) in enumerate(self.column_types.items(), start=1)))

    @cached_property
    def partition_spec(self) -> PartitionSpec:
        """Identity partitions, never a transform of `ts_event`."""
        fields = (
            PartitionField(source_id=self.schema.find_field(name).field_id, field_id=1000 + i, transform=IdentityTransform(), name=name)
            for i, name in enumerate(self.partitions)
        )
        return PartitionSpec(*fields) if self.partitions else UNPARTITIONED_PARTITION_SPEC

    @cached_property
    def content_columns(self) -> tuple[str, ...]:
        """The columns that the content hash reads."""
        return tuple(name for name in self.column_types if name not in self.not_content)


_RAW = (
    "symbol string, date date, ts_event timestamp, bid_points long, ask_points long, bid_size double, ask_size double, price_factor int,"
    "source string, source_file string, source_row long, revision int, is_current bool, known_at timestamp, raw_line string"
)
_SILVER = (
    "symbol string, date date, ts_event timestamp, seq long, bid_points long, ask_points long, price_factor int, bid_size double,"
    "ask_size double, source string, source_file string, source_row long, publication_id string"
)
_BARS = (
    "symbol string, date date, ts_event timestamp, open double, high double, low double, close double, bid_close double,"
    "ask_close double, tick_count long, spread_mean double, publication_id string"
)
_FEATURES = "".join(f", {name} double" for name in FEATURE_NAMES)
_LATER_FEATURES = "".join(f", {name} double" for name in ALL_FEATURE_NAMES[len(FEATURE_NAMES) :])
"""Features of other sets than the first; they are null in rows of a set that lacks them, and a hash leaves such columns out."""
_MODEL = "symbol string, strategy string, version string"


def _day_table(name: str, columns: str, *key: str) -> TableDefinition:
    return TableDefinition(name, columns, key, BY_SYMBOL_AND_DATE)


_DEFINITIONS = (
    _day_table("raw.ticks", _RAW, "ts_event", "source", "revision", "source_row"),
    TableDefinition(
        "raw.side_values",
        "feed string, key string, date date, ts_event timestamp, known_at timestamp, name string, value double, text string,"
        "source_file string, source_row long, revision int",
        ("feed", "key", "name", "ts_event", "known_at"),
        ("feed",),
        # When a value was known is what a side table is about.
        _NOT_CONTENT - {"known_at"},
    ),
    _day_table("silver.ticks", _SILVER, "ts_event", "seq"),
    _day_table("silver.tick_rejects", f"{_RAW}, seq long, reason_code string, publication_id string", "ts_event", "seq"),
    _day_table(
        "silver.features",
        f"symbol string, date date, ts_event timestamp, seq long, event_id string, feature_set string{_FEATURES}, publication_id string"
        f"{_LATER_FEATURES}, leader_publication_id string",
        "ts_event",
        "seq",
        "feature_set",
    ),
    _day_table(
        "silver.labels",
        "symbol string, date date, event_id string, label_set string, ts_label_end timestamp, label int, net_return_bps double,"
        "long_net_bps double, short_net_bps double, publication_id string",
        "ts_label_end",
        "event_id",
        "label_set",
    ),
    _day_table("silver.bars_1s", _BARS, "ts_event"),
    _day_table("silver.bars_1m", _BARS, "ts_event"),
    _day_table("silver.bars_1h", _BARS, "ts_event"),
    _day_table(
        "silver.bars_ticks",
        f"{_BARS}, bar_ticks int, first_seq long, last_seq long, ts_last timestamp, is_complete bool",
        "ts_event",
        "first_seq",
    ),
    TableDefinition(
        "evidence.hour_ledger",
        "symbol string, date date, hour int, source string, state string, revision int, rows long, url string, response_sha256 string,"
        "canonical_sha256 string, checked_at timestamp",
        ("hour", "source", "revision"),
        ("symbol",),
        # The same hour has other bytes and another address in the vendor's other wire format.
        _NOT_CONTENT | {"url", "response_sha256"},
    ),
    TableDefinition(
        "evidence.publications",
        "symbol string, date date, publication_id string, raw_rows long, silver_rows long, reject_rows long, content_hash string,"
        "published_at timestamp, source string, is_synthetic bool",
        ("symbol", "date"),
        ("symbol",),
    ),
    TableDefinition(
        "evidence.trials",
        f"{_MODEL}, trial long, params_json string, state string, config_sha256 string, dataset_id string, code_commit string,"
        "sharpe double, n_trades long, threshold double, recorded_at timestamp",
        ("strategy", "version", "trial"),
    ),
    TableDefinition(
        "evidence.walk_forward_windows",
        f"{_MODEL}, window int, train_from date, train_to date, test_from date, test_to date, n_trades long, net_pnl double, sharpe double,"
        "kind string, is_searched bool, log_loss double, model_sha256 string, config_sha256 string",
        ("strategy", "version", "kind", "window"),
    ),
    TableDefinition(
        "evidence.verdicts",
        f"model_id string, {_MODEL}, verdict_id string, passed bool, refused_by string, first_line string, gates_json string,"
        "dataset_id string, model_sha256 string, mlflow_run_id string, trial_ledger_sha256 string, n_trials long, trial_variance double,"
        "test_openings long, is_synthetic bool, decided_at timestamp, report_url string",
        ("strategy", "version", "verdict_id"),
    ),
    TableDefinition(
        "evidence.signals",
        "signal_id string, event_id string, symbol string, date date, strategy string, action string, view string, probability double,"
        "ts_event timestamp, issued_at timestamp, valid_until timestamp, exit_at timestamp, bid_price double, ask_price double,"
        "stop_loss double, take_profit double, max_position double, mode string, is_synthetic bool, model_id string,"
        "model_sha256 string, passport_id string, features_sha256 string, reasons_json string, payload_json string",
        ("ts_event", "signal_id", "action"),
    ),
    TableDefinition(
        "evidence.orders",
        "order_event_id string, symbol string, date date, ts_event timestamp, account string, signal_id string, client_order_id string,"
        "ticket long, deal long, position_id long, magic long, side string, volume double, state string, retcode long, price double,"
        "stop_loss double, take_profit double, profit double, reason string, is_synthetic bool, payload_json string",
        ("ts_event", "order_event_id"),
    ),
    TableDefinition(
        "evidence.leak_findings",
        f"{_MODEL}, check string, feature string, figure double, threshold double, passed bool, detail string, recorded_at timestamp",
        ("strategy", "version", "check", "feature"),
    ),
    TableDefinition(
        "evidence.replications",
        "run_id string, key string, bytes long, sha256 string, replicator string, attempts int, started_at timestamp,"
        "finished_at timestamp, outcome string, reason string, detail string, source string, symbol string, date date",
        ("key", "started_at", "attempts"),
        not_content=_NOT_CONTENT | {"started_at", "finished_at", "detail"},
    ),
    TableDefinition(
        "evidence.resources",
        "run_id string, stage string, symbol string, date date, started_at timestamp, seconds double, peak_mb double, rows long,"
        "detail_json string, mb double, ticks long",
        ("stage", "started_at"),
    ),
)

TABLES: dict[str, TableDefinition] = {definition.name: definition for definition in _DEFINITIONS}


def definition_of(table: str) -> TableDefinition:
    """Return a table's definition; an unknown name is a `LookupError` that lists the known ones."""
    try:
        return TABLES[table]
    except KeyError:
        raise LookupError(f"Expected one of the tables {', '.join(sorted(TABLES))}, was {table!r}.") from None
