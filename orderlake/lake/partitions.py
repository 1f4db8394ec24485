"""What is live in each partition of a table, told by its manifests alone: no data file is read."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator

from pyiceberg.manifest import DataFile, ManifestContent
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.transforms import HourTransform

from orderlake.lake.files import NULL_PARTITION
from orderlake.times import day_of


def live_files(table: Table, snapshot: Snapshot | None) -> Iterator[DataFile]:
    """Yield the data files of a snapshot, from its manifests."""
    if snapshot is None:
        return
    for manifest in snapshot.manifests(table.io):
        if manifest.content == ManifestContent.DATA:
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                yield entry.data_file


def _ordinal(file: DataFile) -> int:
    ordinal: int | None = file.partition[0]
    return NULL_PARTITION if ordinal is None else ordinal


def partition_rows(table: Table, snapshot: Snapshot | None) -> dict[int, int]:
    """Return the number of live rows by partition ordinal (NULL_PARTITION for rows without one)."""
    rows: dict[int, int] = defaultdict(int)
    for file in live_files(table, snapshot):
        rows[_ordinal(file)] += file.record_count
    return dict(rows)


def rows_by_day(table: Table, snapshot: Snapshot | None) -> dict[dt.date, int]:
    """Return the live rows by UTC day of a table partitioned by day or hour; days without rows are left out."""
    days = files_by_day(table, live_files(table, snapshot))
    return {day: rows for day, files in days.items() if (rows := sum(file.record_count for file in files))}


def files_by_day(table: Table, files: Iterable[DataFile]) -> dict[dt.date, list[DataFile]]:
    """Return files of a table partitioned by day or hour by UTC day; rows without a day are left out."""
    per_day = 24 if isinstance(table.spec().fields[0].transform, HourTransform) else 1
    days: dict[dt.date, list[DataFile]] = defaultdict(list)
    for file in files:
        if (ordinal := _ordinal(file)) != NULL_PARTITION:
            days[day_of(ordinal // per_day)].append(file)
    return dict(days)


def has_deletes(table: Table, snapshot: Snapshot | None) -> bool:
    """Return whether rows of live files are deleted by delete files; we write none, other engines may.

    Where they are, the counts and bounds of data files describe more rows than there are.
    """
    manifests = snapshot.manifests(table.io) if snapshot else []
    return any(
        manifest.content == ManifestContent.DELETES and (manifest.has_added_files() or manifest.has_existing_files())
        for manifest in manifests
    )


def partition_files(table: Table, metadata: TableMetadata, ordinals: range) -> dict[str, DataFile]:
    """Return the live data files of the partitions in `ordinals` at the metadata's current snapshot, by location."""
    files = live_files(table, metadata.current_snapshot())
    return {file.file_path: file for file in files if _ordinal(file) in ordinals}


def total_rows(snapshot: Snapshot | None) -> int:
    """Return the number of live rows of a table, from the snapshot's summary."""
    if snapshot is None or snapshot.summary is None:
        return 0
    return int(snapshot.summary.additional_properties.get("total-records", "0"))
