"""How far a topic has been landed: kept in the table itself, so that rows and offsets change in one commit.

Formats (JSON, version 1):

* table property `orderlake.landing.state`: cluster, topic and its id; of every Kafka partition the next offset, the
  number of records consumed (raw tables only) and the greatest event time; the gaps an operator accepted; the writer
  that holds the table;
* snapshot property `orderlake.landing.ranges`: `{"<partition>": [start, end, records]}` of what the snapshot landed,
  end exclusive, records counting every message consumed in the range, good or bad;
* snapshot property `orderlake.watermark`: the event time up to which the table is believed complete.

The property is the truth; the ranges of the head's ancestors are merged into it on reading (never backwards), so that
a foreign tool that loses the property does not make the lander begin again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import ancestors_of

STATE = "orderlake.landing.state"
RANGES = "orderlake.landing.ranges"
WATERMARK = "orderlake.watermark"
WRITER = "orderlake.landing.writer"
VERSION = 1

#: How late an event may come within its partition without being called late.
DISORDER_MICROSECONDS = 5_000_000


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one Kafka partition: the offset to land next, the records consumed so far, the greatest event time landed.

    Event time is in microseconds since the epoch; None as long as no good message came.
    """

    next: int
    records: int
    event_time: int | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """Of one Kafka partition: the offsets [start, end) and how many records they held."""

    start: int
    end: int
    records: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets [start, end) of a partition that retention had deleted, and when an operator accepted that."""

    partition: int
    start: int
    end: int
    accepted_at: str


@dataclass(frozen=True, slots=True)
class Writer:
    """The process that holds a table: a random id per start, and where it runs."""

    id: str
    host: str
    pid: int
    started: float


@dataclass(frozen=True, slots=True)
class LandingState:
    """The landing state of one table.

    Attributes:
        cluster_id: id of the Kafka cluster; None before the first claim.
        topic_id: id of the topic (a topic that is deleted and created again has another).
        partitions: progress by Kafka partition.
        writer: who may commit; None before the first claim.
    """

    cluster_id: str | None = None
    topic: str | None = None
    topic_id: str | None = None
    partitions: Mapping[int, Progress] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    writer: Writer | None = None

    def next_offset(self, partition: int) -> int | None:
        """Return the offset to land next; None for a partition of which nothing has been landed."""
        progress = self.partitions.get(partition)
        return progress.next if progress else None

    def advanced(self, ranges: Mapping[int, Range], event_times: Mapping[int, int] | None = None) -> LandingState:
        """Return the state after landing ranges; never backwards, and a range that is known is not counted again.

        Args:
            ranges: what was landed, by Kafka partition.
            event_times: the greatest event time in it, in microseconds since the epoch, by Kafka partition.
        """
        partitions = dict(self.partitions)
        for partition, span in ranges.items():
            known = partitions.get(partition, Progress(span.start, 0))
            if span.end > known.next:
                times = [t for t in (known.event_time, (event_times or {}).get(partition)) if t is not None]
                partitions[partition] = Progress(span.end, known.records + span.records, max(times, default=None))
        return replace(self, partitions=partitions)

    @property
    def watermark(self) -> int | None:
        """Event time up to which the topic is believed landed, in microseconds since the epoch.

        Kafka keeps order only within a partition: so the least of the partitions' greatest event times, less the
        disorder that is tolerated. A partition that falls silent holds it back.
        """
        times = [progress.event_time for progress in self.partitions.values() if progress.event_time is not None]
        return min(times) - DISORDER_MICROSECONDS if times else None

    def to_property(self) -> str:
        """Return the value of the table property."""
        return json.dumps(
            {
                "version": VERSION,
                "cluster_id": self.cluster_id,
                "topic": self.topic,
                "topic_id": self.topic_id,
                "partitions": {str(p): asdict(progress) for p, progress in sorted(self.partitions.items())},
                "gaps": [asdict(gap) for gap in self.gaps],
                "writer": asdict(self.writer) if self.writer else None,
            },
            separators=(",", ":"),
        )


def ranges_to_summary(ranges: Mapping[int, Range]) -> str:
    """Return the value of the snapshot property."""
    return json.dumps({str(p): [r.start, r.end, r.records] for p, r in sorted(ranges.items())}, separators=(",", ":"))


def _from_property(text: str) -> LandingState:
    data: dict[str, Any] = json.loads(text)
    if data.get("version") != VERSION:
        raise ValueError(f"landing state of version {data.get('version')!r}; this orderlake reads version {VERSION}")
    return LandingState(
        cluster_id=data["cluster_id"],
        topic=data["topic"],
        topic_id=data["topic_id"],
        partitions={int(partition): Progress(**progress) for partition, progress in data["partitions"].items()},
        gaps=tuple(Gap(**gap) for gap in data["gaps"]),
        writer=Writer(**data["writer"]) if data["writer"] else None,
    )


def read_state(metadata: TableMetadata) -> LandingState:
    """Return the landing state of a table: its property, max-merged with the ranges of the head's ancestors.

    Raises:
        ValueError: the property was written by a newer orderlake.
    """
    text = metadata.properties.get(STATE)
    state = _from_property(text) if text else LandingState()
    head = metadata.current_snapshot()
    ancestors = list(ancestors_of(head, metadata)) if head else []
    for snapshot in reversed(ancestors):
        summary = snapshot.summary.additional_properties if snapshot.summary else {}
        if RANGES in summary:
            listed = json.loads(summary[RANGES])
            state = state.advanced({int(partition): Range(*span) for partition, span in listed.items()})
    return state
