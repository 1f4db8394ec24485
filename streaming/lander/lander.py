"""The lander's main loop: consume, hand to the topics, commit when due, begin anew after a doubt."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Message
from sqlalchemy.exc import SQLAlchemyError

from orderlake.contracts.model import Contract
from orderlake.errors import CommitConflictError, UnavailableError
from orderlake.lake.catalog import Lake
from orderlake.settings import Settings
from streaming.kafka import admin_client
from streaming.lander.connection import Connection
from streaming.lander.flush import FlushPolicy
from streaming.lander.hold import refuse_if_held, this_process
from streaming.lander.landing import TopicLanding, open_landing
from streaming.lander.sink import Landed
from streaming.lander.start import Begin, examine
from streaming.lander.writer import WriterThread

logger = logging.getLogger(__name__)

#: Small calls keep message objects in the cache; the wait is short because a call waits for all it was asked for.
_CONSUME = 2_000
_WAIT_SECONDS = 0.03
_LONGEST_PAUSE_SECONDS = 30.0
#: What passes by itself: a store or catalog that does not answer. Everything in memory is dropped, the tables are read
#: again, and landing goes on from what they say.
_TRANSIENT = (OSError, SQLAlchemyError, UnavailableError, CommitConflictError)


@dataclass(slots=True)
class TopicSummary:
    """What one run landed of one topic."""

    topic: str
    rows: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    commits: int = 0
    lag: int = 0
    #: From the first message consumed to the end, and the process's CPU time in it (of all topics together).
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def add(self, landed: Landed) -> None:
        """Add what a sink has committed."""
        self.rows += landed.rows
        self.quarantined += landed.quarantined
        self.commits += landed.commits
        for reason, count in landed.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count


#: Is shown the topics under way and the connection, several times a second.
Observer = Callable[[Sequence[TopicLanding], Connection], None]


class Lander:
    """Lands topics until it is stopped.

    Args:
        contracts: the topics' contracts.
        policy: when to commit.
        until_caught_up: end when everything that was in the topics at the start has been landed.
        accept_gap: go on where retention has deleted messages that were not landed.
        observer: shows what goes on.
    """

    def __init__(
        self,
        settings: Settings,
        lake: Lake,
        contracts: Sequence[Contract],
        policy: FlushPolicy,
        *,
        until_caught_up: bool = False,
        accept_gap: bool = False,
        observer: Observer = lambda _topics, _connection: None,
    ) -> None:
        self._settings = settings
        self._lake = lake
        self._contracts = contracts
        self._policy = policy
        self._until_caught_up = until_caught_up
        self._accept_gap = accept_gap
        self._observer = observer
        self._stop = threading.Event()
        self._ends: dict[str, Mapping[int, int]] = {}
        #: Wall and CPU clock when the first message came.
        self._began: tuple[float, float] | None = None
        self.summaries = {c.physical_name: TopicSummary(c.physical_name) for c in contracts}

    def stop(self) -> None:
        """Ask for an orderly end: what is pending is committed first. May be called from a signal handler."""
        self._stop.set()

    def run(self) -> list[TopicSummary]:
        """Land until stopped, or until caught up.

        Raises:
            LandingRefusedError: landing may not begin or go on; see `start` and `hold`.
            UnavailableError: Kafka or the catalog does not answer at the start.
        """
        pause = 0.5
        begun = False
        while True:
            try:
                begins = self._examine()
                begun = True
                grown = bool(begins) and self._land(begins)
            except _TRANSIENT as error:
                if not begun or self._stop.is_set():
                    raise
                logger.warning(
                    "landing was interrupted; the tables are read again",
                    extra={"fields": {"error": str(error).splitlines()[0], "pause_seconds": pause}},
                )
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                if not grown or self._stop.is_set():
                    return list(self.summaries.values())

    def _examine(self) -> list[Begin]:
        """Look at all topics before anything is claimed; when catching up, leave out those that have nothing new."""
        admin = admin_client(self._settings)
        begins = [
            examine(self._settings, self._lake, contract, admin, accept_gap=self._accept_gap)
            for contract in self._contracts
        ]
        for begin in begins:
            refuse_if_held(begin.raw)
            self._ends.setdefault(begin.identity.topic, begin.ends)
        if not self._until_caught_up:
            return begins
        return [begin for begin in begins if begin.gaps or self._waits(begin)]

    def _waits(self, begin: Begin) -> bool:
        ends = self._ends[begin.identity.topic]
        return any(begin.offsets.get(partition, 0) < end for partition, end in ends.items())

    def _land(self, begins: Sequence[Begin]) -> bool:
        """Land from where the topics begin; return whether it ended because a topic has grown by partitions."""
        # A new identity each time: should an abandoned commit of the last time still be under way, it is fenced.
        holder = this_process()
        writer = WriterThread()
        topics: dict[str, TopicLanding] = {}
        connection = Connection(self._settings, {begin.identity.topic: begin.identity for begin in begins})
        try:
            for begin in begins:
                topics[begin.identity.topic] = open_landing(self._settings, begin, holder, self._policy, writer)
            connection.assign({topic: landing.positions for topic, landing in topics.items()})
            grown = self._consume(connection, topics, writer)
            for landing in topics.values():
                landing.flush_if_due(force=True)
            writer.close()
            self._tell_group(connection, topics)
        except BaseException:
            writer.abandon()
            for landing in topics.values():
                landing.sink.abort()
            raise
        finally:
            self._observer(list(topics.values()), connection)
            for topic, landing in topics.items():
                summary = self.summaries[topic]
                summary.add(landing.sink.landed)
                summary.lag = lag(landing, connection)
                if self._began:
                    summary.seconds = time.monotonic() - self._began[0]
                    summary.cpu_seconds = time.process_time() - self._began[1]
            connection.close()
        return grown

    def _consume(self, connection: Connection, topics: Mapping[str, TopicLanding], writer: WriterThread) -> bool:
        only = next(iter(topics.values())) if len(topics) == 1 else None
        observed = told = time.monotonic()
        while not self._stop.is_set():
            messages = connection.consume(_CONSUME, _WAIT_SECONDS)
            if messages and self._began is None:
                self._began = time.monotonic(), time.process_time()
            if messages and only:
                only.take(messages)
            elif messages:
                _hand_out(messages, topics)
            del messages
            for landing in topics.values():
                landing.pass_over(connection.reached)
                landing.flush_if_due()
            writer.check()
            now = time.monotonic()
            if now - observed > 0.2:
                self._observer(list(topics.values()), connection)
                observed = now
            if now - told > 1:
                self._tell_group(connection, topics)
                told = now
                if not self._until_caught_up and connection.topics_have_grown():
                    return True
            if self._until_caught_up and all(
                landing.has_reached(self._ends[topic]) for topic, landing in topics.items()
            ):
                break
        return False

    @staticmethod
    def _tell_group(connection: Connection, topics: Mapping[str, TopicLanding]) -> None:
        for topic, landing in topics.items():
            connection.tell_group(topic, landing.sink.landed.offsets)


def _hand_out(messages: Sequence[Message], topics: Mapping[str, TopicLanding]) -> None:
    by_topic: dict[str, list[Message]] = {}
    for message in messages:
        by_topic.setdefault(str(message.topic()), []).append(message)
    for topic, own in by_topic.items():
        topics[topic].take(own)


def lag(landing: TopicLanding, connection: Connection) -> int:
    """Return how many messages wait to be landed, as far as the consumer has seen."""
    waiting = 0
    for partition, offset in landing.positions.items():
        high = connection.high_watermark(landing.topic, partition)
        end = max(high, landing.begin.ends.get(partition, 0))
        waiting += max(0, end - landing.sink.landed.offsets.get(partition, offset))
    return waiting
