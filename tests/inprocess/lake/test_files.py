"""Data files: split by partition, with field ids and bounds, in the order of the table's schema."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.conversions import from_bytes
from pyiceberg.table import Table

from orderlake.contracts.columns import QUARANTINE_COLUMNS
from orderlake.contracts.iceberg import iceberg_schema, partition_spec
from orderlake.lake.catalog import Lake
from orderlake.lake.commit import Change, commit
from orderlake.lake.files import NULL_PARTITION, DataFileWriter, partition_text
from orderlake.lake.partitions import partition_rows, rows_by_day
from orderlake.times import day_ordinal
from tests.inprocess.conftest import DAY, RawOrders, order


def test_rows_of_several_days_become_one_file_a_day(raw: RawOrders) -> None:
    days = [DAY + dt.timedelta(days=n % 3) for n in range(30)]
    raw.land([order(n, day) for n, day in enumerate(days)])
    snapshot = raw.table.current_snapshot()
    assert partition_rows(raw.table, snapshot) == {day_ordinal(DAY) + n: 10 for n in range(3)}
    assert rows_by_day(raw.table, snapshot) == {DAY + dt.timedelta(days=n): 10 for n in range(3)}
    paths = raw.table.inspect.files()["file_path"].to_pylist()
    assert sorted(path.split("/")[-2] for path in paths) == [f"event_time_day=2026-01-{10 + n}" for n in range(3)]


def test_files_carry_field_ids_and_bounds(raw: RawOrders) -> None:
    raw.land([order(n) for n in range(5)])
    (file,) = raw.table.inspect.files().to_pylist()
    schema = pq.read_schema(file["file_path"].removeprefix("file://"))
    assert schema.field("order_amount").metadata[b"PARQUET:field_id"] == b"5"
    assert file["record_count"] == 5
    offset = raw.table.schema().find_field("_kafka_offset")
    bounds = dict(file["upper_bounds"])
    assert from_bytes(offset.field_type, bounds[offset.field_id]) == 4
    assert dict(file["null_value_counts"])[raw.table.schema().find_field("event_id").field_id] == 0


def test_only_chosen_columns_have_bounds_and_only_few_values_a_dictionary(raw: RawOrders) -> None:
    writer = DataFileWriter(raw.table, dictionary=["order_status"], statistics=["_kafka_offset"])
    writer.write(pa.RecordBatch.from_pylist([order(1), order(2)], schema=writer.schema), np.full(2, day_ordinal(DAY)))
    (file,) = writer.close()
    assert set(file.upper_bounds) == {raw.table.schema().find_field("_kafka_offset").field_id}
    group = pq.read_metadata(file.file_path.removeprefix("file://")).row_group(0)
    encodings = {group.column(i).path_in_schema: group.column(i).encodings for i in range(group.num_columns)}
    assert any("DICTIONARY" in e for e in encodings["order_status"])
    assert not any("DICTIONARY" in e for e in encodings["event_id"])
    assert "DELTA_BINARY_PACKED" in encodings["_kafka_offset"]


def test_columns_come_by_name_and_missing_ones_are_null(raw: RawOrders) -> None:
    with raw.table.update_schema() as update:
        from pyiceberg.types import StringType

        update.add_column("channel", StringType())
    raw.table.refresh()
    raw.land([order(1)])
    assert raw.table.scan().to_arrow()["channel"].to_pylist() == [None]


def test_a_row_without_partition_value_has_the_null_partition(lake: Lake) -> None:
    schema = iceberg_schema(QUARANTINE_COLUMNS)
    table: Table = lake.create("quarantine.t", schema, partition_spec(schema, "_kafka_timestamp"), {})
    writer = DataFileWriter(table)
    row = {
        "_kafka_partition": 0, "_kafka_offset": 1, "_kafka_timestamp": None, "_landed_at": dt.datetime.now(dt.UTC),
        "reason": "x", "violations": [], "contract_version": "1",
    }  # fmt: skip
    writer.write(pa.RecordBatch.from_pylist([row], schema=writer.schema), np.array([NULL_PARTITION]))
    files = writer.close()
    commit(table, lambda _: Change(append=files))
    assert partition_rows(table, table.current_snapshot()) == {NULL_PARTITION: 1}
    assert table.scan(row_filter="_kafka_timestamp is null").to_arrow().num_rows == 1


def test_what_is_aborted_leaves_nothing(raw: RawOrders, tmp_path) -> None:
    writer = DataFileWriter(raw.table)
    rows = pa.RecordBatch.from_pylist([order(n) for n in range(200_000 // 100)], schema=writer.schema)
    for _ in range(70):
        writer.write(rows, np.full(len(rows), day_ordinal(DAY)))
    assert list((tmp_path / "lake" / "warehouse").rglob("*.parquet")), "a row group was full and is on disk"
    writer.abort()
    assert not list((tmp_path / "lake" / "warehouse").rglob("*.parquet"))


@pytest.mark.parametrize("rows", [1, 131_072, 131_073, 300_000])
def test_no_row_is_lost_at_the_edge_of_a_row_group(raw: RawOrders, rows: int) -> None:
    writer = DataFileWriter(raw.table)
    one = pa.RecordBatch.from_pylist([order(1)], schema=writer.schema)
    batch = one.take(pa.array(np.zeros(rows, np.int64)))
    writer.write(batch, np.full(rows, day_ordinal(DAY)))
    (file,) = writer.close()
    assert file.record_count == rows
    assert pq.read_metadata(file.file_path.removeprefix("file://")).num_rows == rows


def test_hours_have_their_own_text(lake: Lake, contract) -> None:
    from orderlake.contracts.columns import raw_columns

    schema = iceberg_schema(raw_columns(contract))
    table = lake.create("raw.hourly", schema, partition_spec(schema, "event_time", "hour"), {})
    assert partition_text(table, 24 * day_ordinal(DAY) + 7) == "2026-01-10-07"
