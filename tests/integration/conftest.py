"""A real Kafka broker, started once per run by the repository's own native servers; a lake and a topic per test.

Where the broker cannot be had, the tests are skipped with the reason; ORDERLAKE_REQUIRE_SERVERS=1 fails them instead.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from infra.native.lifecycle import down, up
from orderlake.contracts.naming import quarantine_table, raw_table
from orderlake.errors import ServiceError
from orderlake.lake.catalog import Lake
from orderlake.settings import KafkaSettings, Settings
from streaming.kafka import describe_topic, watermarks

TOPIC_FILE = "topics/orders.created.v1.yaml"
MAIN = "from orderlake.cli.main import main; main()"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of the lake whose native broker runs for the whole session."""
    home = tmp_path_factory.mktemp("broker")
    settings = Settings(home=home, kafka=KafkaSettings(port=free_port(), controller_port=free_port()))
    try:
        up(settings)
    except ServiceError as error:
        if os.environ.get("ORDERLAKE_REQUIRE_SERVERS") == "1":
            raise
        pytest.skip(f"no Kafka broker: {error.fact}")
    yield settings
    down(settings)


@dataclass
class Process:
    """A command that is running; its output goes to files, so that it never waits for a reader."""

    popen: subprocess.Popen[str]
    out: Path
    err: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def wait(self, seconds: float = 60) -> Result:
        self.popen.wait(seconds)
        return Result(self.popen.returncode, self.out.read_text(), self.err.read_text())

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()


@dataclass
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Bench:
    """The command line on a lake of its own, and a topic of its own on the shared broker."""

    folder: Path
    broker: Settings
    topic: str
    paths: list[Path]
    environment: dict[str, str] = field(default_factory=dict)
    running: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = Settings(
            home=self.folder / "lake",
            paths=tuple(self.paths),
            kafka=KafkaSettings(bootstrap_servers=self.broker.bootstrap_servers),
        )

    def start(self, *words: str, stdin: str | None = None, code: str = MAIN, **environment: str) -> Process:
        """Start `orderlake WORDS` in a process of its own; `code` takes the place of its entry point."""
        variables = {
            **{k: v for k, v in os.environ.items() if not k.startswith("ORDERLAKE_")},
            "ORDERLAKE_HOME": str(self.settings.home),
            "ORDERLAKE_PATHS": os.pathsep.join(map(str, self.paths)),
            "ORDERLAKE_KAFKA__BOOTSTRAP_SERVERS": self.broker.bootstrap_servers,
            **self.environment,
            **environment,
        }
        command = [sys.executable, "-c", code, *words]
        out, err, given = (self.folder / f"{len(self.running)}.{name}" for name in ("out", "err", "in"))
        given.write_text(stdin or "")
        with out.open("w") as out_file, err.open("w") as err_file, given.open() as in_file:
            popen = subprocess.Popen(
                command, cwd=self.folder, env=variables, text=True, stdin=in_file, stdout=out_file, stderr=err_file
            )
        process = Process(popen, out, err)
        self.running.append(process)
        return process

    def run(self, *words: str, seconds: float = 120, stdin: str | None = None, **environment: str) -> Result:
        """Run `orderlake WORDS` to its end."""
        return self.start(*words, stdin=stdin, **environment).wait(seconds)

    def ok(self, *words: str, **environment: str) -> Result:
        """Run `orderlake WORDS`, which must succeed."""
        result = self.run(*words, **environment)
        assert result.code == 0, f"{words}: {result.err[-3000:]}"
        return result

    @property
    def lake(self) -> Lake:
        return Lake.open(self.settings)

    def messages(self) -> dict[tuple[int, int], bytes | None]:
        """Return every message of the topic by (partition, offset)."""
        identity = describe_topic(self.settings, self.topic)
        marks = watermarks(self.settings, self.topic, identity.partitions)
        consumer = Consumer(
            {"bootstrap.servers": self.broker.bootstrap_servers, "group.id": "test", "enable.partition.eof": True}
        )
        consumer.assign([TopicPartition(self.topic, p, OFFSET_BEGINNING) for p in marks])
        found: dict[tuple[int, int], bytes | None] = {}
        ended: set[int] = set()
        while len(ended) < len(marks):
            for message in consumer.consume(5_000, 1.0):
                error = message.error()
                if error is None:
                    found[message.partition(), message.offset()] = message.value()
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    ended.add(message.partition())
        consumer.close()
        return found

    def rows(self, table: str) -> dict[tuple[int, int], bytes | None]:
        """Return the payloads of a landing table by (partition, offset); none may be there twice."""
        found = self.lake.load(table).scan(selected_fields=("_kafka_partition", "_kafka_offset", "_payload")).to_arrow()
        keys = list(zip(found["_kafka_partition"].to_pylist(), found["_kafka_offset"].to_pylist(), strict=True))
        assert len(keys) == len(set(keys)), f"{table} holds {len(keys) - len(set(keys))} messages twice"
        return dict(zip(keys, found["_payload"].to_pylist(), strict=True))

    def assert_exactly_once(self) -> tuple[int, int]:
        """Compare topic with raw and quarantine, byte for byte; return the numbers of rows of the two."""
        raw, quarantine = self.rows(raw_table(self.topic)), self.rows(quarantine_table(self.topic))
        assert not raw.keys() & quarantine.keys(), "a message is in both tables"
        messages = self.messages()
        assert raw | quarantine == messages, f"{len(messages)} in the topic, {len(raw)} + {len(quarantine)} landed"
        return len(raw), len(quarantine)

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
            time.sleep(0.05)

    def landed_records(self) -> int:
        """Return the number of records that the landing state counts."""
        from orderlake.lake.landing_state import read_state

        table = self.lake.find(raw_table(self.topic))
        return sum(p.records for p in read_state(table.metadata).partitions.values()) if table else 0

    def close(self) -> None:
        for process in self.running:
            if process.popen.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.signal(signal.SIGCONT)  # a stopped process could not be waited for
                process.kill()


@pytest.fixture
def bench(tmp_path: Path, broker: Settings, edit_contract: Callable[..., Path]) -> Iterator[Bench]:
    """A lake and a topic of their own; the topic has the contract of orders.created.v1 under another name."""
    topic = f"orders.t{uuid.uuid4().hex[:8]}.v1"
    own = edit_contract(TOPIC_FILE, ("physicalName: orders.created.v1", f"physicalName: {topic}"))
    made = Bench(tmp_path, broker, topic, [own])
    yield made
    made.close()


@pytest.fixture
def fill(tmp_path: Path) -> Callable[..., int]:
    """Send generated orders into a bench's topic; returns the number of messages."""

    def send(bench: Bench, count: int = 2_000, seed: int = 1, **shares: float) -> int:
        import datetime as dt

        from orderlake.contracts.registry import Registry
        from streaming.producers.delivery import send_all
        from streaming.producers.orders import OrdersSpec, Planted, generate
        from streaming.topics import ensure_topic

        ensure_topic(bench.settings, Registry(bench.settings.search_path).topic(bench.topic))
        span = dt.timedelta(days=3)
        start = dt.datetime.now(dt.UTC).replace(microsecond=0) - span
        planted = Planted()
        delivery = send_all(
            bench.settings, bench.topic, generate(OrdersSpec(count, seed, start, span, **shares), planted), total=None
        )
        assert delivery.failed == 0
        return delivery.confirmed

    return send
