"""Runs the graph from the command line: what is out of date, or what is asked for, as ordinary Dagster runs.

The runs happen in this process on the lake's own instance, so that they show in the UI like any other.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import dagster as dg

from assets.metadata import asset_key
from assets.raw import BALANCE
from orchestration.build import build_defs
from orchestration.ranges import Job
from orderlake.contracts.naming import raw_table
from orderlake.contracts.registry import Registry
from orderlake.curation.models import Model, load_models
from orderlake.curation.staleness import Plan, plan
from orderlake.errors import InputError
from orderlake.lake.catalog import Lake
from orderlake.progress import task
from orderlake.settings import Settings

#: Dagster logs every event of a run to the console; here the summary says what matters.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What one check said in a run."""

    table: str
    check: str
    passed: bool
    blocking: bool
    text: str


@dataclass(slots=True)
class Outcome:
    """What one run did.

    Attributes:
        problem: why it failed, if it did.
    """

    job: Job | None
    run_id: str
    success: bool
    checks: list[CheckOutcome] = field(default_factory=list)
    problem: str | None = None


class Graph:
    """The models of a lake and the Dagster definitions that run them."""

    def __init__(self, settings: Settings, lake: Lake) -> None:
        self.settings = settings
        self.lake = lake
        self.registry = Registry(settings.search_path)
        self.models: dict[str, Model] = load_models(settings.search_path, self.registry)
        self._defs = build_defs(settings=settings)

    def select(self, patterns: Sequence[str]) -> list[Model]:
        """Return the models that patterns name, each after those it reads.

        Args:
            patterns: `namespace.table` with wildcards; a trailing `+` adds everything that reads it. None: all models.

        Raises:
            InputError: a pattern names no model.
        """
        chosen: set[str] = set()
        for pattern in patterns:
            found = set(fnmatch.filter(self.models, pattern.removesuffix("+")))
            if not found:
                allowed = f"{', '.join(self.models)}; wildcards; a trailing + for all that reads it"
                raise InputError(f"{pattern!r} names no table that orderlake makes.", allowed=allowed)
            chosen |= self._downstream(found) if pattern.endswith("+") else found
        return [model for name, model in self.models.items() if name in chosen or not patterns]

    def _downstream(self, names: set[str]) -> set[str]:
        reached = set(names)
        for name, model in self.models.items():
            if reached & set(model.inputs):
                reached.add(name)
        return reached

    def stale(self, models: Sequence[Model]) -> Plan:
        """Return which days of models are out of date."""
        with task("Looking for days that are out of date"):
            return plan(self.lake, models)

    def recreate(self, models: Sequence[Model]) -> None:
        """Drop tables, so that they are made anew from their inputs; their snapshots go with them."""
        for model in models:
            if self.lake.find(model.name) is not None:
                self.lake.catalog.drop_table(model.name)

    def run(self, job: Job, instance: dg.DagsterInstance) -> Outcome:
        """Build tables for the days of a window in one run."""
        keys = [asset_key(name) for name in job.tables]
        return self._execute(dg.AssetSelection.assets(*keys), instance, job.tags, job)

    def check_balance(self, instance: dg.DagsterInstance) -> Outcome:
        """Run the checks that every topic is landed exactly once."""
        keys = [
            key
            for check in self._defs.asset_checks or []
            if isinstance(check, dg.AssetChecksDefinition)
            for key in check.check_keys
            if key.name == BALANCE
        ]
        with task("Checking that topic = raw + quarantine"):
            return self._execute(dg.AssetSelection.checks(*keys), instance, {}, None)

    def _execute(
        self, selection: dg.AssetSelection, instance: dg.DagsterInstance, tags: dict[str, str], job: Job | None
    ) -> Outcome:
        name = "orderlake_materialize" if job else "orderlake_check"
        defs = dg.Definitions.merge(self._defs, dg.Definitions(jobs=[dg.define_asset_job(name, selection=selection)]))
        result = defs.resolve_job_def(name).execute_in_process(
            instance=instance, tags=tags, run_config=_QUIET, raise_on_error=False
        )
        outcome = Outcome(job, result.run_id, result.success)
        for evaluation in result.get_asset_check_evaluations():
            outcome.checks.append(
                CheckOutcome(
                    ".".join(evaluation.asset_key.path),
                    evaluation.check_name,
                    evaluation.passed,
                    evaluation.blocking or False,
                    evaluation.description or "",
                )
            )
        for event in result.all_events:
            if event.is_step_failure and outcome.problem is None:
                outcome.problem = _problem(event)
        return outcome


def _problem(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    return str(data.error.cause or data.error) if data.error else "the step failed"


def landed_topics(lake: Lake, registry: Registry) -> Iterable[str]:
    """Yield the topics of which something has been landed."""
    return (topic for topic in registry.topics if lake.find(raw_table(topic)) is not None)
