"""Nothing lost, nothing doubled: under SIGKILL, between the two commits, with two landers, with a zombie, without Kafka.

Each of these has cost other sinks rows in production: a retried append, a regressed offset, a coordinator that came
back, a dead-letter path without a transaction.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer, TopicPartition

from infra.native.lifecycle import down, up
from orderlake.contracts.naming import quarantine_table, raw_table
from orderlake.contracts.registry import Registry
from orderlake.lake.landing_state import Gap, read_state
from orderlake.settings import Settings
from streaming.kafka import admin_client, describe_topic
from streaming.lander.hold import HeldTable, this_process
from streaming.topics import ensure_topic
from tests.integration.conftest import TOPIC_FILE, Bench

Fill = Callable[..., int]


class Burst:
    """Produces dirty orders in the background until it is stopped."""

    def __init__(self, bench: Bench, seed: int) -> None:
        import datetime as dt

        from streaming.producers.orders import OrdersSpec, Planted, generate

        ensure_topic(bench.settings, Registry(bench.settings.search_path).topic(bench.topic))
        start = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
        spec = OrdersSpec(10_000_000, seed, start, dt.timedelta(days=2), dirty=0.05, duplicates=0.05, late=0.05)
        self._records = generate(spec, Planted())
        self._bench = bench
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        producer = Producer({"bootstrap.servers": self._bench.broker.bootstrap_servers, "linger.ms": 5})
        while not self._stop.is_set():
            for _ in range(200):
                key, value = next(self._records)
                producer.produce(self._bench.topic, value, key)
            producer.flush()
            self._stop.wait(0.02)


def catch_up(bench: Bench) -> tuple[int, int]:
    bench.ok("land", "--topic", bench.topic, "--until-caught-up")
    return bench.assert_exactly_once()


@pytest.mark.timeout(1800)
def test_killed_at_random_moments(bench: Bench, seed: int, request: pytest.FixtureRequest) -> None:
    rng = random.Random(seed)
    kills = request.config.getoption("--kills")
    busy = 0
    with Burst(bench, seed):
        for _ in range(kills):
            before = bench.landed_records()
            lander = bench.start("land", "--topic", bench.topic, "--flush", "0.05")
            if rng.random() < 0.8:
                bench.wait_for(lambda before=before: bench.landed_records() > before, "a commit")
                time.sleep(rng.random() * 0.6)
            else:
                time.sleep(rng.random() * 2.5)
            lander.signal(signal.SIGKILL)
            lander.wait()
            busy += bench.landed_records() > before
    raw, quarantined = catch_up(bench)
    assert busy >= kills // 2, "most of the kills hit a lander at work"
    assert raw > 1_000
    assert quarantined > 50


#: Lands in a process of its own that ends, as by SIGKILL, after quarantine is committed and before raw is.
CRASH = """
import os
from streaming.lander.hold import HeldTable
real = HeldTable.append
def append(self, *args):
    if self.table.name()[0] == "raw":
        os._exit(9)
    real(self, *args)
HeldTable.append = append
from orderlake.cli.main import main
main()
"""


def crash_between_the_commits(bench: Bench) -> None:
    process = bench.start("land", "--topic", bench.topic, "--until-caught-up", code=CRASH)
    assert process.wait().code == 9


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("the same contract", None),
        ("a stricter one", ("minLength: 1, maxLength: 64}\n        required: true\n        classification: internal\n        examples: [ORD", "minLength: 1, maxLength: 64, pattern: '[A-M]$'}\n        required: true\n        classification: internal\n        examples: [ORD")),
        ("a looser one", ("logicalTypeOptions: {exclusiveMinimum: 0}\n        required: true", "required: true")),
    ],
    ids=["same", "stricter", "looser"],
)  # fmt: skip
def test_a_crash_between_the_two_commits(
    bench: Bench, fill: Fill, edit_contract: Callable[..., object], name: str, change: tuple[str, str] | None
) -> None:
    """Routing that is committed stands: what quarantine already has is skipped, all else is decoded as it is valid now."""
    fill(bench, 3_000, dirty=0.2)
    crash_between_the_commits(bench)
    quarantined = bench.rows(quarantine_table(bench.topic))
    assert len(quarantined) > 300
    assert bench.rows(raw_table(bench.topic)) == {}
    if change:
        edit_contract(TOPIC_FILE, ("physicalName: orders.created.v1", f"physicalName: {bench.topic}"), change)
    raw, after = catch_up(bench)
    assert quarantined.keys() <= bench.rows(quarantine_table(bench.topic)).keys()
    if name == "a stricter one":
        assert after > len(quarantined) + 500, "what is bad now and was not quarantined yet is quarantined"
    else:
        assert after == len(quarantined), "what was quarantined stays so, even if it would be good now"
    assert raw + after == 3_000


def test_two_crashes_between_the_commits_in_a_row(bench: Bench, fill: Fill) -> None:
    fill(bench, 1_000, dirty=0.2)
    crash_between_the_commits(bench)
    first = len(bench.rows(quarantine_table(bench.topic)))
    fill(bench, 1_000, seed=2, dirty=0.2)
    crash_between_the_commits(bench)
    assert len(bench.rows(quarantine_table(bench.topic))) > first
    assert sum(catch_up(bench)) == 2_000


def test_a_second_lander_is_refused_and_the_first_goes_on(bench: Bench, fill: Fill) -> None:
    fill(bench, 500)
    first = bench.start("land", "--topic", bench.topic)
    bench.wait_for(lambda: bench.landed_records() == 500, "the first landing")
    second = bench.run("land", "--topic", bench.topic)
    assert second.code == 4
    assert f"is being landed by process {first.pid} on this machine" in second.err
    assert f"kill {first.pid}" in second.err
    assert "Traceback" not in second.err
    fill(bench, 500, seed=2)
    bench.wait_for(lambda: bench.landed_records() == 1_000, "the first lander to go on")
    first.signal(signal.SIGTERM)
    assert first.wait().code == 0
    assert sum(bench.assert_exactly_once()) == 1_000


def test_two_landers_that_start_at_once_do_not_double_anything(bench: Bench, fill: Fill) -> None:
    fill(bench, 5_000, dirty=0.1)
    both = [bench.start("land", "--topic", bench.topic, "--until-caught-up", "--flush", "0.05") for _ in range(2)]
    codes = sorted(process.wait().code for process in both)
    assert codes[0] == 0 or codes == [4, 4]
    assert codes[1] in {0, 4}
    assert sum(catch_up(bench)) == 5_000


def test_a_stopped_lander_that_was_overtaken_is_refused_when_it_comes_back(bench: Bench, fill: Fill) -> None:
    fill(bench, 200, dirty=0.1)
    zombie = bench.start("land", "--topic", bench.topic, "--flush", "3")
    bench.wait_for(lambda: bench.landed_records() == 200, "the first landing")
    fill(bench, 2_000, seed=2, dirty=0.1)
    time.sleep(1)
    zombie.signal(signal.SIGSTOP)
    assert bench.landed_records() == 200, "it holds messages that it has not committed"
    bench.ok("land", "--topic", bench.topic, "--until-caught-up")
    assert bench.landed_records() == 2_200
    zombie.signal(signal.SIGCONT)
    result = zombie.wait()
    assert result.code == 4
    assert "has been taken over by process" in result.err
    assert "nothing is lost or doubled" in result.err
    assert "Traceback" not in result.err
    assert sum(catch_up(bench)) == 2_200


def test_kafka_goes_away_and_comes_back(bench: Bench, fill: Fill) -> None:
    fill(bench, 500)
    lander = bench.start("land", "--topic", bench.topic)
    bench.wait_for(lambda: bench.landed_records() == 500, "the first landing")
    down(bench.broker)
    try:
        bench.wait_for(lambda: "Kafka does not answer; waiting" in lander.err.read_text(), "the lander to say so")
        assert lander.popen.poll() is None
    finally:
        up(bench.broker)
    bench.wait_for(lambda: "Kafka is back; landing goes on" in lander.err.read_text(), "the lander to resume")
    fill(bench, 500, seed=2)
    bench.wait_for(lambda: bench.landed_records() == 1_000, "the lander to go on")
    lander.signal(signal.SIGTERM)
    assert lander.wait().code == 0
    assert sum(bench.assert_exactly_once()) == 1_000


def test_the_store_goes_away_and_comes_back(bench: Bench, fill: Fill) -> None:
    """Whatever fails in writing or committing: the tables are read again, and landing goes on from what they say."""
    fill(bench, 500, dirty=0.1)
    lander = bench.start("land", "--topic", bench.topic)
    bench.wait_for(lambda: bench.landed_records() == 500, "the first landing")
    warehouse = bench.settings.home / "warehouse"
    away = warehouse.with_name("away")
    warehouse.rename(away)
    warehouse.write_text("no folder")
    fill(bench, 500, seed=2, dirty=0.1)
    bench.wait_for(lambda: "landing was interrupted" in lander.err.read_text(), "the lander to say so")
    warehouse.unlink()
    away.rename(warehouse)
    bench.wait_for(lambda: bench.landed_records() == 1_000, "the lander to go on")
    lander.signal(signal.SIGTERM)
    assert lander.wait().code == 0
    assert sum(bench.assert_exactly_once()) == 1_000


def recreate(bench: Bench) -> None:
    admin = admin_client(bench.settings)
    admin.delete_topics([bench.topic])[bench.topic].result(30)
    time.sleep(1)
    ensure_topic(bench.settings, Registry(bench.settings.search_path).topic(bench.topic))


def test_a_topic_created_again_is_refused(bench: Bench, fill: Fill) -> None:
    fill(bench, 100)
    catch_up(bench)
    before = describe_topic(bench.settings, bench.topic).topic_id
    recreate(bench)
    fill(bench, 300)
    result = bench.run("land", "--topic", bench.topic, "--until-caught-up")
    assert result.code == 4
    assert f"was deleted and created again (topic id {before}" in result.err
    assert "ORDERLAKE_HOME=<new folder> orderlake land" in result.err
    assert bench.landed_records() == 100


def test_messages_that_retention_deleted_first_are_a_gap_that_must_be_accepted(bench: Bench, fill: Fill) -> None:
    fill(bench, 400)
    catch_up(bench)
    state = read_state(bench.lake.load(raw_table(bench.topic)).metadata)
    fill(bench, 4_000, seed=2)
    lost_up_to = state.partitions[1].next + 20
    admin = admin_client(bench.settings)
    (deleted,) = admin.delete_records([TopicPartition(bench.topic, 1, lost_up_to)]).values()
    deleted.result(30)
    refused = bench.run("land", "--topic", bench.topic, "--until-caught-up")
    assert refused.code == 4
    assert f"20 messages of {bench.topic} were deleted by Kafka's retention" in refused.err
    assert f"partition 1 offsets {lost_up_to - 20} to {lost_up_to - 1}" in refused.err
    assert f"orderlake land --topic {bench.topic} --accept-gap" in refused.err
    bench.ok("land", "--topic", bench.topic, "--until-caught-up", "--accept-gap")
    state = read_state(bench.lake.load(raw_table(bench.topic)).metadata)
    assert [(g.partition, g.start, g.end) for g in state.gaps] == [(1, lost_up_to - 20, lost_up_to)]
    assert bench.landed_records() == 4_400 - 20
    bench.ok("land", "--topic", bench.topic, "--until-caught-up")


def test_a_topic_that_lost_what_was_landed_is_refused(bench: Bench, fill: Fill) -> None:
    fill(bench, 100)
    catch_up(bench)
    identity = describe_topic(bench.settings, bench.topic)
    HeldTable.claim(bench.lake.load(raw_table(bench.topic)), identity, this_process(), [Gap(0, 0, 10_000, "test")])
    result = bench.run("land", "--topic", bench.topic, "--until-caught-up")
    assert result.code == 4
    assert "partition 0 of" in result.err
    assert "but offset 9999 has been landed" in result.err


def test_a_contract_that_only_adds_is_followed_and_another_change_is_refused(
    bench: Bench, fill: Fill, edit_contract: Callable[..., object]
) -> None:
    fill(bench, 200)
    catch_up(bench)
    own = ("physicalName: orders.created.v1", f"physicalName: {bench.topic}")
    channel = ("slaProperties:", "      - {name: channel, description: d, logicalType: string}\nslaProperties:")
    edit_contract(TOPIC_FILE, own, channel)
    fill(bench, 200, seed=2)
    catch_up(bench)
    assert bench.lake.load(raw_table(bench.topic)).scan().to_arrow()["channel"].null_count == 400
    edit_contract(TOPIC_FILE, own, ("name: currency", "name: money"))
    result = bench.run("land", "--topic", bench.topic, "--until-caught-up")
    assert result.code == 4
    assert "- currency is in the table but no longer in the contract" in result.err
    assert "put the contract back as it was" in result.err


def test_a_broker_of_another_cluster_is_refused(bench: Bench, fill: Fill, tmp_path, request) -> None:
    """Two native brokers run side by side, each with the lake it belongs to."""
    from orderlake.settings import KafkaSettings
    from tests.integration.conftest import free_port

    fill(bench, 100)
    catch_up(bench)
    other = Settings(home=tmp_path / "other", kafka=KafkaSettings(port=free_port(), controller_port=free_port()))
    request.addfinalizer(lambda: down(other))
    up(other)
    ensure_topic(other, Registry(bench.settings.search_path).topic(bench.topic))
    result = bench.run(
        "land", "--topic", bench.topic, "--until-caught-up", ORDERLAKE_KAFKA__BOOTSTRAP_SERVERS=other.bootstrap_servers
    )
    assert result.code == 4
    assert "was landed from Kafka cluster" in result.err
    assert "if these are the wrong brokers" in result.err
    assert bench.landed_records() == 100
