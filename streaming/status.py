"""How far every topic is landed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from orderlake.contracts.naming import quarantine_table, raw_table
from orderlake.errors import InputError, UnavailableError
from orderlake.lake.catalog import Lake
from orderlake.lake.landing_state import read_state
from orderlake.lake.partitions import total_rows
from orderlake.settings import Settings
from streaming.kafka import Watermarks, admin_client, describe_topic, watermarks


@dataclass(frozen=True, slots=True)
class PartitionOffsets:
    """Offsets of one Kafka partition; None where Kafka or the lake does not know."""

    partition: int
    end_offset: int | None
    landed_offset: int | None


@dataclass(frozen=True, slots=True)
class TopicStatus:
    """One topic.

    Attributes:
        state: `ok`, or why Kafka says nothing about it.
        lag: messages (offsets, in topics with gaps) that wait to be landed; None if Kafka does not answer.
        raw_rows: rows of the raw table.
        quarantine_rows: rows of the quarantine table, resolved ones included.
    """

    topic: str
    state: str
    lag: int | None
    raw_rows: int
    quarantine_rows: int
    offsets: list[PartitionOffsets] = field(default_factory=list)

    @property
    def end_offsets(self) -> int:
        """Sum of the partitions' end offsets."""
        return sum(offset.end_offset or 0 for offset in self.offsets)

    @property
    def landed_offsets(self) -> int:
        """Sum of the offsets landed so far."""
        return sum(offset.landed_offset or 0 for offset in self.offsets)


def topic_status(settings: Settings, lake: Lake, topics: Iterable[str]) -> list[TopicStatus]:
    """Return the status of topics; a Kafka that does not answer is a state, not an error."""
    found = []
    unreachable: str | None = None
    for topic in topics:
        marks: dict[int, Watermarks] = {}
        state = unreachable or "ok"
        if unreachable is None:
            try:
                identity = describe_topic(settings, topic, admin_client(settings))
                marks = watermarks(settings, topic, identity.partitions)
            except UnavailableError as error:
                state = unreachable = error.fact
            except InputError:
                state = "the topic does not exist"
        found.append(_status(lake, topic, state, marks))
    return found


def _status(lake: Lake, topic: str, state: str, marks: dict[int, Watermarks]) -> TopicStatus:
    raw, quarantine = lake.find(raw_table(topic)), lake.find(quarantine_table(topic))
    progress = read_state(raw.metadata).partitions if raw else {}
    offsets = []
    lag = 0
    for partition in sorted(marks.keys() | progress.keys()):
        mark, landed = marks.get(partition), progress.get(partition)
        if mark:
            lag += max(0, mark.high - (landed.next if landed else mark.low))
        offsets.append(PartitionOffsets(partition, mark.high if mark else None, landed.next if landed else None))
    return TopicStatus(
        topic,
        state,
        lag if marks else None,
        total_rows(raw.current_snapshot()) if raw else 0,
        total_rows(quarantine.current_snapshot()) if quarantine else 0,
        offsets,
    )
