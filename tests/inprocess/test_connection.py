"""The Python API: pinned reads that are exact in every form, and errors that say what to do."""

from __future__ import annotations

import datetime as dt
import gc
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.types import (
    DecimalType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestamptzType,
    UUIDType,
)

import orderlake
from orderlake.errors import (
    CatalogError,
    ConnectionClosedError,
    InputError,
    OrderlakeError,
    QueryError,
    SettingsError,
    UnavailableError,
)
from orderlake.lake.catalog import Lake
from orderlake.lake.commit import Change, commit
from orderlake.settings import Settings
from tests.inprocess.conftest import RawOrders, order

TABLE = "raw.orders_created_v1"
LAST = dt.datetime(2026, 1, 10, 23, 59, 59, 999_999, tzinfo=dt.UTC)
#: Values that a float, a millisecond or a signed 53-bit integer would lose.
EXACT = {"order_amount": Decimal("12345678.91"), "event_time": LAST, "_kafka_offset": 2**53 + 1}


@pytest.fixture
def connection(raw: RawOrders, settings: Settings) -> Iterator[orderlake.Connection]:
    with orderlake.connect(settings.home) as opened:
        yield opened


def offsets(reading: Any) -> list[int]:
    return sorted(reading.to_arrow()["_kafka_offset"].to_pylist())


def append(lake: Lake, name: str, schema: Schema, rows: Sequence[dict[str, Any]] = ()) -> None:
    """Create a table with PyIceberg alone, as somebody else's engine would."""
    table = lake.create(name, schema, UNPARTITIONED_PARTITION_SPEC, {})
    if rows:
        table.append(pa.Table.from_pylist(list(rows), schema=table.schema().as_arrow()))


class TestExactness:
    """A value is the same in every form."""

    @pytest.fixture
    def view(self, raw: RawOrders, connection: orderlake.Connection) -> orderlake.TableView:
        raw.land([order(1, **EXACT), order(2, _kafka_key=b"\x00\xff", _kafka_timestamp=None)])
        return connection.table(TABLE, columns=[*EXACT, "_kafka_key", "_kafka_timestamp"])

    def test_arrow(self, view: orderlake.TableView) -> None:
        table = view.to_arrow()
        assert table.schema == view.schema
        assert table.schema.field("order_amount").type == pa.decimal128(10, 2)
        assert table.schema.field("event_time").type == pa.timestamp("us", tz="UTC")
        assert not table.schema.field("event_time").nullable
        row, other = table.sort_by("order_amount").to_pylist()[::-1]
        assert {name: row[name] for name in EXACT} == EXACT
        assert (other["_kafka_key"], other["_kafka_timestamp"]) == (b"\x00\xff", None)

    def test_lists_of_structs(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        headers = [[{"key": "a", "value": b"\x00"}, {"key": "a", "value": None}], [], None]
        raw.land([order(n, _kafka_headers=value) for n, value in enumerate(headers)])
        view = connection.table(TABLE, columns=["_kafka_offset", "_kafka_headers"])
        assert view.to_arrow().sort_by("_kafka_offset")["_kafka_headers"].to_pylist() == headers
        assert [row[1] for row in view.to_duckdb().order("_kafka_offset").fetchall()] == headers

    def test_batches(self, view: orderlake.TableView) -> None:
        reader = view.to_arrow_batch_reader()
        assert reader.schema == view.schema
        assert reader.read_all().sort_by("order_amount") == view.to_arrow().sort_by("order_amount")

    def test_pandas(self, view: orderlake.TableView) -> None:
        frame = view.to_pandas().sort_values("order_amount", ascending=False, ignore_index=True)
        assert {name: frame[name][0] for name in EXACT} == EXACT
        assert frame["_kafka_offset"].dtype == pd.ArrowDtype(pa.int64())
        assert str(frame["event_time"].dt.tz) == "UTC"
        assert frame["_kafka_timestamp"].isna().tolist() == [False, True]
        assert frame["order_amount"].sum() == Decimal("12345678.94")

    def test_pandas_own_types_on_demand(self, view: orderlake.TableView) -> None:
        frame = view.to_pandas(types_mapper=None)
        assert set(frame["order_amount"]) == {Decimal("12345678.91"), Decimal("0.03")}
        assert str(frame["event_time"].dtype) == "datetime64[us, UTC]"

    def test_whole_numbers_with_gaps_stay_whole_in_pandas(self, connection: orderlake.Connection) -> None:
        frame = connection.sql(f"from (values ({2**53 + 1}), (null)) t(n) order by n").to_pandas()
        assert frame["n"][0] == 2**53 + 1

    def test_duckdb(self, view: orderlake.TableView) -> None:
        relation = view.to_duckdb()
        assert relation.columns == view.schema.names
        assert "DECIMAL(10,2)" in [str(kind) for kind in relation.types]
        amount, moment, offset = relation.order("order_amount desc").project(*EXACT).fetchone()
        assert {"order_amount": amount, "event_time": moment, "_kafka_offset": offset} == EXACT

    def test_sql(self, view: orderlake.TableView, connection: orderlake.Connection) -> None:
        result = connection.sql(f"select {', '.join(EXACT)} from {TABLE} order by order_amount desc limit 1")
        assert result.to_arrow().to_pylist() == [EXACT]
        assert result.to_arrow_batch_reader().read_all().to_pylist() == [EXACT]
        assert result.to_pandas().to_dict("records") == [EXACT]
        assert result.to_duckdb().fetchone() == tuple(EXACT.values())
        assert result.snapshots == {TABLE: view.snapshot_id}


class TestPinned:
    """What was asked for once stays the same while others commit."""

    def test_every_form_repeats_its_rows(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        raw.land([order(1), order(2)])
        view = connection.table(TABLE)
        result = connection.sql(f"from {TABLE}")
        relations = [view.to_duckdb(), result.to_duckdb()]
        reader = view.to_arrow_batch_reader(1)
        first = reader.read_next_batch().num_rows
        for n in range(25):
            raw.land([order(n + 3)])
        assert connection.sql(f"select count(*) from {TABLE}").to_duckdb().fetchone() == (27,)
        assert connection.table(TABLE).row_count == 27
        assert view.row_count == 2
        assert offsets(view) == offsets(result) == [1, 2]
        assert len(view.to_pandas()) == 2
        assert [len(relation) for relation in (*relations, view.to_duckdb(), result.to_duckdb())] == [2, 2, 2, 2]
        assert first + reader.read_all().num_rows == 2

    def test_relations_of_different_moments_can_be_joined(
        self, raw: RawOrders, connection: orderlake.Connection
    ) -> None:
        raw.land([order(1)])
        before = connection.sql(f"select event_id from {TABLE}").to_duckdb().set_alias("before")
        raw.land([order(2)])
        now = connection.table(TABLE, columns=["event_id"]).to_duckdb().set_alias("now")
        new = now.join(before, "now.event_id = before.event_id", how="anti")
        assert new.fetchall() == [(order(2)["event_id"],)]

    def test_a_snapshot_that_expires_meanwhile_is_named(
        self, raw: RawOrders, connection: orderlake.Connection, lake: Lake
    ) -> None:
        raw.land([order(1)])
        view = connection.table(TABLE)
        files = [task.file.file_path for task in lake.load(TABLE).scan().plan_files()]
        for n in range(3):
            raw.land([order(n + 2)])
        commit(raw.table, lambda _: Change(keep_snapshots=1))
        assert offsets(view) == [1], "its files are still there"
        for file in files:
            Path(file.removeprefix("file://")).unlink()
        with pytest.raises(InputError, match=f"snapshot {view.snapshot_id} of {TABLE} has expired since(.|\n)*again"):
            view.to_arrow()


class TestAsOf:
    def test_a_snapshot_and_its_time_in_every_spelling(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        first = raw.land([order(1)])
        time.sleep(0.01)
        raw.land([order(2)])
        at = connection.table(TABLE, as_of=first).snapshot_at
        assert at is not None
        tokyo = at.astimezone(dt.timezone(dt.timedelta(hours=9)))
        for as_of in (first, str(first), at, at.replace(tzinfo=None), tokyo, at.isoformat(), pd.Timestamp(at)):
            assert offsets(connection.table(TABLE, as_of)) == [1], as_of
            assert offsets(connection.sql(f"from {TABLE}", as_of)) == [1], as_of

    def test_a_day_is_its_first_instant(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        raw.land([order(1)])
        today = dt.datetime.now(dt.UTC).date()
        assert connection.table(TABLE, today).row_count == 0
        assert connection.table(TABLE, today + dt.timedelta(days=1)).row_count == 1
        assert connection.table(TABLE, "2000-01-01").snapshot_id is None

    @pytest.mark.parametrize("as_of", ["yesterday", "", True, 1.5, "²"])
    def test_something_else_is_refused(self, connection: orderlake.Connection, as_of: Any) -> None:
        with pytest.raises(InputError, match="neither a snapshot nor a time"):
            connection.table(TABLE, as_of)

    def test_an_unknown_snapshot_is_refused(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        raw.land([order(1)])
        with pytest.raises(InputError, match="has no snapshot 42"):
            connection.table(TABLE, 42)
        with pytest.raises(InputError, match="has a snapshot 42"):
            connection.sql(f"from {TABLE}", 42)

    def test_an_expired_time_is_refused(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        first = raw.land([order(1)])
        moment = connection.table(TABLE, first).snapshot_at
        time.sleep(0.01)
        raw.land([order(2)])
        commit(raw.table, lambda _: Change(keep_snapshots=1))
        with pytest.raises(InputError, match="have expired"):
            connection.table(TABLE, moment)


class TestStreaming:
    def test_batches_are_as_small_as_asked(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        raw.land([order(n) for n in range(5000)])
        sizes = [batch.num_rows for batch in connection.table(TABLE).to_arrow_batch_reader(1000)]
        assert sum(sizes) == 5000
        assert max(sizes) <= 1000

    def test_the_result_is_never_held_as_a_whole(self, connection: orderlake.Connection) -> None:
        """A hundred billion rows would not fit anywhere: the first ones come all the same."""
        reader = connection.sql("from range(100_000_000_000)").to_arrow_batch_reader()
        assert reader.read_next_batch().num_rows > 0

    def test_readers_run_side_by_side(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        raw.land([order(n) for n in range(3000)])
        view = connection.table(TABLE, columns=["_kafka_offset"])
        pairs = zip(view.to_arrow_batch_reader(100), view.to_arrow_batch_reader(100), strict=True)
        assert sum(one.num_rows + two.num_rows for one, two in pairs) == 6000

    def test_a_dropped_reader_gives_its_database_back(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        raw.land([order(1)])
        readers = [connection.table(TABLE).to_arrow_batch_reader(1) for _ in range(3)]
        readers[0].read_all()
        readers[1].read_next_batch()
        connection.table(TABLE).to_arrow()
        del readers
        gc.collect()
        left = connection.sql("select database_name from duckdb_databases() where database_name like 'pinned%'")
        assert left.to_arrow().num_rows == 1, "only the question itself"

    def test_what_fails_on_the_way_is_a_query_error(self, connection: orderlake.Connection) -> None:
        wrong = "select case when range = 1000000 then error('broken') else 'fine' end from range(2000000)"
        with pytest.raises(QueryError, match="broken"):
            connection.sql(wrong).to_arrow_batch_reader().read_all()

    def test_a_batch_has_rows(self, connection: orderlake.Connection) -> None:
        with pytest.raises(InputError, match="0 rows"):
            connection.table(TABLE).to_arrow_batch_reader(0)


class TestView:
    def test_it_knows_its_table_without_reading(
        self, raw: RawOrders, connection: orderlake.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        snapshot = raw.land([order(n) for n in range(1234)])
        monkeypatch.setattr(connection, "_session", lambda: pytest.fail("DuckDB was asked"))
        view = connection.table(TABLE)
        assert (view.name, view.snapshot_id, view.row_count) == (TABLE, snapshot, 1234)
        assert view.snapshots == {TABLE: snapshot}
        assert view.snapshot_at is not None
        assert abs(dt.datetime.now(dt.UTC) - view.snapshot_at) < dt.timedelta(minutes=5)
        assert view.schema.names == [field.name for field in raw.table.schema().fields]
        assert view.descriptions["user_id"] == "The customer who ordered."
        for text in (TABLE, str(snapshot), "1,234 rows", "decimal128(10, 2)", "The customer who ordered.", "to_pandas"):
            assert text in repr(view)

    def test_an_empty_table_has_its_columns(self, connection: orderlake.Connection) -> None:
        view = connection.table("quarantine.orders_created_v1")
        assert (view.snapshot_id, view.snapshot_at, view.row_count) == (None, None, 0)
        assert "empty" in repr(view)
        assert view.to_arrow().schema == view.schema
        assert view.to_arrow_batch_reader().read_all().schema == view.schema
        assert list(view.to_pandas().columns) == view.schema.names
        assert view.to_duckdb().fetchall() == []

    def test_columns_and_rows_can_be_chosen(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        raw.land([order(n) for n in range(10)])
        view = connection.table(TABLE, columns=["user_id", "_kafka_offset"], where="_kafka_offset >= 8 -- the last")
        assert view.row_count is None
        assert view.to_arrow().sort_by("_kafka_offset").to_pylist() == [
            {"user_id": "U-1", "_kafka_offset": 8},
            {"user_id": "U-2", "_kafka_offset": 9},
        ]
        assert connection.table(TABLE, columns="user_id").schema.names == ["user_id"]

    def test_a_snapshot_has_the_columns_of_its_time(self, lake: Lake, connection: orderlake.Connection) -> None:
        append(lake, "own.grown", Schema(NestedField(1, "a", LongType())), [{"a": 1}])
        first = connection.table("own.grown").snapshot_id
        table = lake.load("own.grown")
        with table.update_schema() as update:
            update.add_column("b", StringType())
        table.append(pa.table({"a": [2], "b": ["two"]}, schema=table.schema().as_arrow()))
        assert connection.table("own.grown", first).to_arrow().to_pylist() == [{"a": 1}]
        assert connection.table("own.grown").to_arrow().sort_by("a").to_pylist() == [
            {"a": 1, "b": None},
            {"a": 2, "b": "two"},
        ]

    def test_odd_names(self, lake: Lake, connection: orderlake.Connection) -> None:
        names = ["order amount", "a.b", 'say "hi"', "select", "Grüße", "Übergröße 大", "semi;colon", "-- x", "$1", "{}"]
        schema = Schema(*(NestedField(i, name, LongType()) for i, name in enumerate(names, 1)))
        append(lake, 'Own Things."Odd-Table"', schema, [{name: i for i, name in enumerate(names)}])
        assert 'Own Things."Odd-Table"' in connection.tables()
        view = connection.table('Own Things."Odd-Table"', columns=names[::-1], where='"a.b" = 1')
        assert view.to_arrow().to_pylist() == [{name: i for i, name in reversed(list(enumerate(names)))}]
        assert list(view.to_pandas().columns) == view.to_duckdb().columns == names[::-1]

    def test_nested_types(self, lake: Lake, connection: orderlake.Connection) -> None:
        struct = StructType(
            NestedField(10, "at", TimestamptzType(), required=True), NestedField(11, "of", DecimalType(38, 9))
        )
        schema = Schema(
            NestedField(1, "list", ListType(20, struct, element_required=True)),
            NestedField(2, "map", MapType(21, StringType(), 22, LongType(), value_required=True), required=True),
            NestedField(3, "id", UUIDType()),
        )
        text = "0b5cf9a8-9d0c-4a9e-8a52-2c5b8c1f0f77"
        row = {
            "list": [{"at": LAST, "of": Decimal("12345678901234567890123456789.123456789")}],
            "map": {"a": 2**62},
            "id": bytes.fromhex(text.replace("-", "")),
        }
        # PyIceberg's append itself turns a null list of structs into an empty one; nulls of lists are tested above.
        append(lake, "own.nested", schema, [row, {**row, "list": [], "id": None}])
        view = connection.table("own.nested")
        rows = view.to_arrow().to_pylist(maps_as_pydicts="strict")
        assert sorted(rows, key=lambda r: r["id"] is None) == [{**row, "id": text}, {**row, "list": [], "id": None}]
        assert view.to_arrow().schema == view.schema
        assert len(view.to_pandas()) == len(view.to_duckdb()) == 2


class TestSql:
    def test_parameters(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        raw.land([order(n) for n in range(5)])
        named = connection.sql(f"select _kafka_offset from {TABLE} where user_id = $user", parameters={"user": "U-3"})
        ordered = connection.sql(f"select _kafka_offset from {TABLE} where user_id = ?", parameters=["U-3"])
        assert offsets(named) == offsets(ordered) == [3]
        assert named.to_duckdb().fetchall() == ordered.to_duckdb().fetchall() == [(3,)]

    @pytest.mark.parametrize(
        "statement",
        [
            "from raw.orders_created_v1;",
            "with a as (from raw.orders_created_v1) select count(*), count(*) from a -- counted twice",
            "pivot raw.orders_created_v1 on user_id using count(*)",
            "describe raw.orders_created_v1",
            "summarize raw.orders_created_v1",
            "values (1), (2)",
            "select 1 as a, 2 as a",
        ],
    )
    def test_every_kind_of_query_in_every_form(
        self, raw: RawOrders, connection: orderlake.Connection, statement: str
    ) -> None:
        raw.land([order(n) for n in range(3)])
        result = connection.sql(statement)
        rows = result.to_arrow().num_rows
        assert rows > 0
        assert result.to_arrow_batch_reader().read_all().num_rows == len(result.to_duckdb()) == rows

    @pytest.mark.parametrize(
        ("statement", "says"),
        [
            ("selec 1", "syntax error"),
            ("select nope from raw.orders_created_v1", r"(?s)nope.*LINE 1: select nope"),
            ("from raw.nowhere", r"(?s)does not exist.*allowed: .*raw\.orders_created_v1"),
            ("select $a", "Values were not provided"),
            ("", "there is no statement"),
            ("select 1; select 2", "not one query: SELECT, SELECT"),
            ("create table x as select 1", "not one query: CREATE"),
            ("copy (select 1) to 'x.csv'", "not one query: COPY"),
            ("from connection", "does not exist"),
            ("from self", "does not exist"),
        ],
    )
    def test_a_wrong_statement_is_refused_at_once(
        self, connection: orderlake.Connection, statement: str, says: str
    ) -> None:
        with pytest.raises(QueryError, match=says):
            connection.sql(statement)

    def test_a_wrong_condition_is_refused_at_once(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        for where in ("nope = 1", "true; drop table x", "", "true limit 1"):
            with pytest.raises(QueryError):
                connection.table(TABLE, where=where)

    def test_its_name_shows_what_is_pinned(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        snapshot = raw.land([order(1)])
        assert f"{TABLE} at snapshot {snapshot}" in repr(connection.sql(f"from {TABLE}"))
        assert "no table" in repr(connection.sql("select 1"))


class TestErrors:
    def test_an_unknown_table(self, connection: orderlake.Connection) -> None:
        with pytest.raises(InputError) as caught:
            connection.table("raw.order_created_v1")
        assert TABLE in caught.value.allowed
        assert caught.value.remedy == [f"did you mean {TABLE!r}?"]
        for name in ("orders", "", "a.b.c", "raw."):
            with pytest.raises(InputError, match="there is no table"):
                connection.table(name)

    def test_an_unknown_column(self, connection: orderlake.Connection) -> None:
        with pytest.raises(InputError, match=r"(?s)no column 'user'.*allowed: event_id.*did you mean 'user_id'"):
            connection.table(TABLE, columns=["user"])
        with pytest.raises(InputError, match="asked for twice"):
            connection.table(TABLE, columns=["user_id", "user_id"])
        with pytest.raises(InputError, match="no column of"):
            connection.table(TABLE, columns=[])

    def test_no_lake_in_the_folder(self, tmp_path: Path) -> None:
        for home in (None, tmp_path / "nowhere", str(tmp_path)):
            with pytest.raises(InputError, match="there is no lake in"):
                orderlake.connect(home)
        assert list(tmp_path.iterdir()) == [], "looking for a lake does not begin one"

    def test_a_damaged_catalog(self, tmp_path: Path) -> None:
        (tmp_path / "catalog.db").write_text("this is no database, " * 100)
        with pytest.raises(CatalogError, match="cannot be opened"):
            orderlake.connect(tmp_path)

    def test_a_wrong_setting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ORDERLAKE_HOEM", "x")
        with pytest.raises(SettingsError, match="did you mean ORDERLAKE_HOME"):
            orderlake.connect()

    def test_pandas_is_not_installed(self, connection: orderlake.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(UnavailableError, match=r"pip install 'orderlake\[pandas\]'"):
            connection.table(TABLE).to_pandas()

    def test_all_are_one_family(self) -> None:
        assert orderlake.OrderlakeError is OrderlakeError
        assert issubclass(orderlake.errors.ConnectionClosedError, orderlake.OrderlakeError)


class TestConnection:
    def test_the_lake_of_the_environment(self, raw: RawOrders, settings: Settings, monkeypatch: Any) -> None:
        monkeypatch.setenv("ORDERLAKE_HOME", str(settings.home))
        with orderlake.connect() as connection:
            assert connection.home == settings.home
            assert connection.tables() == ["quarantine.orders_created_v1", TABLE]
            assert str(settings.home) in repr(connection)

    def test_closed_is_closed(self, raw: RawOrders, settings: Settings) -> None:
        raw.land([order(n) for n in range(3000)])
        with orderlake.connect(settings.home) as connection:
            view, result = connection.table(TABLE), connection.sql("select 1")
            reader, relation = view.to_arrow_batch_reader(10), view.to_duckdb()
            reader.read_next_batch()
            assert connection._duck is not None
            folder = Path(connection._duck._folder.name)
            assert folder.exists()
        assert not folder.exists(), "its files are gone"
        assert "closed" in repr(connection)
        for use in (
            connection.tables,
            lambda: connection.table(TABLE),
            lambda: connection.sql("select 1"),
            view.to_arrow,
            view.to_pandas,
            view.to_duckdb,
            view.to_arrow_batch_reader,
            result.to_arrow,
            reader.read_all,
        ):
            with pytest.raises(ConnectionClosedError, match=r"is closed(.|\n)*orderlake\.connect"):
                use()
        with pytest.raises(duckdb.Error):
            relation.fetchall()
        connection.close()

    def test_threads_share_it(self, raw: RawOrders, connection: orderlake.Connection) -> None:
        raw.land([order(n) for n in range(2000)])
        view = connection.table(TABLE, columns=["_kafka_offset"])

        def read(n: int) -> int:
            if n % 2:
                return sum(batch.num_rows for batch in view.to_arrow_batch_reader(100))
            count = connection.sql(f"select count(*) as n from {TABLE} where _kafka_offset >= ?", parameters=[0])
            return int(count.to_arrow()["n"][0].as_py())

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(read, range(40))) == {2000}
