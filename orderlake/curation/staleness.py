"""Which days of which table are out of date, and why: told by state, not by what happened.

A day of a raw table is described by its live row count (from manifests), a day of a model's table by the id of its
last publication. A day is out of date for a table if any input's description differs from the one recorded when it
was built, or if the model itself has changed. Compaction, expiry, a lost Dagster instance or a week without a daemon
change nothing about that.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from orderlake.curation.ledger import Build, latest_builds
from orderlake.curation.models import Model, is_raw
from orderlake.curation.window import Window
from orderlake.lake.catalog import Lake
from orderlake.lake.partitions import rows_by_day

#: State of a raw day without rows; a day that never had any is not out of date.
_NO_ROWS = "0"


#: The reason of days whose inputs are what they were.
MODEL_CHANGED = "the model has changed"


@dataclass(frozen=True, slots=True)
class StaleDay:
    """One day of one table that is out of date.

    Attributes:
        reason: why, for people.
        state: fingerprint of the inputs and of the model; the same as long as nothing about the day changes.
        waits_for: inputs of which the day is out of date as well.
    """

    table: str
    day: dt.date
    reason: str
    state: str = ""
    waits_for: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is out of date.

    Attributes:
        stale: the days by table, tables in the order in which they must be built.
        idle: days of each table that hold nothing and need nothing: building them is harmless.
    """

    stale: dict[str, list[StaleDay]]
    idle: dict[str, set[dt.date]]

    @property
    def days(self) -> list[StaleDay]:
        """All days of all tables."""
        return [found for days in self.stale.values() for found in days]

    def without(self, tried: Collection[StaleDay]) -> Plan:
        """Return what is left after some days were tried in vain: neither they nor what would be made from them."""
        given_up = {(found.table, found.day) for found in tried}
        left: dict[str, list[StaleDay]] = {}
        for name, days in self.stale.items():
            left[name] = []
            for found in days:
                if found in tried or any((source, found.day) in given_up for source in found.waits_for):
                    given_up.add((name, found.day))
                else:
                    left[name].append(found)
        return Plan(left, self.idle)


def input_state(lake: Lake, name: str, window: Window | None = None) -> dict[dt.date, str]:
    """Return the present state of every day of an input, or of the days of a window."""
    if not is_raw(name):
        return {day: build.publish_id for day, build in latest_builds(lake, name, window).items()}
    table = lake.find(name)
    return raw_state(table, table.current_snapshot(), window) if table else {}


def raw_state(table: Table, snapshot: Snapshot | None, window: Window | None = None) -> dict[dt.date, str]:
    """Return the state of the days of a raw table at a snapshot."""
    return {day: str(rows) for day, rows in rows_by_day(table, snapshot, window.days if window else None).items()}


def plan(lake: Lake, models: Sequence[Model], window: Window | None = None, anew: Collection[str] = ()) -> Plan:
    """Compare the state of the inputs with what the tables were built from.

    Args:
        lake: the lake.
        models: the models to look at, each after those it reads.
        window: look at these days only.
        anew: tables to take as if they had never been built.
    """
    states: dict[str, dict[dt.date, str]] = {}
    stale: dict[str, list[StaleDay]] = {}
    idle: dict[str, set[dt.date]] = {}
    for model in models:
        # A table that is gone has no built days, whatever the ledger says.
        is_there = model.name not in anew and lake.find(model.name) is not None
        builds = latest_builds(lake, model.name, window) if is_there else {}
        for name in model.inputs:
            if name not in states:
                states[name] = input_state(lake, name, window)
        # What will be rebuilt above is out of date here too, whatever its state is now.
        coming: dict[dt.date, tuple[str, ...]] = {}
        for name in model.inputs:
            for found in stale.get(name, []):
                coming[found.day] = (*coming.get(found.day, ()), name)
        days = set(builds).union(coming, *(states[name] for name in model.inputs))
        reasons = {day: _reason(model, day, builds.get(day), states, coming) for day in days}
        stale[model.name] = [
            StaleDay(model.name, day, reason, _fingerprint(model, day, states), coming.get(day, ()))
            for day in sorted(days)
            if (reason := reasons[day])
        ]
        idle[model.name] = _gaps(days)
    return Plan(stale, idle)


def _reason(
    model: Model,
    day: dt.date,
    build: Build | None,
    states: Mapping[str, Mapping[dt.date, str]],
    coming: Mapping[dt.date, tuple[str, ...]],
) -> str | None:
    if day in coming:
        return f"{' and '.join(coming[day])} is out of date"
    now = {name: states[name].get(day, _NO_ROWS) for name in model.inputs}
    if build is None:
        return None if set(now.values()) == {_NO_ROWS} else "never built"
    for name, state in now.items():
        before = build.inputs.get(name, _NO_ROWS)
        if state != before:
            counted = f"{name} has {state} rows of the day, {before} when it was built"
            return counted if is_raw(name) else f"{name} was published anew"
    return MODEL_CHANGED if build.code_version != model.code_version else None


def _fingerprint(model: Model, day: dt.date, states: Mapping[str, Mapping[dt.date, str]]) -> str:
    return ", ".join([f"{name}={states[name].get(day, _NO_ROWS)}" for name in model.inputs] + [model.code_version])


def _gaps(days: set[dt.date]) -> set[dt.date]:
    """Return the days between the first and the last that are not among them."""
    if not days:
        return set()
    first, last = min(days), max(days)
    return {first + dt.timedelta(days=n) for n in range((last - first).days)} - days
