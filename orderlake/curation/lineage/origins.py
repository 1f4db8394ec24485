"""Where the columns of a raw table come from: the last step of lineage, from Iceberg into Kafka.

| column of the raw table | origin |
|---|---|
| a field of the topic's contract | `kafka:<topic> $.<field>`, the path in the message's JSON |
| `_payload` | `kafka:<topic> $`, the whole document |
| `_kafka_offset` and its like | `kafka:<topic> message.offset`, ..., what Kafka keeps beside the value |
| `_landed_at` | `lander.clock`, the moment the lander decoded the message |
| `_kind` | `lander.kind`, what the lander takes the message for |
"""

from __future__ import annotations

from orderlake.contracts.columns import COORDINATES, KIND, LANDED_AT, PAYLOAD, raw_columns
from orderlake.contracts.model import Contract
from orderlake.curation.lineage.values import DOCUMENT, KAFKA, LANDER, Ref

_PREFIX = "_kafka_"

#: What identifies a row of a raw table: it is a message.
RAW_KEY = ("_kafka_partition", "_kafka_offset")


def raw_origins(contract: Contract) -> dict[str, Ref]:
    """Return the origin of every column of a topic's raw table."""
    topic = KAFKA + contract.physical_name
    added = {
        **{c.name: Ref(topic, f"message.{c.name.removeprefix(_PREFIX)}") for c in COORDINATES},
        KIND.name: Ref(LANDER, "kind"),
        LANDED_AT.name: Ref(LANDER, "clock"),
        PAYLOAD.name: Ref(topic, DOCUMENT),
    }
    return {c.name: added.get(c.name) or Ref(topic, DOCUMENT, (c.name,)) for c in raw_columns(contract)}
