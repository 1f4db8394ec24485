"""Compiles a table's contract into checks: pure values, no engine.

A check is named `{column}__{rule}`; predicates are DuckDB SQL over one row, true (or unknown) where the row is
good. `orderlake.curation.audit` evaluates them. Lengths count code points and patterns are RE2 searches, exactly as
in the message decoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from orderlake.contracts.model import Column, Contract, Dimension, QualityRule, Severity
from orderlake.contracts.thresholds import NONE_ALLOWED, Number, Threshold

CheckKind = Literal["schema", "row", "unique", "row_count", "sql"]
Comparison = Literal[">=", ">", "<=", "<"]

UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

_OBJECT = re.compile(r"\$?\{(?:object|table)\}")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a rule says of one column in terms of null counts and bounds, which a data file's statistics may prove.

    Attributes:
        never_null: no value is null.
        bounds: how every value that is not null compares with which limits.
    """

    column: str
    never_null: bool = False
    bounds: tuple[tuple[Comparison, Number], ...] = ()


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One check of a table.

    Attributes:
        kind: `row` measures rows that break `predicate`, `unique` rows that repeat `columns` (a null repeats nothing),
            `row_count` rows, `sql` the number that `query` returns, `schema` differences between table and contract.
        predicate: for `row`: the condition that every row must meet.
        claim: for `row`: the same condition as statistics may prove it; None where they cannot.
        query: for `sql`: a SELECT over `{object}`, the audited rows; may use the model's inputs and the parameters
            `$window_start` and `$window_end` of the audited partition.
        line: where the contract says so.
    """

    name: str
    kind: CheckKind
    columns: tuple[str, ...] = ()
    predicate: str | None = None
    claim: Claim | None = None
    query: str | None = None
    threshold: Threshold = NONE_ALLOWED
    severity: Severity = "error"
    dimension: Dimension = "conformity"
    description: str = ""
    line: int = 0

    @property
    def blocking(self) -> bool:
        """Whether a failure keeps the data from being published."""
        return self.severity == "error"


def bind_object(query: str, relation: str) -> str:
    """Return an ODCS rule's query over a relation: `{object}`, `${object}`, `{table}` and `${table}` name it."""
    return _OBJECT.sub(lambda _: relation, query)


def compile_checks(contract: Contract) -> tuple[CheckSpec, ...]:
    """Return all checks of a table's contract: schema, key, every column's declared rules, every quality rule."""
    checks = [
        CheckSpec(
            "schema__matches_contract",
            "schema",
            description="Columns and types are those of the contract.",
            line=contract.line,
        )
    ]
    if contract.primary_key:
        checks.append(
            _unique(
                "primary_key__unique",
                contract.primary_key,
                line=contract.column(contract.primary_key[0]).line,
            )
        )
    for column in contract.columns:
        checks.extend(_column_checks(column))
    checks.extend(_rule_check(rule) for rule in contract.quality)
    return tuple(checks)


def _unique(name: str, columns: tuple[str, ...], line: int) -> CheckSpec:
    text = f"No two rows have the same {', '.join(columns)}."
    return CheckSpec(name, "unique", columns, dimension="uniqueness", description=text, line=line)


def _column_checks(column: Column) -> Iterator[CheckSpec]:
    def row(
        rule: str, predicate: exp.Expr, text: str, dimension: Dimension = "conformity", claim: Claim | None = None
    ) -> CheckSpec:
        return CheckSpec(
            f"{column.name}__{rule}", "row", (column.name,), predicate.sql("duckdb"), claim, dimension=dimension,
            description=f"{column.name} {text}", line=column.line,
        )  # fmt: skip

    name = exp.column(column.name, quoted=True)
    limits = column.constraints
    if column.required:
        never_null = Claim(column.name, never_null=True)
        yield row("required", name.is_(exp.null()).not_(), "is never null.", "completeness", never_null)
    if column.unique:
        yield _unique(f"{column.name}__unique", (column.name,), column.line)
    if limits.enum is not None:
        yield row("enum", name.isin(*limits.enum), f"is one of {', '.join(map(str, limits.enum))}.")
    if limits.pattern is not None:
        yield row("pattern", _matches(name, limits.pattern), f"matches {limits.pattern}.")
    if limits.format == "uuid":
        yield row("format", _matches(name, UUID_PATTERN), "is a UUID.")
    if limits.min_length is not None or limits.max_length is not None:
        length = exp.func("length", name)
        low, high = limits.min_length, limits.max_length
        yield row("length", _between(length, low, high), f"has {_range_text(low, high)} characters.")
    if limits.multiple_of is not None:
        remainder = exp.func("mod", name, exp.convert(limits.multiple_of), dialect="duckdb")
        yield row("multiple_of", remainder.eq(0), f"is a multiple of {limits.multiple_of}.")
    bounds: tuple[tuple[Number | None, type[exp.Binary], str, Comparison], ...] = (
        (limits.minimum, exp.GTE, "at least", ">="),
        (limits.exclusive_minimum, exp.GT, "greater than", ">"),
        (limits.maximum, exp.LTE, "at most", "<="),
        (limits.exclusive_maximum, exp.LT, "less than", "<"),
    )
    given = [
        (operator(this=name.copy(), expression=exp.convert(value)), f"{words} {value}", (comparison, value))
        for value, operator, words, comparison in bounds
        if value is not None
    ]
    if given:
        yield row(
            "range",
            exp.and_(*(part for part, _, _ in given)),
            f"is {' and '.join(text for _, text, _ in given)}.",
            "accuracy",
            Claim(column.name, bounds=tuple(bound for _, _, bound in given)),
        )


def _matches(value: exp.Expr, pattern: str) -> exp.Expr:
    return exp.func("regexp_matches", value.copy(), exp.Literal.string(pattern), dialect="duckdb")


def _between(value: exp.Expr, low: Number | None, high: Number | None) -> exp.Expr:
    parts: list[exp.Expr] = []
    if low is not None:
        parts.append(exp.GTE(this=value.copy(), expression=exp.convert(low)))
    if high is not None:
        parts.append(exp.LTE(this=value.copy(), expression=exp.convert(high)))
    return exp.and_(*parts)


def _range_text(low: Number | None, high: Number | None) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def _rule_check(rule: QualityRule) -> CheckSpec:
    arguments = dict(rule.arguments)
    kind: CheckKind = "row"
    predicate: exp.Expr | None = None
    claim: Claim | None = None
    columns: tuple[str, ...] = (rule.column,) if rule.column else ()
    dimension: Dimension = "conformity"
    name = exp.column(rule.column or "", quoted=True)
    match rule.metric:
        case "sql":
            kind, dimension = "sql", "consistency"
        case "rowCount":
            kind, dimension = "row_count", "coverage"
        case "duplicateValues":
            kind, dimension = "unique", "uniqueness"
            columns = tuple(map(str, _list(arguments.get("properties")))) or columns
        case "nullValues":
            predicate, dimension = name.is_(exp.null()).not_(), "completeness"
            claim = Claim(rule.column or "", never_null=True)
        case "missingValues":
            absent = [value for value in _list(arguments.get("missingValues")) if value is not None]
            present = name.copy().is_(exp.null()).not_()
            predicate = exp.and_(present, name.isin(*absent).not_()) if absent else present
            dimension = "completeness"
        case "invalidValues":
            valid = _list(arguments.get("validValues"))
            parts: list[exp.Expr] = [name.isin(*valid)] if valid else []
            if "pattern" in arguments:
                parts.append(_matches(name, str(arguments["pattern"])))
            predicate = exp.and_(*parts)
    return CheckSpec(
        name=rule.name,
        kind=kind,
        columns=columns,
        predicate=predicate.sql("duckdb") if predicate is not None else None,
        claim=claim,
        query=rule.query,
        threshold=Threshold(rule.operator, rule.operand, rule.unit),
        severity=rule.severity,
        dimension=rule.dimension or dimension,
        description=rule.description,
        line=rule.line,
    )  # fmt: skip


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []
