"""Turns consumed messages into rows: good ones for the raw table, bad ones for the quarantine table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from confluent_kafka import Message

from orderlake.contracts.arrow import arrow_schema, arrow_type
from orderlake.contracts.columns import COORDINATES, QUARANTINE_COLUMNS, raw_columns
from orderlake.contracts.decoding.base import Decoder, Violation
from orderlake.contracts.model import Contract
from orderlake.lake.files import NULL_PARTITION
from orderlake.lake.landing_state import Range
from orderlake.times import MICROSECONDS_PER_DAY, now_microseconds

_HEADERS = arrow_type(next(column.type for column in COORDINATES if column.name == "_kafka_headers"))
_MICROSECONDS_PER_HOUR = MICROSECONDS_PER_DAY // 24


@dataclass(slots=True)
class Batch:
    """Messages of one topic as they were consumed, in parallel lists."""

    values: list[bytes | None] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    partitions: list[Any] = field(default_factory=list)
    offsets: list[Any] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)

    def extend(self, messages: Sequence[Message]) -> None:
        """Take over messages; none of them may be an error."""
        self.values.extend(map(Message.value, messages))
        self.keys.extend(map(Message.key, messages))
        self.headers.extend(map(Message.headers, messages))
        self.partitions.extend(map(Message.partition, messages))
        self.offsets.extend(map(Message.offset, messages))
        self.timestamps.extend([message.timestamp()[1] for message in messages])

    def __len__(self) -> int:
        return len(self.values)


@dataclass(slots=True)
class Routed:
    """A decoded batch.

    Attributes:
        good: rows for the raw table, with their partition ordinals.
        bad: rows for the quarantine table, with theirs.
        ranges: the offsets of all of them, and of those skipped, by Kafka partition.
        event_times: the greatest event time of each Kafka partition, in microseconds since the epoch.
    """

    good: tuple[pa.RecordBatch, npt.NDArray[np.int64]] | None
    bad: tuple[pa.RecordBatch, npt.NDArray[np.int64]] | None
    ranges: dict[int, Range]
    event_times: dict[int, int]


class Router:
    """Routes the messages of one topic.

    Args:
        contract: the topic's contract.
        decoder: its decoder.
        positions: the offset expected next, by Kafka partition.
        quarantined: offsets that are in the quarantine table already although raw is not that far: their routing
            stands, so they are skipped, whatever the decoder would say now.
    """

    def __init__(
        self,
        contract: Contract,
        decoder: Decoder,
        positions: Mapping[int, int],
        quarantined: Mapping[int, npt.NDArray[np.int64]],
    ) -> None:
        self._contract = contract
        self._decoder = decoder
        self._positions = dict(positions)
        self._quarantined = {partition: offsets for partition, offsets in quarantined.items() if len(offsets)}
        self._raw_schema = arrow_schema(raw_columns(contract))
        self._quarantine_schema = arrow_schema(QUARANTINE_COLUMNS)
        self._unit = MICROSECONDS_PER_DAY if contract.partition_transform == "day" else _MICROSECONDS_PER_HOUR

    def route(self, batch: Batch) -> Routed:
        """Decode a batch."""
        coordinates = _Coordinates.of(batch)
        ranges = self._ranges(coordinates)
        if self._quarantined:
            batch, coordinates = self._without_quarantined(batch, coordinates)
        payload = pa.array(batch.values, pa.binary())
        decoded = self._decoder.decode(batch.values, coordinates.timestamps, payload)
        good, event_times = None, {}
        if len(decoded.rows):
            every = len(decoded.rows) == len(batch)
            where = coordinates if every else coordinates.take(decoded.rows)
            columns = [*decoded.columns, *where.columns(), *_landing_columns(len(decoded.rows))]
            if self._contract.topic.payload == "keep":
                columns.append(payload if every else payload.take(pa.array(decoded.rows)))
            rows = pa.RecordBatch.from_arrays(columns, schema=self._raw_schema)
            good = (rows, decoded.event_time // self._unit)
            event_times = where.greatest(decoded.event_time)
        bad = self._bad_rows(decoded.bad, batch, coordinates) if decoded.bad else None
        return Routed(good, bad, ranges, event_times)

    def pass_over(self, ends: Mapping[int, int]) -> Routed:
        """Return a batch without rows that moves on to `ends`, by Kafka partition: no message is left before them."""
        ranges = {}
        for partition, end in ends.items():
            start = self._positions.get(partition, end)
            if end > start:
                ranges[partition] = Range(start, end, 0)
                self._positions[partition] = end
        return Routed(None, None, ranges, {})

    def _ranges(self, coordinates: _Coordinates) -> dict[int, Range]:
        ranges = {}
        for partition in np.unique(coordinates.partitions).tolist():
            offsets = coordinates.offsets[coordinates.partitions == partition]
            end = int(offsets[-1]) + 1
            ranges[partition] = Range(self._positions.get(partition, int(offsets[0])), end, len(offsets))
            self._positions[partition] = end
        return ranges

    def _without_quarantined(self, batch: Batch, coordinates: _Coordinates) -> tuple[Batch, _Coordinates]:
        skip = np.zeros(len(batch), bool)
        for partition, known in list(self._quarantined.items()):
            skip |= (coordinates.partitions == partition) & np.isin(coordinates.offsets, known)
            if self._positions.get(partition, 0) > known[-1]:
                del self._quarantined[partition]
        if not skip.any():
            return batch, coordinates
        keep = np.flatnonzero(~skip).tolist()
        rest = Batch(*([getattr(batch, name)[i] for i in keep] for name in Batch.__slots__))
        return rest, _Coordinates.of(rest)

    def _bad_rows(
        self, bad: list[tuple[int, tuple[Violation, ...]]], batch: Batch, coordinates: _Coordinates
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
        positions = np.array([position for position, _ in bad], np.int64)
        where = coordinates.take(positions)
        violations = [[{"code": v.code, "field": v.field, "message": v.message} for v in found] for _, found in bad]
        columns = {
            "_landed_at": pa.array(np.full(len(bad), now_microseconds())).cast(pa.timestamp("us", "UTC")),
            "_payload": pa.array([batch.values[position] for position in positions.tolist()], pa.binary()),
            "reason": pa.array([found[0].code for _, found in bad], pa.string()),
            "violations": pa.array(violations, self._quarantine_schema.field("violations").type),
            "contract_version": pa.array([self._contract.version] * len(bad), pa.string()),
            "resolved_by": pa.nulls(len(bad), pa.string()),
        }
        arrays = [*where.columns(), *(columns[name] for name in self._quarantine_schema.names[len(COORDINATES) :])]
        rows = pa.RecordBatch.from_arrays(arrays, schema=self._quarantine_schema)
        return rows, where.days()


@dataclass(frozen=True, slots=True)
class _Coordinates:
    """Where the messages of a batch come from, as arrays; timestamps in microseconds, negative where unknown."""

    partitions: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    timestamps: npt.NDArray[np.int64]
    keys: pa.Array
    headers: pa.Array

    @classmethod
    def of(cls, batch: Batch) -> _Coordinates:
        return cls(
            np.array(batch.partitions, np.int32),
            np.array(batch.offsets, np.int64),
            np.array(batch.timestamps, np.int64) * 1_000,
            pa.array(batch.keys, pa.binary()),
            _headers_array(batch.headers),
        )

    def take(self, rows: npt.NDArray[np.int64]) -> _Coordinates:
        indices = pa.array(rows)
        return _Coordinates(
            self.partitions[rows],
            self.offsets[rows],
            self.timestamps[rows],
            self.keys.take(indices),
            self.headers.take(indices),
        )

    def columns(self) -> list[pa.Array]:
        """Return the columns of COORDINATES."""
        known = self.timestamps >= 0
        moments = pa.array(self.timestamps, mask=None if known.all() else ~known).cast(pa.timestamp("us", "UTC"))
        return [pa.array(self.partitions), pa.array(self.offsets), moments, self.keys, self.headers]

    def days(self) -> npt.NDArray[np.int64]:
        """Return the day ordinals of the Kafka timestamps."""
        return np.where(self.timestamps < 0, NULL_PARTITION, self.timestamps // MICROSECONDS_PER_DAY)

    def greatest(self, event_times: npt.NDArray[np.int64]) -> dict[int, int]:
        """Return the greatest of the messages' event times by Kafka partition."""
        return {
            partition: int(event_times[self.partitions == partition].max())
            for partition in np.unique(self.partitions).tolist()
        }


def _landing_columns(count: int) -> list[pa.Array]:
    landed = pa.array(np.full(count, now_microseconds())).cast(pa.timestamp("us", "UTC"))
    return [pa.repeat(pa.scalar("event"), count), landed]


def _headers_array(headers: list[Any]) -> pa.Array:
    if not any(headers):
        return pa.nulls(len(headers), _HEADERS)
    return pa.array(
        [None if entry is None else [{"key": key, "value": value} for key, value in entry] for entry in headers],
        _HEADERS,
    )
