"""Proves that a topic is landed exactly once: topic = raw ∪ quarantine by (partition, offset), nothing twice.

The landing state counts the records consumed of every Kafka partition, because offsets have gaps in topics that are
compacted or written in transactions. A quarantined message that was landed later by a replay counts once, in raw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orderlake.contracts.naming import quarantine_table, raw_table
from orderlake.lake.catalog import Lake
from orderlake.lake.duck import DuckSession, quoted
from orderlake.lake.landing_state import LandingState, read_state
from orderlake.lake.pins import pin
from streaming.kafka import Watermarks

_COUNTS = """
with landed as (
    select _kafka_partition as partition, _kafka_offset as "offset", true as good from {raw}
    union all
    -- Behind raw's next offset stands what a crash between the two commits left: it is not landed yet.
    select _kafka_partition, _kafka_offset, false
    from {quarantine} as q
    join (select unnest($partitions) as partition, unnest($next) as next) as state
        on q._kafka_partition = state.partition
    where resolved_by is null and q._kafka_offset < state.next
),
messages as (
    select partition, "offset", count(*) as copies, count(*) filter (where good) as good
    from landed
    group by all
)
select partition, sum(good) as raw_rows, sum(copies - good) as quarantined, sum(copies - 1) as doubled
from messages
group by partition
"""


@dataclass(frozen=True, slots=True)
class PartitionBalance:
    """One Kafka partition.

    Attributes:
        records: messages consumed, as the landing state counts them.
        raw: rows in the raw table.
        quarantined: unresolved rows in the quarantine table, of offsets that raw has passed.
        doubled: rows beyond the first of their (partition, offset), in the two tables together.
        lag: messages in the topic that have not been landed; None if Kafka was not asked.
    """

    partition: int
    next_offset: int
    records: int
    raw: int
    quarantined: int
    doubled: int
    lag: int | None

    @property
    def holds(self) -> bool:
        """Whether every consumed message is in exactly one of the tables, once."""
        return not self.doubled and self.raw + self.quarantined == self.records


def balance(
    lake: Lake, topic: str, watermarks: Mapping[int, Watermarks] | None = None
) -> tuple[LandingState, list[PartitionBalance]]:
    """Compare the landing state of a topic with the rows of its tables, partition by partition.

    Args:
        lake: the lake.
        topic: a topic that has been landed.
        watermarks: of the topic's partitions, for the lag.

    Raises:
        InputError: nothing has been landed of the topic.
    """
    raw, quarantine = raw_table(topic), quarantine_table(topic)
    # Raw is pinned first. Quarantine is committed before raw, so it then holds all that belongs to that raw, and more.
    pins = [pin(lake.load(raw)), pin(lake.load(quarantine))]
    state = read_state(pins[0].table.metadata)
    parameters = {
        "partitions": list(state.partitions),
        "next": [progress.next for progress in state.partitions.values()],
    }
    with DuckSession() as session:
        session.attach(pins)
        statement = _COUNTS.format(raw=quoted(raw), quarantine=quoted(quarantine))
        found = {row[0]: row[1:] for row in session.execute(statement, parameters).fetchall()}
    partitions = []
    for partition, progress in sorted(state.partitions.items()):
        rows, quarantined, doubled = found.get(partition, (0, 0, 0))
        mark = (watermarks or {}).get(partition)
        partitions.append(
            PartitionBalance(
                partition, progress.next, progress.records, int(rows), int(quarantined), int(doubled),
                max(0, mark.high - progress.next) if mark else None,
            )
        )  # fmt: skip
    return state, partitions
