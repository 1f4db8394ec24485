"""Landing one topic: what the main thread knows of it between consuming and committing."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from confluent_kafka import Message
from pyiceberg.table import Table

from orderlake.contracts.columns import raw_columns
from orderlake.contracts.decoding import compile_decoder
from orderlake.lake.evolution import evolve
from orderlake.lake.landing_state import Writer
from orderlake.settings import Settings
from streaming.lander.flush import FlushPolicy
from streaming.lander.hold import HeldTable
from streaming.lander.router import Batch, Router
from streaming.lander.sink import TopicSink
from streaming.lander.start import Begin
from streaming.lander.writer import WriterThread

logger = logging.getLogger(__name__)

#: Messages that are decoded at once: many enough for whole columns to pay, few enough to stay in the cache.
_DECODE_AT_ONCE = 16_000
#: Offsets without messages are recorded with the next rows; where no rows come, after so long.
_PASSED_SECONDS = 30.0


class TopicLanding:
    """One topic being landed by this process.

    Attributes:
        topic: its name.
        begin: where landing began.
        sink: its tables.
        positions: the offset to consume next, by Kafka partition.
        consumed: messages consumed so far.
    """

    def __init__(
        self,
        *,
        begin: Begin,
        positions: Mapping[int, int],
        sink: TopicSink,
        router: Router,
        policy: FlushPolicy,
        writer: WriterThread,
    ) -> None:
        self.topic = begin.identity.topic
        self.begin = begin
        self.sink = sink
        self.positions = dict(positions)
        self.consumed = 0
        self._router = router
        self._policy = policy
        self._writer = writer
        self._batch = Batch()
        self._pending_rows = 0
        self._pending_bytes = 0
        self._pending_since = 0.0
        #: Log ends behind offsets without messages, not handed to the writer yet; and since when some are unrecorded.
        self._passed: dict[int, int] = {}
        self._passed_since: float | None = None

    def take(self, messages: Sequence[Message]) -> None:
        """Take over consumed messages, and decode when enough have come together."""
        if not self._pending_rows:
            self._pending_since = time.monotonic()
        already = len(self._batch)
        self._batch.extend(messages)
        self.consumed += len(messages)
        self._pending_rows += len(messages)
        self._pending_bytes += sum(map(len, filter(None, self._batch.values[already:])))
        last = dict(zip(self._batch.partitions[already:], self._batch.offsets[already:], strict=True))
        self.positions.update({partition: offset + 1 for partition, offset in last.items()})
        if len(self._batch) >= _DECODE_AT_ONCE:
            self._decode()

    def pass_over(self, log_ends: Mapping[tuple[str, int], int]) -> None:
        """Move on to where the consumer met the end of a log, behind the last message.

        Offsets between are no messages for anybody: a transaction's markers, what it aborted, what was compacted away.

        Args:
            log_ends: the ends met so far; every message before them has been taken.
        """
        for partition, position in self.positions.items():
            end = log_ends.get((self.topic, partition), -1)
            if end > position:
                self._passed[partition] = self.positions[partition] = end
                self._passed_since = self._passed_since or time.monotonic()

    def flush_if_due(self, *, force: bool = False) -> None:
        """Ask for a commit if the policy wants one, or in any case if something is pending and `force` is given."""
        now = time.monotonic()
        reason = self._policy.reason(now - self._pending_since, self._pending_rows, self._pending_bytes)
        if self._passed_since is not None and now - self._passed_since > _PASSED_SECONDS:
            reason = reason or "passed"
        if force and (self._pending_rows or self._passed_since is not None):
            reason = "end"
        if reason:
            self._decode()
            if self._passed:
                self._writer.write(self.sink, self._router.pass_over(self._passed))
            self._writer.commit(self.sink, reason)
            self._pending_rows = self._pending_bytes = 0
            self._passed, self._passed_since = {}, None

    def has_reached(self, ends: Mapping[int, int]) -> bool:
        """Return whether everything before `ends`, offsets by Kafka partition, has been consumed."""
        return all(self.positions.get(partition, 0) >= end for partition, end in ends.items())

    def _decode(self) -> None:
        if not len(self._batch):
            return
        routed = self._router.route(self._batch)
        self._batch = Batch()
        self._writer.write(self.sink, routed)


def open_landing(
    settings: Settings, begin: Begin, holder: Writer, policy: FlushPolicy, writer: WriterThread
) -> TopicLanding:
    """Claim a topic's tables and make everything ready to land it.

    The order matters: raw is claimed first, then quarantine, then raw is looked at again. Whoever holds both has seen
    every row that an earlier holder could quarantine, and the earlier holder can commit to neither.

    Raises:
        FencedError: another lander claimed the tables meanwhile.
    """
    raw = HeldTable.claim(begin.raw, begin.identity, holder, begin.gaps)
    quarantine = HeldTable.claim(begin.quarantine, begin.identity, holder)
    raw.verify()
    if changes := evolve(raw.table, raw_columns(begin.contract)):
        logger.info(
            "the table follows the contract's changes",
            extra={"fields": {"topic": begin.identity.topic, "changes": changes}},
        )
    positions = {p: raw.state.next_offset(p) or begin.offsets[p] for p in begin.offsets}
    ahead = quarantined_ahead(quarantine, positions)
    router = Router(begin.contract, compile_decoder(begin.contract, settings.partitions_start), positions, ahead)
    return TopicLanding(
        begin=begin,
        positions=positions,
        sink=TopicSink(begin.contract, raw, quarantine),
        router=router,
        policy=policy,
        writer=writer,
    )


def quarantined_ahead(quarantine: HeldTable, positions: Mapping[int, int]) -> dict[int, npt.NDArray[np.int64]]:
    """Return the offsets, ascending, that are quarantined although raw has not come so far, by Kafka partition.

    They exist after a crash between the two commits, and only then.
    """
    return {
        partition: _quarantined_offsets(quarantine.table, partition, position)
        for partition, position in positions.items()
        if (quarantine.state.next_offset(partition) or 0) > position
    }


def _quarantined_offsets(table: Table, partition: int, position: int) -> npt.NDArray[np.int64]:
    rows = table.scan(
        row_filter=f"_kafka_partition == {partition} and _kafka_offset >= {position}",
        selected_fields=("_kafka_offset",),
    ).to_arrow()
    offsets: npt.NDArray[np.int64] = np.sort(rows.column("_kafka_offset").to_numpy())
    return offsets
