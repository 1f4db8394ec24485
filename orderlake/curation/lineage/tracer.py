"""Follows a statement from SELECT to SELECT: through CTEs, subqueries, set operations and table functions.

Three questions have an answer here: what an output column reads, what identifies the rows of a SELECT (for
`count(*)`), and what decides which rows there are. `expressions` follows what stands inside one SELECT.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from orderlake.curation.lineage import scopes
from orderlake.curation.lineage.scopes import Relation
from orderlake.curation.lineage.values import ANY, Input, Kind, Ref, through

Path: TypeAlias = tuple[str, ...]

#: Kinds that already speak of rows: what identifies the rows adds nothing to them.
_OF_ROWS = frozenset({"filter", "join", "group_by", "sort"})
_BRIEF = 80


class ScopeTracer(ABC):
    """Gathers what one expression, or the rows of one statement, depend on.

    Attributes:
        inputs: columns of tables, in the order they were met.
        broken: what cannot be followed, in words.
        constants: parts that are made of no column.
    """

    def __init__(self, relations: Mapping[str, Relation]) -> None:
        self._relations = relations
        self._seen: set[tuple[object, ...]] = set()
        self.inputs: dict[Input, None] = {}
        self.broken: dict[str, None] = {}
        self.constants: dict[str, None] = {}

    @abstractmethod
    def visit(self, node: exp.Expr, path: Path, kind: Kind, scope: Scope) -> None:
        """Follow an expression.

        Args:
            node: the expression.
            path: the part of its value that is wanted.
            kind: how the result depends on it.
            scope: the SELECT it stands in.
        """

    def all(self, nodes: Iterable[exp.Expr | None], kind: Kind, scope: Scope, path: Path = ()) -> None:
        """Follow several expressions; those that are absent are none."""
        for node in nodes:
            if node is not None:
                self.visit(node, path, kind, scope)

    def output(self, scope: Scope, key: str | int, path: Path = (), kind: Kind = "identity") -> None:
        """Follow an output column of a scope, by name or position."""
        if self._again("output", id(scope), key, path, kind):
            return
        query = scope.expression
        if isinstance(query, exp.SetOperation):
            by_name = bool(query.args.get("by_name"))
            if isinstance(key, str) and not by_name and key in query.named_selects:
                key = query.named_selects.index(key)
            for branch in scopes.branches(scope):
                if not by_name or scopes.projection(branch, key) is not None:
                    self.output(branch, key, path, kind)
        elif isinstance(query, exp.UDTF):
            self._table_function(scope, query, str(key), path, kind)
        elif isinstance(query, exp.Subquery):
            for inner in scope.subquery_scopes:
                self.output(inner, key, path, kind)
        elif (found := scopes.projection(scope, key)) is not None:
            self.visit(found, path, kind, scope)
        else:
            self.broken[f"{brief(query)} has no column {key} that can be followed"] = None

    def _table_function(self, scope: Scope, function: exp.UDTF, name: str, path: Path, kind: Kind) -> None:
        names = function.alias_column_names
        position = names.index(name) if name in names else None
        match function:
            case exp.Unnest() if names and position is None:
                # The position of the element, `with ordinality`: the list is counted, not read.
                self.all(function.expressions, through(kind, "rows"), scope)
            case exp.Unnest() if (position or 0) < len(function.expressions):
                self.visit(function.expressions[position or 0], (ANY, *path), kind, scope)
            case exp.Values() if position is not None:
                self.all((row.expressions[position] for row in function.expressions), kind, scope)
            case exp.Lateral() if isinstance(function.this, exp.Subquery) and scope.subquery_scopes:
                self.output(scope.subquery_scopes[0], name if position is None else position, path, kind)
            case _:
                self.broken[f"the columns of {brief(function)} are not known"] = None

    def rows(self, scope: Scope, kind: Kind) -> None:
        """Follow what identifies the rows of a scope."""
        if kind in _OF_ROWS or self._again("rows", id(scope), kind):
            return
        query = scope.expression
        if isinstance(query, exp.Select):
            keys = scopes.distinct_keys(query) or scopes.group_keys(query)
            if keys is not None:
                self.all(keys, kind, scope)
            else:
                self.source_rows(scope, kind)
        elif isinstance(query, exp.UDTF):
            self.all(query.expressions, kind, scope)
        for inner in scopes.branches(scope) or (scope.subquery_scopes if not isinstance(query, exp.Select) else ()):
            self.rows(inner, kind)

    def source_rows(self, scope: Scope, kind: Kind) -> None:
        """Follow what identifies the rows that a SELECT reads, before it groups them."""
        if kind in _OF_ROWS:
            return
        for source in scopes.sources(scope):
            if isinstance(source, Scope):
                self.rows(source, kind)
            elif relation := self._relations.get(scopes.table_of(source)):
                self.inputs |= {Input(Ref(scopes.table_of(source), name), kind): None for name in relation.key}
            else:
                self.broken[f"{brief(source)} is no table with a contract"] = None

    def conditions(self, scope: Scope) -> None:
        """Follow what decides over the rows of a scope: filters, joins, groups, the order where it cuts."""
        if self._again("conditions", id(scope)):
            return
        query = scope.expression
        if query.args.get("limit") or query.args.get("offset"):
            self.all([query.args.get("order")], "sort", scope)
        if isinstance(query, exp.Select):
            for clause in ("where", "having", "qualify"):
                self.all([query.args.get(clause)], "filter", scope)
            self.all((join.args.get("on") for join in query.args.get("joins") or []), "join", scope)
            self.all([*(scopes.group_keys(query) or []), *scopes.distinct_keys(query)], "group_by", scope)
            # A list that is unnested multiplies rows, as a join does.
            self.all((item.this for select in query.selects for item in select.find_all(exp.Explode)), "join", scope)
            for source in scopes.sources(scope):
                if isinstance(source, Scope):
                    self.conditions(source)
            return
        if isinstance(query, exp.Unnest):
            self.all(query.expressions, "join", scope)
        for inner in (*scope.set_operation_scopes, *scope.subquery_scopes):
            self.conditions(inner)
        if isinstance(query, exp.SetOperation):
            self._compared(scope, query)

    def _compared(self, scope: Scope, query: exp.SetOperation) -> None:
        """Follow the columns by which a set operation compares whole rows."""
        for position in range(len(query.selects)):
            if query.args.get("distinct"):
                self.output(scope, position, (), "group_by")
            if isinstance(query, exp.Except):
                self.output(scope.set_operation_scopes[1], position, (), "filter")

    def _again(self, *question: object) -> bool:
        """Whether a question has been asked before: its answer is gathered already, or is being (a recursive CTE)."""
        again = question in self._seen
        self._seen.add(question)
        return again


def brief(node: exp.Expr) -> str:
    """Return an expression's SQL, cut where it is long."""
    text = node.sql("duckdb", comments=False)
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 3]}..."
