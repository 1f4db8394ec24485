"""`orderlake sql`: what is printed is the whole result, and what cannot be printed is refused."""

from __future__ import annotations

import datetime as dt
import json
import logging

import pytest
from click.testing import CliRunner, Result

from orderlake.cli.main import cli
from orderlake.errors import InputError, QueryError
from orderlake.lake.catalog import Lake
from orderlake.lake.duck import DuckSession
from orderlake.lake.query import pin_tables, run
from tests.inprocess.conftest import RawOrders, order

TABLE = "raw.orders_created_v1"


@pytest.fixture
def sql(lake: Lake, settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ORDERLAKE_HOME", str(settings.home))

    def call(*words: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(cli, ["sql", *words], standalone_mode=False, input=stdin)

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield call
    root.handlers[:] = handlers  # the command logs to a stream that is closed by now
    root.setLevel(level)


def test_no_column_is_lost_to_an_equal_name(sql) -> None:
    statement = "select 1 as a, 2 as a, 3 as A, 4 as a_1"
    assert json.loads(sql("--json", statement).stdout) == [{"a": 1, "a_2": 2, "A_3": 3, "a_1": 4}]
    assert sql("--csv", statement).stdout == "a,a_2,A_3,a_1\n1,2,3,4\n"


def test_a_pivot_is_answered(raw: RawOrders, sql) -> None:
    raw.land([order(1), order(2, currency="USD"), order(3)])
    result = sql("--json", f"pivot {TABLE} on currency using count(*) group by order_status limit 2")
    assert json.loads(result.stdout) == [{"order_status": "CREATED", "EUR": 2, "USD": 1}]


def test_dropping_a_table_of_the_lake_is_no_success(raw: RawOrders, sql) -> None:
    result = sql(f"drop view {TABLE}")
    assert isinstance(result.exception, QueryError)
    assert result.stdout == ""


def test_own_tables_live_as_long_as_the_session(raw: RawOrders, sql) -> None:
    raw.land([order(1)])
    text = f"create temp table mine as select order_id from {TABLE}; select * from mine"
    assert json.loads(sql("--json", text).stdout) == [{"order_id": "O-1"}]


@pytest.mark.parametrize(
    "words", [("--csv", "--json", "select 1"), ("--json", "select 1; select 2"), ("",), ("/* x */",)]
)
def test_what_has_no_one_result_is_refused(sql, words: tuple[str, ...]) -> None:
    result = sql(*words)
    assert isinstance(result.exception, InputError)
    assert result.stdout == ""


def test_the_shells_commands_work_in_a_pipe(raw: RawOrders, sql) -> None:
    raw.land([order(1)])
    result = sql("--csv", stdin="create temp table mine as select 1;\n-- mine and the lake's\n.tables\n.quit\nselec 1")
    assert result.exception is None, result.exception
    assert result.stdout.split() == ["name", "quarantine.orders_created_v1", TABLE, "mine"]


def test_explain_has_no_warning_of_a_parser(raw: RawOrders, lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    raw.land([order(1)])
    with DuckSession() as session:
        run(session, lake, f"explain select * from {TABLE}")
    assert caplog.records == []


def test_reading_before_a_tables_first_snapshot_is_told(
    raw: RawOrders, lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    raw.land([order(1)])
    pin_tables(lake, [TABLE], dt.datetime.now(dt.UTC))
    pin_tables(lake, ["quarantine.orders_created_v1"], dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
    assert caplog.records == [], "a table without any snapshot is empty at every time"
    pin_tables(lake, [TABLE], dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{TABLE} had no snapshot at 2000-01-01T00:00:00.000Z")
    assert f"its first is of {dt.datetime.now(dt.UTC):%Y}" in record.getMessage()
