"""What is live in each partition of a table, and what has changed, told by manifests alone: no data file is read.

A manifest list says for every manifest which partitions it spans and with which commit (sequence number) it came, so
questions about few days or about the newest commits read few manifests, however long the table's history is.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from pyiceberg.manifest import DataFile, ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestFile
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.transforms import HourTransform

from orderlake.lake.catalog import reading
from orderlake.lake.files import NULL_PARTITION
from orderlake.times import day_of, day_ordinal


def ordinal_of(file: DataFile) -> int:
    """Return the partition of a data file: its day (or hour) since the epoch, NULL_PARTITION where it has none."""
    ordinal: int | None = file.partition[0]
    return NULL_PARTITION if ordinal is None else ordinal


def _spans(manifest: ManifestFile, ordinals: Collection[int]) -> bool:
    """Return whether a manifest may hold files of one of the partitions; bounds are 4-byte integers (Iceberg spec)."""
    if not ordinals:
        return False
    summary = manifest.partitions[0] if manifest.partitions else None
    if summary is None or summary.contains_null or not summary.lower_bound or not summary.upper_bound:
        return True
    (low,), (high,) = struct.unpack("<i", summary.lower_bound), struct.unpack("<i", summary.upper_bound)
    return any(low <= ordinal <= high for ordinal in ordinals)


def live_files(table: Table, snapshot: Snapshot | None, ordinals: Collection[int] | None = None) -> Iterator[DataFile]:
    """Yield the data files of a snapshot; with `ordinals`, those of these partitions."""
    with reading(table):
        for manifest in snapshot.manifests(table.io) if snapshot else ():
            if manifest.content == ManifestContent.DATA and (ordinals is None or _spans(manifest, ordinals)):
                for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                    if ordinals is None or ordinal_of(entry.data_file) in ordinals:
                        yield entry.data_file


def partition_rows(table: Table, snapshot: Snapshot | None) -> dict[int, int]:
    """Return the number of live rows by partition ordinal (NULL_PARTITION for rows without one)."""
    rows: dict[int, int] = defaultdict(int)
    for file in live_files(table, snapshot):
        rows[ordinal_of(file)] += file.record_count
    return dict(rows)


def _per_day(table: Table) -> int:
    return 24 if isinstance(table.spec().fields[0].transform, HourTransform) else 1


def rows_by_day(table: Table, snapshot: Snapshot | None, days: Collection[dt.date] | None = None) -> dict[dt.date, int]:
    """Return the live rows by UTC day of a table partitioned by day or hour; days without rows are left out.

    Args:
        table: the table.
        snapshot: at which snapshot.
        days: of these days only.
    """
    per_day = _per_day(table)
    ordinals = None if days is None else {day_ordinal(day) * per_day + n for day in days for n in range(per_day)}
    found = files_by_day(table, live_files(table, snapshot, ordinals))
    return {day: rows for day, files in found.items() if (rows := sum(file.record_count for file in files))}


def files_by_day(table: Table, files: Iterable[DataFile]) -> dict[dt.date, list[DataFile]]:
    """Return files of a table partitioned by day or hour by UTC day; rows without a day are left out."""
    per_day = _per_day(table)
    days: dict[dt.date, list[DataFile]] = defaultdict(list)
    for file in files:
        if (ordinal := ordinal_of(file)) != NULL_PARTITION:
            days[day_of(ordinal // per_day)].append(file)
    return dict(days)


def has_deletes(table: Table, snapshot: Snapshot | None) -> bool:
    """Return whether rows of live files are deleted by delete files; we write none, other engines may.

    Where they are, the counts and bounds of data files describe more rows than there are.
    """
    with reading(table):
        manifests = snapshot.manifests(table.io) if snapshot else []
    return any(
        manifest.content == ManifestContent.DELETES and (manifest.has_added_files() or manifest.has_existing_files())
        for manifest in manifests
    )


def partition_files(table: Table, metadata: TableMetadata, ordinals: Collection[int]) -> dict[str, DataFile]:
    """Return the live data files of the partitions in `ordinals` at the metadata's current snapshot, by location."""
    return {file.file_path: file for file in live_files(table, metadata.current_snapshot(), ordinals)}


def days_changed(table: Table, since: int) -> set[dt.date]:
    """Return the days whose rows have become more or fewer after a commit.

    What was rewritten without a change of the row count (a compaction) does not count. Rows that were taken out are
    told as long as the manifest that says so has not been merged away.

    Args:
        table: the table, partitioned by day or hour; looked at at its current snapshot.
        since: the sequence number of the commit; 0 for the beginning.
    """
    net: dict[int, int] = defaultdict(int)
    head = table.current_snapshot()
    with reading(table):
        for manifest in head.manifests(table.io) if head else ():
            if manifest.content == ManifestContent.DATA and (manifest.sequence_number or 0) > since:
                for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False):
                    net[ordinal_of(entry.data_file)] += _gained(entry, manifest, since)
    per_day = _per_day(table)
    return {day_of(ordinal // per_day) for ordinal, rows in net.items() if rows and ordinal != NULL_PARTITION}


def _gained(entry: ManifestEntry, manifest: ManifestFile, since: int) -> int:
    is_new = (entry.sequence_number or 0) > since
    if entry.status == ManifestEntryStatus.DELETED:
        # Only the deleting commit's own manifest says so; a file that came after `since` was never counted.
        return 0 if is_new or manifest.added_snapshot_id != entry.snapshot_id else -entry.data_file.record_count
    return entry.data_file.record_count if is_new else 0


def total_rows(snapshot: Snapshot | None) -> int:
    """Return the number of live rows of a table, from the snapshot's summary."""
    if snapshot is None or snapshot.summary is None:
        return 0
    return int(snapshot.summary.additional_properties.get("total-records", "0"))
