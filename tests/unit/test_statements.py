"""A user's SQL is split as DuckDB reads it, and cannot pretend to change the lake."""

from __future__ import annotations

import duckdb
import pytest

from orderlake.errors import QueryError
from orderlake.lake.statements import is_complete, is_show_tables, refuse_changes, returns_rows, split

TABLES = ["analytics.orders", "raw.orders_created_v1"]


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("select 1; select 2;", ["select 1", "select 2"]),
        ("-- a comment\n;; select ';' as \"a;b\" /* ; */ ; -- ;", ["select ';' as \"a;b\" /* ; */"]),
        ("select 'é' as ä; select 2", ["select 'é' as ä", "select 2"]),
        ("pivot t on a using sum(b) group by c limit 2; select 1", ["pivot t on a using sum(b) group by c limit 2", "select 1"]),
        ("", []),
        ("-- nothing", []),
    ],
)  # fmt: skip
def test_a_script_is_split_at_its_semicolons(text: str, statements: list[str]) -> None:
    assert split(duckdb.connect(), text) == statements


def test_nothing_of_a_script_is_run_whose_end_is_no_sql() -> None:
    with pytest.raises(QueryError, match="DuckDB refused the statement"):
        split(duckdb.connect(), "create table x (a int); selec 1")


@pytest.mark.parametrize(
    ("text", "complete"),
    [("", True), ("-- x", True), ("select 1;\n-- x", True), ("select 1", False), ("select 'a;", False)],
)
def test_where_the_next_statement_may_begin(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("select 1", True), ("explain select 1", True), ("pivot t on a using sum(b)", True), ("show tables", True),
        ("create temp table x as select 1", False), ("set threads = 1", False), ("insert into x values (1)", False),
    ],
)  # fmt: skip
def test_which_statements_are_there_for_their_rows(statement: str, rows: bool) -> None:
    assert returns_rows(duckdb.connect(), statement) is rows


@pytest.mark.parametrize(
    "statement",
    [
        "drop view analytics.orders",
        "DROP VIEW IF EXISTS memory.Analytics.orders",
        "drop schema analytics cascade",
        "create or replace view analytics.orders as select 1",
        "create table analytics.mine (a int)",
        "alter view analytics.orders rename to y",
        "insert into analytics.orders values (1)",
        "update raw.orders_created_v1 set a = 1",
        "delete from analytics.orders",
        "truncate analytics.orders",
        "copy analytics.orders from 'x.csv'",
        "merge into analytics.orders using x on (a = b) when matched then delete",
    ],
)
def test_what_would_change_the_lake_is_refused(statement: str) -> None:
    with pytest.raises(QueryError, match="belongs to the lake"):
        refuse_changes(statement, TABLES)


@pytest.mark.parametrize(
    "statement",
    [
        "select * from analytics.orders",
        "create temp table mine as select * from analytics.orders",
        "create view v as from analytics.orders",
        "drop table mine",
        "insert into mine select * from analytics.orders",
        "copy analytics.orders to 'x.csv'",
        "copy (from analytics.orders) to 'x.csv'",
        "explain select * from analytics.orders",
        "this is no SQL (",
    ],
)
def test_what_is_ones_own_may_be_made_and_dropped(statement: str) -> None:
    refuse_changes(statement, TABLES)


@pytest.mark.parametrize(("statement", "is_it"), [("show tables", True), ("SHOW  Tables -- x", True), ("show all tables", False)])  # fmt: skip
def test_show_tables(statement: str, is_it: bool) -> None:
    assert is_show_tables(statement) is is_it
