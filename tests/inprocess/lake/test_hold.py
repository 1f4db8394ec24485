"""A landing table has one writer: whoever claimed it last. A zombie cannot commit, however it comes back."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from orderlake.errors import FencedError, LandingRefusedError
from orderlake.lake.catalog import Lake
from orderlake.lake.commit import Change, commit
from orderlake.lake.files import DataFileWriter
from orderlake.lake.landing_state import Gap, Range, Writer, read_state
from orderlake.times import day_ordinal
from streaming.kafka import TopicIdentity
from streaming.lander.hold import KEEP_SNAPSHOTS, HeldTable, is_alive_here, refuse_if_held, this_process
from tests.inprocess.conftest import DAY, RawOrders, order

TOPIC = TopicIdentity("cluster", "orders.created.v1", "topic-id", (0, 1))
NAME = "raw.orders_created_v1"


def files_of(table: Table, *numbers: int) -> list[DataFile]:
    writer = DataFileWriter(table)
    rows = pa.RecordBatch.from_pylist([order(n) for n in numbers], schema=writer.schema)
    writer.write(rows, __import__("numpy").full(len(numbers), day_ordinal(DAY)))
    return writer.close()


def claim(lake: Lake, writer: Writer | None = None) -> HeldTable:
    return HeldTable.claim(lake.load(NAME), TOPIC, writer or this_process())


def append(held: HeldTable, start: int, end: int) -> None:
    files = files_of(held.table, *range(start, end))
    held.append(files, {0: Range(start, end, end - start)}, {0: 1_000_000 * end}, {})


def test_rows_and_offsets_are_committed_together(raw: RawOrders, lake: Lake) -> None:
    held = claim(lake)
    append(held, 0, 5)
    append(held, 5, 9)
    state = read_state(lake.load(NAME).metadata)
    assert (state.partitions[0].next, state.partitions[0].records) == (9, 9)
    assert (state.cluster_id, state.topic_id) == ("cluster", "topic-id")
    summary = lake.load(NAME).current_snapshot().summary.additional_properties
    assert summary["orderlake.landing.ranges"] == '{"0":[5,9,4]}'
    assert summary["orderlake.watermark"] == "1970-01-01T00:00:04Z"
    assert lake.load(NAME).scan().to_arrow().num_rows == 9


def test_the_one_that_was_overtaken_is_refused_and_named_its_successor(raw: RawOrders, lake: Lake) -> None:
    first = claim(lake)
    append(first, 0, 5)
    second = claim(lake, Writer("other", "elsewhere", 4711, 0.0))
    with pytest.raises(FencedError, match=r"taken over by process 4711 on elsewhere(.|\n)*nothing is lost or doubled"):
        append(first, 5, 9)
    append(second, 5, 9)
    assert lake.load(NAME).scan().to_arrow().num_rows == 9


def test_a_zombie_that_reads_the_table_again_is_refused_all_the_same(raw: RawOrders, lake: Lake) -> None:
    first = claim(lake)
    second = claim(lake)
    append(second, 0, 5)
    first.table.refresh()
    with pytest.raises(FencedError):
        append(first, 0, 5)
    with pytest.raises(FencedError):
        first.verify()
    assert lake.load(NAME).scan().to_arrow().num_rows == 5


def test_a_claim_beats_a_commit_that_is_under_way(raw: RawOrders, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit was built on the snapshot before the claim: the catalog refuses it, and looked at again it is fenced."""
    first = claim(lake)
    files = files_of(first.table, 1)
    real = Table._do_commit

    def overtaken(self: Table, **kwargs) -> None:
        monkeypatch.setattr(Table, "_do_commit", real)
        claim(lake)
        real(self, **kwargs)

    monkeypatch.setattr(Table, "_do_commit", overtaken)
    with pytest.raises(FencedError):
        first.append(files, {0: Range(0, 1, 1)}, {}, {})
    assert lake.load(NAME).scan().to_arrow().num_rows == 0


def test_a_compaction_in_between_is_rebased_over(raw: RawOrders, lake: Lake) -> None:
    held = claim(lake)
    append(held, 0, 5)
    foreign = lake.load(NAME)
    files = files_of(foreign, *range(5))
    live = [
        e.data_file
        for m in foreign.current_snapshot().manifests(foreign.io)
        for e in m.fetch_manifest_entry(foreign.io)
    ]
    commit(foreign, lambda _: Change(append=files, delete=live))
    append(held, 5, 9)
    table = lake.load(NAME)
    assert table.scan().to_arrow().num_rows == 9
    assert read_state(table.metadata).partitions[0].next == 9


def test_the_offsets_survive_a_tool_that_loses_the_property(raw: RawOrders, lake: Lake) -> None:
    append(claim(lake), 0, 5)
    with lake.load(NAME).transaction() as transaction:
        transaction.remove_properties("orderlake.landing.state")
    assert read_state(lake.load(NAME).metadata).partitions[0].next == 5
    append(claim(lake), 5, 7)
    assert read_state(lake.load(NAME).metadata).partitions[0].next == 7


def test_the_offsets_survive_expiry_of_the_snapshots_that_brought_them(raw: RawOrders, lake: Lake) -> None:
    append(claim(lake), 0, 5)
    for _ in range(3 * KEEP_SNAPSHOTS):
        claim(lake)
    table = lake.load(NAME)
    assert not any("orderlake.landing.ranges" in s.summary.additional_properties for s in table.metadata.snapshots)
    assert read_state(table.metadata).partitions[0].next == 5


def test_an_accepted_gap_is_recorded_and_skipped(raw: RawOrders, lake: Lake) -> None:
    append(claim(lake), 0, 5)
    gap = Gap(0, 5, 20, "2026-01-01T00:00:00+00:00")
    held = HeldTable.claim(lake.load(NAME), TOPIC, this_process(), [gap])
    assert held.state.gaps == (gap,)
    assert (held.state.partitions[0].next, held.state.partitions[0].records) == (20, 5)
    append(held, 20, 21)
    assert read_state(lake.load(NAME).metadata).gaps == (gap,)


def test_a_state_of_a_newer_orderlake_is_not_guessed_at(raw: RawOrders, lake: Lake) -> None:
    with lake.load(NAME).transaction() as transaction:
        transaction.set_properties({"orderlake.landing.state": '{"version": 2}'})
    with pytest.raises(ValueError, match="version 2; this orderlake reads version 1"):
        read_state(lake.load(NAME).metadata)


def test_a_dead_a_remote_and_a_stopped_writer_may_be_overtaken_a_live_one_not(raw: RawOrders, lake: Lake) -> None:
    import os
    import signal
    import socket
    import subprocess
    import sys
    import time

    import psutil

    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        host, started = socket.gethostname(), psutil.Process(process.pid).create_time()
        live = Writer("w", host, process.pid, started)
        assert is_alive_here(live)
        assert not is_alive_here(Writer("w", "elsewhere", process.pid, started))
        assert not is_alive_here(Writer("w", host, process.pid, started - 100)), "another process with the same number"
        claim(lake, live)
        with pytest.raises(
            LandingRefusedError, match=f"is being landed by process {process.pid}(.|\n)*kill {process.pid}"
        ):
            refuse_if_held(lake.load(NAME))
        os.kill(process.pid, signal.SIGSTOP)
        deadline = time.monotonic() + 5
        while is_alive_here(live) and time.monotonic() < deadline:
            time.sleep(0.01)
        refuse_if_held(lake.load(NAME))
        assert not is_alive_here(live)
    finally:
        process.kill()
        process.wait()
    refuse_if_held(lake.load(NAME))
