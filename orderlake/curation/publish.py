"""Makes a build visible: the days that passed their checks, in one snapshot, fenced on the files it replaces."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata

from orderlake.curation.audit import Finding
from orderlake.curation.models import Model
from orderlake.curation.staging import Staged
from orderlake.curation.window import Window
from orderlake.errors import CommitConflictError
from orderlake.lake.commit import Change, commit
from orderlake.lake.data_time import data_time_summary
from orderlake.lake.partitions import ordinal_of, partition_files
from orderlake.times import day_ordinal


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What one build did.

    Attributes:
        rows: rows of every day that was published.
        findings: every check on every day.
        withheld: the days that were not published, with the blocking checks they failed.
        snapshot_id: the snapshot that published the others; None if there are none.
        inputs: the snapshot of every input that was read.
        offsets: the Kafka offsets that every raw input had reached, `{table: {partition: next offset}}`.
        data_time: the event time that the published days reach, in microseconds since the epoch.
    """

    model: Model
    window: Window
    publish_id: str
    rows: dict[dt.date, int]
    findings: list[Finding]
    withheld: dict[dt.date, list[str]]
    snapshot_id: int | None
    inputs: dict[str, int | None]
    offsets: dict[str, dict[int, int]]
    data_time: int | None

    @property
    def published(self) -> list[dt.date]:
        """The days that were published."""
        return [day for day in self.window.days if day not in self.withheld]


def withheld_days(findings: Sequence[Finding]) -> dict[dt.date, list[str]]:
    """Return the days that failed a blocking check, with the checks they failed."""
    withheld: dict[dt.date, list[str]] = {}
    for finding in findings:
        if not finding.passed and finding.check.blocking:
            withheld.setdefault(finding.day, []).append(finding.check.name)
    return withheld


def publish(table: Table, result: BuildResult, staged: Staged, live: Mapping[str, DataFile], run_id: str) -> int:
    """Make the days that passed visible in one snapshot; return it.

    Args:
        table: the table.
        result: what was built.
        staged: its files.
        live: the files of the window's days when the build began, by location.
        run_id: for the snapshot.

    Raises:
        CommitConflictError: another run published one of the days meanwhile; nothing was published.
    """
    days = {day_ordinal(day) for day in result.published}
    files = {path for path, file in live.items() if ordinal_of(file) in days}

    def plan(metadata: TableMetadata) -> Change:
        now = partition_files(table, metadata, days)
        if now.keys() != files:
            raise CommitConflictError(
                f"another run published days of {result.window} of {result.model.name} meanwhile; this one did not.",
                remedy="see whether the days are out of date now: orderlake stale. orderlake materialize builds those.",
            )
        return Change(
            append=[file for file in staged.files if ordinal_of(file) in days],
            delete=list(now.values()),
            summary=_summary(metadata, result, run_id),
        )

    return commit(table, plan)


def _summary(metadata: TableMetadata, result: BuildResult, run_id: str) -> dict[str, str]:
    return {
        **data_time_summary(metadata, result.data_time),
        "orderlake.run_id": run_id,
        "orderlake.publish_id": result.publish_id,
        "orderlake.window": str(result.window),
        "orderlake.code_version": result.model.code_version,
        **{f"orderlake.input.{name}": str(snapshot) for name, snapshot in result.inputs.items()},
    }
