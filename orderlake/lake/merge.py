"""Merges the small files of a table that is written often and little. The rows stay the same.

For unpartitioned tables of our own whose columns are only ever added; maintenance of landed tables is another matter.
"""

from __future__ import annotations

import pyarrow.dataset as ds
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata

from orderlake.errors import CommitConflictError
from orderlake.lake.commit import Change, commit
from orderlake.lake.files import DataFileWriter, table_arrow_schema
from orderlake.lake.partitions import live_files
from orderlake.locations import local_path

#: Files with fewer rows are small.
_SMALL_ROWS = 100_000


def merge_small_files(table: Table, *, at_least: int, sort_by: str, keep_snapshots: int) -> bool:
    """Rewrite the small files of a table into one, if there are enough of them; return whether it was done.

    Safety: one snapshot takes out the old files and adds the new one. If another writer has taken out any of them
    meanwhile, nothing happens.

    Args:
        table: the table, at its newest state.
        at_least: how many small files are enough.
        sort_by: the column to sort by, so that questions about few values read few row groups.
        keep_snapshots: as in `Change`.
    """
    old = [file for file in live_files(table, table.current_snapshot()) if file.record_count < _SMALL_ROWS]
    if len(old) < at_least:
        return False
    paths = [local_path(file.file_path) for file in old]
    rows = ds.dataset(paths, schema=table_arrow_schema(table), format="parquet").to_table().sort_by(sort_by)
    writer = DataFileWriter(table)
    for batch in rows.to_batches():
        writer.write(batch, None)
    merged = writer.close()
    wanted = {file.file_path for file in old}

    def plan(metadata: TableMetadata) -> Change:
        live = {file.file_path: file for file in live_files(table, metadata.current_snapshot())}
        if not wanted <= live.keys():
            raise CommitConflictError("another writer has merged these files.")
        summary = {"orderlake.operation": "merge"}
        return Change(merged, [live[path] for path in wanted], summary, keep_snapshots=keep_snapshots)

    try:
        commit(table, plan)
    except CommitConflictError:
        return False
    return True
