"""A raw table with a long history, without Kafka: generated rows go through the lander's own sink and commit path.

How fast messages are landed is `landing.py`'s question. Here rows are made as Arrow columns, with offsets, event times
and payloads as the lander would have them, and each commit carries its landing state.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from orderlake.contracts.arrow import arrow_schema
from orderlake.contracts.columns import raw_columns
from orderlake.contracts.model import Contract
from orderlake.lake.catalog import Lake
from orderlake.lake.landing_state import Range
from orderlake.lake.landing_tables import open_landing_tables
from orderlake.progress import task
from orderlake.times import MICROSECONDS_PER_DAY, day_ordinal, day_start_microseconds
from streaming.kafka import TopicIdentity
from streaming.lander.hold import HeldTable, this_process
from streaming.lander.router import Routed
from streaming.lander.sink import TopicSink

PARTITIONS = 4
CURRENCIES = ("EUR", "USD", "GBP")

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
#: Where the 32 digits stand among the 36 characters of a uuid.
_DIGITS = np.array([i for i in range(36) if i not in {8, 13, 18, 23}])


class History:
    """The lander's sink of one topic, and what was given to it.

    Attributes:
        rows: rows landed, by day.
        cents: the sum of their amounts in cents, by day.
    """

    def __init__(self, lake: Lake, contract: Contract, seed: int = 1) -> None:
        self.schema = arrow_schema(raw_columns(contract))
        raw, quarantine = open_landing_tables(lake, contract)
        identity = TopicIdentity("benchmark", contract.physical_name, "benchmark", tuple(range(PARTITIONS)))
        writer = this_process()
        self._sink = TopicSink(
            contract, HeldTable.claim(raw, identity, writer), HeldTable.claim(quarantine, identity, writer)
        )
        self._random = np.random.default_rng(seed)
        self._next = dict.fromkeys(range(PARTITIONS), 0)
        self.rows: Counter[dt.date] = Counter()
        self.cents: Counter[dt.date] = Counter()

    def fill(self, last: dt.date, days: int, per_day: int) -> float:
        """Land the days up to `last`, oldest first and a commit for each; return seconds."""
        started = time.perf_counter()
        with task("Filling the raw table", total=days) as progress:
            for back in range(days - 1, -1, -1):
                self.land(last - dt.timedelta(days=back), per_day)
                progress.advance()
        return time.perf_counter() - started

    def land(self, day: dt.date, count: int = 1) -> None:
        """Land events of one day in one commit."""
        times = np.sort(self._random.integers(0, MICROSECONDS_PER_DAY // 1000, count)) * 1000
        times += day_start_microseconds(day)
        cents = self._random.integers(100, 100_000, count)
        partition = self._random.integers(0, PARTITIONS, count).astype(np.int32)
        offsets, ranges, newest = np.empty(count, np.int64), {}, {}
        for number in np.unique(partition).tolist():
            mine, start = partition == number, self._next[number]
            end = self._next[number] = start + int(mine.sum())
            offsets[mine] = np.arange(start, end)
            ranges[number] = Range(start, end, end - start)
            newest[number] = int(times[mine].max())
        batch = self._batch(times, cents, partition, offsets)
        self._sink.write(Routed((batch, np.full(count, day_ordinal(day), np.int64)), None, ranges, newest))
        self._sink.commit("benchmark")
        self.rows[day] += count
        self.cents[day] += int(cents.sum())

    def _batch(
        self,
        times: npt.NDArray[np.int64],
        cents: npt.NDArray[np.int64],
        partition: npt.NDArray[np.int32],
        offsets: npt.NDArray[np.int64],
    ) -> pa.RecordBatch:
        count = len(times)
        event_id = _uuids(self._random, count)
        order_id = _join("ORD-", pc.utf8_upper(pc.utf8_slice_codeunits(event_id, 0, 8)))
        user_id = _join("USR-", pc.utf8_lpad(_text(self._random.integers(0, 50_000, count)), 8, "0"))
        currency = pa.array(np.array(CURRENCIES)[self._random.choice(len(CURRENCIES), count, p=(0.8, 0.15, 0.05))])
        moment = pa.array(times, pa.timestamp("us", "UTC"))
        amount = _decimals(cents)
        payload = _join(
            '{"event_id":"', event_id, '","event_time":"', pc.strftime(moment, "%Y-%m-%dT%H:%M:%S"), 'Z","order_id":"',
            order_id, '","user_id":"', user_id, '","order_amount":"', amount.cast(pa.string()), '","currency":"',
            currency, '","order_status":"CREATED","channel":"web","country":"DE","session_id":"',
            event_id, '","city":"Berlin"}',
        )  # fmt: skip
        columns = {
            "event_id": event_id, "event_time": moment, "order_id": order_id, "user_id": user_id,
            "order_amount": amount, "currency": currency, "order_status": _repeat("CREATED", count),
            "_kafka_partition": pa.array(partition), "_kafka_offset": pa.array(offsets), "_kafka_timestamp": moment,
            "_kafka_key": order_id.cast(pa.binary()),
            "_kafka_headers": pa.nulls(count, self.schema.field("_kafka_headers").type),
            "_kind": _repeat("event", count),
            "_landed_at": pa.array(times + 400_000, pa.timestamp("us", "UTC")), "_payload": payload.cast(pa.binary()),
        }  # fmt: skip
        return pa.RecordBatch.from_arrays([columns[name] for name in self.schema.names], schema=self.schema)


def _uuids(random: np.random.Generator, count: int) -> pa.StringArray:
    characters = np.full((count, 36), ord("-"), np.uint8)
    characters[:, _DIGITS] = _HEX[random.integers(0, 16, (count, 32))]
    characters[:, 14] = ord("4")
    characters[:, 19] = ord("a")
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(36), count, [None, pa.py_buffer(characters.tobytes())])
    return fixed.cast(pa.binary()).cast(pa.string())


def _decimals(cents: npt.NDArray[np.int64]) -> pa.Decimal128Array:
    words = np.zeros((len(cents), 2), np.int64)
    words[:, 0] = cents
    return pa.Decimal128Array.from_buffers(pa.decimal128(10, 2), len(cents), [None, pa.py_buffer(words.tobytes())])


def _text(numbers: npt.NDArray[np.int64]) -> pa.StringArray:
    return pa.array(numbers).cast(pa.string())


def _join(*parts: str | pa.StringArray) -> pa.StringArray:
    return pc.binary_join_element_wise(*parts, "")


def _repeat(text: str, count: int) -> pa.StringArray:
    return pa.repeat(text, count)
