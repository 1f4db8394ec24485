"""Contract types reach Iceberg and Arrow without losing anything: decimals, microseconds, nesting, nullability."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyiceberg.types import DecimalType, ListType, StringType, StructType, TimestamptzType

from orderlake.contracts.arrow import arrow_schema
from orderlake.contracts.columns import QUARANTINE_COLUMNS, raw_columns
from orderlake.contracts.iceberg import contract_spec, iceberg_schema, partition_spec
from orderlake.contracts.naming import ICEBERG_METADATA_COLUMNS, raw_table, split_table
from orderlake.contracts.odcs import load_contract
from orderlake.contracts.types import UnknownTypeError, default_type, parse_physical
from orderlake.errors import ContractError
from orderlake.settings import builtin_root

CONTRACT = load_contract(builtin_root() / "contracts" / "topics" / "orders.created.v1.yaml", "topic")


def test_a_raw_table_has_the_contracts_columns_then_the_coordinates() -> None:
    schema = iceberg_schema(raw_columns(CONTRACT))
    assert schema.column_names[:7] == [c.name for c in CONTRACT]
    assert [name for name in schema.column_names if name.startswith("_") and "." not in name] == [
        "_kafka_partition", "_kafka_offset", "_kafka_timestamp", "_kafka_key", "_kafka_headers", "_kind", "_landed_at",
        "_payload",
    ]  # fmt: skip
    assert schema.find_field("order_amount").field_type == DecimalType(10, 2)
    assert schema.find_field("event_time").field_type == TimestamptzType()
    assert schema.find_field("event_time").required
    headers = schema.find_field("_kafka_headers").field_type
    assert isinstance(headers, ListType)
    assert isinstance(headers.element_type, StructType)


def test_a_topic_may_drop_its_payload(edit_contract) -> None:
    change = ("{property: payload, value: keep", "{property: payload, value: drop")
    path = edit_contract("topics/orders.created.v1.yaml", change) / "contracts/topics/orders.created.v1.yaml"
    assert "_payload" not in [c.name for c in raw_columns(load_contract(path, "topic"))]


def test_no_column_of_ours_bears_an_iceberg_metadata_name() -> None:
    names = {c.name for c in (*raw_columns(CONTRACT), *QUARANTINE_COLUMNS)}
    assert not names & ICEBERG_METADATA_COLUMNS


def test_the_partition_is_the_day_of_the_event_time() -> None:
    schema = iceberg_schema(raw_columns(CONTRACT))
    (field,) = contract_spec(CONTRACT, schema).fields
    assert (field.name, str(field.transform), field.source_id) == ("event_time_day", "day", 2)
    (hourly,) = partition_spec(schema, "event_time", "hour").fields
    assert (hourly.name, str(hourly.transform)) == ("event_time_hour", "hour")
    assert partition_spec(schema, None).is_unpartitioned()


def test_arrow_keeps_microseconds_zones_decimals_and_nullability() -> None:
    schema = arrow_schema(raw_columns(CONTRACT))
    assert schema.field("event_time").type == pa.timestamp("us", "UTC")
    assert schema.field("order_amount").type == pa.decimal128(10, 2)
    assert not schema.field("order_id").nullable
    assert schema.field("_kafka_key").nullable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("VARCHAR(20)", "string"),
        ("Timestamp  with time zone", "timestamptz"),
        ("DECIMAL( 10 , 2 )", "decimal(10,2)"),
        ("bigint", "long"),
    ],
)
def test_common_spellings_of_types_are_understood(text: str, expected: str) -> None:
    assert str(parse_physical(text)) == expected


@pytest.mark.parametrize("text", ["decimal(39,2)", "decimal(0,0)", "decimal(5,6)", "geometry", "decimal"])
def test_a_type_that_cannot_be_kept_exactly_is_refused(text: str) -> None:
    with pytest.raises(UnknownTypeError):
        parse_physical(text)


@pytest.mark.parametrize(
    ("logical", "integer", "expected"),
    [("string", "i32", StringType()), ("integer", "u32", "long"), ("integer", "i16", "int")],
)
def test_logical_types_have_a_type_that_holds_all_their_values(logical: str, integer: str, expected: object) -> None:
    assert str(default_type(logical, integer)) == str(expected)


def test_an_integer_beyond_64_bits_is_refused() -> None:
    with pytest.raises(UnknownTypeError, match="does not fit 64 bits"):
        default_type("integer", "u64")


def test_names_follow_one_grammar() -> None:
    assert raw_table("Fulfillment.Order-management.v1.events") == "raw.fulfillment_order_management_v1_events"
    assert split_table("analytics.orders") == ("analytics", "orders")
    with pytest.raises(ContractError, match="namespace.table"):
        split_table("orders")
