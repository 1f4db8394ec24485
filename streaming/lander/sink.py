"""Writes the rows of one topic to its two tables and commits them: quarantine first, raw second."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field

from orderlake.contracts.columns import raw_columns
from orderlake.contracts.model import Column, Contract
from orderlake.contracts.types import Decimal, Scalar
from orderlake.lake.files import DataFileWriter
from orderlake.lake.landing_state import Range
from streaming.lander.hold import HeldTable
from streaming.lander.router import Routed

logger = logging.getLogger(__name__)

_COUNTED = frozenset({"int", "long", "float", "double", "date", "timestamptz"})


@dataclass(slots=True)
class Landed:
    """What one topic's sink has committed since it was opened; read by the status line.

    Attributes:
        offsets: the offset to land next, by Kafka partition.
        at: `time.monotonic()` of the last commit.
        commit_seconds: how long the last commit took, both tables.
    """

    rows: int = 0
    quarantined: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    commits: int = 0
    offsets: dict[int, int] = field(default_factory=dict)
    at: float | None = None
    commit_seconds: float = 0.0


def _is_counted(column: Column) -> bool:
    return isinstance(column.type, Decimal) or (isinstance(column.type, Scalar) and column.type.name in _COUNTED)


class TopicSink:
    """The two tables of one topic, held by this process.

    Args:
        contract: the topic's contract.
        raw: its raw table.
        quarantine: its quarantine table.
    """

    def __init__(self, contract: Contract, raw: HeldTable, quarantine: HeldTable) -> None:
        columns = raw_columns(contract)
        few_values = [column.name for column in columns if column.constraints.enum] + ["_kafka_partition"]
        self.raw = raw
        self.quarantine = quarantine
        self.landed = Landed(offsets={p: progress.next for p, progress in raw.state.partitions.items()})
        self._good = DataFileWriter(
            raw.table, dictionary=few_values, statistics=[column.name for column in columns if _is_counted(column)]
        )
        self._bad = DataFileWriter(quarantine.table)
        self._ranges: dict[int, Range] = {}
        self._event_times: dict[int, int] = {}
        self._reasons: Counter[str] = Counter()
        self._rows = 0

    def write(self, routed: Routed) -> None:
        """Write rows into open data files; nothing is visible yet."""
        if routed.good:
            self._good.write(*routed.good)
            self._rows += routed.good[0].num_rows
        if routed.bad:
            self._bad.write(*routed.bad)
            self._reasons.update(routed.bad[0].column("reason").to_pylist())
        for partition, span in routed.ranges.items():
            known = self._ranges.get(partition, Range(span.start, span.start, 0))
            self._ranges[partition] = Range(known.start, span.end, known.records + span.records)
        for partition, moment in routed.event_times.items():
            self._event_times[partition] = max(moment, self._event_times.get(partition, moment))

    def commit(self, reason: str) -> None:
        """Commit what has been written.

        Args:
            reason: why now, for the log.

        Raises:
            FencedError: another process has claimed a table.
        """
        started = time.perf_counter()
        ranges, event_times, reasons, rows = self._ranges, self._event_times, self._reasons, self._rows
        bad = self._bad.close()
        good = self._good.close()
        if bad:
            # A quarantine table counts no records: the same range may be quarantined in two steps (see the package).
            spans = {partition: Range(span.start, span.end, 0) for partition, span in ranges.items()}
            self.quarantine.append(bad, spans, {}, {})
        self.raw.append(good, ranges, event_times, {"orderlake.landing.flush": reason})
        self._ranges, self._event_times, self._reasons, self._rows = {}, {}, Counter(), 0
        self._note(rows, reasons, time.perf_counter() - started)
        logger.debug(
            "landed",
            extra={"fields": {"topic": self.raw.state.topic, "rows": rows, "bad": reasons.total(), "flush": reason}},
        )

    def _note(self, rows: int, reasons: Counter[str], seconds: float) -> None:
        landed = self.landed
        landed.rows += rows
        landed.quarantined += reasons.total()
        landed.reasons += reasons
        landed.commits += 1
        landed.offsets = {partition: progress.next for partition, progress in self.raw.state.partitions.items()}
        landed.at = time.monotonic()
        landed.commit_seconds = seconds

    def abort(self) -> None:
        """Throw away what was written and not committed."""
        self._good.abort()
        self._bad.abort()
