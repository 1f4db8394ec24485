"""How every table of the lake is: its rows, how complete it is believed to be, and what its checks say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyiceberg.table import Table

from orderlake.curation.models import Model
from orderlake.curation.staleness import StaleDay, plan
from orderlake.curation.verdicts import check_summary
from orderlake.lake.catalog import Lake
from orderlake.lake.landing_state import read_state
from orderlake.lake.partitions import partition_rows, total_rows
from orderlake.times import EPOCH, day_start_microseconds


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One table.

    Attributes:
        partitions: number of partitions that hold rows.
        watermark: event time up to which the table is believed complete; None if nothing says so.
        stale_days: days that are out of date.
        checks_passed: checks whose newest results all passed.
        failing_checks: names of the others.
    """

    table: str
    rows: int
    partitions: int
    snapshot_id: int | None
    snapshot_at: dt.datetime | None
    watermark: dt.datetime | None
    stale_days: int
    checks_passed: int
    checks_failed: int
    failing_checks: list[str]


def table_status(lake: Lake, models: Mapping[str, Model]) -> list[TableStatus]:
    """Return the status of every table of the lake."""
    stale = plan(lake, list(models.values())).stale
    checks = check_summary(lake)
    watermarks: dict[str, int | None] = {}
    found = []
    for name in _inputs_first(lake.table_names(), models):
        table = lake.load(name)
        days = stale.get(name, [])
        watermarks[name] = _watermark(table, models.get(name), days, watermarks)
        passed, failed, failing = checks.get(name, (0, 0, []))
        snapshot = table.current_snapshot()
        found.append(
            TableStatus(
                table=name,
                rows=total_rows(snapshot),
                partitions=len(partition_rows(table, snapshot)) if table.spec().fields else 0,
                snapshot_id=snapshot.snapshot_id if snapshot else None,
                snapshot_at=_moment(snapshot.timestamp_ms * 1_000) if snapshot else None,
                watermark=_moment(watermarks[name]),
                stale_days=len(days),
                checks_passed=passed,
                checks_failed=failed,
                failing_checks=failing,
            )
        )
    return sorted(found, key=lambda status: status.table)


def _inputs_first(names: Iterable[str], models: Mapping[str, Model]) -> list[str]:
    """Return tables so that every model's comes after what it reads (`models` is in that order already)."""
    order = list(models)
    return sorted(names, key=lambda name: order.index(name) if name in models else -1)


def _watermark(
    table: Table, model: Model | None, stale: list[StaleDay], watermarks: Mapping[str, int | None]
) -> int | None:
    """Return up to where a table is complete, in microseconds since the epoch.

    A raw table as its landing state says; a model's table as far as all its inputs, but not beyond the first day that
    is out of date.
    """
    if model is None:
        return read_state(table.metadata).watermark
    limits = [watermarks.get(name) for name in model.inputs]
    if stale:
        limits.append(day_start_microseconds(min(day.day for day in stale)))
    known = [limit for limit in limits if limit is not None]
    return min(known) if len(known) == len(limits) else None


def _moment(microseconds: int | None) -> dt.datetime | None:
    return None if microseconds is None else EPOCH + dt.timedelta(microseconds=microseconds)
