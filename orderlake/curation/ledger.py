"""What was built from what, and what every check said: the tables `ops.builds` and `ops.check_results`.

A build is written after it was published: a crash between the two leaves a build unrecorded, and so a harmless
rebuild, never a stale day that looks fresh.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.table import Table

from orderlake.contracts.arrow import arrow_schema
from orderlake.contracts.iceberg import iceberg_schema
from orderlake.contracts.model import Column
from orderlake.contracts.types import BOOLEAN, LONG, STRING, TIMESTAMPTZ, ListOf, Scalar, Struct
from orderlake.curation.window import Window
from orderlake.lake.catalog import Lake
from orderlake.lake.commit import Change, commit
from orderlake.lake.duck import DuckSession
from orderlake.lake.evolution import evolve
from orderlake.lake.files import DataFileWriter
from orderlake.lake.merge import merge_small_files
from orderlake.lake.pins import pin

BUILDS = "ops.builds"
CHECK_RESULTS = "ops.check_results"
#: Snapshots the ledger's tables keep: they are read at their newest state only.
_KEEP_SNAPSHOTS = 20
#: Files after which they are merged: every build adds one, and every build reads them.
_MERGE_AT = 50

_INPUT = Struct(
    (
        Column("table_name", STRING, required=True, description="The table that was read."),
        Column("state", STRING, required=True, description="Rows of the day (raw) or its publish id (model)."),
    )
)
_BUILD_COLUMNS = (
    Column("table_name", STRING, required=True, description="The table that was built."),
    Column("partition_key", STRING, required=True, description="The UTC day that was built."),
    Column("publish_id", STRING, required=True, description="Identity of the publication; all days of one share it."),
    Column("snapshot_id", LONG, required=True, description="The snapshot that made it visible."),
    Column("rows", LONG, required=True, description="Rows of the day."),
    Column("built_at", TIMESTAMPTZ, required=True, description="When it was published."),
    Column("run_id", STRING, required=True, description="The run that did it."),
    Column("code_version", STRING, required=True, description="Fingerprint of the model."),
    Column("inputs", ListOf(Column("element", _INPUT, required=True)), required=True, description="From what."),
)
_CHECK_COLUMNS = (
    Column("table_name", STRING, required=True, description="The table that was checked."),
    Column("partition_key", STRING, required=True, description="The UTC day that was checked."),
    Column("check_name", STRING, required=True, description="The check, as the contract names it."),
    Column("passed", BOOLEAN, required=True, description="Whether it held."),
    Column("severity", STRING, required=True, description="error keeps data from being published."),
    Column("value", Scalar("double"), required=True, description="What was measured."),
    Column("threshold", STRING, required=True, description="What it had to be."),
    Column("rows", LONG, required=True, description="Rows that were looked at."),
    Column("samples", ListOf(Column("element", STRING, required=True)), description="Keys of up to five failing rows."),
    Column("snapshot_id", LONG, description="The snapshot that was checked; null for data that was not published."),
    Column("run_id", STRING, required=True, description="The run that checked."),
    Column("checked_at", TIMESTAMPTZ, required=True, description="When."),
    Column("answered_by", STRING, description="How: from the catalog, the files' statistics, a scan or a query."),
    Column("contract_line", STRING, description="Where the contract asks for it: file:line."),
)


@dataclass(frozen=True, slots=True)
class Build:
    """One built day of one table; `inputs` gives the state of every input by table."""

    table: str
    day: dt.date
    publish_id: str
    snapshot_id: int
    rows: int
    built_at: dt.datetime
    run_id: str
    code_version: str
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check said of one day of one table."""

    table: str
    day: dt.date
    check: str
    passed: bool
    severity: str
    value: float
    threshold: str
    rows: int
    run_id: str
    checked_at: dt.datetime
    snapshot_id: int | None = None
    samples: Sequence[str] = field(default_factory=tuple)
    answered_by: str | None = None
    contract_line: str | None = None


def record_builds(lake: Lake, builds: Iterable[Build]) -> None:
    """Append builds to the ledger."""
    rows = [
        {
            "table_name": b.table,
            "partition_key": b.day.isoformat(),
            "publish_id": b.publish_id,
            "snapshot_id": b.snapshot_id,
            "rows": b.rows,
            "built_at": b.built_at,
            "run_id": b.run_id,
            "code_version": b.code_version,
            "inputs": [{"table_name": name, "state": state} for name, state in sorted(b.inputs.items())],
        }
        for b in builds
    ]
    _append(lake, BUILDS, _BUILD_COLUMNS, rows)


def record_check_results(lake: Lake, results: Iterable[CheckResult]) -> None:
    """Append check results to the ledger."""
    rows = [
        {
            "table_name": r.table,
            "partition_key": r.day.isoformat(),
            "check_name": r.check,
            "passed": r.passed,
            "severity": r.severity,
            "value": float(r.value),
            "threshold": r.threshold,
            "rows": r.rows,
            "samples": list(r.samples),
            "snapshot_id": r.snapshot_id,
            "run_id": r.run_id,
            "checked_at": r.checked_at,
            "answered_by": r.answered_by,
            "contract_line": r.contract_line,
        }
        for r in results
    ]
    _append(lake, CHECK_RESULTS, _CHECK_COLUMNS, rows)


def latest_builds(lake: Lake, table: str, window: Window | None = None) -> dict[dt.date, Build]:
    """Return the newest build of every day of a table, or of the days of a window."""
    ledger = lake.find(BUILDS)
    if ledger is None:
        return {}
    days = window or Window(dt.date.min, dt.date.max)
    with DuckSession() as session:
        session.attach([pin(ledger)])
        rows = session.execute(
            f"""
            select
                table_name, cast(partition_key as date), publish_id, snapshot_id, rows, built_at, run_id,
                code_version, inputs
            from {BUILDS}
            where table_name = $table and partition_key between $first and $last
            qualify row_number() over (partition by partition_key order by built_at desc) = 1
            """,
            {"table": table, "first": str(days.first), "last": str(days.last)},
        ).fetchall()
    return {
        day: Build(name, day, publish, snapshot, count, at, run, code, {i["table_name"]: i["state"] for i in inputs})
        for name, day, publish, snapshot, count, at, run, code, inputs in rows
    }


def _append(lake: Lake, name: str, columns: Sequence[Column], rows: Sequence[Mapping[str, object]]) -> None:
    if not rows:
        return
    schema = iceberg_schema(columns)
    table = lake.find(name) or lake.create(name, schema, UNPARTITIONED_PARTITION_SPEC, {})
    _evolve(table, columns)
    writer = DataFileWriter(table)
    batch = pa.RecordBatch.from_pylist(rows, schema=arrow_schema(columns))
    writer.write(batch, None)
    files = writer.close()
    commit(table, lambda _: Change(append=files, keep_snapshots=_KEEP_SNAPSHOTS))
    merge_small_files(table, at_least=_MERGE_AT, sort_by="partition_key", keep_snapshots=_KEEP_SNAPSHOTS)


def _evolve(table: Table, columns: Sequence[Column]) -> None:
    """Add the columns that a ledger begun by an earlier version lacks."""
    try:
        evolve(table, columns)
    except CommitFailedException:
        # Another process did so at this moment; then there is nothing left to add.
        table.refresh()
        evolve(table, columns)
