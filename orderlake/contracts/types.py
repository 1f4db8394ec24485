"""The column types a contract may declare, and how ODCS spells them.

Types are values without behaviour; `iceberg` and `arrow` map them to the engines. A type that could not be kept
exactly (a timestamp without its microseconds, a decimal as a float) does not exist here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from orderlake.contracts.model import Column

ScalarName = Literal[
    "string",
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "date",
    "timestamp",
    "timestamptz",
    "uuid",
    "binary",
]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A type without parameters, under Iceberg's name for it."""

    name: ScalarName

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Decimal:
    """An exact number of `precision` digits, `scale` of them behind the point."""

    precision: int
    scale: int

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})"


@dataclass(frozen=True, slots=True)
class Struct:
    """Named fields."""

    columns: tuple[Column, ...]

    def __str__(self) -> str:
        return f"struct<{', '.join(f'{c.name}: {c.type}' for c in self.columns)}>"


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; the element is a column so that it may be required and documented."""

    element: Column

    def __str__(self) -> str:
        return f"list<{self.element.type}>"


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map."""

    key: Column
    value: Column

    def __str__(self) -> str:
        return f"map<{self.key.type}, {self.value.type}>"


ColumnType: TypeAlias = Scalar | Decimal | Struct | ListOf | MapOf

STRING = Scalar("string")
BOOLEAN = Scalar("boolean")
INT = Scalar("int")
LONG = Scalar("long")
DATE = Scalar("date")
TIMESTAMPTZ = Scalar("timestamptz")
BINARY = Scalar("binary")

#: What people write in physicalType, lower case, for Iceberg's names.
_ALIASES: dict[str, ScalarName] = {
    "string": "string",
    "varchar": "string",
    "text": "string",
    "boolean": "boolean",
    "bool": "boolean",
    "int": "int",
    "integer": "int",
    "long": "long",
    "bigint": "long",
    "float": "float",
    "real": "float",
    "double": "double",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "timestamp with time zone": "timestamptz",
    "uuid": "uuid",
    "binary": "binary",
}
_DECIMAL = re.compile(r"(?:decimal|numeric)\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_LENGTH = re.compile(r"(varchar|string)\s*\(\s*\d+\s*\)")

#: ODCS integer formats by the Iceberg type that holds every one of their values.
_INTEGERS: dict[str, ScalarName] = {
    "i8": "int",
    "i16": "int",
    "i32": "int",
    "u8": "int",
    "u16": "int",
    "i64": "long",
    "u32": "long",
}

ALLOWED_PHYSICAL = (
    "string, boolean, int, long, float, double, decimal(p,s) with p <= 38, date, timestamp, timestamptz, uuid, binary"
)

#: The physical types that may stand under each logical type.
COMPATIBLE: dict[str, frozenset[str]] = {
    "string": frozenset({"string", "uuid", "binary"}),
    "boolean": frozenset({"boolean"}),
    "integer": frozenset({"int", "long"}),
    "number": frozenset({"float", "double", "decimal"}),
    "date": frozenset({"date"}),
    "timestamp": frozenset({"timestamp", "timestamptz"}),
}


class UnknownTypeError(ValueError):
    """A logical or physical type that orderlake cannot keep exactly; the text says which are possible."""


def parse_physical(text: str) -> Scalar | Decimal:
    """Return the type that a `physicalType` names.

    Raises:
        UnknownTypeError: the text names none of `ALLOWED_PHYSICAL`.
    """
    word = " ".join(text.lower().split())
    if match := _DECIMAL.fullmatch(word):
        precision, scale = int(match[1]), int(match[2])
        if not 1 <= precision <= 38 or scale > precision:
            raise UnknownTypeError(f"physicalType {text!r}: precision is 1 to 38, scale at most the precision")
        return Decimal(precision, scale)
    word = _LENGTH.sub(r"\1", word)
    if word in _ALIASES:
        return Scalar(_ALIASES[word])
    raise UnknownTypeError(f"physicalType {text!r} is unknown; allowed: {ALLOWED_PHYSICAL}")


def default_type(logical: str, integer_format: str = "i32") -> Scalar:
    """Return the type of a property that declares only a logicalType.

    Raises:
        UnknownTypeError: the logical type does not determine an exact type.
    """
    match logical:
        case "string" | "boolean" | "date":
            return Scalar(_ALIASES[logical])
        case "timestamp":
            return TIMESTAMPTZ
        case "integer" if integer_format in _INTEGERS:
            return Scalar(_INTEGERS[integer_format])
        case "integer":
            raise UnknownTypeError(
                f"integer format {integer_format!r} does not fit 64 bits; allowed: {', '.join(_INTEGERS)}"
            )
        case "number":
            raise UnknownTypeError("logicalType number needs a physicalType: decimal(p,s), double or float")
    raise UnknownTypeError(
        f"logicalType {logical!r} is not supported; allowed: {', '.join(COMPATIBLE)}, object, array, map"
    )
