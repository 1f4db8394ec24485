"""Which days of a raw table have changed since somebody last looked, throttled.

A look reads the manifests that came since the last one and nothing else, so it costs the same after a day and after
a year. What may not be reported yet waits in the cursor; nothing is dropped.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pyiceberg.table import Table

from orderlake.lake.partitions import days_changed, rows_by_day

#: Reports of one look; what is beyond waits for the next one. A lake of years is told in a few looks.
MOST_REPORTS = 500


@dataclass(frozen=True, slots=True)
class Throttle:
    """How often a day may be reported, in seconds: the running day, and days that are over."""

    today: float
    late: float

    def interval(self, day: dt.date, today: dt.date) -> float:
        """Return the least number of seconds between two reports of a day."""
        return self.today if day >= today else self.late


@dataclass(frozen=True, slots=True)
class TableCursor:
    """What is known of one table.

    Attributes:
        uuid: of the table; another one means that it was dropped and made anew.
        sequence: sequence number of the newest commit that was looked at.
        waiting: days that changed and have not been reported since.
        reported: when a day was reported last, in seconds since the epoch; only as long as that still throttles.
    """

    uuid: str = ""
    sequence: int = 0
    waiting: frozenset[dt.date] = frozenset()
    reported: Mapping[dt.date, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return a JSON value."""
        return {
            "uuid": self.uuid,
            "sequence": self.sequence,
            "waiting": sorted(map(str, self.waiting)),
            "reported": {str(day): at for day, at in sorted(self.reported.items())},
        }

    @classmethod
    def from_json(cls, value: dict[str, object]) -> TableCursor:
        """Return what `to_json` gave."""
        data = json.loads(json.dumps(value))
        return cls(
            data["uuid"],
            data["sequence"],
            frozenset(map(dt.date.fromisoformat, data["waiting"])),
            {dt.date.fromisoformat(day): at for day, at in data["reported"].items()},
        )


def look(table: Table, cursor: TableCursor, throttle: Throttle, now: float) -> tuple[dict[dt.date, int], TableCursor]:
    """Return the days to report, with their present rows, and the cursor for the next look.

    Args:
        table: the raw table at its newest state.
        cursor: what the last look returned; a fresh one reports every day that has rows.
        throttle: how often a day may be reported.
        now: seconds since the epoch.
    """
    uuid = str(table.metadata.table_uuid)
    first = cursor.uuid != uuid
    if first:
        cursor = TableCursor(uuid)
    head = table.current_snapshot()
    sequence = (head.sequence_number or 0) if head else 0
    waiting = cursor.waiting
    if sequence > cursor.sequence:
        waiting = waiting | days_changed(table, cursor.sequence)
    today = dt.datetime.fromtimestamp(now, dt.UTC).date()
    # A clock that runs ahead may land events of tomorrow: they wait until there is such a day.
    begun = (day for day in waiting if day <= today)
    due = sorted(
        (day for day in begun if now - cursor.reported.get(day, 0) >= throttle.interval(day, today)), reverse=True
    )[:MOST_REPORTS]
    rows = rows_by_day(table, table.current_snapshot(), due) if due else {}
    still = {day: at for day, at in cursor.reported.items() if now - at < max(throttle.today, throttle.late)}
    # A first look tells what there is; what is landed afterwards is news, and does not wait because of it.
    reported = still | ({} if first else dict.fromkeys(due, now))
    return {day: rows.get(day, 0) for day in due}, replace(
        cursor, sequence=sequence, waiting=frozenset(waiting - set(due)), reported=reported
    )
