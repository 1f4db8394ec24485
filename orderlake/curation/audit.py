"""Evaluates a contract's checks over rows, day by day; each is answered by the cheapest that can.

1. The catalog answers the check of the schema.
2. Statistics of the data files prove rules and count rows (`evidence`): nothing is read.
3. One scan answers every rule that is left of every day, with counts, duplicates and samples (`scan`).
4. Rules of type sql are queries, one per day.

The rows are a relation of a DuckDB session: staged files before they are published, or a table's pin. A check whose
query fails is an error of the machinery and raises; it never counts as a failed check.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from orderlake.contracts.checks import CheckSpec, bind_object
from orderlake.contracts.model import Contract
from orderlake.curation.evidence import Evidence
from orderlake.curation.scan import SAMPLES, Scanned, conformed, rows_between, scan
from orderlake.curation.window import Window
from orderlake.errors import ModelError, QueryError
from orderlake.lake.duck import DuckSession

#: Who answered a check, cheapest first.
Tier = Literal["catalog", "statistics", "scan", "query"]

#: The rows of one day, for rules that are queries.
_OF_DAY = "audited_day"
_NOTHING = Scanned(0, {}, {})


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check measured on one day.

    Attributes:
        value: the measured number; what it must be is the check's threshold.
        rows: rows of the day.
        answered_by: how it was measured.
        contract_line: `file:line` of the contract that asks for it.
        samples: keys of up to five rows that break the check.
    """

    check: CheckSpec
    day: dt.date
    passed: bool
    value: float
    rows: int
    answered_by: Tier
    contract_line: str
    samples: Sequence[str] = ()


class Audit:
    """The checks of one table over one relation.

    Args:
        session: holds the tables that rules of type sql read.
        contract: of the table.
        relation: makes the rows readable in the session and returns their name; called once, and only if rows must be
            read.
        evidence: what is known of the rows without reading them.
        relation_of: does the same for no more than the rows of one day, if that can be read faster: rules of type sql
            are run day by day, and each would have to look into the files of all days.
    """

    def __init__(
        self,
        session: DuckSession,
        contract: Contract,
        relation: Callable[[], str],
        evidence: Evidence,
        relation_of: Callable[[dt.date], str] | None = None,
    ) -> None:
        assert contract.partition_column is not None  # noqa: S101 - every audited table is partitioned
        self._session = session
        self._contract = contract
        self._relation = relation
        self._evidence = evidence
        self._relation_of = relation_of
        self._partition_column = contract.partition_column

    def evaluate(self, checks: Sequence[CheckSpec], days: Iterable[dt.date]) -> list[Finding]:
        """Return a finding for every check and every day; a day may have no rows.

        Raises:
            ModelError: a rule's query cannot be run, or does not return one number.
        """
        ordered = sorted(days)
        unproven = {
            day: {c.name for c in checks if c.kind in {"row", "unique"} and not self._evidence.proves(c, day)}
            for day in ordered
        }
        scanned = self._scan(checks, unproven)
        return [
            finding
            for day in ordered
            for finding in self._of_day(day, checks, scanned.get(day, _NOTHING), unproven[day])
        ]

    def _of_day(
        self, day: dt.date, checks: Sequence[CheckSpec], scanned: Scanned, unproven: Collection[str]
    ) -> Iterator[Finding]:
        counted = self._evidence.rows(day)
        rows = scanned.rows if counted is None else counted
        queried = self._queried([check for check in checks if check.kind == "sql"], day)
        for check in checks:
            answer: tuple[float, Tier, Sequence[str]]
            match check.kind:
                case "schema":
                    differences = self._evidence.differences
                    answer = len(differences), "catalog", differences[:SAMPLES]
                case "row_count":
                    answer = rows, "scan" if counted is None else "statistics", ()
                case "sql":
                    answer = queried[check.name], "query", ()
                case _ if check.name in unproven:
                    answer = scanned.values.get(check.name, 0), "scan", scanned.samples.get(check.name, ())
                case _:
                    answer = 0, "statistics", ()
            value, tier, samples = answer
            passed = check.threshold.accepts(value, rows)
            line = self._contract.place(check.line)
            yield Finding(check, day, passed, value, rows, tier, line, () if passed else tuple(samples))

    @cached_property
    def _source(self) -> str:
        return conformed(self._relation(), self._contract, self._evidence.schema)

    def _scan(
        self, checks: Sequence[CheckSpec], unproven: Mapping[dt.date, Collection[str]]
    ) -> Mapping[dt.date, Scanned]:
        """Answer what statistics leave open, and count rows where they do not."""
        days = [day for day, names in unproven.items() if names or self._evidence.rows(day) is None]
        if not days:
            return {}
        names = set().union(*unproven.values())
        wanted = [check for check in checks if check.name in names]
        return scan(self._session, self._contract, self._source, wanted, days)

    def _queried(self, checks: Sequence[CheckSpec], day: dt.date) -> dict[str, float]:
        """Run the rules of type sql over one day."""
        if checks:
            source = self._relation_of and conformed(self._relation_of(day), self._contract, self._evidence.schema)
            rows = rows_between(source or self._source, self._partition_column, day, day)
            self._session.execute(f"create or replace temp view {_OF_DAY} as {rows}")
        return {check.name: self._query(check, day) for check in checks}

    def _query(self, check: CheckSpec, day: dt.date) -> float:
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
