"""Holds a landing table: claims it for this process, and appends to it as long as nobody else has claimed it.

A claim is an empty snapshot whose commit writes this process's random id into the table's landing state. It has to be
a snapshot, not a mere property: a commit of the previous holder that is under way is based on the snapshot before and
so is refused by the catalog, checked anew, and fenced.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

import psutil
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata

from orderlake.errors import FencedError, LandingRefusedError
from orderlake.lake.commit import Change, commit
from orderlake.lake.landing_state import (
    RANGES,
    STATE,
    WATERMARK,
    WRITER,
    Gap,
    LandingState,
    Range,
    Writer,
    ranges_to_summary,
    read_state,
)
from orderlake.times import iso
from streaming.kafka import TopicIdentity

logger = logging.getLogger(__name__)

#: Snapshots that a landing table keeps. The cost of a commit grows with their number, and at a commit every half
#: second they say little; time travel over longer spans is what tags are for.
KEEP_SNAPSHOTS = 20


def this_process() -> Writer:
    """Return a new writer identity for this process."""
    return Writer(uuid.uuid4().hex, socket.gethostname(), os.getpid(), psutil.Process().create_time())


def is_alive_here(writer: Writer) -> bool:
    """Return whether a writer is a running process of this machine; a stopped one (SIGSTOP) may be overtaken."""
    if writer.host != socket.gethostname() or writer.pid == os.getpid():
        return False
    try:
        process = psutil.Process(writer.pid)
        return abs(process.create_time() - writer.started) < 1 and process.status() not in {
            psutil.STATUS_STOPPED,
            psutil.STATUS_TRACING_STOP,
            psutil.STATUS_ZOMBIE,
            psutil.STATUS_DEAD,
        }
    except psutil.Error:
        return False


def refuse_if_held(table: Table) -> None:
    """Refuse to overtake a lander that runs on this machine.

    Raises:
        LandingRefusedError: such a lander holds the table.
    """
    writer = read_state(table.metadata).writer
    if writer and is_alive_here(writer):
        raise LandingRefusedError(
            f"{_name(table)} is being landed by process {writer.pid} on this machine.",
            remedy=f"let it run, or stop it first: kill {writer.pid}",
        )


class HeldTable:
    """A landing table that this process has claimed.

    Attributes:
        table: the table at the last state this process committed.
        state: its landing state.
    """

    def __init__(self, table: Table, state: LandingState) -> None:
        self.table = table
        self.state = state

    @classmethod
    def claim(cls, table: Table, identity: TopicIdentity, writer: Writer, gaps: Sequence[Gap] = ()) -> HeldTable:
        """Claim a table for a writer, whoever held it before.

        Args:
            table: the table; afterwards at the claimed state.
            writer: who claims it.
            identity: the cluster and topic whose messages it holds.
            gaps: offsets that an operator accepts as lost; landing goes on behind them.
        """
        claimed: list[LandingState] = []

        def plan(metadata: TableMetadata) -> Change:
            state = read_state(metadata)
            state = state.advanced({gap.partition: Range(gap.start, gap.end, 0) for gap in gaps})
            state = replace(
                state,
                cluster_id=identity.cluster_id,
                topic=identity.topic,
                topic_id=identity.topic_id,
                gaps=(*state.gaps, *gaps),
                writer=writer,
            )
            claimed[:] = [state]
            return Change(
                summary={WRITER: writer.id}, properties={STATE: state.to_property()}, keep_snapshots=KEEP_SNAPSHOTS
            )

        commit(table, plan)
        return cls(table, claimed[0])

    def verify(self) -> None:
        """Read the table again and make sure that it is still held.

        Raises:
            FencedError: another process has claimed it.
        """
        self.table.refresh()
        self._fence(self.table.metadata)

    def append(
        self,
        files: Sequence[DataFile],
        ranges: Mapping[int, Range],
        event_times: Mapping[int, int],
        summary: Mapping[str, str],
    ) -> None:
        """Commit data files together with the offsets they hold.

        Args:
            files: the data files; there may be none.
            ranges: the offsets they hold, by Kafka partition.
            event_times: the greatest event time of each partition, in microseconds since the epoch.
            summary: further properties of the snapshot.

        Raises:
            FencedError: another process has claimed the table; nothing was committed.
        """
        state = self.state.advanced(ranges, event_times)
        stamps = {WRITER: state.writer.id if state.writer else "", RANGES: ranges_to_summary(ranges), **summary}
        if state.watermark is not None:
            stamps[WATERMARK] = iso(state.watermark)

        def plan(metadata: TableMetadata) -> Change:
            self._fence(metadata)
            return Change(
                append=files,
                summary=stamps,
                properties={STATE: state.to_property()},
                keep_snapshots=KEEP_SNAPSHOTS,
            )

        commit(self.table, plan)
        self.state = state

    def _fence(self, metadata: TableMetadata) -> None:
        """Compare the whole landing state, holder and offsets, with the one that this process knows."""
        if metadata.properties.get(STATE) == self.state.to_property():
            return
        writer = read_state(metadata).writer
        mine = self.state.writer
        if writer and mine and writer.id != mine.id:
            fact = f"{_name(self.table)} has been taken over by process {writer.pid} on {writer.host}."
        else:
            fact = f"the landing state of {_name(self.table)} was changed by something else than this lander."
        raise FencedError(
            f"{fact} This lander stops; nothing is lost or doubled.",
            remedy="leave the other one running, or stop it and start this one again.",
        )


def _name(table: Table) -> str:
    return ".".join(table.name())
