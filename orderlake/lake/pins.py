"""Pins: a table fixed at one snapshot, so that everything a reader sees belongs together and stays.

A pin carries its own small copy of the table's metadata with that one snapshot. Engines that read Iceberg by a
metadata file (DuckDB, ClickHouse) get it as a file of their own: the table's own metadata files come and go with
every commit, and an engine that is given only a table's folder picks whichever it finds.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from orderlake.errors import InputError


@dataclass(frozen=True)
class Pin:
    """One table at one snapshot.

    Attributes:
        name: `namespace.table`.
        table: the table; only its immutable parts may be used for reading.
        snapshot: the snapshot; None for a table that has none yet (it reads as empty).
    """

    name: str
    table: Table
    snapshot: Snapshot | None

    @property
    def snapshot_id(self) -> int | None:
        """Id of the snapshot."""
        return self.snapshot.snapshot_id if self.snapshot else None

    @property
    def schema(self) -> Schema:
        """The columns the table has at this snapshot."""
        schemas = self.table.schemas()
        identity = self.snapshot.schema_id if self.snapshot else None
        return self.table.schema() if identity is None else schemas[identity]

    @cached_property
    def metadata_json(self) -> str:
        """Table metadata (Iceberg spec, v2) in which this snapshot is the only and the current one."""
        metadata: dict[str, Any] = json.loads(self.table.metadata.model_dump_json())
        identity = self.snapshot_id
        metadata["snapshots"] = [s for s in metadata.get("snapshots", []) if s["snapshot-id"] == identity]
        metadata["current-snapshot-id"] = identity if identity is not None else -1
        metadata["refs"] = {"main": {"snapshot-id": identity, "type": "branch"}} if self.snapshot else {}
        metadata["snapshot-log"] = []
        metadata["metadata-log"] = []
        if self.snapshot and self.snapshot.schema_id is not None:
            metadata["current-schema-id"] = self.snapshot.schema_id
        return json.dumps(metadata)


def pin(table: Table, as_of: int | dt.datetime | None = None) -> Pin:
    """Fix a table at its newest snapshot, at a snapshot id, or at what was newest at a moment.

    Raises:
        InputError: the table has no such snapshot (any more).
    """
    name = ".".join(table.name())
    metadata = table.metadata
    if as_of is None:
        return Pin(name, table, metadata.current_snapshot())
    if isinstance(as_of, int):
        snapshot = metadata.snapshot_by_id(as_of)
        if snapshot is None:
            raise InputError(
                f"{name} has no snapshot {as_of}.",
                allowed=_recent(table),
                remedy="take one of these, or a time.",
            )
        return Pin(name, table, snapshot)
    return Pin(name, table, _newest_at(table, name, as_of))


def _recent(table: Table) -> str:
    """Return the table's newest snapshots with their times, newest first."""
    entries = table.metadata.snapshot_log[-5:][::-1]
    listed = [
        f"{e.snapshot_id} ({dt.datetime.fromtimestamp(e.timestamp_ms / 1000, tz=dt.UTC).isoformat()})" for e in entries
    ]
    return ", ".join(listed) or "none: the table is empty"


def _newest_at(table: Table, name: str, moment: dt.datetime) -> Snapshot | None:
    """Return the snapshot that was current at a moment; None before the table's first."""
    milliseconds = int(moment.timestamp() * 1000)
    entries = sorted(table.metadata.snapshot_log, key=lambda entry: entry.timestamp_ms)
    reached = [entry for entry in entries if entry.timestamp_ms <= milliseconds]
    if reached:
        return table.metadata.snapshot_by_id(reached[-1].snapshot_id)
    first = table.metadata.snapshot_by_id(entries[0].snapshot_id) if entries else None
    if first is not None and (first.sequence_number or 0) > 1:
        oldest = dt.datetime.fromtimestamp(entries[0].timestamp_ms / 1000, tz=dt.UTC)
        raise InputError(
            f"the snapshots of {name} at {moment.isoformat()} have expired.",
            allowed=f"{oldest.isoformat()} and later",
            remedy="ask for a later time.",
        )
    return None
