"""Compares a table's schema with what its contract says now, and applies what can be added without rewriting.

Additive are: a new column (optional in the table, whatever the contract asks of new messages), a wider type by
Iceberg's promotion rules, a required column that becomes optional. Everything else would change or hide rows that
are there already, and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import (
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StructType,
)

from orderlake.contracts.iceberg import iceberg_schema
from orderlake.contracts.model import Column


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between table and contract, as a sentence."""

    text: str
    additive: bool


def differences(table: Schema, wanted: Sequence[Column]) -> list[Difference]:
    """Return how the contract's columns differ from a table's schema."""
    return list(_fields("", table.fields, iceberg_schema(wanted).fields))


def _fields(prefix: str, have: Sequence[NestedField], want: Sequence[NestedField]) -> Iterator[Difference]:
    present = {field.name: field for field in have}
    wanted = {field.name: field for field in want}
    for name in present.keys() - wanted.keys():
        yield Difference(f"{prefix}{name} is in the table but no longer in the contract", additive=False)
    for name, field in wanted.items():
        path = f"{prefix}{name}"
        if name not in present:
            yield Difference(f"{path} {field.field_type} is new", additive=True)
            continue
        old = present[name]
        if old.required and not field.required:
            yield Difference(f"{path} becomes optional", additive=True)
        yield from _types(path, old.field_type, field.field_type)


def _types(path: str, have: IcebergType, want: IcebergType) -> Iterator[Difference]:
    match have, want:
        case StructType(), StructType():
            yield from _fields(f"{path}.", have.fields, want.fields)
        case ListType(), ListType():
            yield from _types(f"{path}.element", have.element_type, want.element_type)
        case MapType(), MapType():
            yield from _types(f"{path}.key", have.key_type, want.key_type)
            yield from _types(f"{path}.value", have.value_type, want.value_type)
        case _ if have != want:
            yield Difference(f"{path} changes from {have} to {want}", additive=_promotes(have, want))


def _promotes(have: IcebergType, want: IcebergType) -> bool:
    """Return whether Iceberg may read the old type as the new one (spec: schema evolution, type promotion)."""
    match have, want:
        case (IntegerType(), LongType()) | (FloatType(), DoubleType()):
            return True
        case DecimalType(), DecimalType():
            return have.scale == want.scale and have.precision < want.precision
    return False


def evolve(table: Table, wanted: Sequence[Column]) -> list[str]:
    """Apply the additive differences to a table; the caller has made sure that there are no others.

    Returns:
        what was changed, as sentences; empty if nothing was.
    """
    changes = differences(table.schema(), wanted)
    if not changes:
        return []
    present = {field.name for field in table.schema().fields}
    fields = [
        field if field.name in present else field.model_copy(update={"required": False})
        for field in iceberg_schema(wanted).fields
    ]
    with table.update_schema() as update:
        update.union_by_name(Schema(*fields))
    return [change.text for change in changes]
