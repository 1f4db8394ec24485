"""One attempt at one commit, on PyIceberg 0.12's transactions. The only module that touches their inner parts.

Why not `Transaction.commit_transaction`: it repeats a failed append by itself without looking at what the other
writer did, so two landers with the same start would both succeed; and it computes the table's metadata anew some
eighteen times per append, which makes commits slower with every snapshot.
`tests/inprocess/lake/test_transaction.py` holds this module to both facts, so that a new PyIceberg cannot slip by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import AssertTableUUID, RemoveSnapshotsUpdate, TableUpdate, update_table_metadata


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
        for file in delete:
            producer.delete_data_file(file)
        for file in append:
            producer.append_data_file(file)
    if properties:
        transaction.set_properties(dict(properties))
    return transaction, producer.snapshot_id
