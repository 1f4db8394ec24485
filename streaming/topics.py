"""Creates topics from their contracts: partitions and configuration are part of what a topic promises."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.cimpl import NewTopic

from orderlake.contracts.model import Contract
from orderlake.errors import InputError, UnavailableError
from orderlake.settings import Settings
from streaming.kafka import admin_client, cluster_id


def ensure_topic(settings: Settings, contract: Contract) -> bool:
    """Create the topic of a contract if it does not exist; return whether it was created.

    Raises:
        UnavailableError: no broker answers, or it refuses to create the topic.
    """
    admin = admin_client(settings)
    cluster_id(settings, admin)
    topic = contract.physical_name
    options = contract.topic
    new = NewTopic(topic, num_partitions=options.partitions, config=dict(options.config))
    try:
        admin.create_topics([new], operation_timeout=settings.kafka.timeout_seconds)[topic].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise UnavailableError(
            f"the topic {topic!r} cannot be created: {error.args[0].str()}.",
            remedy="create it with your own tools, or ask for the right to create topics.",
        ) from error
    return True


def require_known(settings: Settings, topic: str, contract: Contract | None) -> None:
    """Make sure that a topic can be produced into: created from its contract, or there already.

    Raises:
        InputError: it neither exists nor has a contract.
        UnavailableError: no broker answers.
    """
    if contract is not None:
        ensure_topic(settings, contract)
        return
    admin = admin_client(settings)
    cluster_id(settings, admin)
    if topic not in admin.list_topics(timeout=settings.kafka.timeout_seconds).topics:
        raise InputError(
            f"the topic {topic!r} neither exists nor has a contract to create it from.",
            remedy="write contracts/topics/<topic>.yaml in a folder of ORDERLAKE_PATHS, or create the topic yourself.",
        )
