"""What every decoder takes and gives: the seam between landing and the dialects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

#: Every violation code, with its meaning. `reason` in a quarantine table is one of them.
VIOLATION_CODES = {
    "empty_message": "the message has no value",
    "invalid_utf8": "the value is not UTF-8",
    "invalid_json": "the value is not JSON (RFC 8259)",
    "not_an_object": "the value is JSON, but not an object",
    "missing": "a required field is absent",
    "null": "a required field is null",
    "wrong_type": "a field has another JSON type than the contract says",
    "empty": "a text is empty",
    "too_short": "a text has fewer characters than allowed",
    "too_long": "a text has more characters than allowed",
    "pattern": "a text does not match the contract's pattern",
    "invalid_uuid": "a text is not a UUID",
    "not_in_enum": "a value is none of the allowed ones",
    "invalid_timestamp": "a text is not a date-time of RFC 3339",
    "invalid_date": "a text is not a date",
    "invalid_decimal": "a text is not a plain decimal number",
    "too_many_decimals": "a decimal has more places behind the point than allowed",
    "out_of_range": "a number does not fit its type",
    "below_minimum": "a number is less than allowed",
    "above_maximum": "a number is greater than allowed",
    "not_a_multiple": "a number is not a multiple of what the contract says",
    "event_time_out_of_range": "the event time is before the lake begins or more than a day after the Kafka timestamp",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which a message breaks its contract; `field` is empty where the whole message does."""

    code: str
    field: str
    message: str


@dataclass(slots=True)
class Decoded:
    """A decoded batch.

    Attributes:
        columns: the contract's columns in its order, one value per good message.
        rows: position in the batch of each good message; ascending but for messages that tier 2 accepted,
            which come last.
        event_time: event time of each good message, in microseconds since the epoch.
        bad: position and violations of every bad message.
    """

    columns: list[pa.Array]
    rows: npt.NDArray[np.int64]
    event_time: npt.NDArray[np.int64]
    bad: list[tuple[int, tuple[Violation, ...]]]


class Decoder(Protocol):
    """Turns message values into rows."""

    def decode(
        self, values: Sequence[bytes | None], timestamps: npt.NDArray[np.int64], payload: pa.BinaryArray | None = None
    ) -> Decoded:
        """Decode a batch.

        Args:
            values: the values of the messages.
            timestamps: their Kafka timestamps in microseconds since the epoch; negative where unknown.
            payload: the values once more, as Arrow, if the caller has them already.
        """
        ...
