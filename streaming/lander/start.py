"""Whether landing a topic may begin, and where: the refusals, and what is to be read first.

Every refusal says what happened, which choices there are and the command for each.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient
from pyiceberg.table import Table

from orderlake.contracts.model import Contract
from orderlake.errors import LandingRefusedError
from orderlake.lake.catalog import Lake
from orderlake.lake.landing_state import Gap, LandingState, read_state
from orderlake.lake.landing_tables import open_landing_tables
from orderlake.settings import Settings
from streaming.kafka import TopicIdentity, Watermarks, describe_topic, watermarks


@dataclass(frozen=True, slots=True)
class Begin:
    """Where landing a topic begins.

    Attributes:
        offsets: the offset to consume first, by Kafka partition.
        ends: the offset after the last message at the time of looking.
        gaps: offsets that are skipped because retention deleted them and the operator accepts that.
    """

    contract: Contract
    identity: TopicIdentity
    raw: Table
    quarantine: Table
    offsets: Mapping[int, int]
    ends: Mapping[int, int]
    gaps: tuple[Gap, ...]

    @property
    def lag(self) -> int:
        """Messages (or offsets, in topics with gaps) that wait."""
        return sum(max(0, self.ends[partition] - offset) for partition, offset in self.offsets.items())


def examine(
    settings: Settings, lake: Lake, contract: Contract, admin: AdminClient, *, accept_gap: bool = False
) -> Begin:
    """Look at topic and tables and decide where landing begins.

    Raises:
        LandingRefusedError: another cluster, a re-created topic, offsets that are gone, a breaking contract.
        InputError: the topic does not exist.
        UnavailableError: no broker answers.
    """
    identity = describe_topic(settings, contract.physical_name, admin)
    raw, quarantine = open_landing_tables(lake, contract)
    state = read_state(raw.metadata)
    refuse_other_topic(state, identity, settings)
    marks = watermarks(settings, identity.topic, identity.partitions)
    gaps = tuple(_lost(state, marks))
    if gaps and not accept_gap:
        raise _retention_passed(gaps, identity.topic)
    _refuse_truncated(state, marks, identity.topic)
    skipped = {gap.partition: gap.end for gap in gaps}
    offsets = {}
    for partition, mark in marks.items():
        known = state.next_offset(partition)
        offsets[partition] = skipped.get(partition, mark.low if known is None else known)
    ends = {partition: mark.high for partition, mark in marks.items()}
    return Begin(contract, identity, raw, quarantine, offsets, ends, gaps)


def refuse_other_topic(state: LandingState, identity: TopicIdentity, settings: Settings) -> None:
    """Refuse a topic that is not the one whose offsets a table holds.

    Raises:
        LandingRefusedError: it belongs to another cluster, or was deleted and created again.
    """
    if state.cluster_id is None:
        return
    own_lake = f"ORDERLAKE_HOME=<new folder> orderlake land --topic {identity.topic}"
    if state.cluster_id != identity.cluster_id:
        raise LandingRefusedError(
            f"{identity.topic} was landed from Kafka cluster {state.cluster_id}; "
            f"{settings.bootstrap_servers} is cluster {identity.cluster_id}. Its offsets mean other messages.",
            remedy=[
                f"if these are the wrong brokers: ORDERLAKE_KAFKA__BOOTSTRAP_SERVERS=<those of {state.cluster_id}>",
                f"if this is a new cluster, land it into a lake of its own: {own_lake}",
            ],
        )
    if state.topic_id != identity.topic_id:
        raise LandingRefusedError(
            f"{identity.topic} was deleted and created again (topic id {state.topic_id}, now {identity.topic_id}). "
            "Its offsets began anew and mean other messages.",
            remedy=[
                "give the new topic a name and a contract of its own, e.g. the next version.",
                f"or land it into a lake of its own: {own_lake}",
            ],
        )


def _lost(state: LandingState, marks: Mapping[int, Watermarks]) -> list[Gap]:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return [
        Gap(partition, progress.next, marks[partition].low, now)
        for partition, progress in state.partitions.items()
        if partition in marks and marks[partition].low > progress.next
    ]


def _retention_passed(gaps: tuple[Gap, ...], topic: str) -> LandingRefusedError:
    lost = sum(gap.end - gap.start for gap in gaps)
    places = ", ".join(f"partition {gap.partition} offsets {gap.start} to {gap.end - 1}" for gap in gaps)
    return LandingRefusedError(
        f"{lost} messages of {topic} were deleted by Kafka's retention before they were landed: {places}.",
        remedy=[
            "if another copy of the topic has them, land from there first.",
            f"or go on without them (the gap is recorded in the table): orderlake land --topic {topic} --accept-gap",
        ],
    )


def _refuse_truncated(state: LandingState, marks: Mapping[int, Watermarks], topic: str) -> None:
    for partition, progress in state.partitions.items():
        end = marks[partition].high if partition in marks else 0
        if end < progress.next:
            raise LandingRefusedError(
                f"partition {partition} of {topic} ends at offset {end}, but offset {progress.next - 1} has been "
                "landed: the topic has lost messages (an unclean leader election, a restored or truncated log).",
                remedy=[
                    "restore the topic's log if you can.",
                    f"or land it into a lake of its own: ORDERLAKE_HOME=<new folder> orderlake land --topic {topic}",
                ],
            )
