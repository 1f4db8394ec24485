"""The one commit path: rebased over others, fenced on every attempt, never doubled when the answer is lost."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitStateUnknownException
from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.types import LongType, NestedField

from orderlake.errors import CommitConflictError, FencedError
from orderlake.lake.catalog import Lake
from orderlake.lake.commit import Change, commit
from orderlake.lake.files import DataFileWriter
from orderlake.lake.pins import pin

NAME = "raw.numbers"


@pytest.fixture
def table(lake: Lake) -> Table:
    return lake.create(NAME, Schema(NestedField(1, "n", LongType(), required=False)), UNPARTITIONED_PARTITION_SPEC, {})


def file_of(table: Table, *numbers: int) -> list[DataFile]:
    writer = DataFileWriter(table)
    writer.write(pa.RecordBatch.from_pydict({"n": list(numbers)}), None)
    return writer.close()


def numbers(lake: Lake) -> list[int]:
    return sorted(lake.load(NAME).scan().to_arrow()["n"].to_pylist())


def test_rows_summary_and_properties_change_together(lake: Lake, table: Table) -> None:
    files = file_of(table, 1, 2)
    snapshot = commit(
        table, lambda _: Change(append=files, summary={"orderlake.x": "1"}, properties={"orderlake.y": "2"})
    )
    again = lake.load(NAME)
    assert numbers(lake) == [1, 2]
    assert again.current_snapshot().snapshot_id == snapshot
    assert again.current_snapshot().summary.additional_properties["orderlake.x"] == "1"
    assert again.properties["orderlake.y"] == "2"


def test_a_commit_is_rebased_over_a_faster_one(lake: Lake, table: Table) -> None:
    mine = lake.load(NAME)
    other, own = file_of(table, 1), file_of(mine, 2)
    commit(table, lambda _: Change(append=other))
    seen: list[int | None] = []

    def plan(metadata: TableMetadata) -> Change:
        head = metadata.current_snapshot()
        seen.append(head.snapshot_id if head else None)
        return Change(append=own)

    commit(mine, plan)
    assert numbers(lake) == [1, 2]
    assert seen == [None, table.current_snapshot().snapshot_id], "the plan saw the metadata of both attempts"


def test_a_fence_sees_the_metadata_of_every_attempt(lake: Lake, table: Table) -> None:
    """PyIceberg's own hook runs on retries only, and its append retries blindly: two zombies would both succeed."""
    mine = lake.load(NAME)
    other, own = file_of(table, 1), file_of(mine, 1)
    commit(table, lambda _: Change(append=other, properties={"owner": "other"}))

    def plan(metadata: TableMetadata) -> Change:
        if "owner" in metadata.properties:
            raise FencedError("somebody else owns it")
        return Change(append=own)

    with pytest.raises(FencedError):
        commit(mine, plan)
    assert numbers(lake) == [1]


def test_a_writer_that_was_overtaken_and_refreshes_is_fenced_at_its_first_attempt(lake: Lake, table: Table) -> None:
    mine = lake.load(NAME)
    other, own = file_of(table, 1), file_of(mine, 1)
    commit(table, lambda _: Change(append=other, properties={"owner": "other"}))
    mine.refresh()

    def plan(metadata: TableMetadata) -> Change:
        if metadata.properties.get("owner") != "me":
            raise FencedError("somebody else owns it")
        return Change(append=own)

    with pytest.raises(FencedError):
        commit(mine, plan)
    assert numbers(lake) == [1]


@pytest.mark.parametrize("landed", [True, False], ids=["it had landed", "it had not"])
def test_a_lost_answer_is_resolved_by_reading_the_table(
    lake: Lake, table: Table, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    real = type(lake.catalog).commit_table
    calls = []

    def flaky(self, *args, **kwargs):
        calls.append(1)
        if len(calls) > 1:
            return real(self, *args, **kwargs)
        if landed:
            real(self, *args, **kwargs)
        raise CommitStateUnknownException("the connection was reset")

    monkeypatch.setattr(type(lake.catalog), "commit_table", flaky)
    files = file_of(table, 1)
    commit(table, lambda _: Change(append=files))
    assert numbers(lake) == [1], "once, not never and not twice"
    assert len(calls) == (1 if landed else 2)


def test_others_being_faster_every_time_is_an_error_in_the_end(lake: Lake, table: Table) -> None:
    mine = lake.load(NAME)

    def plan(_: TableMetadata) -> Change:
        other = lake.load(NAME)
        files = file_of(other, 0)
        commit(other, lambda _: Change(append=files))
        return Change(append=file_of(mine, 1))

    with pytest.raises(CommitConflictError, match="3 attempts"):
        commit(mine, plan, attempts=3)
    assert numbers(lake) == [0, 0, 0]


def test_old_snapshots_are_forgotten_in_the_same_commit_and_rows_stay(lake: Lake, table: Table) -> None:
    for n in range(40):
        files = file_of(table, n)
        commit(table, lambda _, files=files: Change(append=files, keep_snapshots=10))
    again = lake.load(NAME)
    assert 10 <= len(again.metadata.snapshots) <= 16, "half as many again, and the one that was just made"
    assert numbers(lake) == list(range(40))


def test_a_snapshot_behind_a_tag_is_never_forgotten(lake: Lake, table: Table) -> None:
    first = file_of(table, 0)
    tagged = commit(table, lambda _: Change(append=first))
    table.manage_snapshots().create_tag(tagged, "before").commit()
    for n in range(1, 20):
        files = file_of(table, n)
        commit(table, lambda _, files=files: Change(append=files, keep_snapshots=3))
    again = lake.load(NAME)
    assert again.metadata.snapshot_by_id(tagged) is not None
    assert again.scan(snapshot_id=tagged).to_arrow()["n"].to_pylist() == [0]


def test_replacing_files_is_one_overwrite_snapshot(lake: Lake, table: Table) -> None:
    first, new = file_of(table, 1), file_of(table, 2)
    commit(table, lambda _: Change(append=first))
    live = [
        entry.data_file
        for manifest in table.current_snapshot().manifests(table.io)
        for entry in manifest.fetch_manifest_entry(table.io)
    ]
    commit(table, lambda _: Change(append=new, delete=live))
    snapshot = lake.load(NAME).current_snapshot()
    assert snapshot.summary.operation.value == "overwrite"
    assert numbers(lake) == [2]


def test_an_empty_commit_is_a_snapshot(lake: Lake, table: Table) -> None:
    commit(table, lambda _: Change(summary={"orderlake.claim": "me"}))
    assert pin(lake.load(NAME)).snapshot_id is not None
    assert numbers(lake) == []
