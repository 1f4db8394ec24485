"""Lineage over all models: every column of every table, followed from model to model into the topics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from sqlglot.errors import SqlglotError

from orderlake.contracts.model import Contract
from orderlake.contracts.naming import raw_table
from orderlake.curation.lineage.origins import RAW_KEY, raw_origins
from orderlake.curation.lineage.scopes import Relation
from orderlake.curation.lineage.statement import Statement
from orderlake.curation.lineage.values import ColumnLineage, Gap, Input, Ref, TableLineage, through
from orderlake.curation.models import Model


class Lineage:
    """The lineage of a lake, worked out table by table when it is asked for.

    What a statement does that cannot be followed becomes a gap of its columns, never an error: a graph with a hole is
    worth more than none.
    """

    def __init__(self, models: Mapping[str, Model], topics: Iterable[Contract]) -> None:
        self._models = models
        self._raw = {raw_table(contract.physical_name): raw_origins(contract) for contract in topics}
        self._statements: dict[str, Statement | str] = {}
        self._columns: dict[Ref, ColumnLineage] = {}

    @property
    def tables(self) -> tuple[str, ...]:
        """All tables: the landed ones, then the models, each after those it reads."""
        return (*self._raw, *self._models)

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the columns of a table: those of its contract."""
        if table in self._raw:
            return tuple(self._raw[table])
        return tuple(column.name for column in self._models[table].contract)

    def table(self, name: str) -> TableLineage:
        """Return where all columns of a table come from.

        Raises:
            KeyError: there is no such table.
        """
        columns = tuple(self.column(Ref(name, column)) for column in self.columns(name))
        statement = self._statement(name) if name in self._models else ""
        return TableLineage(name, columns, statement.conditions() if isinstance(statement, Statement) else ())

    def column(self, ref: Ref) -> ColumnLineage:
        """Return where a column, or what is inside it, comes from.

        Raises:
            KeyError: there is no such table.
        """
        if ref not in self._columns:
            self._columns[ref] = self._landed(ref) if ref.table in self._raw else self._made(ref)
        return self._columns[ref]

    def _landed(self, ref: Ref) -> ColumnLineage:
        origin = self._raw[ref.table].get(ref.column)
        if origin is None:
            gap = Gap(f"{ref.table} has no column {ref.column}", ref.table, broken=True)
            return ColumnLineage(ref, "", (), (), (gap,))
        found = (Input(origin.inside(ref.path), "identity"),)
        return ColumnLineage(ref, "", found, found, ())

    def _made(self, ref: Ref) -> ColumnLineage:
        file = self._models[ref.table].path.name
        statement = self._statement(ref.table)
        if isinstance(statement, str):
            return ColumnLineage(ref, "", (), (), (Gap(statement, f"{file}:1", broken=True),))
        where = f"{file}:{statement.line(ref.column)}"
        reads = statement.reads(ref.column, ref.path)
        gaps = [Gap(reason, where, broken=True) for reason in reads.broken]
        if not reads.inputs and not gaps:
            gaps.append(Gap(f"made of no column, only of {reads.constant}", where, broken=False))
        origins: dict[Input, None] = {}
        for found in reads.inputs:
            further = self.column(found.ref)
            origins |= {Input(origin.ref, through(found.kind, origin.kind)): None for origin in further.origins}
            gaps += further.gaps
        return ColumnLineage(
            ref, statement.expression(ref.column), reads.inputs, tuple(origins), tuple(dict.fromkeys(gaps))
        )

    def _statement(self, name: str) -> Statement | str:
        """Return the statement of a model, or why it cannot be read."""
        if name not in self._statements:
            try:
                self._statements[name] = Statement(self._models[name].sql, self._relations)
            except SqlglotError as error:
                self._statements[name] = f"the statement cannot be followed: {str(error).splitlines()[0]}"
        return self._statements[name]

    @cached_property
    def _relations(self) -> dict[str, Relation]:
        keys = {name: model.contract.primary_key for name, model in self._models.items()}
        return {
            name: Relation({column.lower(): column for column in self.columns(name)}, keys.get(name, RAW_KEY))
            for name in self.tables
        }
