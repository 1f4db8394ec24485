"""What a contract promises about time (ODCS slaProperties)."""

from __future__ import annotations

from orderlake.contracts.model import Contract

_SECONDS = {"s": 1, "second": 1, "min": 60, "minute": 60, "h": 3_600, "hour": 3_600, "d": 86_400, "day": 86_400}
#: Units of a freshness, in ODCS's spellings.
UNITS = tuple(unit + suffix for unit in _SECONDS for suffix in ("", "s") if len(unit) > 3 or not suffix)


def freshness_limit(contract: Contract) -> float | None:
    """Return how many seconds the data time may lie behind the present; None if the contract promises nothing."""
    for sla in contract.slas:
        if sla.property == "freshness" and isinstance(sla.value, int | float | str):
            unit = sla.unit or "d"
            return float(sla.value) * _SECONDS[unit if unit in _SECONDS else unit.removesuffix("s")]
    return None
