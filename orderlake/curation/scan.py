"""The one statement that answers rules by reading rows: counts, duplicates and samples of every rule and day.

The rows are read once, and of them only days, keys and whether each rule is broken are kept. Samples are the smallest
keys, five at most for a rule and day, so memory is bounded and every run shows the same ones.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyiceberg.schema import Schema

from orderlake.contracts.checks import CheckSpec
from orderlake.contracts.iceberg import iceberg_schema
from orderlake.contracts.model import Column, Contract
from orderlake.contracts.types import Decimal, Scalar
from orderlake.lake.duck import DuckSession, quoted

SAMPLES = 5
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Scanned:
    """What the scan found on one day.

    Attributes:
        values: rows that break each check, by its name.
        samples: the keys of a few of them.
    """

    rows: int
    values: Mapping[str, int]
    samples: Mapping[str, tuple[str, ...]]


def conformed(relation: str, contract: Contract, schema: Schema) -> str:
    """Return a relation with the contract's columns, in SQL, whatever columns its rows have.

    So a table that has drifted from its contract fails the check of the schema, and the rules that the drift breaks,
    but not the statement: a column that is missing is null (as Iceberg reads a column added later), and one of another
    type is cast, to null where a value cannot be.
    """
    have = {field.name: field.field_type for field in schema.fields}
    want = {field.name: field.field_type for field in iceberg_schema(contract.columns).fields}
    columns = {column.name: _conformed(column, present=column.name in have) for column in contract.columns}
    drifted = [name for name, kind in want.items() if name not in have or str(have[name]) != str(kind)]
    drifted = [name for name in drifted if name != contract.partition_column]
    if not drifted:
        return quoted(relation)
    listed = [f"{columns[name]} as {quoted(name)}" if name in drifted else quoted(name) for name in want]
    return f"(select {', '.join(listed)} from {quoted(relation)})"


def _conformed(column: Column, *, present: bool) -> str:
    if not isinstance(column.type, Scalar | Decimal):
        return quoted(column.name) if present else "null"
    # Through text, since that casts between any two types, and fails by value.
    return f"try_cast({f'cast({quoted(column.name)} as varchar)' if present else 'null'} as {column.type})"


def rows_between(source: str, column: str, first: dt.date, last: dt.date) -> str:
    """Return the rows of a range of days; said of the column itself, so that files and row groups are passed over."""
    return f"from {source} where {quoted(column)} >= date '{first}' and {quoted(column)} < date '{last + _DAY}'"


def scan(
    session: DuckSession, contract: Contract, source: str, checks: Sequence[CheckSpec], days: Sequence[dt.date]
) -> dict[dt.date, Scanned]:
    """Answer rules of the kinds row and unique for every day between the first and the last of some days.

    Args:
        session: holds the rows.
        contract: of the table.
        source: the rows, in SQL; with the contract's columns.
        checks: what to answer; none leaves the number of rows.
        days: sorted.

    Returns:
        what was found, by day; days without rows are left out.
    """
    statement = scan_statement(contract, source, checks, days[0], days[-1])
    found = {}
    for day, rows, *answers in session.execute(statement).fetchall():
        values = {check.name: int(value or 0) for check, value in zip(checks, answers[::2], strict=True)}
        samples = {check.name: _texts(keys) for check, keys in zip(checks, answers[1::2], strict=True)}
        found[day] = Scanned(rows, values, samples)
    return found


def scan_statement(contract: Contract, source: str, checks: Sequence[CheckSpec], first: dt.date, last: dt.date) -> str:
    """Return the statement: a row per day with its number of rows, then value and samples of every check."""
    assert contract.partition_column is not None  # noqa: S101 - every audited table is partitioned
    day = f"cast({quoted(contract.partition_column)} as date)"
    key = contract.primary_key or (contract.columns[0].name,)
    kept = list(dict.fromkeys([*key, *(name for check in checks if check.kind == "unique" for name in check.columns)]))
    # Columns get names of our own (d, k0, b0), which no contract can collide with.
    alias = {name: f"k{position}" for position, name in enumerate(kept)}
    read = [f"{day} as d", *(f"{quoted(name)} as {alias[name]}" for name in kept)]
    answers = ["count(*) as n"]
    parts = []
    columns = ["r.d", "r.n"]
    for position, check in enumerate(checks):
        value, samples = f"v{position}", f"s{position}"
        if check.kind == "row":
            read.append(f"({check.predicate}) is false as b{position}")
            broken = f"filter (where b{position})"
            answers.append(
                f"count(*) {broken} as {value}, {_smallest([alias[name] for name in key])} {broken} as {samples}"
            )
        else:
            parts.append(_repeated(f"u{position}", [alias[name] for name in check.columns], value, samples))
        columns += [value, samples]
    joins = "".join(f" left join {part.split(' ')[0]} using (d)" for part in parts)
    # Kept once (it may spill to disk), or every rule of uniqueness would read the files again.
    keep = "materialized" if parts else "not materialized"
    within = rows_between(source, contract.partition_column, first, last)
    rows = f"a as {keep} (select {', '.join(read)} {within})"
    parts = [rows, f"r as (select d, {', '.join(answers)} from a group by d)", *parts]
    return f"with {', '.join(parts)} select {', '.join(columns)} from r{joins}"


def _repeated(name: str, columns: Sequence[str], value: str, samples: str) -> str:
    listed = ", ".join(columns)
    given = " and ".join(f"{column} is not null" for column in columns)
    groups = f"select d, {listed}, count(*) as n from a where {given} group by d, {listed} having count(*) > 1"
    return f"{name} as (select d, sum(n - 1) as {value}, {_smallest(columns)} as {samples} from ({groups}) group by d)"


def _smallest(columns: Sequence[str]) -> str:
    return f"min(row({', '.join(columns)}), {SAMPLES})"


def _texts(keys: Sequence[Sequence[Any]] | None) -> tuple[str, ...]:
    return tuple(", ".join("null" if part is None else str(part) for part in key) for key in keys or ())
