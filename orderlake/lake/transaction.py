"""One attempt at one commit, on PyIceberg 0.12's transactions. The only module that touches their inner parts.

Why not `Transaction.commit_transaction`: it repeats a failed append by itself without looking at what the other
writer did, so two landers with the same start would both succeed; and it computes the table's metadata anew some
eighteen times per append, which makes commits slower with every snapshot.
And its overwrites carry every manifest along of which nothing lives any more, so that a partition that is published
again and again is read through ever more of them; and they put all files of a commit into one manifest, which is then
read and written anew for any of its partitions.
`tests/inprocess/lake/test_transaction.py` holds this module to these facts, so that a new PyIceberg cannot slip by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import DataFile, ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestFile
from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import AssertTableUUID, RemoveSnapshotsUpdate, TableUpdate, update_table_metadata
from pyiceberg.table.update.snapshot import _SnapshotProducer

#: Files that a commit puts into one manifest, neighbours by partition: questions about one day read few others.
MANIFEST_FILES = 32


class SingleAttempt(Transaction):
    """A transaction that is tried once, and that remembers the metadata it has computed."""

    _memo: tuple[TableMetadata, tuple[TableUpdate, ...], TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        """The table's metadata with the staged updates."""
        base, updates = self._table.metadata, self._updates
        if self._memo is None or self._memo[0] is not base or self._memo[1] is not updates:
            self._memo = (base, updates, update_table_metadata(base, updates) if updates else base)
        return self._memo[2]

    def commit_transaction(self) -> Table:
        """Commit once.

        Raises:
            CommitFailedException: another writer was faster; nothing happened, the written manifests are removed.
        """
        requirements = (*self._requirements, AssertTableUUID(uuid=self._table.metadata.table_uuid))
        producers = self._snapshot_producers
        try:
            self._table._do_commit(updates=self._updates, requirements=requirements)  # noqa: SLF001
        except CommitFailedException:
            for producer in producers:
                producer._clean_all_uncommitted()  # noqa: SLF001
            raise
        return self._table


def stage(
    table: Table,
    *,
    append: Sequence[DataFile],
    delete: Sequence[DataFile],
    summary: Mapping[str, str],
    properties: Mapping[str, str],
    expire: Sequence[int],
) -> tuple[SingleAttempt, int]:
    """Stage one snapshot on the table's present metadata.

    Args:
        table: the table; its metadata is what the commit is based on, and compared with when it is committed.
        append: data files to add; none makes an empty snapshot.
        delete: live data files to take out; with any, the operation is `overwrite`, otherwise `append`.
        summary: properties of the snapshot.
        properties: properties of the table, set in the same commit.
        expire: snapshots to forget in the same commit.

    Returns:
        the transaction, and the id of the snapshot it will have made.
    """
    transaction = SingleAttempt(table)
    if expire:
        transaction._apply((RemoveSnapshotsUpdate(snapshot_ids=list(expire)),))  # noqa: SLF001
    update = transaction.update_snapshot(snapshot_properties=dict(summary))
    with update.overwrite() if delete else update.merge_append() as producer:
        _tidy(producer)
        for file in delete:
            producer.delete_data_file(file)
        for file in append:
            producer.append_data_file(file)
    if properties:
        transaction.set_properties(dict(properties))
    return transaction, producer.snapshot_id


def _tidy(producer: _SnapshotProducer[Any]) -> None:
    """Let a commit leave out manifests without live files, and divide its own large ones."""
    process = producer._process_manifests  # noqa: SLF001

    def tidied(manifests: list[ManifestFile]) -> list[ManifestFile]:
        new = producer.snapshot_id
        # What a commit has deleted is said by its own manifest, in its own snapshot only.
        kept = [m for m in manifests if m.added_snapshot_id == new or m.has_added_files() or m.has_existing_files()]
        return process([part for manifest in kept for part in _divided(producer, manifest)])

    producer._process_manifests = tidied  # type: ignore[method-assign]  # noqa: SLF001


def _divided(producer: _SnapshotProducer[Any], manifest: ManifestFile) -> Iterator[ManifestFile]:
    """Yield a manifest, or if it adds many files of this commit, what holds them in its place."""
    added = manifest.added_files_count or 0
    if manifest.added_snapshot_id != producer.snapshot_id or added <= MANIFEST_FILES or not _partitioned(manifest):
        yield manifest
        return
    io = producer._io  # noqa: SLF001
    files = [entry.data_file for entry in manifest.fetch_manifest_entry(io)]
    files.sort(key=lambda file: (file.partition[0] is not None, file.partition[0]))
    for first in range(0, len(files), MANIFEST_FILES):
        with producer.new_manifest_writer(producer.spec(manifest.partition_spec_id)) as writer:
            for file in files[first : first + MANIFEST_FILES]:
                # The sequence numbers are those that the commit is given.
                entry = ManifestEntry.from_args(
                    status=ManifestEntryStatus.ADDED, snapshot_id=producer.snapshot_id, sequence_number=None,
                    file_sequence_number=None, data_file=file,
                )  # fmt: skip
                writer.add(entry)
        yield writer.to_manifest_file()
    producer._written_manifests.remove(manifest.manifest_path)  # noqa: SLF001
    io.delete(manifest.manifest_path)


def _partitioned(manifest: ManifestFile) -> bool:
    return manifest.content == ManifestContent.DATA and bool(manifest.partitions)
