"""One sorted data file of one symbol-day, straight from Arrow to Parquet.

What belongs here: encodings, row groups, the file's statistics for Iceberg. What must not: which rows (`raw_ticks`), commits (`catalog`).

PyIceberg's own writer looks for the partitions of a frame first, with a pass over all rows for each of them: quadratic in symbol-days. Here
the caller names the partition, which all rows must be of. Whole numbers are stored as differences, whose bits are few where rows are in
order; texts and sizes, of which a day has few different ones, as dictionaries: half the bytes and half the CPU of plain pages (measured on
a dense day, zstd level 3). PyIceberg, Polars, Trino and Iceberg's Spark runtime have decoders for both.
"""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    schema_to_pyarrow,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionFieldValue, PartitionKey
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata

ROWS_PER_GROUP = 131_072
"""A scan skips whole groups by their statistics; smaller ones cost more bytes and no less time (measured at 131,072 and 1,048,576)."""
ZSTD_LEVEL = 3
"""Level 1 took as long, within the noise, for 1 % more bytes (measured)."""


def write_day(rows: pl.DataFrame, symbol: str, day: date, target: TableMetadata, io: FileIO) -> DataFile:
    """Write the rows of one symbol-day, as they are ordered, as a data file that is in no table yet."""
    key = _partition_key(target, symbol, day)
    name = f"00000-0-{uuid.uuid4()}.parquet"
    path = load_location_provider(target.location, target.properties).new_data_location(name, key)
    metadata, size = _write(_in_schema(rows, target), path, io)
    statistics = data_file_statistics_from_parquet_metadata(
        metadata, compute_statistics_plan(target.schema(), target.properties), parquet_path_to_id_mapping(target.schema())
    )
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=key.partition,
        file_size_in_bytes=size,
        sort_order_id=None,
        spec_id=target.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )


def _partition_key(target: TableMetadata, symbol: str, day: date) -> PartitionKey:
    values = {"symbol": symbol, "date": day}
    fields = [PartitionFieldValue(field=field, value=values[field.name]) for field in target.spec().fields]
    return PartitionKey(field_values=fields, partition_spec=target.spec(), schema=target.schema())


def _in_schema(rows: pl.DataFrame, target: TableMetadata) -> pa.Table:
    """Return the rows in the table's columns with their ids; one that somebody added to the table is null."""
    schema = schema_to_pyarrow(target.schema(), include_field_ids=True)
    missing = [pl.lit(None).alias(name) for name in schema.names if name not in rows.columns]
    return rows.with_columns(missing).select(schema.names).to_arrow().cast(schema)


def _write(table: pa.Table, path: str, io: FileIO) -> tuple[pq.FileMetaData, int]:
    output = io.new_output(path)
    with output.create(overwrite=True) as stream:
        with pq.ParquetWriter(stream, table.schema, compression="zstd", compression_level=ZSTD_LEVEL, **_encodings(table.schema)) as writer:
            writer.write_table(table, row_group_size=ROWS_PER_GROUP)
        metadata = writer.writer.metadata
    return metadata, len(output)


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    whole = [field.name for field in schema if pa.types.is_integer(field.type) or pa.types.is_temporal(field.type)]
    return {
        "use_dictionary": [field.name for field in schema if field.name not in whole and not pa.types.is_boolean(field.type)],
        "column_encoding": dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
    }
