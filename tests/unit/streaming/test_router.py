"""Messages become rows with their coordinates; routing that is committed already stands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from orderlake.contracts.decoding import compile_decoder
from orderlake.contracts.model import Contract
from orderlake.contracts.odcs import load_contract
from orderlake.lake.landing_state import Range
from orderlake.settings import Settings, builtin_root
from orderlake.times import MICROSECONDS_PER_DAY
from streaming.lander.router import Batch, Router

TIMESTAMP_MS = 1_790_000_000_000


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract(builtin_root() / "contracts" / "topics" / "orders.created.v1.yaml", "topic")


def batch(*rows: tuple[int, int, bool]) -> Batch:
    """Messages of (partition, offset, good)."""
    made = Batch()
    for partition, offset, good in rows:
        body = {
            "event_id": "cdbdd3e8-b73c-5d14-9f53-8d75b9b942ff", "event_time": f"2026-01-{offset % 28 + 1:02d}T00:00:00Z",
            "order_id": f"{partition}-{offset}" if good else "", "user_id": "U", "order_amount": "1.00",
            "currency": "EUR", "order_status": "CREATED",
        }  # fmt: skip
        made.values.append(json.dumps(body).encode())
        made.keys.append(f"k{offset}".encode() if offset % 2 else None)
        made.headers.append([("trace", b"\x00\xff")] if offset == 1 else None)
        made.partitions.append(partition)
        made.offsets.append(offset)
        made.timestamps.append(TIMESTAMP_MS + offset)
    return made


def router(contract: Contract, positions: dict[int, int], quarantined: dict[int, list[int]] | None = None) -> Router:
    decoder = compile_decoder(contract, Settings(home=Path()).partitions_start)
    ahead = {partition: np.array(offsets) for partition, offsets in (quarantined or {}).items()}
    return Router(contract, decoder, positions, ahead)


def test_rows_carry_coordinates_key_headers_and_bytes_as_they_came(contract: Contract) -> None:
    messages = batch((0, 0, True), (0, 1, True), (1, 7, False))
    routed = router(contract, {0: 0, 1: 5}).route(messages)
    assert routed.good is not None
    assert routed.bad is not None
    good, days = routed.good
    row = good.slice(1, 1).to_pylist()[0]
    assert (row["_kafka_partition"], row["_kafka_offset"], row["_kafka_key"]) == (0, 1, b"k1")
    assert row["_kafka_headers"] == [{"key": "trace", "value": b"\x00\xff"}]
    assert row["_payload"] == messages.values[1]
    assert row["_kind"] == "event"
    assert (
        days.tolist() == (np.array(routed.good[0].column("event_time").cast("int64")) // MICROSECONDS_PER_DAY).tolist()
    )
    bad = routed.bad[0].to_pylist()[0]
    assert (bad["_kafka_partition"], bad["_kafka_offset"], bad["reason"]) == (1, 7, "empty")
    assert bad["_payload"] == messages.values[2]
    assert bad["violations"] == [{"code": "empty", "field": "order_id", "message": 'order_id "" is empty'}]


def test_ranges_begin_where_the_last_ended_and_count_what_came(contract: Contract) -> None:
    routing = router(contract, {0: 0})
    first = routing.route(batch((0, 0, True), (0, 3, False)))
    second = routing.route(batch((0, 10, True), (2, 4, True)))
    assert first.ranges == {0: Range(0, 4, 2)}, "offsets may have gaps"
    assert second.ranges == {0: Range(4, 11, 1), 2: Range(4, 5, 1)}


def test_what_is_quarantined_already_is_skipped_whatever_the_decoder_says_now(contract: Contract) -> None:
    """After a crash between the two commits the contract may have changed: offset 1 is good now, offset 2 bad now."""
    routing = router(contract, {0: 0}, {0: [1, 4]})
    routed = routing.route(batch((0, 0, True), (0, 1, True), (0, 2, False), (0, 3, True), (0, 4, False)))
    assert routed.good is not None
    assert routed.bad is not None
    assert routed.good[0].column("_kafka_offset").to_pylist() == [0, 3]
    assert routed.bad[0].column("_kafka_offset").to_pylist() == [2]
    assert routed.ranges == {0: Range(0, 5, 5)}, "skipped messages are part of what was landed"
    later = routing.route(batch((0, 5, True)))
    assert later.good is not None
    assert later.good[0].column("_kafka_offset").to_pylist() == [5]


def test_a_batch_of_nothing_but_skipped_messages_moves_on(contract: Contract) -> None:
    routed = router(contract, {0: 1}, {0: [1]}).route(batch((0, 1, True)))
    assert (routed.good, routed.bad, routed.ranges) == (None, None, {0: Range(1, 2, 1)})


def test_offsets_without_messages_are_passed_over_once_and_count_nothing(contract: Contract) -> None:
    routing = router(contract, {0: 5, 1: 7})
    passed = routing.pass_over({0: 8, 1: 7})
    assert (passed.good, passed.bad, passed.ranges) == (None, None, {0: Range(5, 8, 0)})
    assert routing.pass_over({0: 6}).ranges == {}, "never backwards"
    assert routing.route(batch((0, 9, True))).ranges == {0: Range(8, 10, 1)}


def test_the_greatest_event_time_of_every_partition_is_known(contract: Contract) -> None:
    routed = router(contract, {}).route(batch((0, 3, True), (0, 1, True), (1, 9, True), (2, 2, False)))
    days = {partition: moment // MICROSECONDS_PER_DAY for partition, moment in routed.event_times.items()}
    assert days == {0: 20457, 1: 20463}
