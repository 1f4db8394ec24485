"""Data time: the greatest event time that a table has taken in. Freshness is measured by it, never by a run's clock.

A raw table knows it from its landing state. A curated table carries it in the snapshot property
`orderlake.data_time` (microseconds since the epoch), which never goes back: building an old day anew does not make
the table look older, and, because a build counts only what lies in its days, not fresher either.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import ancestors_of

from orderlake.lake.landing_state import STATE, read_state
from orderlake.lake.pins import Pin

DATA_TIME = "orderlake.data_time"


def data_time(metadata: TableMetadata) -> int | None:
    """Return the data time of a table in microseconds since the epoch; None if nothing says so."""
    if STATE in metadata.properties:
        times = (progress.event_time for progress in read_state(metadata).partitions.values())
        return max((time for time in times if time is not None), default=None)
    head = metadata.current_snapshot()
    for snapshot in ancestors_of(head, metadata) if head else ():
        summary = snapshot.summary.additional_properties if snapshot.summary else {}
        if DATA_TIME in summary:
            return int(summary[DATA_TIME])
    return None


def reached(pins: Iterable[Pin], end: int) -> int | None:
    """Return the data time of rows that are made from pinned inputs: that of the input which is furthest behind.

    Args:
        pins: the inputs.
        end: the end of the days that are made, exclusive, in microseconds since the epoch.
    """
    times = [data_time(pin.table.metadata) for pin in pins]
    known = [min(time, end - 1) for time in times if time is not None]
    return min(known) if known and len(known) == len(times) else None


def data_time_summary(metadata: TableMetadata, reached_now: int | None) -> dict[str, str]:
    """Return the snapshot property for a commit on a table that has the given metadata."""
    known = [time for time in (data_time(metadata), reached_now) if time is not None]
    return {DATA_TIME: str(max(known))} if known else {}
