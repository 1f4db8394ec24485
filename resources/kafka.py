"""Kafka as a Dagster resource."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from orderlake.settings import Settings, load_settings
from streaming.kafka import TopicIdentity, Watermarks, describe_topic, watermarks


class KafkaResource(dg.ConfigurableResource[None]):
    """Asks the Kafka cluster that orderlake lands from.

    Attributes:
        bootstrap_servers: host:port of brokers.
    """

    bootstrap_servers: str

    def _settings(self) -> Settings:
        settings = load_settings()
        kafka = settings.kafka.model_copy(update={"bootstrap_servers": self.bootstrap_servers})
        return settings.model_copy(update={"kafka": kafka})

    def describe(self, topic: str) -> TopicIdentity:
        """Return the identity of a topic.

        Raises:
            UnavailableError: no broker answers.
            InputError: the topic does not exist.
        """
        return describe_topic(self._settings(), topic)

    def watermarks(self, topic: str, partitions: Iterable[int]) -> dict[int, Watermarks]:
        """Return the watermarks of partitions.

        Raises:
            UnavailableError: no broker answers.
        """
        return watermarks(self._settings(), topic, partitions)
