"""Sends messages and waits until the broker has confirmed each of them, or has been asked to stop."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from orderlake.progress import task
from orderlake.settings import Settings
from streaming.kafka import client_config, client_logger

#: (key, value) of a message.
Record = tuple[bytes | None, bytes | None]

_POLL_EVERY = 2_000
#: Values of failed messages that are kept, to say which ones they were.
_KEPT = 5
#: What is under way when sending is interrupted gets so long to be confirmed.
_LAST_SECONDS = 5.0
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
    # How large a message may be is the topic's to say (max.message.bytes); the client's own limit is far below it.
    "message.max.bytes": 50_000_000,
    "partitioner": "murmur2_random",
}


@dataclass(slots=True)
class Delivery:
    """What became of the messages: confirmed, failed for a reason, or neither because sending was interrupted.

    Attributes:
        failures: how many failed, by reason.
        too_large: how many of them are larger than the topic accepts.
        failed_values: the values of the first that failed.
        unconfirmed: messages under way whose fate is unknown; only after an interruption.
    """

    confirmed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    too_large: int = 0
    failed_values: list[bytes | None] = field(default_factory=list)
    interrupted: bool = False
    unconfirmed: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Number of messages that were refused or not confirmed in time."""
        return self.failures.total()

    def note(self, error: KafkaError | None, message: Message) -> None:
        """Count one confirmation (librdkafka's delivery callback)."""
        if error is None:
            self.confirmed += 1
        else:
            self.fail(error, message.value())

    def fail(self, error: KafkaError, value: bytes | None) -> None:
        """Count one failure."""
        self.failures[error.str()] += 1
        self.too_large += error.code() == KafkaError.MSG_SIZE_TOO_LARGE
        if len(self.failed_values) < _KEPT:
            self.failed_values.append(value)


def send_all(
    settings: Settings,
    topic: str,
    records: Iterable[Record],
    *,
    total: int | None,
    rate: float = 0.0,
    stop: Callable[[], bool] = lambda: False,
) -> Delivery:
    """Send messages and wait for all confirmations. A message that is refused does not keep the others from being sent.

    Args:
        settings: where Kafka is.
        topic: where to.
        records: the messages in order.
        total: how many there are, for the progress bar.
        rate: messages per second; 0 for as fast as possible.
        stop: asked again and again; once it says yes, nothing more is sent and what is under way is waited for shortly.

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
                _wait_until(producer, started + sent / rate, stop)
            if (rate or not sent % _POLL_EVERY) and stop():
                break
            _produce(producer, topic, (key, value), delivery, stop)
            if not sent % _POLL_EVERY or rate:
                producer.poll(0)
                progress.update(completed=delivery.confirmed)
        deadline: float | None = None
        while waiting := producer.flush(0.2):
            progress.update(completed=delivery.confirmed)
            if stop():
                deadline = deadline or time.monotonic() + _LAST_SECONDS
                if time.monotonic() > deadline:
                    delivery.unconfirmed = waiting
                    break
    delivery.interrupted = stop()
    delivery.seconds = time.monotonic() - started
    return delivery


def _produce(producer: Producer, topic: str, record: Record, delivery: Delivery, stop: Callable[[], bool]) -> None:
    key, value = record
    while not stop():
        try:
            producer.produce(topic, value, key, on_delivery=delivery.note)
        except BufferError:
            producer.poll(0.05)
        except KafkaException as error:
            delivery.fail(error.args[0], value)
            return
        else:
            return


def _wait_until(producer: Producer, moment: float, stop: Callable[[], bool]) -> None:
    while (remaining := moment - time.monotonic()) > 0 and not stop():
        producer.poll(min(remaining, 0.1))
