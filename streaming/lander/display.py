"""Shows what the lander does: a live line per topic on a terminal, a log record every ten seconds elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from streaming.lander.connection import Connection
from streaming.lander.lander import lag
from streaming.lander.landing import TopicLanding

logger = logging.getLogger(__name__)

_LOG_EVERY_SECONDS = 10.0


class Display:
    """An observer of the lander; a context manager, because a terminal must be left as it was."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        terminal = sys.stderr.isatty()
        self._live = Live(console=Console(stderr=True), refresh_per_second=5, transient=True) if terminal else None
        self._logged = time.monotonic()
        self._before: dict[str, tuple[float, int]] = {}

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, topics: Sequence[TopicLanding], connection: Connection) -> None:
        """Show the present state."""
        if self._live:
            self._live.update("\n".join(self._line(topic, connection) for topic in topics))
        elif time.monotonic() - self._logged >= _LOG_EVERY_SECONDS:
            self._logged = time.monotonic()
            for topic in topics:
                landed = topic.sink.landed
                fields = {
                    "topic": topic.topic,
                    "consumed": topic.consumed,
                    "landed": landed.rows,
                    "quarantined": landed.quarantined,
                    "commits": landed.commits,
                    "commit_ms": round(landed.commit_seconds * 1000),
                    "lag": lag(topic, connection),
                }
                logger.info("landing", extra={"fields": fields})

    def _line(self, topic: TopicLanding, connection: Connection) -> str:
        landed, now = topic.sink.landed, time.monotonic()
        then, count = self._before.get(topic.topic, (now, topic.consumed))
        speed = (topic.consumed - count) / (now - then) if now > then else 0.0
        if now - then > 1 or topic.topic not in self._before:
            self._before[topic.topic] = (now, topic.consumed)
        state = "waiting for Kafka" if connection.is_away else f"lag {lag(topic, connection):,}"
        last = f", last commit {now - landed.at:.0f} s ago ({landed.commit_seconds * 1000:.0f} ms)" if landed.at else ""
        return (
            f"{topic.topic}: {speed:,.0f}/s, landed {landed.rows:,}, quarantined {landed.quarantined:,}, {state}{last}"
        )
