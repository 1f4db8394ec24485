"""Freshness by data time: how far the newest event in a table lies behind the present, whenever it was built."""

from __future__ import annotations

from dataclasses import dataclass

from orderlake.lake.catalog import Lake
from orderlake.lake.data_time import data_time
from orderlake.times import iso


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old a table's data is.

    Attributes:
        data_time: the greatest event time taken in, in microseconds since the epoch; None if there is none yet.
        age: how far it lies behind the present, in seconds.
        limit: how far it may, in seconds.
    """

    table: str
    data_time: int | None
    age: float | None
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the table is fresh; one that has no data yet is not."""
        return self.age is not None and self.age <= self.limit

    def __str__(self) -> str:
        """Return the verdict as a sentence."""
        if self.age is None or self.data_time is None:
            return f"no data yet; promised are {_span(self.limit)}"
        return f"{_span(self.age)} behind, at {iso(self.data_time)}; promised are {_span(self.limit)}"


def measure(lake: Lake, name: str, limit: float, now: float) -> Freshness:
    """Return how fresh a table is; metadata alone is read.

    Args:
        lake: the lake.
        name: the table; it need not exist yet.
        limit: promised by the contract, in seconds.
        now: seconds since the epoch.
    """
    table = lake.find(name)
    reached = data_time(table.metadata) if table else None
    return Freshness(name, reached, None if reached is None else max(0.0, now - reached / 1e6), limit)


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
