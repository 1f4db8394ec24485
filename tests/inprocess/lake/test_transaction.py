"""Holds `lake/transaction.py` to the inner parts of PyIceberg 0.12 that it builds on: a new version cannot slip by."""

from __future__ import annotations

import inspect

import pyarrow as pa
import pyiceberg
import pyiceberg.table
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.table import Table, Transaction
from pyiceberg.types import LongType, NestedField

from orderlake.lake.catalog import Lake
from orderlake.lake.files import DataFileWriter
from orderlake.lake.transaction import SingleAttempt, stage


@pytest.fixture
def table(lake: Lake) -> Table:
    return lake.create(
        "raw.n", Schema(NestedField(1, "n", LongType(), required=False)), UNPARTITIONED_PARTITION_SPEC, {}
    )


def staged(table: Table, number: int) -> tuple[SingleAttempt, int]:
    writer = DataFileWriter(table)
    writer.write(pa.RecordBatch.from_pydict({"n": [number]}), None)
    return stage(table, append=writer.close(), delete=(), summary={}, properties={}, expire=())


def test_the_version_is_the_one_whose_inner_parts_are_known() -> None:
    assert pyiceberg.__version__.startswith("0.12."), (
        "read table/__init__.py and update/snapshot.py again, then move on"
    )


def test_a_conflict_fails_at_once_instead_of_being_retried_blindly(
    lake: Lake, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = lake.load("raw.n")
    staged(other, 1)[0].commit_transaction()
    attempts = []
    real = Table._do_commit
    monkeypatch.setattr(Table, "_do_commit", lambda self, **kw: (attempts.append(1), real(self, **kw))[1])
    with pytest.raises(CommitFailedException):
        staged(table, 2)[0].commit_transaction()
    assert attempts == [1]
    assert lake.load("raw.n").scan().to_arrow()["n"].to_pylist() == [1]


def test_a_failed_attempt_leaves_no_manifest_behind(lake: Lake, table: Table, tmp_path) -> None:
    transaction, _ = staged(table, 2)
    staged(lake.load("raw.n"), 1)[0].commit_transaction()
    metadata = tmp_path / "lake" / "warehouse" / "raw" / "n" / "metadata"
    before = {path.name for path in metadata.iterdir()}
    with pytest.raises(CommitFailedException):
        transaction.commit_transaction()
    removed = before - {path.name for path in metadata.iterdir()}
    assert len([name for name in removed if name.endswith(".avro")]) == 2, "its manifest and its manifest list"


def test_metadata_is_computed_once_per_staged_change(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock PyIceberg computes it some eighteen times per append: commits then slow down with every snapshot."""
    import orderlake.lake.transaction as module

    computed = []
    real = module.update_table_metadata
    monkeypatch.setattr(module, "update_table_metadata", lambda *a: (computed.append(1), real(*a))[1])
    staged(table, 1)
    assert len(computed) <= 1


def test_the_memo_says_what_pyiceberg_would_say(table: Table) -> None:
    transaction, snapshot_id = staged(table, 1)
    transaction.set_properties({"a": "b"})
    plain = Transaction(table)
    plain._updates = transaction._updates
    # last_updated_ms is read from the clock.
    same = {"last_updated_ms": 0}
    assert transaction.table_metadata.model_copy(update=same) == plain.table_metadata.model_copy(update=same)
    assert transaction.table_metadata.snapshot_by_id(snapshot_id) is not None


def test_the_inner_parts_are_where_they_were() -> None:
    source = inspect.getsource(pyiceberg.table.Transaction)
    for name in (
        "_snapshot_producers",
        "_requirements",
        "_updates",
        "def _apply",
        "_do_commit",
        "_clean_all_uncommitted",
    ):
        assert name in source
