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
from tests.integration.conftest import MAIN, Bench

#: A lander that asks for new partitions every second.
ASK_OFTEN = "import streaming.lander.connection as c; c._ASK_PARTITIONS_SECONDS = 1.0; " + MAIN
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


def transactional_producer(bench: Bench) -> Callable[[str, bool], None]:
    """Return a function that sends one order to partition 0 in a transaction of its own, and commits or aborts it."""
    producer = Producer({"bootstrap.servers": bench.broker.bootstrap_servers, "transactional.id": bench.topic})
    producer.init_transactions(30)

    def send(order_id: str, commit: bool) -> None:
        producer.begin_transaction()
        producer.produce(bench.topic, json.dumps({**GOOD, "order_id": order_id}).encode(), partition=0)
        producer.flush()
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)

    return send


def snapshots(bench: Bench) -> list[int]:
    tables = bench.lake.load(raw_table(bench.topic)), bench.lake.load(quarantine_table(bench.topic))
    return [snapshot.snapshot_id for table in tables for snapshot in table.metadata.snapshots]


def status_lag(bench: Bench) -> int:
    return next(t["lag"] for t in bench.ok("status", "--json").json["topics"] if t["topic"] == bench.topic)


def test_a_topic_with_transactions_has_gaps_and_is_landed_without_what_was_aborted(bench: Bench, fill: Fill) -> None:
    fill(bench, 4)
    send = transactional_producer(bench)
    for commit, order_id in ((True, "committed"), (False, "aborted"), (True, "committed too")):
        send(order_id, commit)
    assert land(bench)["rows"] == 6
    ids = bench.lake.load(raw_table(bench.topic)).scan().to_arrow()["order_id"].to_pylist()
    assert {"committed", "committed too"} <= set(ids)
    assert "aborted" not in ids
    _, partitions = balance(bench.lake, bench.topic)
    assert all(partition.holds for partition in partitions), "records are counted, not offsets"
    before = snapshots(bench)
    assert status_lag(bench) == 0, "the markers at the end of the log are no messages that wait"
    summary = land(bench)
    assert (summary["rows"], summary["lag"]) == (0, 0)
    assert snapshots(bench) == before, "nothing is claimed where nothing waits"


def test_what_was_aborted_is_passed_over_without_a_commit_each(bench: Bench, fill: Fill) -> None:
    fill(bench, 4)
    send = transactional_producer(bench)
    lander = bench.start("land", "--topic", bench.topic)
    bench.wait_for(lambda: bench.landed_records() == 4, "the first messages")
    before = snapshots(bench)
    for number in range(5):
        send(f"aborted {number}", False)
        time.sleep(0.6)
    time.sleep(1)
    assert snapshots(bench) == before, "no rows, no commit"
    send("committed", True)
    bench.wait_for(lambda: bench.landed_records() == 5, "the message behind")
    send("aborted at last", False)
    time.sleep(1)
    lander.signal(signal.SIGTERM)
    result = lander.wait()
    assert (result.code, "lag 0" in result.out) == (0, True), result.err
    assert status_lag(bench) == 0, "an orderly end records how far the log was read"
    _, partitions = balance(bench.lake, bench.topic)
    assert all(partition.holds for partition in partitions)
    assert sum(partition.records for partition in partitions) == 5
    send("later", True)
    assert land(bench)["rows"] == 1


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


def test_partitions_added_while_the_lander_runs_are_landed_by_it(bench: Bench, fill: Fill) -> None:
    from confluent_kafka.admin import NewPartitions

    sent = fill(bench, 500, dirty=0.05)
    lander = bench.start("land", "--topic", bench.topic, code=ASK_OFTEN)
    bench.wait_for(lambda: bench.landed_records() == sent, "the first messages")
    holder = read_state(bench.lake.load(raw_table(bench.topic)).metadata).writer
    admin = admin_client(bench.settings)
    admin.create_partitions([NewPartitions(bench.topic, 6)])[bench.topic].result(30)
    time.sleep(0.5)
    producer = Producer({"bootstrap.servers": bench.broker.bootstrap_servers})
    for number in range(600):
        value = json.dumps(GOOD).encode() if number % 7 else b"no JSON"
        producer.produce(bench.topic, value, partition=number % 6)
        producer.poll(0)
        time.sleep(0.005)
    producer.flush()
    bench.wait_for(lambda: bench.landed_records() == sent + 600, "the new partitions")
    state = read_state(bench.lake.load(raw_table(bench.topic)).metadata)
    assert state.writer
    assert holder
    assert state.writer.pid == holder.pid, "no restart was needed"
    assert {p: progress.next for p, progress in state.partitions.items() if p > 3} == {4: 100, 5: 100}
    lander.signal(signal.SIGTERM)
    result = lander.wait()
    assert result.code == 0, result.err
    assert "the topic has more partitions" in result.err
    raw, quarantined = bench.assert_exactly_once()
    assert f"{raw:,} rows landed" in result.out, "what was landed before counts"
    assert raw + quarantined == sent + 600
    _, partitions = balance(bench.lake, bench.topic)
    assert all(partition.holds for partition in partitions)


def test_an_empty_topic_is_landed_to_empty_tables(bench: Bench) -> None:
    admin = admin_client(bench.settings)
    admin.create_topics([NewTopic(bench.topic, 3)])[bench.topic].result(30)
    assert land(bench)["rows"] == 0
    assert bench.assert_exactly_once() == (0, 0)
    assert bench.lake.load(quarantine_table(bench.topic)).current_snapshot() is None
