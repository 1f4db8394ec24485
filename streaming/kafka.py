"""Talking to Kafka: client configuration, identities, watermarks, and errors a user understands."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from orderlake.errors import InputError, UnavailableError
from orderlake.settings import Settings

#: librdkafka tells of every lost connection, several times; orderlake says itself what it means for its work.
client_logger = logging.getLogger("librdkafka")
client_logger.setLevel(logging.CRITICAL)

_MISSING = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)  # noqa: SLF001 - librdkafka's local code

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TopicIdentity:
    """Which topic this is: a topic deleted and created again has the same name and another id."""

    cluster_id: str
    topic: str
    topic_id: str
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Watermarks:
    """Of one partition: the earliest offset that retention has left, and the offset after the last message."""

    low: int
    high: int


def client_config(settings: Settings, **extra: Any) -> dict[str, Any]:
    """Return the configuration of any client: where the brokers are, quick reconnects, no noise."""
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": "orderlake",
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        **extra,
    }


def _ignore(*_: object) -> None:
    """Swallow librdkafka's error callback; what matters comes as the result of the call."""


def admin_client(settings: Settings) -> AdminClient:
    """Return an admin client; it connects when it is used."""
    return AdminClient(client_config(settings, error_cb=_ignore), logger=client_logger)


def unreachable(settings: Settings, reason: str) -> UnavailableError:
    """Return the error for brokers that do not answer."""
    own = settings.kafka.bootstrap_servers is not None
    return UnavailableError(
        f"no Kafka broker answers at {settings.bootstrap_servers}: {reason}.",
        remedy="check ORDERLAKE_KAFKA__BOOTSTRAP_SERVERS and that broker." if own else "start it: orderlake up kafka",
    )


def _result(future: Future[T], settings: Settings) -> T:
    try:
        return future.result(timeout=settings.kafka.timeout_seconds + 1)
    except TimeoutError as error:
        raise unreachable(settings, "timed out") from error
    except KafkaException as error:
        kafka_error = error.args[0]
        if kafka_error.code() in _MISSING:
            raise
        raise unreachable(settings, kafka_error.str()) from error


def cluster_id(settings: Settings, admin: AdminClient | None = None) -> str:
    """Return the id of the Kafka cluster.

    Raises:
        UnavailableError: no broker answers.
    """
    admin = admin or admin_client(settings)
    cluster = _result(admin.describe_cluster(request_timeout=settings.kafka.timeout_seconds), settings)
    return str(cluster.cluster_id)


def describe_topic(settings: Settings, topic: str, admin: AdminClient | None = None) -> TopicIdentity:
    """Return the identity of a topic.

    Raises:
        UnavailableError: no broker answers.
        InputError: the topic does not exist.
    """
    admin = admin or admin_client(settings)
    cluster = cluster_id(settings, admin)
    futures = admin.describe_topics(TopicCollection([topic]), request_timeout=settings.kafka.timeout_seconds)
    try:
        description = _result(futures[topic], settings)
    except KafkaException as error:
        raise InputError(
            f"the topic {topic!r} does not exist on the Kafka cluster at {settings.bootstrap_servers}.",
            remedy=f"produce into it (`orderlake produce orders`, `orderlake replay FILE --topic {topic}`: both create "
            "a topic that has a contract), or create it with your own tools.",
        ) from error
    return TopicIdentity(
        cluster, topic, str(description.topic_id), tuple(sorted(partition.id for partition in description.partitions))
    )


def watermarks(settings: Settings, topic: str, partitions: Iterable[int]) -> dict[int, Watermarks]:
    """Return the watermarks of partitions.

    Raises:
        UnavailableError: no broker answers.
    """
    consumer = Consumer(
        client_config(settings, **{"group.id": "orderlake.watermarks", "error_cb": _ignore}), logger=client_logger
    )
    timeout = settings.kafka.timeout_seconds
    try:
        return {
            partition: Watermarks(*consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout))
            for partition in partitions
        }
    except KafkaException as error:
        raise unreachable(settings, error.args[0].str()) from error
    finally:
        consumer.close()
