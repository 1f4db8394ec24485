"""Sends messages and waits until the broker has confirmed each of them."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, Message, Producer

from orderlake.progress import task
from orderlake.settings import Settings
from streaming.kafka import client_config, client_logger

#: (key, value) of a message.
Record = tuple[bytes | None, bytes | None]

_POLL_EVERY = 2_000
#: Idempotent and confirmed by all replicas. The partitioner is Java's, so that a key goes to the same partition
#: whichever client sends it.
_PRODUCER = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 20,
    "compression.type": "lz4",
    "batch.size": 262_144,
    "queue.buffering.max.messages": 200_000,
    "message.timeout.ms": 60_000,
    "partitioner": "murmur2_random",
}


@dataclass(slots=True)
class Delivery:
    """What became of the messages: confirmed, or failed for a reason."""

    confirmed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Number of messages that were not confirmed."""
        return self.failures.total()

    def note(self, error: KafkaError | None, _message: Message) -> None:
        """Count one confirmation (librdkafka's delivery callback)."""
        if error is None:
            self.confirmed += 1
        else:
            self.failures[error.str()] += 1


def send_all(
    settings: Settings, topic: str, records: Iterable[Record], *, total: int | None, rate: float = 0.0
) -> Delivery:
    """Send messages and wait for all confirmations.

    Args:
        settings: where Kafka is.
        topic: where to.
        records: the messages in order.
        total: how many there are, for the progress bar.
        rate: messages per second; 0 for as fast as possible.

    Returns:
        how many were confirmed, and why others were not.
    """
    producer = Producer(client_config(settings, **_PRODUCER, error_cb=lambda _: None), logger=client_logger)
    delivery = Delivery()
    with task(f"Producing into {topic}", total=total) as progress:
        remaining = iter(records)
        first = next(remaining, None)
        started = time.monotonic()
        for sent, (key, value) in enumerate([] if first is None else itertools.chain([first], remaining)):
            if rate:
                _wait_until(producer, started + sent / rate)
            _produce(producer, topic, key, value, delivery)
            if not sent % _POLL_EVERY or rate:
                producer.poll(0)
                progress.update(completed=delivery.confirmed)
        while producer.flush(0.2):
            progress.update(completed=delivery.confirmed)
    delivery.seconds = time.monotonic() - started
    return delivery


def _produce(producer: Producer, topic: str, key: bytes | None, value: bytes | None, delivery: Delivery) -> None:
    while True:
        try:
            producer.produce(topic, value, key, on_delivery=delivery.note)
        except BufferError:
            producer.poll(0.05)
        else:
            return


def _wait_until(producer: Producer, moment: float) -> None:
    while (remaining := moment - time.monotonic()) > 0:
        producer.poll(min(remaining, 0.1))
