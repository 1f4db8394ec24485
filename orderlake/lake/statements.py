"""What a user's SQL is before it runs: its statements one by one, and what it may not change.

Statements are split at the semicolons that DuckDB's own tokenizer sees, not as DuckDB splits them: that turns one
PIVOT into several statements without text.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator

import duckdb

from orderlake.errors import QueryError
from orderlake.lake.duck import refused

# It warns of statements that it passes on unparsed (EXPLAIN, VACUUM); DuckDB is who judges them here.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

_SHOW_TABLES = re.compile(r"\s*show\s+tables\s*;?\s*(--.*|/\*.*)?", re.IGNORECASE | re.DOTALL)


def split(connection: duckdb.DuckDBPyConnection, text: str) -> list[str]:
    """Return the statements of a script, each with its text from its first word on.

    Raises:
        QueryError: one of them is not SQL; so nothing of a script runs whose end is wrong.
    """
    try:
        connection.extract_statements(text)
    except duckdb.Error as error:
        raise refused(error) from error
    data = text.encode()
    found: list[str] = []
    begin: int | None = None
    for position, _ in [*duckdb.tokenize(text), (len(data), None)]:
        if data[position : position + 1] not in {b";", b""}:
            begin = position if begin is None else begin
        elif begin is not None:
            found.append(data[begin:position].decode().strip())
            begin = None
    return found


def is_complete(text: str) -> bool:
    """Return whether a text ends where the next statement may begin: behind a semicolon, or with nothing said yet."""
    tokens = duckdb.tokenize(text)
    return not tokens or text.encode()[tokens[-1][0] :].startswith(b";")


def returns_rows(connection: duckdb.DuckDBPyConnection, statement: str) -> bool:
    """Return whether a statement is there for its rows, rather than for what it does."""
    parts = connection.extract_statements(statement)
    return bool(parts) and parts[-1].expected_result_type == [duckdb.ExpectedResultType.QUERY_RESULT]


def is_show_tables(statement: str) -> bool:
    """Return whether a statement is SHOW TABLES, which DuckDB would answer for its own main schema only."""
    return _SHOW_TABLES.fullmatch(statement) is not None


def refuse_changes(statement: str, tables: Collection[str]) -> None:
    """Refuse a statement that would change, drop or shadow tables of the lake.

    In the session they are views, so DuckDB would drop one and report success, although nothing has changed.

    Args:
        statement: one statement; what sqlglot cannot read is left to DuckDB.
        tables: the lake's tables as `namespace.table`.

    Raises:
        QueryError: it names one of the lake's namespaces as what it changes.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    namespaces = {name.split(".")[0] for name in tables}
    try:
        trees = sqlglot.parse(statement, dialect="duckdb")
    except SqlglotError:
        return
    for name in (name for tree in trees if tree is not None for name in _changed(tree)):
        if name.split(".")[0] in namespaces:
            raise QueryError(
                f"{name} belongs to the lake; SQL reads the lake's tables and changes none of them.",
                remedy=[
                    "create a table or view of your own without a schema, e.g. create temp table mine as select ...",
                    "what is in the lake is written by `orderlake land` and `orderlake materialize`.",
                ],
            )


def _changed(tree: object) -> Iterator[str]:
    """Yield what a statement changes, as `schema.name` in lower case (`schema` alone for a schema)."""
    from sqlglot import exp

    match tree:
        case exp.Drop() | exp.TruncateTable():
            targets = list(tree.find_all(exp.Table))
        case exp.Copy() if not tree.args.get("kind"):
            return  # COPY ... TO reads
        case exp.Create() | exp.Alter() | exp.Insert() | exp.Update() | exp.Delete() | exp.Merge() | exp.Copy():
            found = tree.this.find(exp.Table) if isinstance(tree.this, exp.Expression) else None
            targets = [found] if found is not None else []
        case _:
            return
    for table in targets:
        yield ".".join(part for part in (table.db, table.name) if part).lower()
