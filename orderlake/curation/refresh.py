"""Brings days of one table up to date: builds those that are not, checks the others, and touches nothing for nothing.

This is what an automatic run does. It is told that something may have changed; whether it has, is told by state.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from orderlake.contracts.checks import compile_checks
from orderlake.curation.audit import Finding
from orderlake.curation.build import build, check_published
from orderlake.curation.ledger import latest_builds
from orderlake.curation.models import Model
from orderlake.curation.publish import BuildResult
from orderlake.curation.staleness import plan
from orderlake.curation.window import Window, windows
from orderlake.lake.catalog import Lake


@dataclass(frozen=True, slots=True)
class Refresh:
    """What was done for the days of a window.

    Attributes:
        builds: what was built.
        unchanged: days that were up to date, with their rows.
        findings: every check on every day, those that were up to date included.
    """

    window: Window
    builds: Sequence[BuildResult]
    unchanged: dict[dt.date, int]
    findings: Sequence[Finding]

    @property
    def withheld(self) -> dict[dt.date, list[str]]:
        """The days that were not published, with the blocking checks they failed."""
        return {day: names for built in self.builds for day, names in built.withheld.items()}

    @property
    def rows(self) -> dict[dt.date, int]:
        """Rows of every day that is published now."""
        return self.unchanged | {day: built.rows.get(day, 0) for built in self.builds for day in built.published}


def rebuild(lake: Lake, model: Model, window: Window, run_id: str) -> Refresh:
    """Build all days of a window, out of date or not; for errors see `build.build`."""
    result = build(lake, model, window, run_id)
    return Refresh(window, [result], {}, result.findings)


def refresh(lake: Lake, model: Model, window: Window, run_id: str) -> Refresh:
    """Build the days of a window that are out of date; for errors see `build.build`."""
    state = plan(lake, [model], window)
    stale = [found.day for found in state.stale[model.name]]
    builds = [build(lake, model, part, run_id) for part in windows(stale, state.idle[model.name])]
    done = {day for built in builds for day in built.window.days}
    recorded = latest_builds(lake, model.name, window)
    unchanged = {day: recorded[day].rows if day in recorded else 0 for day in window.days if day not in done}
    findings = [finding for built in builds for finding in built.findings]
    if not findings:
        # A run gives a result for every check of its table, also where there was nothing to build.
        checks = list(compile_checks(model.contract))
        findings = check_published(lake, model, checks, run_id, [*recorded] or [window.first])
    return Refresh(window, builds, unchanged, findings)
