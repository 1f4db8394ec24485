"""The columns that landing adds: to every raw table behind the contract's own, and those of quarantine tables."""

from __future__ import annotations

from orderlake.contracts.model import Column, Constraints, Contract
from orderlake.contracts.types import BINARY, INT, LONG, STRING, TIMESTAMPTZ, ListOf, Struct

_HEADER = Struct((Column("key", STRING, required=True), Column("value", BINARY)))

COORDINATES: tuple[Column, ...] = (
    Column("_kafka_partition", INT, required=True, description="Partition of the message in its topic."),
    Column("_kafka_offset", LONG, required=True, description="Offset of the message in its partition."),
    Column("_kafka_timestamp", TIMESTAMPTZ, description="Timestamp of the Kafka record."),
    Column("_kafka_key", BINARY, description="Key of the Kafka record, as it came."),
    Column(
        "_kafka_headers",
        ListOf(Column("element", _HEADER, required=True)),
        description="Headers of the Kafka record, in order, as they came.",
    ),
)

KIND = Column(
    "_kind",
    STRING,
    required=True,
    description="event, or for change data: update, delete, tombstone.",
    constraints=Constraints(enum=("event", "update", "delete", "tombstone")),
)
LANDED_AT = Column("_landed_at", TIMESTAMPTZ, required=True, description="When the lander decoded the message.")
PAYLOAD = Column("_payload", BINARY, description="The message's value, byte for byte.")

_VIOLATION = Struct(
    (
        Column("code", STRING, required=True),
        Column("field", STRING),
        Column("message", STRING, required=True),
    )
)

QUARANTINE_COLUMNS: tuple[Column, ...] = (
    *COORDINATES,
    LANDED_AT,
    PAYLOAD,
    Column("reason", STRING, required=True, description="Code of the first violation."),
    Column(
        "violations",
        ListOf(Column("element", _VIOLATION, required=True)),
        required=True,
        description="Everything in which the message breaks the contract.",
    ),
    Column("contract_version", STRING, required=True, description="Version of the contract that refused it."),
    Column("resolved_by", STRING, description="Replay that landed the message after all; null while unresolved."),
)

#: Names no contract of a topic may use.
RESERVED = frozenset(c.name for c in (*COORDINATES, KIND, LANDED_AT, PAYLOAD)) | {"_extra"}


def raw_columns(contract: Contract) -> tuple[Column, ...]:
    """Return all columns of a topic's raw table, the contract's first."""
    payload = (PAYLOAD,) if contract.topic.payload == "keep" else ()
    return (*contract.columns, *COORDINATES, KIND, LANDED_AT, *payload)
