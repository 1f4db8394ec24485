"""Follows one expression of a qualified statement to the columns it is made of.

The way into a value is carried along: of `payload.data.order_id` the path `data.order_id` is still wanted when
`payload` turns out to be a column of a CTE, a struct that was just packed, or a table's column. A function that is
not known to pass its argument on depends on all of it: lineage may be coarser than the truth, never narrower.
"""

from __future__ import annotations

from functools import singledispatchmethod

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from orderlake.curation.lineage import scopes
from orderlake.curation.lineage.tracer import Path, ScopeTracer, brief
from orderlake.curation.lineage.values import ANY, Input, Kind, Ref, through


class Tracer(ScopeTracer):
    """Knows what every kind of expression does with the values it reads."""

    @singledispatchmethod
    def visit(self, node: exp.Expr, path: Path, kind: Kind, scope: Scope) -> None:  # noqa: ARG002 - all of it is read
        """Follow an expression: by default it is computed from all of its parts."""
        parts = list(node.iter_expressions())
        self.all(parts, through(kind, "transformation"), scope)
        if not parts and isinstance(node, exp.Condition):
            self.constants[brief(node)] = None

    @visit.register
    def _column(self, node: exp.Column, path: Path, kind: Kind, scope: Scope) -> None:
        place = scopes.locate(node, scope)
        if place is None:
            self.broken[f"{brief(node)} is a column of nothing that is read"] = None
        elif isinstance(place.source, Scope):
            self.output(place.source, place.name, place.path + path, kind)
        else:
            self._table_column(place.source, place.name.lower(), place.path + path, kind)

    def _table_column(self, source: exp.Expr, name: str, path: Path, kind: Kind) -> None:
        table = scopes.table_of(source)
        relation = self._relations.get(table)
        if relation is None:
            self.broken[f"{brief(source)} is no table with a contract"] = None
        elif name not in relation.columns:
            self.broken[f"{table} has no column {name}"] = None
        else:
            self.inputs[Input(Ref(table, relation.columns[name], path), kind)] = None

    @visit.register(exp.Star)
    @visit.register(exp.TableColumn)
    def _whole_row(self, node: exp.Expr, path: Path, kind: Kind, scope: Scope) -> None:  # noqa: ARG002
        self.broken[f"{brief(node)} stands for a whole row, which is not followed"] = None

    # ------------------------------------------------------------------------------------------ the value itself
    @visit.register(exp.Alias)
    @visit.register(exp.Paren)
    @visit.register(exp.IgnoreNulls)
    @visit.register(exp.RespectNulls)
    def _same(self, node: exp.Expr, path: Path, kind: Kind, scope: Scope) -> None:
        self.visit(node.this, path, kind, scope)

    @visit.register(exp.Cast)
    @visit.register(exp.Coalesce)
    @visit.register(exp.Decode)
    @visit.register(exp.ParseJSON)
    def _passed_on(self, node: exp.Expr, path: Path, kind: Kind, scope: Scope) -> None:
        others = node.expressions if isinstance(node, exp.Coalesce) else []
        self.all([node.this, *others], through(kind, "transformation"), scope, path)

    # ------------------------------------------------------------------------------------------ into and out of it
    @visit.register
    def _field(self, node: exp.Dot, path: Path, kind: Kind, scope: Scope) -> None:
        if isinstance(node.expression, exp.Identifier):
            self.visit(node.this, (scopes.written(node.expression), *path), kind, scope)
        else:
            self.all([node.this, node.expression], through(kind, "transformation"), scope)

    @visit.register(exp.JSONExtract)
    @visit.register(exp.JSONExtractScalar)
    def _json(self, node: exp.JSONExtract, path: Path, kind: Kind, scope: Scope) -> None:
        self.visit(node.this, scopes.json_steps(node.expression) + path, kind, scope)
        if not isinstance(node.expression, exp.JSONPath | exp.Literal):
            self.visit(node.expression, (), through(kind, "conditional"), scope)

    @visit.register(exp.Bracket)
    @visit.register(exp.StructExtract)
    def _element(self, node: exp.Expr, path: Path, kind: Kind, scope: Scope) -> None:
        (index,) = node.expressions[:1] or [node.args.get("expression")]
        if isinstance(index, exp.Slice):
            self.visit(node.this, path, kind, scope)
        elif isinstance(index, exp.Literal):
            self.visit(node.this, (index.name if index.is_string else ANY, *path), kind, scope)
        else:
            self.visit(node.this, (ANY, *path), kind, scope)
            self.all([index], through(kind, "conditional"), scope)

    @visit.register(exp.Explode)
    @visit.register(exp.Unnest)
    def _elements(self, node: exp.Expr, path: Path, kind: Kind, scope: Scope) -> None:
        self.all([node.this] if node.this else node.expressions, kind, scope, (ANY, *path))

    @visit.register
    def _struct(self, node: exp.Struct, path: Path, kind: Kind, scope: Scope) -> None:
        for field in node.expressions:
            named = isinstance(field, exp.PropertyEQ)
            if not (path and named):
                self.visit(field.expression if named else field, (), through(kind, "transformation"), scope)
            elif scopes.written(field.this).lower() == path[0].lower():
                self.visit(field.expression, path[1:], kind, scope)

    @visit.register
    def _list(self, node: exp.Array, path: Path, kind: Kind, scope: Scope) -> None:
        self.all(node.expressions, through(kind, "transformation"), scope, path[1:])

    # ------------------------------------------------------------------------------------------ one value or another
    @visit.register
    def _case(self, node: exp.Case, path: Path, kind: Kind, scope: Scope) -> None:
        self.all([node.this], through(kind, "conditional"), scope)
        values = [*node.args["ifs"], node.args.get("default")]
        self.all(values, through(kind, "transformation"), scope, path)

    @visit.register
    def _if(self, node: exp.If, path: Path, kind: Kind, scope: Scope) -> None:
        self.visit(node.this, (), through(kind, "conditional"), scope)
        self.all([node.args["true"], node.args.get("false")], through(kind, "transformation"), scope, path)

    @visit.register
    def _nullif(self, node: exp.Nullif, path: Path, kind: Kind, scope: Scope) -> None:
        self.visit(node.this, path, through(kind, "transformation"), scope)
        self.visit(node.expression, (), through(kind, "conditional"), scope)

    # ------------------------------------------------------------------------------------------ many rows
    @visit.register
    def _aggregate(self, node: exp.AggFunc, path: Path, kind: Kind, scope: Scope) -> None:
        kind = through(kind, "aggregation")
        if node.find(exp.Column) is None:
            # count(*), sum(1), rank(): nothing of the rows is read but that they are there.
            self.source_rows(scope, through(kind, "rows"))
        elif isinstance(node, exp.ArgMax | exp.ArgMin):
            self.visit(node.this, path, kind, scope)
            self.visit(node.expression, (), through(kind, "conditional"), scope)
        elif isinstance(node, exp.ArrayAgg):
            self.visit(node.this, path[1:], kind, scope)
        elif isinstance(node, exp.AnyValue | exp.First | exp.Last | exp.FirstValue | exp.LastValue):
            self.visit(node.this, path, kind, scope)
        else:
            self.all(node.iter_expressions(), kind, scope)

    @visit.register
    def _filtered(self, node: exp.Filter, path: Path, kind: Kind, scope: Scope) -> None:
        self.visit(node.this, path, kind, scope)
        self.visit(node.expression, (), through(kind, "conditional"), scope)

    @visit.register
    def _within_group(self, node: exp.WithinGroup, path: Path, kind: Kind, scope: Scope) -> None:
        # percentile_cont(0.5) within group (order by x) returns one of the x it sorts.
        if node.this.find(exp.Column):
            self.visit(node.this, path, kind, scope)
        self.all((item.this for item in node.expression.expressions), through(kind, "aggregation"), scope, path)

    @visit.register
    def _ordered(self, node: exp.Order, path: Path, kind: Kind, scope: Scope) -> None:
        self.all([node.this], kind, scope, path)
        self.all(node.expressions, through(kind, "window"), scope)

    @visit.register
    def _window(self, node: exp.Window, path: Path, kind: Kind, scope: Scope) -> None:
        if node.this.find(exp.Column) is None:
            self.rows(scope, through(kind, "rows"))
        else:
            self.visit(node.this, path, through(kind, "transformation"), scope)
        self.all(scopes.window_parts(node, scope), through(kind, "window"), scope)

    # ------------------------------------------------------------------------------------------ queries inside
    @visit.register
    def _subquery(self, node: exp.Query, path: Path, kind: Kind, scope: Scope) -> None:
        inner = scopes.scope_of(node, scope)
        if inner is None:
            self.broken[f"{brief(node)} cannot be followed"] = None
            return
        for position in range(len(node.selects)):
            # More than one where a row is looked for: (a, b) in (select c, d ...).
            self.output(inner, position, path, kind)
        self._decided(inner, kind)

    @visit.register
    def _exists(self, node: exp.Exists, path: Path, kind: Kind, scope: Scope) -> None:  # noqa: ARG002 - a truth value
        inner = scopes.scope_of(node.this, scope)
        if inner is None:
            self.broken[f"{brief(node)} cannot be followed"] = None
            return
        self.rows(inner, through(kind, "rows"))
        self._decided(inner, kind)

    def _decided(self, inner: Scope, kind: Kind) -> None:
        """Add what decides which rows of an inner query there are."""
        apart = Tracer(self._relations)
        apart.conditions(inner)
        self.inputs |= {Input(found.ref, through(kind, found.kind)): None for found in apart.inputs}
        self.broken |= apart.broken
