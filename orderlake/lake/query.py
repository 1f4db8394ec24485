"""SQL over the lake: what a moment means, which tables a statement reads, pinned together.

The command line and the Python API ask here, so that both understand a statement and a time alike.
"""

from __future__ import annotations

import datetime as dt
import logging
import operator
from collections.abc import Iterable, Sequence
from typing import Any, SupportsIndex

from orderlake.errors import InputError, QueryError
from orderlake.lake.catalog import Lake
from orderlake.lake.duck import DuckSession
from orderlake.lake.pins import Pin, pin
from orderlake.lake.statements import is_show_tables, refuse_changes

logger = logging.getLogger(__name__)

#: A moment, or the id of a snapshot.
AsOf = dt.datetime | int
#: How people give one: `parse_as_of` says what each means.
AsOfLike = str | SupportsIndex | dt.date


def parse_as_of(given: AsOfLike) -> AsOf:
    """Return the snapshot id or the moment that is meant: UTC unless it says otherwise, a day is its first instant.

    Raises:
        InputError: it is neither.
    """
    try:
        if isinstance(given, str):
            if given.isdecimal():
                return int(given)
            given = dt.datetime.fromisoformat(given)
        if isinstance(given, dt.datetime):
            return given if given.tzinfo else given.replace(tzinfo=dt.UTC)
        if isinstance(given, dt.date):
            return dt.datetime.combine(given, dt.time(), dt.UTC)
        if not isinstance(given, bool):
            return operator.index(given)
    except (ValueError, TypeError):
        pass
    raise InputError(
        f"{given!r} is neither a snapshot nor a time.",
        allowed="a snapshot id, or an ISO date or date-time such as 2026-01-31 or 2026-01-31T10:30:00Z",
    )


def pin_tables(lake: Lake, names: Iterable[str], as_of: AsOf | None = None) -> list[Pin]:
    """Pin tables together.

    Args:
        lake: the lake.
        names: the tables.
        as_of: a moment for all of them; or a snapshot of one of them, then the others are pinned at its time.

    Raises:
        InputError: a table does not exist, or none has that snapshot.
    """
    tables = [lake.load(name) for name in names]
    if not isinstance(as_of, int):
        return _told([pin(table, as_of) for table in tables], as_of)
    owners = [table for table in tables if table.metadata.snapshot_by_id(as_of)]
    if not owners:
        listed = ", ".join(".".join(table.name()) for table in tables)
        raise InputError(f"none of {listed or 'the tables'} has a snapshot {as_of}.", remedy="give a time instead.")
    snapshot = owners[0].metadata.snapshot_by_id(as_of)
    assert snapshot is not None  # noqa: S101 - it was just found
    moment = dt.datetime.fromtimestamp(snapshot.timestamp_ms / 1000, tz=dt.UTC)
    return _told([pin(table, as_of if table is owners[0] else moment) for table in tables], moment)


def _told(pins: list[Pin], moment: dt.datetime | None) -> list[Pin]:
    """Warn of tables that had no snapshot at a moment and have one now: reading as empty looks like an answer."""
    for each in pins:
        log = each.table.metadata.snapshot_log
        if moment is not None and each.snapshot is None and log:
            first = dt.datetime.fromtimestamp(min(entry.timestamp_ms for entry in log) / 1000, tz=dt.UTC)
            logger.warning(
                "%s had no snapshot at %s and reads as empty; its first is of %s",
                each.name,
                _utc(moment),
                _utc(first),
            )
    return pins


def _utc(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def tables_read(statement: str, known: Iterable[str]) -> list[str]:
    """Return the tables of the lake that a statement reads; all of them where it cannot be told."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    names = list(known)
    try:
        trees = sqlglot.parse(statement, dialect="duckdb")
    except SqlglotError:
        return names
    if any(tree is None or isinstance(tree, exp.Command | exp.Show | exp.Describe | exp.Summarize) for tree in trees):
        return names
    read = {f"{table.db}.{table.name}".lower() for tree in trees if tree for table in tree.find_all(exp.Table)}
    return [name for name in names if name in read]


def pin_read(lake: Lake, statement: str, as_of: AsOf | None = None) -> list[Pin]:
    """Pin together what a statement reads.

    Raises:
        InputError: a snapshot is not there.
    """
    return pin_tables(lake, tables_read(statement, lake.table_names()), as_of)


def with_tables(error: QueryError, lake: Lake) -> QueryError:
    """Return the error of a statement with the tables there are, if it names one there is not."""
    names = "does not exist" in error.fact and (lake.table_names() or "no table: nothing has been landed yet")
    return QueryError(error.fact, allowed=names or error.allowed, remedy=error.remedy)


def run(
    session: DuckSession, lake: Lake, statement: str, as_of: AsOf | None = None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one statement over freshly pinned tables.

    Returns:
        column names, each once, and rows; both empty for a statement without result.

    Raises:
        QueryError: DuckDB refused the statement.
        InputError: a snapshot or table is not there.
    """
    known = lake.table_names()
    if is_show_tables(statement):
        return ["name"], [(name,) for name in known] + session.execute(statement).fetchall()
    refuse_changes(statement, known)
    session.attach(pin_read(lake, statement, as_of))
    try:
        result = session.execute(statement)
    except QueryError as error:
        raise with_tables(error, lake) from error
    columns = _each_once([column[0] for column in result.description or []])
    return columns, result.fetchall() if columns else []


def _each_once(names: Sequence[str]) -> list[str]:
    """Number the repetitions of a column's name, as DuckDB does in a subquery: a, a_1; no result loses a column."""
    taken = {name.lower() for name in names}
    seen: set[str] = set()
    unique = []
    for name in names:
        chosen, number = name, 0
        while chosen.lower() in (seen if not number else taken):
            number += 1
            chosen = f"{name}_{number}"
        taken.add(chosen.lower())
        seen.add(chosen.lower())
        unique.append(chosen)
    return unique
