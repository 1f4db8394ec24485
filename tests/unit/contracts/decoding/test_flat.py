"""Every way to break a contract is found, named and told apart; nothing good is refused, nothing bad accepted."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from orderlake.contracts.arrow import arrow_schema
from orderlake.contracts.decoding.base import VIOLATION_CODES
from orderlake.contracts.model import Contract
from tests.unit.contracts.decoding.conftest import decoder_of

NOW = 1_790_000_000_000_000
GOOD = {
    "event_id": "cdbdd3e8-b73c-5d14-9f53-8d75b9b942ff",
    "event_time": "2024-01-15T10:30:00.000Z",
    "order_id": "ORD-A1B2C3D4",
    "user_id": "USR-X9Y8Z7W6",
    "order_amount": "150.50",
    "currency": "EUR",
    "order_status": "CREATED",
}


def message(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def without(*names: str) -> bytes:
    return json.dumps({name: value for name, value in GOOD.items() if name not in names}).encode()


def decode(contract: Contract, *values: bytes | None, timestamp: int = NOW):
    return decoder_of(contract).decode(list(values), np.full(len(values), timestamp, np.int64))


def violations(contract: Contract, value: bytes | None, timestamp: int = NOW) -> list[tuple[str, str]]:
    decoded = decode(contract, value, timestamp=timestamp)
    assert len(decoded.rows) + len(decoded.bad) == 1
    return [(v.code, v.field) for _, found in decoded.bad for v in found]


def test_a_good_message_becomes_a_typed_row(orders: Contract) -> None:
    decoded = decode(orders, message())
    row = dict(zip([c.name for c in orders], [column[0].as_py() for column in decoded.columns], strict=True))
    assert row == {
        **GOOD,
        "event_time": dt.datetime(2024, 1, 15, 10, 30, tzinfo=dt.UTC),
        "order_amount": Decimal("150.50"),
    }
    assert decoded.event_time.tolist() == [1705314600000000]
    assert decoded.bad == []


BAD: list[tuple[bytes | None, list[tuple[str, str]]]] = [
    (None, [("empty_message", "")]),
    (b"", [("empty_message", "")]),
    (b"   ", [("invalid_json", "")]),
    (b"not JSON", [("invalid_json", "")]),
    (message()[:-1], [("invalid_json", "")]),
    (message() + b"}", [("invalid_json", "")]),
    (message() + b"\n" + message(), [("invalid_json", "")]),
    (b"\xef\xbb\xbf" + message(), [("invalid_json", "")]),
    (message(note=1).replace(b"1}", b"NaN}"), [("invalid_json", "")]),
    (b'{"x":' * 5000 + b"1" + b"}" * 5000, [("invalid_json", "")]),
    (message(note="x").replace(b'"x"', b'"\\ud800"'), [("invalid_json", "")]),
    (message().replace(b"EUR", b"EU\xff"), [("invalid_utf8", "")]),
    (message(note="x").replace(b'"x"', b'"\xff"'), [("invalid_utf8", "")]),
    (message(note="x").replace(b'"note"', b'"\xff"'), [("invalid_utf8", "")]),
    (b"[" + message() + b"]", [("not_an_object", "")]),
    (b"null", [("not_an_object", "")]),
    (b"42", [("not_an_object", "")]),
    (b'"text"', [("not_an_object", "")]),
    (without("user_id"), [("missing", "user_id")]),
    (b"{}", [("missing", name) for name in GOOD]),
    (message(currency=None), [("null", "currency")]),
    (message(order_amount=150.5), [("wrong_type", "order_amount")]),
    (message(order_id=5), [("wrong_type", "order_id")]),
    (message(order_id=["a"]), [("wrong_type", "order_id")]),
    (message(order_id={"a": 1}), [("wrong_type", "order_id")]),
    (message(order_id=True), [("wrong_type", "order_id")]),
    (message(event_time=1705314600), [("wrong_type", "event_time")]),
    (message(user_id=""), [("empty", "user_id")]),
    (message(user_id="x" * 65), [("too_long", "user_id")]),
    (message(currency="euro"), [("pattern", "currency")]),
    (message(currency="eur"), [("pattern", "currency")]),
    (message(currency="EUR\n"), [("pattern", "currency")]),
    (message(event_id="cdbdd3e8b73c5d149f538d75b9b942ff"), [("invalid_uuid", "event_id")]),
    (message(order_status="PAID"), [("not_in_enum", "order_status")]),
    (message(event_time="2024-01-15 10:30:00"), [("invalid_timestamp", "event_time")]),
    (message(event_time="2024-01-15T10:30:00"), [("invalid_timestamp", "event_time")]),
    (message(event_time="2023-02-29T10:30:00Z"), [("invalid_timestamp", "event_time")]),
    (message(event_time="0000-01-01T00:00:00Z"), [("invalid_timestamp", "event_time")]),
    (message(order_amount="1e3"), [("invalid_decimal", "order_amount")]),
    (message(order_amount="+5.00"), [("invalid_decimal", "order_amount")]),
    (message(order_amount="12.345"), [("too_many_decimals", "order_amount")]),
    (message(order_amount="123456789.00"), [("out_of_range", "order_amount")]),
    (message(order_amount="0.00"), [("below_minimum", "order_amount")]),
    (message(order_amount="-0.01"), [("below_minimum", "order_amount")]),
    (message(event_time="2009-12-31T23:59:59.999999Z"), [("event_time_out_of_range", "event_time")]),
    (message(event_time="2999-01-01T00:00:00Z"), [("event_time_out_of_range", "event_time")]),
    (message(user_id="", order_amount="-1.00"), [("empty", "user_id"), ("below_minimum", "order_amount")]),
]


@pytest.mark.parametrize(("value", "expected"), BAD, ids=[f"{i}-{e[0][0]}" for i, (_, e) in enumerate(BAD)])
def test_a_bad_message_is_refused_with_everything_that_is_wrong(
    orders: Contract, value: bytes | None, expected: list[tuple[str, str]]
) -> None:
    assert violations(orders, value) == expected


#: Looks odd, and is good.
ODD = [
    message(note={"any": ["thing", 1e400]}).replace(b"Infinity", b"1e999"),
    message(event_time="2024-01-15T10:30:00.123456789+14:00"),
    message(event_time="2024-02-29T23:59:59Z"),
    message(event_id=GOOD["event_id"].upper()),
    message(order_amount="0.01"),
    message(order_amount="99999999.99"),
    message(order_amount="000000000007.5"),
    message(order_amount="7"),
    message(user_id="日本語😀" * 16),
    message(user_id="\u0000"),
    b" \n\t" + message() + b"\r\n",
    message().replace(b'"user_id"', b'"user\\u005fid"'),
    b'{"user_id":5,' + message()[1:],
    json.dumps(GOOD, ensure_ascii=True, indent=4).encode(),
]


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_what_only_looks_odd_is_accepted(orders: Contract, value: bytes) -> None:
    assert violations(orders, value) == []


def test_an_event_time_is_measured_against_the_kafka_timestamp(orders: Contract) -> None:
    produced = 1_705_314_600_000_000  # 2024-01-15T10:30:00Z
    assert violations(orders, message(event_time="2024-01-16T10:30:00Z"), timestamp=produced) == []
    late = violations(orders, message(event_time="2024-01-16T10:30:00.000001Z"), timestamp=produced)
    assert late == [("event_time_out_of_range", "event_time")]
    assert violations(orders, message(event_time="2999-01-01T00:00:00Z"), timestamp=-1) == [], "no timestamp, no limit"


def test_every_violation_code_can_be_met(orders: Contract, everything: Contract) -> None:
    met = {code for value, _ in BAD for code, _ in violations(orders, value)}
    base = {"id": GOOD["event_id"], "at": GOOD["event_time"], "count": 5, "price": "1.00"}
    for changes in ({"code": "a"}, {"count": 7}, {"count": 105}, {"day": "2024-02-30"}):
        met |= {code for code, _ in violations(everything, json.dumps({**base, **changes}).encode())}
    assert met == set(VIOLATION_CODES)


def test_good_rows_keep_their_place_and_the_bad_ones_theirs(orders: Contract) -> None:
    values = [message(order_id=f"O{i}") if i % 3 else message(order_id="") for i in range(30)]
    decoded = decode(orders, *values)
    assert [position for position, _ in decoded.bad] == [i for i in range(30) if not i % 3]
    ids = decoded.columns[[c.name for c in orders].index("order_id")].to_pylist()
    assert ids == [f"O{row}" for row in decoded.rows.tolist()]
    assert sorted(decoded.rows.tolist()) == [i for i in range(30) if i % 3]


def test_an_empty_batch_and_a_batch_of_bad_messages_are_batches_too(orders: Contract) -> None:
    assert decode(orders).rows.tolist() == []
    decoded = decode(orders, b"x", None, b"{}")
    assert [len(column) for column in decoded.columns] == [0] * len(orders.columns)
    assert len(decoded.bad) == 3


def test_private_values_are_not_repeated_in_complaints(orders: Contract) -> None:
    ((_, found),) = decode(orders, message(user_id="secret" * 20, order_id="public" * 20)).bad
    texts = {v.field: v.message for v in found}
    assert "secret" not in texts["user_id"]
    assert "public" in texts["order_id"]
    assert len(texts["order_id"]) < 160, "a long value is cut"


def test_every_kind_of_field_is_decoded_to_its_type(everything: Contract) -> None:
    row = {
        "id": GOOD["event_id"], "at": "2024-01-15T10:30:00Z", "local": "2024-01-15T10:30:00.25", "day": "2024-02-29",
        "code": "abc", "choice": "B", "level": 2, "count": 95, "big": 2**63 - 1, "small": -(2**31), "ratio": 0.5,
        "flag": False, "price": "999.99", "class": "yes",
    }  # fmt: skip
    value = json.dumps(row).encode()[:-1] + b', "weight": 123456789012345678901234567.125}'
    decoded = decode(everything, value)
    assert decoded.bad == []
    found = dict(zip([c.name for c in everything], [column[0].as_py() for column in decoded.columns], strict=True))
    assert found["local"] == dt.datetime(2024, 1, 15, 10, 30, 0, 250000, dt.UTC)
    assert found["day"] == dt.date(2024, 2, 29)
    assert found["price"] == Decimal("999.99")
    assert found["weight"] == Decimal("123456789012345678901234567.125"), "a JSON number keeps all its digits"
    assert (found["big"], found["small"], found["ratio"], found["flag"]) == (2**63 - 1, -(2**31), 0.5, False)
    assert [column.type for column in decoded.columns] == [field.type for field in arrow_schema(everything.columns)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"count": 5.0}, ("wrong_type", "count")),
        ({"count": -5}, ("below_minimum", "count")),
        ({"count": 105}, ("above_maximum", "count")),
        ({"count": 7}, ("not_a_multiple", "count")),
        ({"big": 2**63}, ("out_of_range", "big")),
        ({"small": -(2**31) - 1}, ("out_of_range", "small")),
        ({"ratio": 0}, ("below_minimum", "ratio")),
        ({"ratio": 1.01}, ("above_maximum", "ratio")),
        ({"flag": 1}, ("wrong_type", "flag")),
        ({"level": 3}, ("not_in_enum", "level")),
        ({"code": "a"}, ("too_short", "code")),
        ({"code": "Abc"}, ("pattern", "code")),
        ({"day": "2024-02-30"}, ("invalid_date", "day")),
        ({"price": "0.49"}, ("below_minimum", "price")),
        ({"price": "1000.00"}, ("above_maximum", "price")),
        ({"weight": "5"}, ("wrong_type", "weight")),
        ({"weight": -1.5}, ("below_minimum", "weight")),
        ({"weight": 1.0001}, ("too_many_decimals", "weight")),
    ],
)
def test_every_rule_of_every_kind_is_enforced(
    everything: Contract, changes: dict[str, object], expected: tuple[str, str]
) -> None:
    base = {"id": GOOD["event_id"], "at": GOOD["event_time"], "count": 5, "price": "1.00"}
    assert violations(everything, json.dumps({**base, **changes}).encode()) == [expected]


def test_an_absent_or_null_optional_field_is_null(everything: Contract) -> None:
    base = {"id": GOOD["event_id"], "at": GOOD["event_time"], "count": 5, "price": "1.00"}
    absent = json.dumps(base).encode()
    null = json.dumps({**base, **{c.name: None for c in everything if not c.required}}).encode()
    decoded = decode(everything, absent, null)
    assert decoded.bad == []
    for column, declared in zip(decoded.columns, everything.columns, strict=True):
        assert column.null_count == (0 if declared.required else 2), declared.name
        assert isinstance(column, pa.Array)
