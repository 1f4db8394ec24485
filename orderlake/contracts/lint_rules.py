"""Judges the quality rules of a contract: metrics and arguments that are known, queries that can be run.

Of a query's columns only those are judged that can belong to nothing but the contract's own table: a rule that is
refused although it would run is worse than one that fails at its first audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from orderlake.contracts import naming
from orderlake.contracts.checks import bind_object
from orderlake.contracts.model import Contract, QualityRule
from orderlake.contracts.problems import Findings

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

_ARGUMENTS = {
    "nullValues": frozenset[str](),
    "missingValues": frozenset({"missingValues"}),
    "invalidValues": frozenset({"validValues", "pattern"}),
    "duplicateValues": frozenset({"properties"}),
    "rowCount": frozenset[str](),
    "sql": frozenset[str](),
}
#: What stands for `{object}` where a query is parsed.
_OBJECT = "audited"
#: Names that DuckDB answers although no table has them.
_ALWAYS_THERE = frozenset(
    {"rowid", "user", "current_user", "session_user", "current_role", "current_catalog", "localtime", "localtimestamp"}
)


def lint_rule(rule: QualityRule, contract: Contract, findings: Findings) -> None:
    """Add to `findings` what is wrong with a quality rule."""

    def error(message: str) -> None:
        findings.error(("schema", 0, "quality", rule.name), message, line=rule.line)

    if not naming.CHECK.fullmatch(rule.name):
        error("a rule's name begins with a letter and has letters, digits and underscores")
    if rule.metric not in _ARGUMENTS:
        error(f"the metric {rule.metric!r} is unknown; allowed: {', '.join(_ARGUMENTS)}")
        return
    arguments = dict(rule.arguments)
    for argument in arguments.keys() - _ARGUMENTS[rule.metric]:
        allowed = ", ".join(sorted(_ARGUMENTS[rule.metric])) or "none"
        error(f"the argument {argument!r} is not known to {rule.metric}; allowed: {allowed}")
    if rule.metric in {"nullValues", "missingValues", "invalidValues"} and rule.column is None:
        error(f"{rule.metric} is a rule of a property; declare it there")
    if rule.metric == "invalidValues" and not arguments:
        error("invalidValues needs the argument validValues or pattern")
    properties = arguments.get("properties", [])
    known = {column.name for column in contract.columns}
    for name in properties if isinstance(properties, list) else []:
        if name not in known:
            error(f"{name!r} is not a property of the contract")
    if rule.query is not None:
        _lint_query(rule.query, contract, error)


def _lint_query(query: str, contract: Contract, error: Callable[[str], None]) -> None:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import ParseError

    try:
        statements = sqlglot.parse(bind_object(query, _OBJECT), dialect="duckdb")
    except ParseError as refusal:
        error(f"the query is not SQL: {str(refusal).splitlines()[0]}")
        return
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        error("the query must be one SELECT that returns one number")
        return
    columns = [column.name for column in contract.columns]
    for name in dict.fromkeys(unknown_columns(statements[0], contract.physical_name, columns)):
        error(f"the query reads {name!r}, which is no column of the table; its columns: {', '.join(columns)}")


def unknown_columns(query: exp.Query, table: str, columns: list[str]) -> Iterator[str]:
    """Yield the columns of a table that a query reads and the table has not.

    Args:
        query: the statement; `{object}` is bound to the relation `audited`.
        table: the table's name, which a query may read as well.
        columns: the table's columns.
    """
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.scope import traverse_scope

    known = {name.lower() for name in columns} | _ALWAYS_THERE
    try:
        scopes = traverse_scope(query)
    except SqlglotError:
        return
    for scope in scopes:
        yield from _unknown_in(scope, table, known)


def _unknown_in(scope: Scope, table: str, known: set[str]) -> Iterator[str]:
    from sqlglot import exp

    visible = list(_visible(scope))
    own = {item.alias_or_name.lower() for items, _ in visible for item in items if _is_own(item, table)}
    only_own = all(_is_own(item, table) for items, _ in visible for item in items)
    named = {alias for _, aliases in visible for alias in aliases}
    for column in scope.find_all(exp.Column):
        name, qualifier = column.name.lower(), column.table.lower()
        if not name or name in known or isinstance(column.this, exp.Star):
            continue
        if column.find_ancestor(exp.Lambda, exp.Comprehension, exp.Star, exp.PropertyEQ, exp.Kwarg):
            continue
        if qualifier:
            if qualifier in own and qualifier not in known:
                yield column.name
        elif visible[0][0] and only_own and name not in named and name not in own:
            yield column.name


def _visible(scope: Scope) -> Iterator[tuple[list[exp.Expression], set[str]]]:
    """Yield what a scope's names may come from, its own FROM first, then those around it: relations, select aliases."""
    from sqlglot import exp

    child: Scope | None = None
    current: Scope | None = scope
    while current is not None:
        query = current.expression
        # A CTE does not see what is selected from it, nor a derived table itself.
        if child is None or not child.is_cte:
            begin = query.args.get("from_") or query.args.get("from")
            joined = [*([begin.this] if begin else []), *(join.this for join in query.args.get("joins") or [])]
            items = [item for item in joined if child is None or item.unnest() is not child.expression]
            laterals = query.args.get("laterals") or []
            selected = query.args.get("expressions") or []
            yield [*items, *laterals], {item.alias.lower() for item in selected if isinstance(item, exp.Alias)}
        child, current = current, current.parent


def _is_own(item: exp.Expression, table: str) -> bool:
    """Return whether a relation in a FROM is the contract's table under its own column names."""
    from sqlglot import exp

    if not isinstance(item, exp.Table) or item.args.get("pivots") or item.args.get("joins"):
        return False
    alias = item.args.get("alias")
    if alias is not None and alias.args.get("columns"):
        return False
    return f"{item.db}.{item.name}".removeprefix(".").lower() in {_OBJECT, table}
