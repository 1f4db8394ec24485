"""The decoder of the dialect `flat`: one JSON object per message, no nesting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from orderlake.contracts.decoding.base import Decoded, Violation
from orderlake.contracts.decoding.columnar import compile_prover, json_type, to_array
from orderlake.contracts.decoding.exact import PARSE_ERRORS, ExactDecoder
from orderlake.contracts.model import Contract
from orderlake.times import MICROSECONDS_PER_DAY

_FAR_FUTURE = np.iinfo(np.int64).max - MICROSECONDS_PER_DAY


class FlatDecoder:
    """Decodes batches of one topic.

    Args:
        contract: the topic's contract.
        earliest: the earliest event time that is accepted, in microseconds since the epoch.
    """

    def __init__(self, contract: Contract, earliest: int) -> None:
        self._columns = contract.columns
        self._earliest = earliest
        self._exact = ExactDecoder(contract, earliest)
        names = [column.name for column in contract.columns]
        attributes = [f"f{position}" for position in range(len(names))]
        self._event_time = names.index(contract.partition_column or "")
        self._provers = [
            (attrgetter(attribute), compile_prover(column))
            for attribute, column in zip(attributes, contract.columns, strict=True)
        ]
        fields: list[Any] = [
            (attribute, json_type(column)) if column.required else (attribute, json_type(column), None)
            for attribute, column in zip(attributes, contract.columns, strict=True)
        ]
        # gc=False: rows hold no references to each other, and a batch of them must not trigger collections.
        struct = msgspec.defstruct(
            "Row", fields, rename=dict(zip(attributes, names, strict=True)), gc=False, kw_only=True
        )
        self._decode: Callable[[Any], Any] = msgspec.json.Decoder(struct).decode

    def decode(
        self, values: Sequence[bytes | None], timestamps: npt.NDArray[np.int64], payload: pa.BinaryArray | None = None
    ) -> Decoded:
        """Decode a batch; see `base.Decoder`."""
        objects, parsed = self._parse(values, pa.array(values, pa.binary()) if payload is None else payload)
        columns: list[pa.Array] = []
        proven = np.ones(len(objects), bool)
        for getter, prover in self._provers:
            column, mask = prover(list(map(getter, objects)))
            columns.append(column)
            if mask is not None:
                proven &= mask
        moments = _microseconds(columns[self._event_time])
        proven &= self._in_time(moments, timestamps if len(parsed) == len(values) else timestamps[parsed])
        if len(parsed) == len(values) and proven.all():
            return Decoded(columns, parsed, moments, [])
        undecided = np.ones(len(values), bool)
        undecided[parsed[proven]] = False
        if not proven.all():
            keep = pa.array(proven)
            columns = [column.filter(keep) for column in columns]
            parsed, moments = parsed[proven], moments[proven]
        return self._decide(Decoded(columns, parsed, moments, []), np.flatnonzero(undecided), values, timestamps)

    def _parse(
        self, values: Sequence[bytes | None], payload: pa.BinaryArray
    ) -> tuple[list[Any], npt.NDArray[np.int64]]:
        """Return the messages that are rows by JSON's and msgspec's lights, and their positions."""
        positions = np.arange(len(values), dtype=np.int64)
        refused = _not_utf8(values, payload)
        if refused:
            positions = np.delete(positions, refused)
            values = [values[position] for position in positions.tolist()]
        objects: list[Any] = []
        failed: list[int] = []
        remaining = iter(values)
        decode = self._decode
        while True:
            try:
                objects.extend(map(decode, remaining))
                break
            except PARSE_ERRORS:
                failed.append(len(objects) + len(failed))
        return objects, np.delete(positions, failed) if failed else positions

    def _in_time(self, moments: npt.NDArray[np.int64], timestamps: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        latest = np.where(timestamps < 0, _FAR_FUTURE, timestamps) + MICROSECONDS_PER_DAY
        within: npt.NDArray[np.bool_] = (moments >= self._earliest) & (moments <= latest)
        return within

    def _decide(
        self,
        proven: Decoded,
        undecided: npt.NDArray[np.int64],
        values: Sequence[bytes | None],
        timestamps: npt.NDArray[np.int64],
    ) -> Decoded:
        """Let tier 2 decide the rows that tier 1 did not prove, and put both together."""
        accepted: list[tuple[Any, ...]] = []
        positions: list[int] = []
        bad: list[tuple[int, tuple[Violation, ...]]] = []
        for position in undecided.tolist():
            row, violations = self._exact.decode_one(values[position], int(timestamps[position]))
            if violations:
                bad.append((position, violations))
            else:
                accepted.append(row)
                positions.append(position)
        if not accepted:
            return Decoded(proven.columns, proven.rows, proven.event_time, bad)
        added = [to_array(column, [row[number] for row in accepted]) for number, column in enumerate(self._columns)]
        columns = [pa.concat_arrays(pair) for pair in zip(proven.columns, added, strict=True)]
        rows = np.concatenate((proven.rows, np.array(positions, np.int64)))
        return Decoded(columns, rows, _microseconds(columns[self._event_time]), bad)


def _microseconds(moments: pa.Array) -> npt.NDArray[np.int64]:
    result: npt.NDArray[np.int64] = moments.view(pa.int64()).to_numpy(zero_copy_only=False)
    return result


def _not_utf8(values: Sequence[bytes | None], payload: pa.BinaryArray) -> list[int]:
    """Return the positions of values that are not UTF-8 anywhere, fields the contract does not know included."""
    try:
        payload.cast(pa.string())
    except pa.ArrowInvalid:
        return [position for position, value in enumerate(values) if value and not _is_utf8(value)]
    return []


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
