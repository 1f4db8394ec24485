"""Proves that incremental equals full: builds published days again, alone and within their neighbours, and compares.

A model that looks beyond its day, at the clock or at chance gives other rows each time. Nothing is published here.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from orderlake.curation.ledger import latest_builds
from orderlake.curation.models import Model
from orderlake.curation.staleness import MODEL_CHANGED, plan
from orderlake.curation.window import Window
from orderlake.errors import ModelError, QueryError
from orderlake.lake.catalog import Lake
from orderlake.lake.duck import DuckSession, quoted
from orderlake.lake.pins import pin
from orderlake.progress import task

_SAMPLES = 5
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One day built again.

    Attributes:
        window: the days it was built with.
        rows: as published.
        missing: rows that are published but did not come again.
        surplus: rows that came but are not published.
        samples: keys of a few of them.
    """

    day: dt.date
    window: Window
    rows: int
    missing: int
    surplus: int
    samples: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether every row came again, and no other."""
        return not (self.missing or self.surplus)


def sample_days(lake: Lake, model: Model, newest: int, older: int = 2) -> list[dt.date]:
    """Return built days to compare: the newest ones, and a few of the older, other ones every day."""
    days = sorted(day for day, build in latest_builds(lake, model.name).items() if build.rows)
    chance = random.Random(dt.datetime.now(dt.UTC).date().isoformat())  # noqa: S311 - a sample
    before = days[:-newest]
    return sorted([*days[-newest:], *chance.sample(before, min(older, len(before)))])


def compare(lake: Lake, model: Model, days: Sequence[dt.date]) -> tuple[list[Comparison], list[dt.date]]:
    """Build days again and compare them with what is published.

    Returns:
        the comparisons, two for every day; and the days that were left out because their inputs have changed since.

    Raises:
        ModelError: the model cannot be run.
    """
    changed = _out_of_date(lake, model, days)
    found: list[Comparison] = []
    with task(f"Building {model.name} again", total=len(days)) as progress:
        for day in days:
            if day not in changed:
                found += _compare_day(lake, model, day)
            progress.advance()
    # A day that was built anew meanwhile compares old with new: what it says counts for nothing.
    suspects = [comparison.day for comparison in found if not comparison.same]
    changed |= _out_of_date(lake, model, suspects) if suspects else set()
    return [comparison for comparison in found if comparison.day not in changed], sorted(changed)


def _out_of_date(lake: Lake, model: Model, days: Collection[dt.date]) -> set[dt.date]:
    """Return the days whose inputs are not what they were built from; a changed model is what is looked for."""
    if not days:
        return set()
    stale = plan(lake, [model], Window(min(days), max(days))).stale[model.name]
    return {found.day for found in stale if found.reason != MODEL_CHANGED} & set(days)


def _compare_day(lake: Lake, model: Model, day: dt.date) -> list[Comparison]:
    columns = ", ".join(quoted(column.name) for column in model.contract.columns)
    of_day = f"cast({quoted(model.partition_column)} as date) = date '{day}'"
    published = f"select {columns} from {quoted(model.name)} where {of_day}"
    again = "select * from again"
    found = []
    with DuckSession() as session:
        session.attach([pin(lake.load(name)) for name in (model.name, *model.inputs)])
        for window in (Window(day, day), Window(day - _DAY, day + _DAY)):
            statement = f"create or replace temp table again as select {columns} from ({model.sql}) where {of_day}"
            try:
                session.execute(statement, window.parameters)
            except QueryError as error:
                raise ModelError(
                    f"{model.path} cannot be run: {error.fact}", remedy="correct the statement."
                ) from error
            (rows,) = session.execute(f"select count(*) from ({published})").fetchall()[0]
            missing, some = _difference(session, model, published, again)
            surplus, others = _difference(session, model, again, published)
            found.append(
                Comparison(day, window, rows, missing, surplus, tuple(dict.fromkeys(some + others))[:_SAMPLES])
            )
    return found


def _difference(session: DuckSession, model: Model, left: str, right: str) -> tuple[int, list[str]]:
    """Return how many rows of `left` are not in `right`, each as often as it is there, and keys of a few."""
    key = ", ".join(quoted(name) for name in model.contract.primary_key or [model.contract.columns[0].name])
    session.execute(f"create or replace temp table differing as ({left}) except all ({right})")
    (count,) = session.execute("select count(*) from differing").fetchall()[0]
    keys = session.execute(f"select distinct {key} from differing order by all limit {_SAMPLES}").fetchall()
    return count, [", ".join(map(str, row)) for row in keys]
