"""Compiles columns into an Arrow schema, the form in which rows travel through orderlake."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from orderlake.contracts.model import Column
from orderlake.contracts.types import ColumnType, Decimal, ListOf, MapOf, Scalar, ScalarName, Struct

_SCALARS: dict[ScalarName, pa.DataType] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "uuid": pa.binary(16),
    "binary": pa.binary(),
}


def arrow_type(column_type: ColumnType) -> pa.DataType:
    """Return the Arrow type of a column type: microseconds, UTC, decimal128."""
    match column_type:
        case Scalar(name):
            return _SCALARS[name]
        case Decimal(precision, scale):
            return pa.decimal128(precision, scale)
        case Struct(columns):
            return pa.struct([arrow_field(column) for column in columns])
        case ListOf(element):
            return pa.list_(arrow_field(element))
        case MapOf(key, value):
            return pa.map_(arrow_type(key.type), arrow_field(value))


def arrow_field(column: Column) -> pa.Field:
    """Return the Arrow field of a column; a required column is not nullable."""
    return pa.field(column.name, arrow_type(column.type), nullable=not column.required)


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema of columns."""
    return pa.schema([arrow_field(column) for column in columns])
