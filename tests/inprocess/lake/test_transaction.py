"""Holds `lake/transaction.py` to the inner parts of PyIceberg 0.12 that it builds on: a new version cannot slip by."""

from __future__ import annotations

import inspect
from datetime import date

import numpy as np
import pyarrow as pa
import pyiceberg
import pyiceberg.table
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import DataFile, ManifestFile
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table, Transaction
from pyiceberg.transforms import DayTransform
from pyiceberg.types import DateType, LongType, NestedField

from orderlake.lake.catalog import Lake
from orderlake.lake.files import DataFileWriter
from orderlake.lake.partitions import partition_files
from orderlake.lake.transaction import MANIFEST_FILES, SingleAttempt, stage


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


@pytest.fixture
def by_day(lake: Lake) -> Table:
    schema = Schema(NestedField(1, "day", DateType(), required=False))
    spec = PartitionSpec(PartitionField(1, 1000, DayTransform(), "day_day"))
    return lake.create("raw.by_day", schema, spec, {})


def publish(table: Table, days: list[int]) -> None:
    """Replace days by one row each."""
    writer = DataFileWriter(table)
    writer.write(pa.RecordBatch.from_pydict({"day": pa.array(days, pa.date32())}), np.array(days, np.int64))
    old = list(partition_files(table, table.metadata, days).values())
    stage(table, append=writer.close(), delete=old, summary={}, properties={}, expire=())[0].commit_transaction()


def manifests(table: Table) -> list[ManifestFile]:
    return table.current_snapshot().manifests(table.io)


def test_a_day_published_again_and_again_leaves_no_dead_manifests(by_day: Table) -> None:
    publish(by_day, [1, 2])
    for _ in range(5):
        publish(by_day, [1])
    live = [manifest for manifest in manifests(by_day) if manifest.has_added_files() or manifest.has_existing_files()]
    assert len(live) == 2, "the one with day 2, the newest of day 1"
    assert len(manifests(by_day)) == 3, "and what the newest snapshot itself took out"
    assert sorted(row["day"] for row in by_day.scan().to_arrow().to_pylist()) == [date(1970, 1, 2), date(1970, 1, 3)]


def test_a_commit_of_many_days_is_told_by_manifests_of_few(by_day: Table) -> None:
    days = list(range(MANIFEST_FILES * 2 + 1))
    publish(by_day, days[::-1])
    counts = [manifest.added_files_count for manifest in manifests(by_day)]
    assert sorted(counts) == [1, MANIFEST_FILES, MANIFEST_FILES]
    found = [sorted(file.partition[0] for file in _files(by_day, manifest)) for manifest in manifests(by_day)]
    assert sorted(found) == [days[:MANIFEST_FILES], days[MANIFEST_FILES : 2 * MANIFEST_FILES], days[-1:]]
    assert by_day.scan().to_arrow().num_rows == len(days)
    assert by_day.current_snapshot().summary["added-data-files"] == str(len(days))
    publish(by_day, [0])
    untouched = [manifest for manifest in manifests(by_day) if manifest.added_files_count == MANIFEST_FILES]
    assert len(untouched) == 1, "only the manifest with the day was written anew"
    assert by_day.scan().to_arrow().num_rows == len(days)


def test_a_refused_commit_of_many_days_leaves_no_manifest_behind(lake: Lake, by_day: Table, tmp_path) -> None:
    other = lake.load("raw.by_day")
    publish(other, [1])
    metadata = tmp_path / "lake" / "warehouse" / "raw" / "by_day" / "metadata"
    before = set(metadata.glob("*.avro"))
    with pytest.raises(CommitFailedException):
        publish(by_day, list(range(MANIFEST_FILES + 1)))
    assert set(metadata.glob("*.avro")) == before


def _files(table: Table, manifest: ManifestFile) -> list[DataFile]:
    return [entry.data_file for entry in manifest.fetch_manifest_entry(table.io)]


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
