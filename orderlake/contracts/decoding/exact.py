"""Tier 2: one message at a time, every rule of the contract, every violation named. The truth about bad.

The JSON value of each field is examined by itself, so one bad field does not hide another. JSON is judged by the
same parser as in tier 1 (msgspec), so the two tiers cannot disagree about syntax.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from orderlake.contracts.decoding.base import Violation
from orderlake.contracts.decoding.rules import Broken, Step, compile_steps
from orderlake.contracts.model import Column, Contract
from orderlake.times import MICROSECONDS_PER_DAY, iso

_PRIVATE = frozenset({"restricted", "confidential"})
_SHOWN = 64
#: What msgspec raises on input that is not what was asked for: besides its own errors, invalid UTF-8 in a text,
#: nesting beyond Python's recursion limit, and TypeError for a message without value.
PARSE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError)


def _examine(column: Column, steps: tuple[Step, ...], raw: bytes) -> tuple[Any, Violation | None]:
    """Return (value, None) of a good field, (None, violation) of a bad one; `raw` is empty where it is absent."""
    if raw in {b"", b"null"}:
        if not column.required:
            return None, None
        code = "null" if raw else "missing"
        return None, Violation(code, column.name, f"{column.name} is {code}; it is required")
    value: Any = raw
    try:
        for step in steps:
            value = step(value)
    except Broken as broken:
        text = raw.decode(errors="replace")
        shown = "" if column.classification in _PRIVATE else f" {text[:_SHOWN]}{'...' if len(text) > _SHOWN else ''}"
        return None, Violation(broken.code, column.name, f"{column.name}{shown} {broken.complaint}")
    return value, None


class ExactDecoder:
    """Examines single messages of one contract.

    Args:
        contract: the contract of a topic in a JSON dialect.
        earliest: the earliest event time that is accepted, in microseconds since the epoch.
    """

    def __init__(self, contract: Contract, earliest: int) -> None:
        self._columns = contract.columns
        self._steps = tuple(compile_steps(column) for column in contract.columns)
        self._earliest = earliest
        names = [column.name for column in contract.columns]
        self._event_time = names.index(contract.partition_column or "")
        # Positional attribute names: a field of a message may have a name that Python does not allow.
        self._attributes = [f"f{position}" for position in range(len(names))]
        fields = [(attribute, msgspec.Raw, msgspec.field(default=msgspec.Raw())) for attribute in self._attributes]
        struct = msgspec.defstruct("Fields", fields, rename=dict(zip(self._attributes, names, strict=True)))
        self._decode = msgspec.json.Decoder(struct).decode

    def decode_one(self, value: bytes | None, timestamp: int) -> tuple[tuple[Any, ...], tuple[Violation, ...]]:
        """Examine one message.

        Args:
            value: the message's value.
            timestamp: its Kafka timestamp in microseconds since the epoch; negative where unknown.

        Returns:
            (values in the contract's order, ()) of a good message, ((), violations in the contract's order) of a
            bad one. A timestamp's value is microseconds since the epoch.
        """
        if not value:
            return (), (Violation("empty_message", "", "the message has no value"),)
        try:
            value.decode()
        except UnicodeDecodeError as error:
            return (), (Violation("invalid_utf8", "", f"byte {error.start} of the value is not UTF-8"),)
        try:
            fields = self._decode(value)
        except msgspec.ValidationError as error:
            return (), (Violation("not_an_object", "", str(error)),)
        except RecursionError:
            return (), (Violation("invalid_json", "", "the value is nested too deeply"),)
        except msgspec.DecodeError as error:
            return (), (Violation("invalid_json", "", str(error)),)
        return self._examine_fields([bytes(getattr(fields, attribute)) for attribute in self._attributes], timestamp)

    def _examine_fields(self, raws: list[bytes], timestamp: int) -> tuple[tuple[Any, ...], tuple[Violation, ...]]:
        values: list[Any] = []
        violations: list[Violation] = []
        for column, steps, raw in zip(self._columns, self._steps, raws, strict=True):
            value, violation = _examine(column, steps, raw)
            values.append(value)
            if violation:
                violations.append(violation)
        moment = values[self._event_time]
        if moment is not None:
            violations.extend(self._event_time_violations(moment, timestamp))
        return ((), tuple(violations)) if violations else (tuple(values), ())

    def _event_time_violations(self, moment: int, timestamp: int) -> Iterator[Violation]:
        name = self._columns[self._event_time].name
        if moment < self._earliest:
            text = f"{name} {iso(moment)} is before {iso(self._earliest)}, where this lake begins"
            yield Violation("event_time_out_of_range", name, text)
        elif 0 <= timestamp < moment - MICROSECONDS_PER_DAY:
            text = f"{name} {iso(moment)} is more than a day after the Kafka timestamp {iso(timestamp)}"
            yield Violation("event_time_out_of_range", name, text)
