"""Questions to one SELECT of a statement whose names sqlglot has qualified: sources, projections, groups.

A scope is sqlglot's view of one SELECT, set operation or table function; nothing is followed from scope to scope here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from orderlake.curation.lineage.values import ANY

#: Meta key under which an identifier keeps the case it was written in; qualifying lowers it.
WRITTEN = "written"


@dataclass(frozen=True, slots=True)
class Relation:
    """A table that a statement may read.

    Attributes:
        columns: by their name in lower case, as DuckDB compares names.
        key: the columns that identify a row.
    """

    columns: Mapping[str, str]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column reference leads: a source of a scope, a column of it, and the way into that column."""

    source: exp.Expr | Scope
    name: str
    path: tuple[str, ...]


def written(identifier: exp.Expr) -> str:
    """Return a name in the case its author gave it: fields of JSON, unlike columns, have one."""
    return str(identifier.meta.get(WRITTEN, identifier.name))


def table_of(source: exp.Expr) -> str:
    """Return the `namespace.table` of a table in a FROM."""
    return f"{source.text('db')}.{source.name}"


def locate(column: exp.Column, scope: Scope) -> Place | None:
    """Return where a column leads, looking into the enclosing scopes too; None if no source has that name.

    What sqlglot takes for database, table and column may be table, column and fields: `t.payload.data.id`.
    """
    parts = column.parts
    looked_in: Scope | None = scope
    while looked_in is not None:
        for number, part in enumerate(parts[:-1]):
            source = looked_in.sources.get(part.name)
            if source is not None and _named(source, parts[:number]):
                return Place(source, parts[number + 1].name, tuple(map(written, parts[number + 2 :])))
        looked_in = looked_in.parent
    if len(parts) > 1:
        return None
    # Left without a table by sqlglot: a name of this scope's own projection, or of its one source.
    if projection(scope, column.name) is not None:
        return Place(scope, column.name, ())
    sources = [source for _, source in scope.selected_sources.values()]
    return Place(sources[0], column.name, ()) if len(sources) == 1 else None


def _named(source: exp.Expr | Scope, parts: Sequence[exp.Expr]) -> bool:
    """Whether the parts before a source's name are the database it is in."""
    return not parts or (isinstance(source, exp.Table) and [p.name for p in parts] == [source.db])


def projection(scope: Scope, key: str | int) -> exp.Expr | None:
    """Return the expression of an output column, by name or position."""
    selects = scope.expression.selects if isinstance(scope.expression, exp.Query) else []
    if isinstance(key, int):
        return selects[key] if key < len(selects) else None
    return next((select for select in selects if select.alias_or_name == key), None)


def scope_of(query: exp.Expr, scope: Scope) -> Scope | None:
    """Return the scope of a query that stands inside an expression."""
    query = query.unnest() if isinstance(query, exp.Subquery) else query
    return next((inner for inner in scope.subquery_scopes if inner.expression.unnest() is query), None)


def branches(scope: Scope) -> list[Scope]:
    """Return the scopes whose rows a set operation returns; of EXCEPT only the first."""
    count = 1 if isinstance(scope.expression, exp.Except) else None
    return list(scope.set_operation_scopes)[:count]


def sources(scope: Scope) -> Iterator[exp.Expr | Scope]:
    """Yield the tables and scopes that a SELECT reads, each once."""
    yield from dict.fromkeys(source for _, source in scope.selected_sources.values())


def is_aggregate(expression: exp.Expr) -> bool:
    """Return whether an expression aggregates the rows of its own SELECT: not in a window, not in a subquery."""
    return any(
        isinstance(node, exp.AggFunc) and not isinstance(node.parent, exp.Window)
        for node in expression.walk(prune=lambda node: isinstance(node, exp.Window | exp.Query))
    )


def group_keys(select: exp.Select) -> list[exp.Expr] | None:
    """Return what a SELECT groups by; nothing if it makes one row of all; None if it does not group."""
    group = select.args.get("group")
    if group is None:
        return [] if any(map(is_aggregate, select.selects)) else None
    if group.args.get("all"):
        return [item for item in select.selects if not is_aggregate(item)]
    sets = [part for name in ("grouping_sets", "cube", "rollup") for part in group.args.get(name) or []]
    return [*group.expressions, *sets]


def distinct_keys(select: exp.Select) -> list[exp.Expr]:
    """Return what a SELECT DISTINCT compares rows by; nothing if it is not distinct."""
    distinct = select.args.get("distinct")
    if distinct is None:
        return []
    return [distinct.args["on"]] if distinct.args.get("on") else list(select.selects)


def window_parts(window: exp.Window, scope: Scope) -> Iterator[exp.Expr]:
    """Yield what a window partitions and orders by, its own and that of the named window it builds on."""
    name = window.text("alias")
    yield from window.args.get("partition_by") or []
    if order := window.args.get("order"):
        yield order
    for named in scope.expression.args.get("windows") or [] if name else []:
        if named.name == name and named is not window:
            yield from window_parts(named, scope)


def json_steps(path: exp.Expr | None) -> tuple[str, ...]:
    """Return the steps of a JSON path; what selects several or by position is any element."""
    if not isinstance(path, exp.JSONPath):
        return (ANY,)
    steps = [part for part in path.expressions if not isinstance(part, exp.JSONPathRoot)]
    return tuple(
        part.this if isinstance(part, exp.JSONPathKey) and isinstance(part.this, str) else ANY for part in steps
    )
