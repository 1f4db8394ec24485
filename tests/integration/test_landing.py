"""Landing on a real broker: every message in exactly one table, once, byte for byte."""

from __future__ import annotations

import datetime as dt
import json
import signal
import time
from collections.abc import Callable

from confluent_kafka import Producer
from confluent_kafka.cimpl import NewTopic

from orderlake.contracts.naming import quarantine_table, raw_table
from orderlake.lake.landing_state import read_state
from streaming.balance import balance
from streaming.kafka import admin_client
from tests.integration.conftest import Bench

Fill = Callable[..., int]
GOOD = {
    "event_id": "cdbdd3e8-b73c-5d14-9f53-8d75b9b942ff", "event_time": "2024-01-15T10:30:00.123456Z", "order_id": "O-1",
    "user_id": "U-1", "order_amount": "150.50", "currency": "EUR", "order_status": "CREATED",
}  # fmt: skip


def land(bench: Bench, *words: str) -> dict:
    return bench.ok("land", "--topic", bench.topic, "--until-caught-up", "--json", *words).json[0]


def test_a_dirty_topic_is_landed_exactly_once(bench: Bench, fill: Fill) -> None:
    sent = fill(bench, 20_000, dirty=0.05, duplicates=0.05, late=0.05)
    summary = land(bench)
    raw, quarantined = bench.assert_exactly_once()
    assert (raw + quarantined, summary["rows"], summary["quarantined"]) == (sent, raw, quarantined)
    assert quarantined > 500
    assert summary["lag"] == 0
    assert sum(summary["reasons"].values()) == quarantined


def test_landing_again_adds_only_what_is_new(bench: Bench, fill: Fill) -> None:
    fill(bench, 1_000, seed=1, dirty=0.1)
    land(bench)
    assert land(bench)["rows"] == 0
    more = fill(bench, 500, seed=2, dirty=0.1)
    second = land(bench)
    assert second["rows"] + second["quarantined"] == more
    bench.assert_exactly_once()


def test_coordinates_keys_headers_and_types_arrive_as_they_were_sent(bench: Bench, fill: Fill) -> None:
    fill(bench, 1)
    producer = Producer({"bootstrap.servers": bench.broker.bootstrap_servers})
    when = 1_750_000_000_123
    producer.produce(
        bench.topic, json.dumps(GOOD).encode(), b"\x00key\xff", partition=2, timestamp=when,
        headers=[("trace", b"\x01\x02"), ("trace", b"again"), ("none", None)],
    )  # fmt: skip
    producer.flush()
    land(bench)
    table = bench.lake.load(raw_table(bench.topic))
    (row,) = table.scan(row_filter="order_id == 'O-1'").to_arrow().to_pylist()
    assert row["_kafka_partition"] == 2
    assert row["_kafka_timestamp"] == dt.datetime.fromtimestamp(when / 1000, tz=dt.UTC)
    assert row["_kafka_key"] == b"\x00key\xff"
    assert row["_kafka_headers"] == [
        {"key": "trace", "value": b"\x01\x02"}, {"key": "trace", "value": b"again"}, {"key": "none", "value": None},
    ]  # fmt: skip
    assert row["event_time"] == dt.datetime(2024, 1, 15, 10, 30, 0, 123456, dt.UTC)
    assert str(row["order_amount"]) == "150.50"
    assert row["_payload"] == json.dumps(GOOD).encode()
    assert row["_kind"] == "event"


def test_the_table_knows_how_far_it_is_and_the_group_is_told(bench: Bench, fill: Fill) -> None:
    sent = fill(bench, 3_000, dirty=0.02)
    land(bench)
    state = read_state(bench.lake.load(raw_table(bench.topic)).metadata)
    assert sum(p.records for p in state.partitions.values()) == sent
    assert state.watermark is not None
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

    wanted = [TopicPartition(bench.topic, p) for p in state.partitions]
    admin = admin_client(bench.settings)  # its futures never end if it is collected before them
    future = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("orderlake.land", wanted)])[
        "orderlake.land"
    ]
    told = {p.partition: p.offset for p in future.result(30).topic_partitions}
    assert told == {p: progress.next for p, progress in state.partitions.items()}


def test_a_running_lander_is_stopped_in_good_order(bench: Bench, fill: Fill) -> None:
    fill(bench, 1_000)
    lander = bench.start("land", "--topic", bench.topic, "--flush", "cheap")
    bench.wait_for(lambda: bench.lake.find(raw_table(bench.topic)) is not None, "the first claim")
    time.sleep(2)
    assert bench.landed_records() == 0, "nothing is committed before its age"
    lander.signal(signal.SIGTERM)
    result = lander.wait()
    assert result.code == 0, result.err
    assert bench.landed_records() == 1_000, "what was pending is committed at the end"
    assert "1,000 rows landed" in result.out


def test_the_balance_holds_and_would_notice_if_it_did_not(bench: Bench, fill: Fill) -> None:
    fill(bench, 2_000, dirty=0.05)
    land(bench)
    _, partitions = balance(bench.lake, bench.topic)
    assert all(partition.holds for partition in partitions)
    bench.lake.load(raw_table(bench.topic)).delete("_kafka_partition == 1 and _kafka_offset == 3")
    _, partitions = balance(bench.lake, bench.topic)
    assert [p.partition for p in partitions if not p.holds] == [1], "a lost row is noticed"
    table = bench.lake.load(raw_table(bench.topic))
    table.append(table.scan(row_filter="_kafka_partition == 2 and _kafka_offset == 5").to_arrow())
    _, partitions = balance(bench.lake, bench.topic)
    assert [(p.partition, p.doubled) for p in partitions if not p.holds] == [(1, 0), (2, 1)], "a doubled row is noticed"


def test_a_topic_with_transactions_has_gaps_and_is_landed_without_what_was_aborted(bench: Bench, fill: Fill) -> None:
    fill(bench, 4)
    producer = Producer({"bootstrap.servers": bench.broker.bootstrap_servers, "transactional.id": bench.topic})
    producer.init_transactions(30)
    for commit, order_id in ((True, "committed"), (False, "aborted"), (True, "committed too")):
        producer.begin_transaction()
        producer.produce(bench.topic, json.dumps({**GOOD, "order_id": order_id}).encode(), partition=0)
        producer.flush()
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)
    assert land(bench)["rows"] == 6
    ids = bench.lake.load(raw_table(bench.topic)).scan().to_arrow()["order_id"].to_pylist()
    assert {"committed", "committed too"} <= set(ids)
    assert "aborted" not in ids
    _, partitions = balance(bench.lake, bench.topic)
    assert all(partition.holds for partition in partitions), "records are counted, not offsets"
    assert land(bench)["rows"] == 0


def test_several_topics_are_landed_by_one_process(bench: Bench, fill: Fill, edit_contract) -> None:
    other = bench.topic.replace("orders.t", "orders.u")
    path = bench.paths[0] / "contracts" / "topics" / "other.yaml"
    text = (bench.paths[0] / "contracts" / "topics" / "orders.created.v1.yaml").read_text()
    path.write_text(text.replace(bench.topic, other).replace("urn:orderlake:topic:orders.created.v1", "urn:test:other"))
    first = fill(bench, 1_000, dirty=0.05)
    second_bench = Bench(bench.folder, bench.broker, other, bench.paths)
    second = fill(second_bench, 700, seed=2, dirty=0.05)
    result = bench.ok("land", "--topic", bench.topic, "--topic", other, "--until-caught-up", "--json")
    assert [s["rows"] + s["quarantined"] for s in result.json] == [first, second]
    bench.assert_exactly_once()
    second_bench.assert_exactly_once()


def test_partitions_added_to_the_topic_are_landed_too(bench: Bench, fill: Fill) -> None:
    from confluent_kafka.admin import NewPartitions

    fill(bench, 100)
    land(bench)
    admin = admin_client(bench.settings)
    admin.create_partitions([NewPartitions(bench.topic, 7)])[bench.topic].result(30)
    time.sleep(0.5)
    producer = Producer({"bootstrap.servers": bench.broker.bootstrap_servers})
    for partition in range(7):
        producer.produce(bench.topic, json.dumps(GOOD).encode(), partition=partition)
    producer.flush()
    assert land(bench)["rows"] == 7
    bench.assert_exactly_once()


def test_an_empty_topic_is_landed_to_empty_tables(bench: Bench) -> None:
    admin = admin_client(bench.settings)
    admin.create_topics([NewTopic(bench.topic, 3)])[bench.topic].result(30)
    assert land(bench)["rows"] == 0
    assert bench.assert_exactly_once() == (0, 0)
    assert bench.lake.load(quarantine_table(bench.topic)).current_snapshot() is None
