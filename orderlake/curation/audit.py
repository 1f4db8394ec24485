"""Evaluates a contract's checks over rows, day by day: one scan answers every rule of a row and of a key.

The rows are a relation of a DuckDB session: staged files before they are published, or a table's pin. A check whose
query fails is an error of the machinery and raises; it never counts as a failed check.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orderlake.contracts.checks import CheckSpec, bind_object
from orderlake.contracts.model import Contract
from orderlake.curation.window import Window
from orderlake.errors import ModelError, QueryError
from orderlake.lake.duck import DuckSession, quoted

_SAMPLES = 5
#: The rows of one day, for rules that are queries.
_OF_DAY = "audited_day"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check measured on one day.

    Attributes:
        value: the measured number; what it must be is the check's threshold.
        rows: rows of the day.
        samples: keys of up to five rows that break the check.
    """

    check: CheckSpec
    day: dt.date
    passed: bool
    value: float
    rows: int
    samples: Sequence[str] = field(default_factory=tuple)


class Audit:
    """The checks of one table over one relation.

    Args:
        session: holds the relation, and the tables that rules of type sql read.
        contract: of the table.
        relation: the rows.
        schema_differences: how the table differs from its contract; the check of the schema measures their number.
    """

    def __init__(
        self, session: DuckSession, contract: Contract, relation: str, schema_differences: Sequence[str]
    ) -> None:
        assert contract.partition_column is not None  # noqa: S101 - every audited table is partitioned
        self._session = session
        self._contract = contract
        self._relation = quoted(relation)
        self._schema_differences = schema_differences
        self._day = f"cast({quoted(contract.partition_column)} as date)"

    def evaluate(self, checks: Sequence[CheckSpec], days: Iterable[dt.date]) -> list[Finding]:
        """Return a finding for every check and every day; a day may have no rows.

        Raises:
            ModelError: a rule's query cannot be run, or does not return one number.
        """
        measured = self._scan(checks)
        findings = []
        for day in sorted(days):
            rows, values = measured.get(day, (0, {}))
            for check in checks:
                value = self._value(check, day, rows, values)
                passed = check.threshold.accepts(value, rows)
                samples = () if passed else self._samples(check, day)
                findings.append(Finding(check, day, passed, value, rows, samples))
        return findings

    def _value(self, check: CheckSpec, day: dt.date, rows: int, values: Mapping[str, float]) -> float:
        match check.kind:
            case "schema":
                return len(self._schema_differences)
            case "row_count":
                return rows
            case "sql":
                return self._query(check, day)
        return values.get(check.name, 0)

    def _scan(self, checks: Sequence[CheckSpec]) -> Mapping[dt.date, tuple[int, dict[str, float]]]:
        """Return rows and measured values by day, from one pass over the relation."""
        scanned = [check for check in checks if check.kind in {"row", "unique"}]
        measures = [f"{self._day} as day", "count(*) as rows"]
        measures += [f"{_measure(check)} as {quoted(check.name)}" for check in scanned]
        statement = f"select {', '.join(measures)} from {self._relation} group by 1"
        return {
            row[0]: (row[1], {check.name: float(value) for check, value in zip(scanned, row[2:], strict=True)})
            for row in self._session.execute(statement).fetchall()
        }

    def _query(self, check: CheckSpec, day: dt.date) -> float:
        self._session.execute(f"create or replace temp view {_OF_DAY} as {self._rows_of(day)}")
        statement = bind_object(check.query or "", _OF_DAY)
        used = {name: value for name, value in Window(day, day).parameters.items() if f"${name}" in statement}
        rule = f"the rule {check.name} of {self._contract.physical_name} ({self._contract.path}:{check.line})"
        try:
            rows = self._session.execute(statement, used).fetchall()
        except QueryError as error:
            raise ModelError(f"{rule} cannot be run: {error.fact}", remedy="correct the rule's query.") from error
        if len(rows) != 1 or len(rows[0]) != 1 or rows[0][0] is None:
            raise ModelError(
                f"{rule} does not return one number.",
                remedy="let its query return one row with one column that is not null.",
            )
        return float(rows[0][0])

    def _rows_of(self, day: dt.date) -> str:
        return f"from {self._relation} where {self._day} = date '{day}'"

    def _samples(self, check: CheckSpec, day: dt.date) -> tuple[str, ...]:
        """Return the keys of a few rows that break a check; none where it is about the day as a whole."""
        match check.kind:
            case "schema":
                return tuple(self._schema_differences[:_SAMPLES])
            case "row":
                key = self._contract.primary_key or (self._contract.columns[0].name,)
                statement = f"select {_columns(key)} {self._rows_of(day)} and ({check.predicate}) is false order by all"
            case "unique":
                having = "group by all having count(*) > 1 order by all"
                statement = f"select {_columns(check.columns)} {self._rows_of(day)} {having}"
            case _:
                return ()
        rows = self._session.execute(f"{statement} limit {_SAMPLES}").fetchall()
        return tuple(", ".join(map(str, row)) for row in rows)


def _columns(names: Sequence[str]) -> str:
    return ", ".join(quoted(name) for name in names)


def _measure(check: CheckSpec) -> str:
    if check.kind == "row":
        return f"count(*) filter (where ({check.predicate}) is false)"
    columns = _columns(check.columns)
    return f"count(*) - count(distinct {columns if len(check.columns) == 1 else f'({columns})'})"
