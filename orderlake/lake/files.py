"""Writes data files: one open Parquet file per partition, row groups as they fill, statistics for the manifest.

Files are written before they are committed; a file that never is stays behind as an orphan, invisible to every
reader, until orphan removal deletes it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    schema_to_pyarrow,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import HourTransform
from pyiceberg.typedef import Record

from orderlake.times import EPOCH, day_of

#: Rows that are gathered per partition before a row group is written.
_ROW_GROUP = 131_072

#: The partition ordinal of rows whose partition value is null.
NULL_PARTITION = np.iinfo(np.int64).min

_REGULAR = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
#: The same for rows that DuckDB reads: it hands out a uuid as its text.
_READ = {**_REGULAR, pa.uuid(): pa.string()}


def _regular(kind: pa.DataType, types: dict[pa.DataType, pa.DataType]) -> pa.DataType:
    """Return a type with 32-bit offsets, which every row here has, nested fields and their ids included."""
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        return pa.list_(_regular_field(kind.value_field, types))
    if pa.types.is_struct(kind):
        return pa.struct([_regular_field(kind.field(i), types) for i in range(kind.num_fields)])
    if pa.types.is_map(kind):
        return pa.map_(_regular_field(kind.key_field, types), _regular_field(kind.item_field, types))
    return types.get(kind, kind)


def _regular_field(field: pa.Field, types: dict[pa.DataType, pa.DataType]) -> pa.Field:
    return field.with_type(_regular(field.type, types))


def table_arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of a table's rows, with Iceberg's field ids."""
    return pa.schema([_regular_field(field, _REGULAR) for field in schema_to_pyarrow(table.schema())])


def described_schema(schema: Schema) -> pa.Schema:
    """Return the Arrow schema of rows as they are read: with descriptions (metadata `doc`), without field ids."""
    return pa.schema([_regular_field(field, _READ) for field in schema_to_pyarrow(schema, include_field_ids=False)])


class DataFileWriter:
    """Writes rows into data files of one table, split by partition.

    Args:
        table: the table; unpartitioned or partitioned by one day or hour.
        dictionary: columns of few different values; every other one is written plain, which is faster and smaller
            for values that hardly repeat. None: Parquet decides for every column.
        statistics: columns whose bounds and null counts go into the manifest; None: all.
        level: zstd level; 1 is the fastest and here also the smaller at equal time.
        optional: let every column hold nulls, those that the table requires too: for rows that are audited before
            they are committed, so that a null is found there and not refused by Parquet.
    """

    def __init__(
        self,
        table: Table,
        *,
        dictionary: Sequence[str] | None = None,
        statistics: Sequence[str] | None = None,
        level: int = 1,
        optional: bool = False,
    ) -> None:
        self._table = table
        self.schema = table_arrow_schema(table)
        if optional:
            self.schema = pa.schema([field.with_nullable(True) for field in self.schema])  # noqa: FBT003
        self._options: dict[str, Any] = {
            "compression": "zstd",
            "compression_level": level,
            "use_dictionary": True if dictionary is None else list(dictionary),
            "store_decimal_as_integer": True,
            "write_statistics": True if statistics is None else list(statistics),
        }
        if dictionary is not None:
            # Offsets and times grow by small steps; their differences are what is worth storing.
            plain = [f for f in self.schema if f.name not in dictionary]
            self._options["column_encoding"] = {
                f.name: "DELTA_BINARY_PACKED"
                for f in plain
                if pa.types.is_int64(f.type) or pa.types.is_timestamp(f.type)
            }
        self._statistics_plan = compute_statistics_plan(table.schema(), _metrics(table, statistics))
        self._open: dict[int | None, _OpenFile] = {}
        self._gathered: dict[int | None, list[pa.RecordBatch]] = {}

    def write(self, batch: pa.RecordBatch, partitions: npt.NDArray[np.int64] | None) -> None:
        """Add rows.

        Args:
            batch: rows with at least the table's required columns, in any order; missing ones are null.
            partitions: the partition ordinal of each row: days or hours since the epoch, or NULL_PARTITION; None if
                the table is unpartitioned.
        """
        batch = self._conform(batch)
        if partitions is None:
            self._gather(None, batch)
            return
        ordinals = np.unique(partitions)
        if len(ordinals) == 1:
            self._gather(int(ordinals[0]), batch)
            return
        for ordinal in ordinals.tolist():
            self._gather(ordinal, batch.take(pa.array(np.flatnonzero(partitions == ordinal))))

    def close(self) -> list[DataFile]:
        """Finish all files and return them, ready to be committed."""
        for ordinal in list(self._gathered):
            self._flush(ordinal)
        files = [
            self._data_file(ordinal, file) for ordinal, file in sorted(self._open.items(), key=lambda i: i[0] or 0)
        ]
        self._open = {}
        return files

    def abort(self) -> None:
        """Close and delete what has been written; for a writer whose rows will not be committed."""
        self._gathered = {}
        for file in self._open.values():
            file.close()
            self._table.io.delete(file.location)
        self._open = {}

    def _conform(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        positions = {name: position for position, name in enumerate(batch.schema.names)}
        arrays = []
        for wanted in self.schema:
            position = positions.get(wanted.name)
            column = pa.nulls(batch.num_rows, wanted.type) if position is None else batch.column(position)
            arrays.append(column if column.type == wanted.type else column.cast(wanted.type))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _gather(self, ordinal: int | None, batch: pa.RecordBatch) -> None:
        batches = self._gathered.setdefault(ordinal, [])
        batches.append(batch)
        if sum(len(rows) for rows in batches) >= _ROW_GROUP:
            self._flush(ordinal)

    def _flush(self, ordinal: int | None) -> None:
        batches = self._gathered.pop(ordinal)
        if ordinal not in self._open:
            self._open[ordinal] = _OpenFile(self._table, self._location(ordinal), self.schema, self._options)
        self._open[ordinal].write(batches)

    def _location(self, ordinal: int | None) -> str:
        name = f"{uuid.uuid4()}.parquet"
        if ordinal is not None:
            name = f"{self._table.spec().fields[0].name}={partition_text(self._table, ordinal)}/{name}"
        return self._table.location_provider().new_data_location(name)

    def _data_file(self, ordinal: int | None, file: _OpenFile) -> DataFile:
        metadata, size = file.close()
        statistics = data_file_statistics_from_parquet_metadata(
            parquet_metadata=metadata,
            stats_columns=self._statistics_plan,
            parquet_column_mapping=parquet_path_to_id_mapping(self._table.schema()),
        )
        return DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=file.location,
            file_format=FileFormat.PARQUET,
            partition=Record() if ordinal is None else Record(None if ordinal == NULL_PARTITION else ordinal),
            file_size_in_bytes=size,
            sort_order_id=None,
            spec_id=self._table.metadata.default_spec_id,
            equality_ids=None,
            key_metadata=None,
            **statistics.to_serialized_dict(),
        )


def _metrics(table: Table, statistics: Sequence[str] | None) -> dict[str, str]:
    """Return the table's properties, with metrics for no other columns than those of which statistics are written."""
    properties = dict(table.metadata.properties)
    if statistics is not None:
        properties["write.metadata.metrics.default"] = "none"
        properties |= {f"write.metadata.metrics.column.{name}": "full" for name in statistics}
    return properties


class _OpenFile:
    """A Parquet file that is being written through the table's own file IO."""

    def __init__(self, table: Table, location: str, schema: pa.Schema, options: dict[str, Any]) -> None:
        self.location = location
        self._stream = table.io.new_output(location).create()
        self._collected: list[pq.FileMetaData] = []
        self._writer = pq.ParquetWriter(self._stream, schema, metadata_collector=self._collected, **options)

    def write(self, batches: Iterable[pa.RecordBatch]) -> None:
        rows = pa.Table.from_batches(batches)
        self._writer.write_table(rows, row_group_size=max(1, rows.num_rows))

    def close(self) -> tuple[pq.FileMetaData, int]:
        """Finish the file; return its Parquet metadata and its size in bytes."""
        self._writer.close()
        size = self._stream.tell()
        self._stream.close()
        return self._collected[0], size


def partition_text(table: Table, ordinal: int) -> str:
    """Return the human form of a partition ordinal: `2026-01-31`, or `2026-01-31-07` for an hour."""
    if ordinal == NULL_PARTITION:
        return "null"
    if isinstance(table.spec().fields[0].transform, HourTransform):
        return (EPOCH + dt.timedelta(hours=ordinal)).strftime("%Y-%m-%d-%H")
    return day_of(ordinal).isoformat()
