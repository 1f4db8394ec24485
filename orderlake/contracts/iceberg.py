"""Compiles columns into an Iceberg schema and partition spec."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import DayTransform, HourTransform, Transform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    UUIDType,
)

from orderlake.contracts.model import Column, Contract
from orderlake.contracts.types import ColumnType, Decimal, ListOf, MapOf, Scalar, ScalarName, Struct

_SCALARS: dict[ScalarName, IcebergType] = {
    "string": StringType(),
    "boolean": BooleanType(),
    "int": IntegerType(),
    "long": LongType(),
    "float": FloatType(),
    "double": DoubleType(),
    "date": DateType(),
    "timestamp": TimestampType(),
    "timestamptz": TimestamptzType(),
    "uuid": UUIDType(),
    "binary": BinaryType(),
}


def iceberg_type(column_type: ColumnType, ids: Iterator[int]) -> IcebergType:
    """Return the Iceberg type of a column type; nested fields draw their ids from `ids`."""
    match column_type:
        case Scalar(name):
            return _SCALARS[name]
        case Decimal(precision, scale):
            return DecimalType(precision, scale)
        case Struct(columns):
            return StructType(*iceberg_fields(columns, ids))
        case ListOf(element):
            return ListType(next(ids), iceberg_type(element.type, ids), element.required)
        case MapOf(key, value):
            key_id, value_id = next(ids), next(ids)
            return MapType(key_id, iceberg_type(key.type, ids), value_id, iceberg_type(value.type, ids), value.required)


def iceberg_fields(columns: Iterable[Column], ids: Iterator[int]) -> list[NestedField]:
    """Return the fields of columns, their descriptions as docs."""
    fields = [(next(ids), column) for column in columns]
    return [
        NestedField(
            field_id=number,
            name=column.name,
            field_type=iceberg_type(column.type, ids),
            required=column.required,
            doc=column.description or None,
        )
        for number, column in fields
    ]


def iceberg_schema(columns: Iterable[Column]) -> Schema:
    """Return the Iceberg schema of columns, field ids from 1 in the catalog's order of assignment."""
    return Schema(*iceberg_fields(columns, itertools.count(1)))


def partition_spec(schema: Schema, column: str | None, transform: str = "day") -> PartitionSpec:
    """Return the spec that partitions by the UTC day or hour of a column; unpartitioned without one.

    The partition field is named `{column}_day` or `{column}_hour`.
    """
    if column is None:
        return PartitionSpec()
    by: Transform[Any, Any] = HourTransform() if transform == "hour" else DayTransform()
    source = schema.find_field(column).field_id
    return PartitionSpec(PartitionField(source_id=source, field_id=1000, transform=by, name=f"{column}_{transform}"))


def contract_spec(contract: Contract, schema: Schema) -> PartitionSpec:
    """Return the partition spec that a contract declares."""
    return partition_spec(schema, contract.partition_column, contract.partition_transform)
