"""Service levels of a contract (ODCS slaProperties): what they promise, and whether that can be understood.

Only `freshness` is acted upon: how old the newest data of a table may be. Every other property is documentation, but
what it is about must exist.
"""

from __future__ import annotations

import math

from orderlake.contracts.document import Location
from orderlake.contracts.model import Contract, Sla
from orderlake.contracts.problems import Findings

FRESHNESS = "freshness"
_SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
_WORDS = {"second": "s", "minute": "min", "hour": "h", "day": "d"}
#: Seconds of every unit that a freshness may have.
UNITS = {
    **_SECONDS,
    **{form: _SECONDS[unit] for word, unit in _WORDS.items() for form in (word, f"{word}s")},
}


def freshness_limit(contract: Contract) -> float | None:
    """Return how old, in seconds, the newest data may be: the least of what is promised; None if nothing is.

    The contract has been linted, so every freshness has a number and a known unit.
    """
    limits = [
        float(sla.value) * UNITS[sla.unit]
        for sla in contract.slas
        if sla.property == FRESHNESS and sla.unit is not None and sla.value is not None
    ]
    return min(limits, default=None)


def lint_slas(contract: Contract, findings: Findings) -> None:
    """Add to `findings` what is wrong with the contract's service levels."""
    for position, sla in enumerate(contract.slas):
        location: Location = ("slaProperties", position)
        _lint_element(sla, contract, location, findings)
        if sla.property == FRESHNESS:
            _lint_freshness(sla, location, findings)


def _lint_freshness(sla: Sla, location: Location, findings: Findings) -> None:
    value = sla.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        findings.error((*location, "value"), f"freshness {value!r} is not a number greater than 0")
    if sla.unit not in UNITS:
        given = "has no unit" if sla.unit is None else f"{sla.unit!r} is no unit of a freshness"
        findings.error((*location, "unit"), f"{given}; allowed: {', '.join(UNITS)}")


def _lint_element(sla: Sla, contract: Contract, location: Location, findings: Findings) -> None:
    columns = [column.name for column in contract.columns]
    for element in sla.element.split(",") if sla.element is not None else ():
        schema, _, column = element.strip().partition(".")
        if schema != contract.schema_name or column.split(".")[0] not in columns:
            findings.error(
                (*location, "element"),
                f"{element.strip()!r} is not a column of this contract, written {contract.schema_name}.<column>; "
                f"its columns: {', '.join(columns)}",
            )
