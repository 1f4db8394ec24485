"""The customProperties that orderlake adds to ODCS (vendor `orderlake`): which there are and what they may say."""

from __future__ import annotations

from typing import Any, Literal

from open_data_contract_standard.model import CustomProperty

from orderlake.contracts.document import Location
from orderlake.contracts.problems import Findings

VENDOR = "orderlake"

Level = Literal["topic", "table", "column"]

#: By where they may stand, with the values they may have.
_ALLOWED: dict[Level, dict[str, tuple[object, ...] | type]] = {
    "topic": {
        "dialect": ("flat",),
        "messageKey": str,
        "payload": ("keep", "drop"),
        "topicPartitions": int,
        "topicConfig": dict,
        "partitionTransform": ("day", "hour"),
    },
    "table": {"partitionTransform": ("day", "hour")},
    "column": {"wire": ("string", "number")},
}


def read_custom(
    properties: list[CustomProperty] | None, location: Location, level: Level, findings: Findings
) -> dict[str, Any]:
    """Return orderlake's own properties of a topic, a table or a column.

    A property that names another vendor, or none and is unknown, is none of our business; one of vendor orderlake
    must be known and have an allowed value.
    """
    values: dict[str, Any] = {}
    for position, item in enumerate(properties or []):
        where = (*location, "customProperties", position)
        allowed = _ALLOWED[level].get(item.property or "")
        if allowed is None:
            if item.vendor == VENDOR:
                known = ", ".join(_ALLOWED[level])
                findings.error(where, f"{item.property!r} is not an orderlake property of a {level}; allowed: {known}")
        elif isinstance(allowed, type) and not isinstance(item.value, allowed):
            findings.error(where, f"{item.property}: {item.value!r} is not of type {allowed.__name__}")
        elif isinstance(allowed, tuple) and item.value not in allowed:
            choices = ", ".join(map(str, allowed))
            findings.error(where, f"{item.property}: {item.value!r} is not allowed; allowed: {choices}")
        else:
            values[item.property or ""] = item.value
    return values
