"""Runs over ranges of days: which tables are built together, and for which days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orderlake.curation.models import Model
from orderlake.curation.staleness import Plan
from orderlake.curation.window import Window, windows
from orderlake.errors import InputError


@dataclass(frozen=True, slots=True)
class Job:
    """One run: tables (each after those it reads) and the days they are built for."""

    tables: tuple[str, ...]
    window: Window

    @property
    def tags(self) -> dict[str, str]:
        """Dagster's tags of a run over a range of partitions."""
        return {
            "dagster/asset_partition_range_start": self.window.first.isoformat(),
            "dagster/asset_partition_range_end": self.window.last.isoformat(),
        }


def jobs_for(stale: Plan, models: Sequence[Model]) -> Iterator[Job]:
    """Yield the runs that bring stale days up to date: consecutive tables with the same windows share a run."""
    pending: list[str] = []
    shared: list[Window] = []
    for model in models:
        own = list(windows((day.day for day in stale.stale[model.name]), stale.idle[model.name]))
        if pending and own != shared:
            yield from (Job(tuple(pending), window) for window in shared)
            pending = []
        if own:
            pending.append(model.name)
            shared = own
    yield from (Job(tuple(pending), window) for window in shared if pending)


def jobs_over(models: Sequence[Model], window: Window) -> list[Job]:
    """Return the run that builds models for the days that were asked for."""
    return [Job(tuple(model.name for model in models), window)] if models else []


def require_partitions(window: Window, start: dt.date) -> None:
    """Refuse days that are no partitions.

    Raises:
        InputError: the days lie before the partitions begin, or in the future.
    """
    today = dt.datetime.now(dt.UTC).date()
    if window.first < start or window.last > today:
        raise InputError(
            f"the partitions {window} do not all exist.", allowed=f"{start} (ORDERLAKE_PARTITIONS_START) to {today}"
        )
