"""However a batch is cut, its bad set and its rows are those of tier 2 alone, message by message.

This is the invariant that lets tier 1 be as fast as it can: it may leave rows undecided, but never decide wrongly.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orderlake.contracts.decoding.columnar import to_array
from orderlake.contracts.decoding.exact import ExactDecoder
from orderlake.contracts.model import Contract
from orderlake.times import day_start_microseconds
from tests.unit.contracts.decoding.conftest import PARTITIONS_START, decoder_of

NOW = 1_790_000_000_000_000

texts = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [
            "", "A", "B", "abc", "EUR", "CREATED", "cdbdd3e8-b73c-5d14-9f53-8d75b9b942ff", "2024-01-15T10:30:00Z",
            "2024-02-29T10:30:00.5+01:00", "2024-01-15T10:30:00", "2024-01-15 10:30:00Z", "1999-01-01T00:00:00Z",
            "2999-01-01T00:00:00Z", "2024-02-30", "2024-01-15", "150.50", "0.5", "1000", "1e3", "-1", "9999.99", ".5",
        ]
    ),
)  # fmt: skip
values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), texts,
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)  # fmt: skip


def objects(contract: Contract, good: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Messages that are good but for a few fields."""
    names = [column.name for column in contract]
    changes = st.dictionaries(st.sampled_from([*names, "unknown"]), values, max_size=3)
    dropped = st.sets(st.sampled_from(names), max_size=1)
    return st.builds(
        lambda change, drop: json.dumps({k: v for k, v in {**good, **change}.items() if k not in drop}).encode(),
        changes,
        dropped,
    )


def spoiled(messages: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes | None]:
    """Messages, some of them damaged as bytes."""
    damaged = st.builds(
        lambda value, at, byte: value[: at % (len(value) + 1)] + bytes([byte]) + value[at % (len(value) + 1) :],
        messages,
        st.integers(0, 500),
        st.integers(0, 255),
    )
    return st.one_of(messages, damaged, st.binary(max_size=30), st.none())


ORDER = {
    "event_id": "cdbdd3e8-b73c-5d14-9f53-8d75b9b942ff", "event_time": "2024-01-15T10:30:00.000Z", "order_id": "O-1",
    "user_id": "U-1", "order_amount": "150.50", "currency": "EUR", "order_status": "CREATED",
}  # fmt: skip
EVERYTHING = {"id": ORDER["event_id"], "at": ORDER["event_time"], "count": 5, "price": "1.00"}


def compare(contract: Contract, batch: list[bytes | None]) -> None:
    exact = ExactDecoder(contract, day_start_microseconds(PARTITIONS_START))
    rows: dict[int, tuple[Any, ...]] = {}
    bad: dict[int, Any] = {}
    for position, value in enumerate(batch):
        row, violations = exact.decode_one(value, NOW)
        if violations:
            bad[position] = violations
        else:
            rows[position] = row
    decoded = decoder_of(contract).decode(batch, np.full(len(batch), NOW, np.int64))
    assert dict(decoded.bad) == bad
    assert sorted(decoded.rows.tolist()) == sorted(rows)
    for number, column in enumerate(contract.columns):
        expected = to_array(column, [rows[position][number] for position in decoded.rows.tolist()])
        assert decoded.columns[number].equals(expected), column.name


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_orders_are_decoded_as_tier_2_alone_would(orders: Contract, data: st.DataObject) -> None:
    compare(orders, data.draw(st.lists(spoiled(objects(orders, ORDER)), max_size=12)))


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_every_kind_of_field_is_decoded_as_tier_2_alone_would(everything: Contract, data: st.DataObject) -> None:
    compare(everything, data.draw(st.lists(spoiled(objects(everything, EVERYTHING)), max_size=12)))


@given(st.text(max_size=80))
@example("\ud7ff\U00010000")
@settings(deadline=None)
def test_any_text_is_decoded_as_tier_2_alone_would(orders: Contract, text: str) -> None:
    compare(orders, [json.dumps({**ORDER, "user_id": text}, ensure_ascii=False).encode()])
