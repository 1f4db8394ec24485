"""Reads the properties of an ODCS schema object into columns."""

from __future__ import annotations

from typing import Any, cast

from open_data_contract_standard.model import SchemaProperty

from orderlake.contracts.document import Location
from orderlake.contracts.model import Column, Constraints, Wire
from orderlake.contracts.odcs_custom import read_custom
from orderlake.contracts.problems import Findings
from orderlake.contracts.types import (
    COMPATIBLE,
    TIMESTAMPTZ,
    ColumnType,
    Decimal,
    ListOf,
    MapOf,
    Scalar,
    Struct,
    UnknownTypeError,
    default_type,
    parse_physical,
)

#: ODCS logicalTypeOptions by the attribute of Constraints they become.
_OPTIONS = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "multipleOf": "multiple_of",
}


def read_columns(properties: list[SchemaProperty] | None, location: Location, findings: Findings) -> tuple[Column, ...]:
    """Return the columns of a schema object or of a nested object."""
    if not properties:
        findings.error(location, "is empty; a contract declares every column")
    return tuple(_column(prop, (*location, i), findings) for i, prop in enumerate(properties or []))


def _column(prop: SchemaProperty, location: Location, findings: Findings) -> Column:
    custom = read_custom(prop.customProperties, location, "column", findings)
    options = dict(prop.logicalTypeOptions or {})
    column_type = _type(prop, location, findings)
    values: list[Any] = [item.value for item in prop.enum or []]
    expected = int if isinstance(column_type, Scalar) and column_type.name in {"int", "long"} else str
    for index, value in enumerate(values):
        if not isinstance(value, expected) or isinstance(value, bool):
            findings.error((*location, "enum", index), f"{value!r} is not of type {expected.__name__}")
    position = prop.primaryKeyPosition if prop.primaryKeyPosition not in {None, -1} else 1
    return Column(
        name=prop.name or "",
        type=column_type,
        required=bool(prop.required),
        unique=bool(prop.unique),
        description=" ".join((prop.description or "").split()),
        classification=prop.classification,
        tags=tuple(prop.tags or ()),
        primary_key_position=position if prop.primaryKey else None,
        constraints=Constraints(
            **{ours: options[theirs] for theirs, ours in _OPTIONS.items() if theirs in options},
            format=options.get("format") if prop.logicalType == "string" else None,
            enum=tuple(values) or None,
        ),
        timezone=bool(options.get("timezone", True)),
        wire=cast("Wire", custom.get("wire", "string")),
        line=findings.document.line(location),
    )


def _type(prop: SchemaProperty, location: Location, findings: Findings) -> ColumnType:
    match prop.logicalType:
        case "object":
            return Struct(read_columns(prop.properties, (*location, "properties"), findings))
        case "array" if prop.items:
            element = prop.items.model_copy(update={"name": "element"})
            return ListOf(_column(element, (*location, "items"), findings))
        case "map" if prop.map and prop.map.key and prop.map.value:
            key = prop.map.key.model_copy(update={"name": "key", "required": True})
            value = prop.map.value.model_copy(update={"name": "value"})
            return MapOf(
                _column(key, (*location, "map", "key"), findings),
                _column(value, (*location, "map", "value"), findings),
            )
    try:
        return _scalar(prop)
    except UnknownTypeError as error:
        findings.error(location, str(error))
        return TIMESTAMPTZ


def _scalar(prop: SchemaProperty) -> Scalar | Decimal:
    options = prop.logicalTypeOptions or {}
    logical = prop.logicalType
    if not prop.physicalType:
        return default_type(logical or "none", options.get("format", "i32"))
    physical = parse_physical(prop.physicalType)
    name = "decimal" if isinstance(physical, Decimal) else physical.name
    if logical and name not in COMPATIBLE.get(logical, frozenset()):
        allowed = ", ".join(sorted(COMPATIBLE.get(logical, ()))) or "no scalar type"
        raise UnknownTypeError(f"physicalType {physical} does not fit logicalType {logical}; allowed: {allowed}")
    return physical
