"""Reads the quality rules of an ODCS schema object and of its properties."""

from __future__ import annotations

import re
from typing import Any, Literal, cast, get_args

from open_data_contract_standard.model import DataQuality, SchemaObject

from orderlake.contracts.document import Location
from orderlake.contracts.model import Dimension, QualityRule, Severity
from orderlake.contracts.problems import Findings

OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)
_UNITS = ("rows", "percent")


def read_rules(schema: SchemaObject, root: Location, findings: Findings) -> tuple[QualityRule, ...]:
    """Return the rules that an engine can evaluate: those of the table, then those of each property.

    Rules of type `text` are for people and of type `custom` for other tools; both are passed over.
    """
    rules = [_rule(rule, None, (*root, "quality", i), findings) for i, rule in enumerate(schema.quality or [])]
    for position, prop in enumerate(schema.properties or []):
        location = (*root, "properties", position, "quality")
        rules += [_rule(rule, prop.name, (*location, i), findings) for i, rule in enumerate(prop.quality or [])]
    return tuple(rule for rule in rules if rule)


def _rule(rule: DataQuality, column: str | None, location: Location, findings: Findings) -> QualityRule | None:
    if rule.type in {"text", "custom"}:
        return None
    operator = next((name for name in OPERATORS if getattr(rule, name) is not None), "")
    if not operator:
        findings.error(location, f"has no threshold; give one of {', '.join(OPERATORS)}")
        return None
    operand = getattr(rule, operator)
    numbers: list[Any] = operand if isinstance(operand, list) else [operand]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
        findings.error(location, f"{operator}: {operand!r} is not a number")
        return None
    metric = "sql" if rule.type == "sql" else (rule.metric or "")
    name = rule.name or rule.id or "__".join(part for part in (column, metric) if part)
    severity = _choice(rule.severity, get_args(Severity), "error", (*location, "severity"), findings)
    return QualityRule(
        name=re.sub(r"\W", "_", name),
        metric=metric,
        operator=operator,
        operand=(numbers[0], numbers[1]) if isinstance(operand, list) else numbers[0],
        unit=cast("Literal['rows', 'percent']", _choice(rule.unit, _UNITS, "rows", (*location, "unit"), findings)),
        query=rule.query,
        arguments=tuple(sorted((rule.arguments or {}).items())),
        severity=cast("Severity", severity),
        dimension=cast("Dimension | None", rule.dimension),
        description=" ".join((rule.description or "").split()),
        column=column,
        line=findings.document.line(location),
    )


def _choice(value: str | None, allowed: tuple[str, ...], default: str, location: Location, findings: Findings) -> str:
    if value is not None and value not in allowed:
        findings.error(location, f"{value!r} is not allowed; allowed: {', '.join(allowed)}")
    return value or default
