"""Judges a contract beyond ODCS: what orderlake could not compile, keep or enforce, said before anything runs.

Nothing a contract states is ignored silently: an option that no check or decoder would enforce is an error.
"""

from __future__ import annotations

from collections import Counter

from orderlake.contracts import naming
from orderlake.contracts.checks import compile_checks
from orderlake.contracts.columns import RESERVED
from orderlake.contracts.document import Location
from orderlake.contracts.lint_rules import lint_rule
from orderlake.contracts.model import Column, Constraints, Contract
from orderlake.contracts.problems import Findings
from orderlake.contracts.slas import lint_slas
from orderlake.contracts.types import Decimal, ListOf, MapOf, Scalar, Struct

#: Which constraints are enforced on which types.
_ENFORCED: dict[str, frozenset[str]] = {
    "string": frozenset({"min_length", "max_length", "pattern", "format", "enum"}),
    "int": frozenset({"minimum", "maximum", "exclusive_minimum", "exclusive_maximum", "multiple_of", "enum"}),
    "double": frozenset({"minimum", "maximum", "exclusive_minimum", "exclusive_maximum"}),
    "decimal": frozenset({"minimum", "maximum", "exclusive_minimum", "exclusive_maximum"}),
}
_ENFORCED["long"] = _ENFORCED["int"]
_ENFORCED["float"] = _ENFORCED["double"]
FORMATS = ("uuid",)
#: What the decoder of the dialect flat can prove and examine.
_FLAT = frozenset({"string", "boolean", "int", "long", "float", "double", "date", "timestamptz"})
#: Data that may stand in a lake only as tokens, or not at all; see `_lint_classification`.
_RESTRICTED = "restricted"


def lint(contract: Contract, findings: Findings) -> None:
    """Add to `findings` what is wrong with a contract that could be read."""
    properties: Location = ("schema", 0, "properties")
    _lint_identity(contract, findings)
    _lint_names(contract.columns, properties, findings, reserved=RESERVED if contract.kind == "topic" else frozenset())
    for position, column in enumerate(contract.columns):
        _lint_column(column, (*properties, position), findings)
        _lint_classification(column, (*properties, position), findings)
        if contract.kind == "topic" and str(column.type) not in _FLAT and not isinstance(column.type, Decimal):
            allowed = f"{', '.join(sorted(_FLAT))}, decimal(p,s)"
            findings.error(
                (*properties, position),
                f"{column.type} is no type of a field in the dialect flat; allowed: {allowed}",
            )
    _lint_partition(contract, findings)
    for rule in contract.quality:
        lint_rule(rule, contract, findings)
    lint_slas(contract, findings)
    if not findings.problems:
        names = Counter(check.name.lower() for check in compile_checks(contract))
        for name in (name for name, count in names.items() if count > 1):
            findings.error(("schema", 0, "quality"), f"two checks are named {name!r}; give the rule another name")


def _lint_identity(contract: Contract, findings: Findings) -> None:
    where: Location = ("schema", 0, "physicalName")
    name = contract.physical_name
    if contract.kind == "topic" and not naming.TOPIC.fullmatch(name):
        findings.error(where, f"{name!r} is not a Kafka topic; allowed: letters, digits, '.', '_' and '-', at most 249")
    if contract.kind == "table" and not naming.TABLE.fullmatch(name):
        findings.error(where, f"{name!r} is not namespace.table in lower case letters, digits and underscores")
    if contract.kind == "table" and name.split(".")[0] in naming.RESERVED_NAMESPACES:
        reserved = ", ".join(naming.RESERVED_NAMESPACES)
        findings.error(where, f"{name!r} is in a namespace that orderlake fills itself ({reserved}); choose another")
    if not contract.owner:
        findings.error(("team",), "has no name; the owning team is who alerts go to")
    if contract.kind == "table" and not contract.primary_key:
        findings.error(("schema", 0, "properties"), "have no primaryKey; a table's grain is checked by it")
    key = contract.topic.message_key
    if key and key not in {column.name for column in contract.columns}:
        findings.error(("schema", 0, "customProperties"), f"messageKey {key!r} is not a property of the contract")


def _lint_names(
    columns: tuple[Column, ...],
    location: Location,
    findings: Findings,
    reserved: frozenset[str] = frozenset(),
) -> None:
    seen: dict[str, str] = {}
    for position, column in enumerate(columns):
        where = (*location, position)
        lower = column.name.lower()
        if not naming.COLUMN.fullmatch(column.name):
            findings.error(where, f"{column.name!r} is not a column's name; allowed: letters, digits and underscores")
        elif lower in naming.ICEBERG_METADATA_COLUMNS:
            findings.error(where, f"{column.name!r} is an Iceberg metadata column; name it otherwise")
        elif lower in reserved:
            findings.error(where, f"{column.name!r} is a column that landing adds; name it otherwise")
        elif lower in seen:
            findings.error(where, f"{column.name!r} and {seen[lower]!r} are one name for SQL engines; rename one")
        seen[lower] = column.name


def _lint_column(column: Column, location: Location, findings: Findings) -> None:
    if not column.description:
        findings.warning(location, f"{column.name} has no description; the contract is the documentation")
    if column.primary_key_position is not None and not column.required:
        findings.error(location, f"{column.name} is part of the primary key and must be required")
    _lint_constraints(column, (*location, "logicalTypeOptions"), findings)
    match column.type:
        case Struct(columns):
            _lint_names(columns, (*location, "properties"), findings)
            for position, child in enumerate(columns):
                _lint_column(child, (*location, "properties", position), findings)
        case ListOf(element) if isinstance(element.type, Struct):
            _lint_column(element, (*location, "items"), findings)


def _lint_classification(column: Column, location: Location, findings: Findings) -> None:
    """Refuse restricted data: it may be kept as tokens or not at all, and orderlake can do neither yet."""
    if (column.classification or "").lower() == _RESTRICTED:
        findings.error(
            (*location, "classification"),
            f"{column.name} is restricted; restricted data cannot be tokenized or dropped yet, so it would be kept in "
            "clear. Leave it out of the message, or classify it as it may be kept",
        )
    match column.type:
        case Struct(columns):
            for position, child in enumerate(columns):
                _lint_classification(child, (*location, "properties", position), findings)
        case ListOf(element):
            _lint_classification(element, (*location, "items"), findings)
        case MapOf(key, value):
            _lint_classification(key, (*location, "map", "key"), findings)
            _lint_classification(value, (*location, "map", "value"), findings)


def _lint_constraints(column: Column, location: Location, findings: Findings) -> None:
    constraints = column.constraints
    kind = (
        column.type.name if isinstance(column.type, Scalar) else "decimal" if isinstance(column.type, Decimal) else ""
    )
    enforced = _ENFORCED.get(kind, frozenset())
    for name in Constraints.__dataclass_fields__:
        if getattr(constraints, name) is not None and name not in enforced:
            allowed = ", ".join(sorted(enforced)) or "none"
            findings.error(location, f"{name} is not enforced on {column.type}; enforced are: {allowed}")
    if constraints.format is not None and constraints.format not in FORMATS:
        findings.error(location, f"format {constraints.format!r} is not enforced; allowed: {', '.join(FORMATS)}")
    low, high = constraints.min_length, constraints.max_length
    if low is not None and high is not None and low > high:
        findings.error(location, f"minLength {low} is greater than maxLength {high}: no value fits")
    for side in ("minimum", "maximum"):
        if getattr(constraints, side) is not None and getattr(constraints, f"exclusive_{side}") is not None:
            findings.error(location, f"{side} and its exclusive form are both given; keep one")
    if constraints.pattern is not None:
        _lint_pattern(constraints.pattern, (*location, "pattern"), findings)


def _lint_pattern(pattern: str, location: Location, findings: Findings) -> None:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        # Look-around and back-references are in ECMA-262 but not in RE2, which decoder, DuckDB and ClickHouse share.
        findings.error(location, f"{pattern!r} is not a RE2 pattern: {str(error).splitlines()[0]}")


def _lint_partition(contract: Contract, findings: Findings) -> None:
    where: Location = ("schema", 0, "properties")
    name = contract.partition_column
    if name is None:
        if contract.kind == "topic":
            findings.error(where, "have no `partitioned: true`; a topic's contract marks its event time with it")
        return
    column = contract.column(name)
    allowed = ("timestamptz",) if contract.kind == "topic" else ("timestamptz", "date")
    if str(column.type) not in allowed or not column.required:
        findings.error(where, f"{name} is partitioned; it must be required and of type {' or '.join(allowed)}")
