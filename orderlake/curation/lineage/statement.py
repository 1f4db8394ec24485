"""One model's statement: what its columns read, one step away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope
from sqlglot.schema import MappingSchema

from orderlake.curation.lineage.expressions import Tracer
from orderlake.curation.lineage.scopes import WRITTEN, Relation, projection
from orderlake.curation.lineage.tracer import brief
from orderlake.curation.lineage.values import Input

#: What a walk over a tree of unexpected shape raises, in sqlglot or here. Lineage is worked out while Dagster's
#: definitions load, and a model that cannot be followed must not keep them from loading.
_UNEXPECTED = (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Reads:
    """What one column reads.

    Attributes:
        broken: what cannot be found or followed.
        constant: what the column is made of besides columns, if there is none.
    """

    inputs: tuple[Input, ...]
    broken: tuple[str, ...] = ()
    constant: str = ""


class Statement:
    """A SELECT whose names are resolved against the tables it may read.

    Raises:
        SqlglotError: a name cannot be resolved, or sqlglot cannot cope with the statement.
    """

    def __init__(self, sql: str, relations: Mapping[str, Relation]) -> None:
        self._relations = relations
        parsed = sqlglot.parse_one(sql, dialect="duckdb")
        if not isinstance(parsed, exp.Query):
            raise SqlglotError(f"{brief(parsed)} is not a SELECT")
        for identifier in parsed.find_all(exp.Identifier):
            identifier.meta[WRITTEN] = identifier.name
        self._as_written = {select.alias_or_name.lower(): select for select in parsed.selects}
        try:
            self._scope = _scope(parsed.copy(), relations)
        except _UNEXPECTED as error:
            raise SqlglotError(f"{type(error).__name__}: {error}") from error

    def reads(self, column: str, path: tuple[str, ...] = ()) -> Reads:
        """Return what an output column, or a part of it, reads."""
        if projection(self._scope, column.lower()) is None:
            return Reads((), (f"the statement returns no column {column}",))
        tracer = Tracer(self._relations)
        try:
            tracer.output(self._scope, column.lower(), path)
        except _UNEXPECTED as error:
            tracer.broken[f"it cannot be followed: {type(error).__name__}: {error}"] = None
        constant = "" if tracer.inputs else ", ".join(tracer.constants)
        if not (tracer.inputs or tracer.broken or constant):
            tracer.broken["nothing in the expression can be followed"] = None
        return Reads(tuple(tracer.inputs), tuple(tracer.broken), constant)

    def conditions(self) -> tuple[Input, ...]:
        """Return what decides which rows there are."""
        tracer = Tracer(self._relations)
        with suppress(*_UNEXPECTED):
            tracer.conditions(self._scope)
        return tuple(tracer.inputs)

    def expression(self, column: str) -> str:
        """Return the SQL of an output column."""
        select = self._as_written.get(column.lower()) or projection(self._scope, column.lower())
        return select.unalias().sql("duckdb", comments=False) if select is not None else ""

    def line(self, column: str) -> int:
        """Return the line on which an output column stands, from 1."""
        select = self._as_written.get(column.lower())
        lines = [i.meta["line"] for i in select.find_all(exp.Identifier) if "line" in i.meta] if select else []
        return min(lines, default=1)


def _scope(parsed: exp.Expr, relations: Mapping[str, Relation]) -> Scope:
    schema: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for name, relation in relations.items():
        namespace, table = name.split(".")
        schema[namespace][table] = dict.fromkeys(relation.columns, "unknown")
    qualified = qualify(
        parsed,
        dialect="duckdb",
        schema=MappingSchema(dict(schema), dialect="duckdb"),
        validate_qualify_columns=False,
        identify=False,
        quote_identifiers=False,
    )
    scope = build_scope(qualified)
    if scope is None:
        raise SqlglotError(f"{brief(parsed)} is not a SELECT")
    # Inside a recursive CTE sqlglot gives its name a second scope that knows no sources: take the first.
    known = {id(found.expression): found for found in scope.traverse()}
    for found in known.values():
        for name, source in found.sources.items():
            if isinstance(source, Scope):
                found.sources[name] = known.get(id(source.expression), source)
    return scope
