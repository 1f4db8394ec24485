"""A pin shows one snapshot and goes on showing it, whatever happens to the table meanwhile."""

from __future__ import annotations

import datetime as dt
import time

import pytest

from orderlake.errors import InputError, QueryError
from orderlake.lake.catalog import Lake
from orderlake.lake.duck import DuckSession
from orderlake.lake.pins import pin
from orderlake.lake.query import parse_as_of, pin_tables, run, tables_read
from orderlake.lake.statements import split
from tests.inprocess.conftest import RawOrders, order

TABLE = "raw.orders_created_v1"
COUNT = f"select count(*) from {TABLE}"


def count(session: DuckSession) -> int:
    return session.execute(COUNT).fetchone()[0]


def test_a_pinned_table_does_not_move(raw: RawOrders, lake: Lake) -> None:
    raw.land([order(1)])
    with DuckSession() as session:
        session.attach([pin(lake.load(TABLE))])
        assert count(session) == 1
        for n in range(30):
            raw.land([order(n + 2)])
        assert count(session) == 1, "30 commits later its metadata file is long gone from the table"
        session.attach([pin(lake.load(TABLE))])
        assert count(session) == 31


def test_types_arrive_in_duckdb_as_the_contract_says(raw: RawOrders, lake: Lake) -> None:
    raw.land([order(1)])
    with DuckSession() as session:
        session.attach([pin(lake.load(TABLE))])
        kinds = dict(session.execute(f"select column_name, column_type from (describe {TABLE})").fetchall())
    assert kinds["event_time"] == "TIMESTAMP WITH TIME ZONE"
    assert kinds["order_amount"] == "DECIMAL(10,2)"
    assert kinds["_kafka_headers"] == 'STRUCT("key" VARCHAR, "value" BLOB)[]'
    assert kinds["_payload"] == "BLOB"


def test_a_table_without_a_snapshot_reads_as_empty(raw: RawOrders, lake: Lake) -> None:
    with DuckSession() as session:
        session.attach([pin(lake.load(TABLE))])
        assert count(session) == 0


def test_a_filter_on_the_day_reads_only_that_days_files(raw: RawOrders, lake: Lake) -> None:
    for n in range(5):
        raw.land([order(n, dt.date(2026, 1, 10 + n))])
    with DuckSession() as session:
        session.attach([pin(lake.load(TABLE))])
        statement = (
            f"explain analyze select * from {TABLE} where event_time >= '2026-01-12' and event_time < '2026-01-13'"
        )
        assert "Total Files Read: 1" in session.execute(statement).fetchall()[0][1]


def test_as_of_a_snapshot_and_as_of_its_time_are_the_same(raw: RawOrders, lake: Lake) -> None:
    first = raw.land([order(1)])
    moment = dt.datetime.fromtimestamp(raw.table.current_snapshot().timestamp_ms / 1000, tz=dt.UTC)
    time.sleep(0.01)
    raw.land([order(2)])
    for as_of in (first, moment):
        assert pin(lake.load(TABLE), as_of).snapshot_id == first


def test_before_its_first_snapshot_a_table_was_empty(raw: RawOrders, lake: Lake) -> None:
    raw.land([order(1)])
    assert pin(lake.load(TABLE), dt.datetime(2000, 1, 1, tzinfo=dt.UTC)).snapshot is None


def test_an_unknown_snapshot_is_refused_with_those_there_are(raw: RawOrders, lake: Lake) -> None:
    snapshot = raw.land([order(1)])
    with pytest.raises(InputError, match=f"has no snapshot 42(.|\n)*{snapshot}"):
        pin(lake.load(TABLE), 42)


def test_a_time_whose_snapshots_have_expired_is_refused(raw: RawOrders, lake: Lake) -> None:
    from orderlake.lake.commit import Change, commit

    for n in range(12):
        raw.land([order(n)])
    long_ago = dt.datetime.fromtimestamp(raw.table.metadata.snapshots[0].timestamp_ms / 1000, tz=dt.UTC)
    time.sleep(0.01)
    commit(raw.table, lambda _: Change(keep_snapshots=2))
    with pytest.raises(InputError, match="have expired"):
        pin(lake.load(TABLE), long_ago)


def test_a_snapshot_of_one_table_pins_the_others_at_its_time(raw: RawOrders, lake: Lake) -> None:
    first = raw.land([order(1)])
    pins = {p.name: p for p in pin_tables(lake, [TABLE, "quarantine.orders_created_v1"], first)}
    assert pins[TABLE].snapshot_id == first
    assert pins["quarantine.orders_created_v1"].snapshot is None
    with pytest.raises(InputError, match="has a snapshot 42"):
        pin_tables(lake, [TABLE], 42)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("1234567890123", 1234567890123),
        ("2026-01-31", dt.datetime(2026, 1, 31, tzinfo=dt.UTC)),
        ("2026-01-31T10:30:00+01:00", dt.datetime(2026, 1, 31, 9, 30, tzinfo=dt.UTC)),
    ],
)
def test_as_of_is_a_snapshot_or_a_time(text: str, meaning: object) -> None:
    assert parse_as_of(text) == meaning


def test_as_of_something_else_is_refused() -> None:
    with pytest.raises(InputError, match="neither a snapshot nor a time"):
        parse_as_of("yesterday")


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("select 1", []),
        ("select * from raw.a join ANALYTICS.B using (x)", ["raw.a", "analytics.b"]),
        ("with a as (select * from raw.a) select * from a", ["raw.a"]),
        ("from raw.a", ["raw.a"]),
        ("describe raw.a", ["raw.a", "analytics.b"]),
        ("show all tables", ["raw.a", "analytics.b"]),
        ("this is no SQL at all (", ["raw.a", "analytics.b"]),
    ],
)
def test_only_the_tables_that_a_statement_reads_are_pinned(statement: str, tables: list[str]) -> None:
    assert tables_read(statement, ["raw.a", "analytics.b"]) == tables


def test_a_pivot_is_one_statement(raw: RawOrders, lake: Lake) -> None:
    raw.land([order(1), order(2), order(8)])
    with DuckSession() as session:
        assert split(session.connection, "select 1; select 2") == ["select 1", "select 2"]
        (statement,) = split(session.connection, f"pivot {TABLE} on user_id using count(*) group by currency")
        assert run(session, lake, statement) == (["currency", "U-1", "U-2"], [("EUR", 2, 1)])


def test_a_wrong_statement_is_refused_with_the_tables_there_are(raw: RawOrders, lake: Lake) -> None:
    with DuckSession() as session:
        with pytest.raises(QueryError, match=r"(?s)does not exist.*allowed: .*raw\.orders_created_v1"):
            run(session, lake, "select * from raw.nowhere")
        with pytest.raises(QueryError, match="syntax error"):
            run(session, lake, "selec 1")
        assert run(session, lake, "select 1 as one") == (["one"], [(1,)])
