"""Measures the lander on a real broker of its own: `python benchmarks/landing.py` (see --help).

1. Throughput: a topic of --messages messages of about 300 bytes, --bad of them broken, 4 partitions, landed by one
   process at a 1 s flush. Messages/s and CPU µs per message from the first message to the last commit, rows verified
   against what was sent. In the same run, for the limit: a consumer that only reads the same messages.
2. Freshness: messages at --rate per second; from the producer's timestamp to the end of the commit, p50 and p99.
3. Commit cost over history: the median of the last commits against that of commits 5 to 15.

Machines are noisy: ratios within one run are what counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from rich.console import Console
from rich.table import Table

from infra.native.lifecycle import down, up
from orderlake.contracts.naming import raw_table
from orderlake.contracts.registry import Registry
from orderlake.lake.catalog import Lake
from orderlake.progress import shown, task
from orderlake.settings import KafkaSettings, Settings
from streaming.balance import balance
from streaming.topics import ensure_topic

TOPIC = "orders.created.v1"
PARTITIONS = 4
CHILD = "--as-lander"


def messages(count: int, bad: float, seed: int = 1) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield (key, value, whether it is bad): the contract's seven fields and four more, about 300 bytes."""
    rng = random.Random(seed)
    start = time.time() - 86_400
    stamps = [time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start + second)) for second in range(0, 86_400, 10)]
    for number in range(count):
        digits = f"{rng.getrandbits(128):032x}"
        key = f"ORD-{digits[:8].upper()}"
        is_bad = rng.random() < bad
        amount = "-1.00" if is_bad else f"{number % 9_000 + 1}.{number % 100:02d}"
        value = (
            f'{{"event_id":"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}",'
            f'"event_time":"{stamps[number * len(stamps) // count]}.{number % 1000:03d}Z","order_id":"{key}",'
            f'"user_id":"USR-{number % 50_000:08d}","order_amount":"{amount}","currency":"EUR",'
            f'"order_status":"CREATED","channel":"web","country":"DE","session_id":"{digits[:20]}","city":"Berlin"}}'
        )
        yield key.encode(), value.encode(), is_bad


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def producer(settings: Settings, linger_ms: int) -> Producer:
    """Return a producer that fills its batches."""
    return Producer(
        {
            "bootstrap.servers": settings.bootstrap_servers, "linger.ms": linger_ms, "compression.type": "lz4",
            "batch.size": 262_144, "queue.buffering.max.messages": 500_000, "acks": "all", "enable.idempotence": True,
        }
    )  # fmt: skip


def send(target: Producer, key: bytes, value: bytes) -> None:
    """Queue one message, waiting for room."""
    while True:
        try:
            target.produce(TOPIC, value, key)
        except BufferError:
            target.poll(0.05)
        else:
            return


class Lander:
    """The lander in a process of its own, which notes the end and the duration of every commit."""

    def __init__(self, settings: Settings, log: Path, *words: str) -> None:
        self.log = log
        environment = {
            **os.environ,
            "ORDERLAKE_HOME": str(settings.home),
            "ORDERLAKE_KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        }
        command = [sys.executable, __file__, CHILD, str(log), "land", "--topic", TOPIC, "--json", *words]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def finish(self, *, stop: bool = False) -> dict[str, Any]:
        """Wait for the end; return the summary."""
        if stop:
            self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=600)
        if self.process.returncode:
            raise SystemExit(f"the lander ended with {self.process.returncode}")
        summary: dict[str, Any] = json.loads(out)[0]
        return summary

    def commits(self) -> list[dict[str, Any]]:
        """Return what was noted of every commit of the raw table."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


def as_lander(log: str, words: list[str]) -> None:
    """Run `orderlake` with commits noted: the ranges, when the commit had ended, how long both tables took."""
    from streaming.lander.hold import HeldTable
    from streaming.lander.sink import TopicSink

    append, commit = HeldTable.append, TopicSink.commit
    ranges: dict[str, Any] = {}

    def noted_append(self: HeldTable, files: Any, spans: Any, times: Any, summary: Any) -> None:
        append(self, files, spans, times, summary)
        if self.table.name()[0] == "raw":
            ranges.update({str(p): [r.start, r.end] for p, r in spans.items()})

    def noted_commit(self: TopicSink, reason: str) -> None:
        ranges.clear()
        started = time.perf_counter()
        commit(self, reason)
        entry = {"at": time.time(), "seconds": time.perf_counter() - started, "ranges": dict(ranges)}
        with Path(log).open("a") as file:
            file.write(json.dumps(entry) + "\n")

    HeldTable.append, TopicSink.commit = noted_append, noted_commit  # type: ignore[method-assign]
    sys.argv = ["orderlake", *words]
    from orderlake.cli.main import main

    main()


def fill(settings: Settings, count: int, bad: float) -> tuple[int, float]:
    """Fill the topic; return the number of bad messages and the mean size."""
    target = producer(settings, 20)
    broken = size = 0
    with task("Filling the topic", total=count) as progress:
        for number, (key, value, is_bad) in enumerate(messages(count, bad)):
            send(target, key, value)
            broken += is_bad
            size += len(value)
            if not number % 5_000:
                target.poll(0)
                progress.update(completed=number)
        target.flush()
    return broken, size / count


def consume_only(settings: Settings, count: int) -> tuple[float, float]:
    """Read all messages and their coordinates and nothing else; return messages/s and CPU µs per message."""
    consumer = Consumer(
        {"bootstrap.servers": settings.bootstrap_servers, "group.id": "limit", "fetch.queue.backoff.ms": 10}
    )
    consumer.assign([TopicPartition(TOPIC, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    seen = 0
    started, cpu = time.monotonic(), time.process_time()
    while seen < count:
        for message in consumer.consume(2_000, 0.05):
            if message.error() is None:
                message.value(), message.offset(), message.partition(), message.timestamp()
                seen += 1
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    consumer.close()
    return seen / seconds, cpu / seen * 1e6


def throughput(settings: Settings, folder: Path, count: int, bad: float) -> list[tuple[str, str]]:
    """Land a full topic."""
    ensure_topic(settings, Registry(settings.search_path).topic(TOPIC))
    broken, size = fill(settings, count, bad)
    limit, limit_cpu = consume_only(settings, count)
    with task("Landing"):
        lander = Lander(settings, folder / "throughput.jsonl", "--until-caught-up", "--flush", "1")
        peak = 0
        while lander.process.poll() is None:
            peak = max(peak, resident_mb(lander.process.pid))
            time.sleep(0.05)
        summary = lander.finish()
    _, partitions = balance(Lake.open(settings), TOPIC)
    exact = (summary["rows"], summary["quarantined"]) == (count - broken, broken) and all(p.holds for p in partitions)
    landed = count / summary["seconds"]
    return [
        ("messages", f"{count:,} of {size:.0f} bytes, {broken:,} bad, {PARTITIONS} partitions"),
        ("landed", f"{landed:,.0f} messages/s, {summary['cpu_seconds'] / count * 1e6:.2f} µs CPU per message"),
        ("reading alone", f"{limit:,.0f} messages/s, {limit_cpu:.2f} µs; landing reaches {landed / limit:.0%} of it"),
        ("commits", f"{summary['commits']}"),
        ("peak memory", f"{peak} MB"),
        ("rows", "exact" if exact else "WRONG"),
    ]


def resident_mb(pid: int) -> int:
    """Return the resident memory of a process."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20
    except OSError:
        return 0


def pace(settings: Settings, rate: int, until: Any) -> None:
    """Send messages at a rate until told to stop."""
    target = producer(settings, 5)
    supply = messages(10**9, 0.005, seed=2)
    started, sent = time.monotonic(), 0
    while not until():
        due = int((time.monotonic() - started) * rate)
        for _ in range(due - sent):
            key, value, _bad = next(supply)
            send(target, key, value)
        sent = max(sent, due)
        target.poll(0)
        time.sleep(0.005)
    target.flush()


def freshness(settings: Settings, folder: Path, rate: int, seconds: int, flush: str) -> list[tuple[str, str]]:
    """Land a stream; measure from the producer's timestamp to the end of the commit."""
    lander = Lander(settings, folder / f"freshness-{flush}.jsonl", "--flush", flush)
    with task(f"Freshness at {rate:,}/s", total=None):
        time.sleep(4)
        begin = time.time()
        pace(settings, rate, lambda: time.time() - begin > seconds)
        time.sleep(2)
    lander.finish(stop=True)
    lake = Lake.open(settings)
    columns = ("_kafka_partition", "_kafka_offset", "_kafka_timestamp")
    delays = []
    rows = lake.load(raw_table(TOPIC)).scan(selected_fields=columns).to_arrow()
    partition, offset = (rows[name].to_numpy() for name in columns[:2])
    moment = rows["_kafka_timestamp"].cast("int64").to_numpy() / 1e6
    for entry in lander.commits():
        for number, (start, end) in entry["ranges"].items():
            within = (partition == int(number)) & (offset >= start) & (offset < end) & (moment > begin + 2)
            delays.append(entry["at"] - moment[within])
    every = np.concatenate(delays) * 1000
    p50, p99 = np.percentile(every, [50, 99])
    return [
        (f"freshness, flush {flush}", f"p50 {p50:.0f} ms, p99 {p99:.0f} ms over {len(every):,} messages at {rate:,}/s")
    ]


def commit_cost(settings: Settings, folder: Path, commits: int, flush: str) -> list[tuple[str, str]]:
    """Commit again and again; compare late commits with early ones."""
    lander = Lander(settings, folder / "commits.jsonl", "--flush", flush)
    with task("Committing", total=commits) as progress:

        def enough() -> bool:
            done = len(lander.commits())
            progress.update(completed=done)
            return done >= commits

        pace(settings, 2_000, enough)
    lander.finish(stop=True)
    took = [entry["seconds"] * 1000 for entry in lander.commits()]
    early, late = statistics.median(took[4:15]), statistics.median(took[commits - 11 : commits])
    return [
        (
            f"commit {commits - 10} to {commits}",
            f"{late:.1f} ms, commits 5 to 15 {early:.1f} ms: ratio {late / early:.2f}",
        )
    ]


def main() -> None:
    """Run what is asked for and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000, help="messages of the throughput run (%(default)s)")
    parser.add_argument("--bad", type=float, default=0.005, help="share of bad ones (%(default)s)")
    parser.add_argument("--rate", type=int, default=20_000, help="messages a second of the freshness run (%(default)s)")
    parser.add_argument("--seconds", type=int, default=30, help="length of the freshness run (%(default)s)")
    parser.add_argument("--commits", type=int, default=500, help="commits of the history run; 0 skips it (%(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="throughput runs (%(default)s)")
    options = parser.parse_args()
    table = Table(title=f"landing, Python {platform.python_version()}, {os.cpu_count()} cores", show_header=False)
    with tempfile.TemporaryDirectory(prefix="orderlake-bench-") as name, shown():
        for number in range(options.repeat):
            rows: list[tuple[str, str]] = []
            folder = Path(name) / str(number)
            settings = Settings(
                home=folder, kafka=KafkaSettings(port=free_port(), controller_port=free_port(), heap="512m")
            )
            up(settings)
            try:
                rows += throughput(settings, folder, options.messages, options.bad)
                if number == options.repeat - 1:
                    if options.seconds:
                        rows += freshness(settings, folder, options.rate, options.seconds, "fresh")
                    if options.commits:
                        rows += commit_cost(settings, folder, options.commits, "1")
            finally:
                down(settings)
            for row in rows:
                table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    if CHILD in sys.argv:
        as_lander(sys.argv[2], sys.argv[3:])
    else:
        main()
