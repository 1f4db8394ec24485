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

    def flush_if_due(self, *, force: bool = False) -> None:
        """Ask for a commit if the policy wants one, or in any case if something is pending and `force` is given."""
        age = time.monotonic() - self._pending_since
        reason = self._policy.reason(age, self._pending_rows, self._pending_bytes)
        if force and self._pending_rows:
            reason = "end"
        if reason:
            self._decode()
            self._writer.commit(self.sink, reason)
            self._pending_rows = self._pending_bytes = 0

    def has_reached(self, ends: Mapping[int, int], log_ends: Mapping[tuple[str, int], int]) -> bool:
        """Return whether everything before `ends` has been consumed.

        Args:
            ends: offsets by Kafka partition.
            log_ends: log ends that the consumer met; in a topic with transactions they lie behind the last message.
        """
        return all(
            self.positions.get(p, 0) >= end or log_ends.get((self.topic, p), -1) >= end for p, end in ends.items()
        )

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
            "the contract's new fields were added",
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
