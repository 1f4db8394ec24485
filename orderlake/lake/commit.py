"""The one way in which rows become visible: landing and curation both commit here.

A caller gives a *plan*: a function that looks at the table's metadata and returns what to commit, or raises because
the state it was built on is gone (a *fence*). The plan is asked again on the metadata of every attempt, the first
included, and the catalog accepts a commit only on exactly that metadata's snapshot. So a writer that was stopped,
overtaken and continued cannot commit, and a foreign commit such as a compaction is rebased over.

Safety: a commit is one Iceberg snapshot, visible completely or not at all. If its outcome is unknown (the catalog's
answer was lost), the table is read again and searched for the snapshot's id before anything is tried twice.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from sqlalchemy.exc import SQLAlchemyError

from orderlake.errors import CommitConflictError
from orderlake.lake.transaction import stage

logger = logging.getLogger(__name__)

_ATTEMPTS = 20
_FIRST_WAIT_SECONDS = 0.02
_LONGEST_WAIT_SECONDS = 2.0
#: Errors after which a commit may or may not have happened.
_UNKNOWN = (CommitStateUnknownException, SQLAlchemyError, OSError)


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit does.

    Attributes:
        append: data files to add.
        delete: live data files to take out in the same snapshot.
        summary: properties of the snapshot.
        properties: properties of the table, set in the same commit.
        keep_snapshots: forget the oldest snapshots beyond this many, except those behind a tag or branch; None keeps
            all. Forgetting is metadata only: no file is deleted.
    """

    append: Sequence[DataFile] = ()
    delete: Sequence[DataFile] = ()
    summary: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    keep_snapshots: int | None = None


#: Looks at the metadata a commit would be based on; returns what to commit or raises.
Plan = Callable[[TableMetadata], Change]


def commit(table: Table, plan: Plan, *, attempts: int = _ATTEMPTS) -> int:
    """Commit what the plan says.

    Args:
        table: the table; afterwards it is at the committed state. The first attempt is made on the metadata it holds.
        plan: asked before every attempt; an exception it raises ends the commit and is passed on.
        attempts: how often other writers may be faster.

    Returns:
        the id of the snapshot that was committed.

    Raises:
        CommitConflictError: other writers were faster every time.
    """
    for attempt in range(attempts):
        if attempt:
            table.refresh()
        change = plan(table.metadata)
        transaction, snapshot_id = stage(
            table,
            append=change.append,
            delete=change.delete,
            summary=change.summary,
            properties=change.properties,
            expire=_expired(table.metadata, change.keep_snapshots),
        )
        try:
            transaction.commit_transaction()
        except CommitFailedException:
            logger.info("another writer was faster", extra={"fields": {"table": _name(table), "attempt": attempt + 1}})
        except _UNKNOWN as error:
            if _has_landed(table, snapshot_id, error):
                return snapshot_id
        else:
            return snapshot_id
        wait = min(_FIRST_WAIT_SECONDS * 2**attempt, _LONGEST_WAIT_SECONDS)
        time.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
    raise CommitConflictError(
        f"{attempts} attempts to commit to {_name(table)} were overtaken by other writers.",
        remedy="find out which other process writes this table so often; then run the command again.",
    )


def _expired(metadata: TableMetadata, keep: int | None) -> list[int]:
    """Return the snapshots to forget: in bulk, when half as many again as wanted have gathered."""
    if keep is None or len(metadata.snapshots) <= keep + keep // 2:
        return []
    referenced = {reference.snapshot_id for reference in metadata.refs.values()}
    by_age = sorted(metadata.snapshots, key=lambda snapshot: (snapshot.sequence_number or 0, snapshot.timestamp_ms))
    return [snapshot.snapshot_id for snapshot in by_age[:-keep] if snapshot.snapshot_id not in referenced]


def _has_landed(table: Table, snapshot_id: int, error: Exception) -> bool:
    logger.warning(
        "the outcome of a commit is unknown; reading the table again",
        extra={"fields": {"table": _name(table), "error": str(error).splitlines()[0]}},
    )
    table.refresh()
    return table.metadata.snapshot_by_id(snapshot_id) is not None


def _name(table: Table) -> str:
    return ".".join(table.name())
