"""The lander's consumer, and what it does while Kafka is away: wait, say so, look again, go on."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from orderlake.errors import LandingRefusedError, UnavailableError
from orderlake.settings import Settings
from streaming.kafka import TopicIdentity, admin_client, client_config, client_logger, describe_topic

logger = logging.getLogger(__name__)

GROUP = "orderlake.land"
_LOOK_AGAIN_SECONDS = 1.0
#: How often Kafka is asked whether a topic has got more partitions.
_ASK_PARTITIONS_SECONDS = 30.0

#: librdkafka's settings that matter. A consumer whose queue has reached its size sleeps for fetch.queue.backoff.ms,
#: 1000 by default: a fast one would mostly sleep. Offsets are the table's, so there is no reset and no auto commit.
_CONSUMER = {
    "group.id": GROUP,
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "fetch.queue.backoff.ms": 10,
    "fetch.wait.max.ms": 50,
    "queued.max.messages.kbytes": 16_384,
}

_GONE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}  # noqa: SLF001 - librdkafka's local codes
_NO_TOPIC = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    KafkaError.UNKNOWN_TOPIC_ID,
}


class Connection:
    """A consumer of given topics that begins where it is told.

    Args:
        identities: what the topics must be; checked again whenever Kafka was away.
    """

    def __init__(self, settings: Settings, identities: Mapping[str, TopicIdentity]) -> None:
        self._settings = settings
        self._identities = identities
        self._admin: AdminClient = admin_client(settings)
        self._away_since: float | None = None
        self._looked = 0.0
        self._asked = time.monotonic()
        self._answers: dict[str, Future[Any]] = {}
        #: Log end offset of partitions whose end was reached, by (topic, partition).
        self.reached: dict[tuple[str, int], int] = {}
        self._consumer = Consumer(client_config(settings, **_CONSUMER, error_cb=self._on_error), logger=client_logger)

    def assign(self, offsets: Mapping[str, Mapping[int, int]]) -> None:
        """Consume from these offsets, by topic and partition."""
        self._consumer.assign(
            [TopicPartition(topic, p, offset) for topic, starts in offsets.items() for p, offset in starts.items()]
        )

    def consume(self, count: int, seconds: float) -> list[Message]:
        """Return up to `count` messages, waiting for them no longer than `seconds`; none of them is an error.

        Raises:
            LandingRefusedError: the topic or the offsets are gone, or Kafka came back as another cluster.
        """
        messages = self._consumer.consume(count, seconds)
        if any(map(Message.error, messages)):
            messages = [message for message in messages if not self._is_event(message)]
        if self._away_since is not None:
            self._look_again(insist=bool(messages))
        return messages

    def tell_group(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Commit offsets to the consumer group, for lag tools; nothing depends on it."""
        partitions = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        if partitions and self._away_since is None:
            self._consumer.commit(offsets=partitions, asynchronous=True)

    def topics_have_grown(self) -> bool:
        """Return whether a topic has more partitions than are consumed.

        Kafka is asked now and then and its answer is not waited for; one that never comes is asked for anew.
        """
        for topic, answer in list(self._answers.items()):
            if answer.done():
                del self._answers[topic]
                known, found = len(self._identities[topic].partitions), _partitions(answer)
                if found > known:
                    logger.info(
                        "the topic has more partitions; the tables are read again to land them too",
                        extra={"fields": {"topic": topic, "partitions": found, "landed_so_far": known}},
                    )
                    return True
        if self._away_since is None and time.monotonic() - self._asked > _ASK_PARTITIONS_SECONDS:
            self._asked = time.monotonic()
            self._answers = self._admin.describe_topics(TopicCollection(list(self._identities)), request_timeout=10.0)
        return False

    def high_watermark(self, topic: str, partition: int) -> int:
        """Return the end of a partition as last seen by the consumer, without asking the broker; -1 if unknown."""
        try:
            _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
        except KafkaException:
            return -1
        return int(high)

    @property
    def is_away(self) -> bool:
        """Whether no broker answers."""
        return self._away_since is not None

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self._away_since is None:  # noqa: SLF001
            self._away_since = time.monotonic()
            logger.warning(
                "Kafka does not answer; waiting", extra={"fields": {"brokers": self._settings.bootstrap_servers}}
            )

    def _is_event(self, message: Message) -> bool:
        """Handle what is not a message; return whether it was such."""
        error = message.error()
        if error is None:
            return False
        place = (str(message.topic()), int(message.partition() or 0))
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            self.reached[place] = int(message.offset() or 0)
        elif error.code() in _GONE:
            raise LandingRefusedError(
                f"the offset to land next of partition {place[1]} of {place[0]} is gone from the topic.",
                remedy="start the lander again: it says what is missing and how to go on.",
            )
        elif error.code() in _NO_TOPIC:
            raise LandingRefusedError(
                f"the topic {place[0]} was deleted or created again while it was landed ({error.str()}).",
                remedy="start the lander again: it says what happened and how to go on.",
            )
        else:
            logger.warning("Kafka reports an error", extra={"fields": {"error": error.str(), "topic": place[0]}})
        return True

    def _look_again(self, *, insist: bool) -> None:
        """Ask whether Kafka is back, and make sure that it is the same; `insist` if messages have come already."""
        if not insist and time.monotonic() - self._looked < _LOOK_AGAIN_SECONDS:
            return
        self._looked = time.monotonic()
        quick = self._settings.model_copy(
            update={"kafka": self._settings.kafka.model_copy(update={"timeout_seconds": 30.0 if insist else 1.0})}
        )
        try:
            self._require_same(self._identities.values(), quick)
        except UnavailableError:
            if insist:
                raise
            return
        seconds = round(time.monotonic() - (self._away_since or 0), 1)
        self._away_since = None
        logger.warning("Kafka is back; landing goes on", extra={"fields": {"away_seconds": seconds}})

    def _require_same(self, identities: Iterable[TopicIdentity], settings: Settings) -> None:
        for expected in identities:
            found: Any = describe_topic(settings, expected.topic, self._admin)
            if (found.cluster_id, found.topic_id) != (expected.cluster_id, expected.topic_id):
                raise LandingRefusedError(
                    f"Kafka came back as something else: {expected.topic} is now topic {found.topic_id} of cluster "
                    f"{found.cluster_id}, it was {expected.topic_id} of {expected.cluster_id}.",
                    remedy="start the lander again: it says what happened and how to go on.",
                )


def _partitions(answer: Future[Any]) -> int:
    """Return how many partitions a topic has; 0 if Kafka did not say: what that means comes out while consuming."""
    try:
        return len(answer.result().partitions)
    except KafkaException:
        return 0
