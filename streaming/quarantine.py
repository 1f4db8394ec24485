"""Looks into the quarantine tables: how many messages broke which rule, and the messages themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orderlake.contracts.naming import QUARANTINE, quarantine_table
from orderlake.lake.catalog import Lake
from orderlake.lake.duck import DuckSession, quoted
from orderlake.lake.query import pin_tables

_COUNTS = """
select day, reason, code, field, count(*) as messages
from (
    select cast(_kafka_timestamp as date) as day, reason, unnest(violations, recursive := true)
    from {table}
    where resolved_by is null
)
group by all
order by messages desc, day, reason, code, field
"""

_MESSAGES = """
select _kafka_partition, _kafka_offset, _kafka_timestamp, _kafka_key, reason, violations, contract_version, _payload
from {table}
where resolved_by is null
  and ($reason is null or list_contains(list_transform(violations, v -> v.code), $reason))
  and ($field is null or list_contains(list_transform(violations, v -> v.field), $field))
  and ($day is null or cast(_kafka_timestamp as date) = $day)
  and ($partition is null or _kafka_partition = $partition)
  and ($offset is null or _kafka_offset = $offset)
order by _kafka_timestamp desc, _kafka_partition, _kafka_offset desc
limit $limit
"""


@dataclass(frozen=True, slots=True)
class ViolationCount:
    """How many messages of a day have one violation: a message with two is counted under both.

    Attributes:
        reason: the message's first violation.
        code: the violation.
        field: where; empty where the whole message is broken.
    """

    topic: str
    day: dt.date | None
    reason: str
    code: str
    field: str
    messages: int


@dataclass(frozen=True, slots=True)
class QuarantinedMessage:
    """One message that broke its contract."""

    topic: str
    partition: int
    offset: int
    timestamp: dt.datetime | None
    key: bytes | None
    reason: str
    violations: list[dict[str, Any]]
    contract_version: str
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages are meant; None means any."""

    reason: str | None = None
    field: str | None = None
    day: dt.date | None = None
    partition: int | None = None
    offset: int | None = None


def _existing(lake: Lake, topics: Iterable[str]) -> list[tuple[str, str]]:
    present = {name for name in lake.table_names() if name.startswith(f"{QUARANTINE}.")}
    return [(topic, table) for topic in topics if (table := quarantine_table(topic)) in present]


def count_violations(lake: Lake, topics: Iterable[str]) -> list[ViolationCount]:
    """Return the violations of all unresolved messages, counted by topic, day, reason, code and field."""
    found = []
    with DuckSession() as session:
        for topic, table in _existing(lake, topics):
            session.attach(pin_tables(lake, [table]))
            rows = session.execute(_COUNTS.format(table=quoted(table))).fetchall()
            found += [ViolationCount(topic, day, reason, code, field, n) for day, reason, code, field, n in rows]
    return found


def count_messages(lake: Lake, topics: Sequence[str]) -> dict[str, int]:
    """Return the number of unresolved messages by topic."""
    counts = dict.fromkeys(topics, 0)
    with DuckSession() as session:
        for topic, table in _existing(lake, topics):
            session.attach(pin_tables(lake, [table]))
            row = session.execute(f"select count(*) from {quoted(table)} where resolved_by is null").fetchone()
            counts[topic] = row[0] if row else 0
    return counts


def find_messages(lake: Lake, topics: Iterable[str], wanted: Filter, limit: int) -> list[QuarantinedMessage]:
    """Return unresolved messages, newest first, at most `limit` of each topic."""
    found = []
    parameters = {name: getattr(wanted, name) for name in Filter.__slots__} | {"limit": limit}
    with DuckSession() as session:
        for topic, table in _existing(lake, topics):
            session.attach(pin_tables(lake, [table]))
            rows = session.execute(_MESSAGES.format(table=quoted(table)), parameters).fetchall()
            found += [QuarantinedMessage(topic, *row) for row in rows]
    return found
