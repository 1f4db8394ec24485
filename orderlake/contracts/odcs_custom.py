"""The customProperties that orderlake adds to ODCS (vendor `orderlake`): which there are and what they may say."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Any, Literal

from open_data_contract_standard.model import CustomProperty

from orderlake.contracts.document import Location
from orderlake.contracts.problems import Findings

VENDOR = "orderlake"

Level = Literal["topic", "table", "column"]

#: Topic configurations of Apache Kafka 4; a mistyped one would be refused by the broker, at the first message.
TOPIC_CONFIG = (
    "cleanup.policy", "compression.gzip.level", "compression.lz4.level", "compression.type", "compression.zstd.level",
    "delete.retention.ms", "file.delete.delay.ms", "flush.messages", "flush.ms",
    "follower.replication.throttled.replicas", "index.interval.bytes", "leader.replication.throttled.replicas",
    "local.retention.bytes", "local.retention.ms", "max.compaction.lag.ms", "max.message.bytes",
    "message.timestamp.after.max.ms", "message.timestamp.before.max.ms", "message.timestamp.type",
    "min.cleanable.dirty.ratio", "min.compaction.lag.ms", "min.insync.replicas", "preallocate",
    "remote.log.copy.disable", "remote.log.delete.on.disable", "remote.storage.enable", "retention.bytes",
    "retention.ms", "segment.bytes", "segment.index.bytes", "segment.jitter.ms", "segment.ms",
    "unclean.leader.election.enable",
)  # fmt: skip


def _partitions(value: object) -> Iterator[tuple[Location, str]]:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        yield (), f"topicPartitions: {value!r} is not allowed; allowed: a whole number from 1 on"


def _config(value: object) -> Iterator[tuple[Location, str]]:
    if not isinstance(value, dict):
        yield (), f"topicConfig: {value!r} is not a mapping of Kafka's topic configurations to values"
        return
    for key, setting in value.items():
        if key not in TOPIC_CONFIG:
            close = difflib.get_close_matches(str(key), TOPIC_CONFIG, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(TOPIC_CONFIG)}"
            yield (key,), f"topicConfig: {key!r} is not a topic configuration of Kafka; {hint}"
        elif not isinstance(setting, str | int | float):
            yield (key,), f"topicConfig: {key} is {setting!r}; allowed: text, a number, true or false"


#: By where they may stand, with the values they may have; a function yields where in a value what is wrong.
_ALLOWED: dict[Level, dict[str, tuple[object, ...] | type | Callable[[object], Iterator[tuple[Location, str]]]]] = {
    "topic": {
        "dialect": ("flat",),
        "messageKey": str,
        "payload": ("keep", "drop"),
        "topicPartitions": _partitions,
        "topicConfig": _config,
        "partitionTransform": ("day", "hour"),
    },
    "table": {"partitionTransform": ("day", "hour")},
    "column": {"wire": ("string", "number")},
}


def read_custom(
    properties: list[CustomProperty] | None, location: Location, level: Level, findings: Findings
) -> dict[str, Any]:
    """Return orderlake's own properties of a topic, a table or a column.

    A property that names another vendor, or none and is unknown, is none of our business; one of vendor orderlake
    must be known and have an allowed value.
    """
    values: dict[str, Any] = {}
    for position, item in enumerate(properties or []):
        where = (*location, "customProperties", position)
        allowed = _ALLOWED[level].get(item.property or "")
        if allowed is None:
            if item.vendor == VENDOR:
                known = ", ".join(_ALLOWED[level])
                findings.error(where, f"{item.property!r} is not an orderlake property of a {level}; allowed: {known}")
        elif isinstance(allowed, type) and not isinstance(item.value, allowed):
            findings.error(where, f"{item.property}: {item.value!r} is not of type {allowed.__name__}")
        elif isinstance(allowed, tuple) and item.value not in allowed:
            choices = ", ".join(map(str, allowed))
            findings.error(where, f"{item.property}: {item.value!r} is not allowed; allowed: {choices}")
        elif not isinstance(allowed, tuple | type) and (wrong := list(allowed(item.value))):
            for inside, message in wrong:
                findings.error((*where, "value", *inside), message)
        else:
            values[item.property or ""] = item.value
    return values
