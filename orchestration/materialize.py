"""Runs the graph from the command line: what is out of date, or what is asked for, as ordinary Dagster runs.

The runs happen in this process on the lake's own instance, so that they show in the UI like any other.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field

import dagster as dg

from assets.comparison import INCREMENTAL_EQUALS_FULL
from assets.failures import EXIT_CODE
from assets.freshness import FRESHNESS
from assets.metadata import asset_key
from assets.raw import BALANCE
from orchestration.build import build_defs
from orchestration.ranges import Job, jobs_for, jobs_over
from orderlake.contracts.registry import Registry
from orderlake.curation.models import Model, load_models
from orderlake.curation.staleness import Plan, StaleDay, plan
from orderlake.curation.window import Window
from orderlake.errors import ChecksFailedError, InputError
from orderlake.lake.catalog import Lake
from orderlake.progress import task
from orderlake.settings import Settings

#: Checks that do not belong to a build: how old the data is, and whether it would come out the same again.
OF_THEIR_OWN_TIME = frozenset({FRESHNESS, INCREMENTAL_EQUALS_FULL})

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
        exit_code: of a command that ends so.
    """

    job: Job | None
    run_id: str
    success: bool
    checks: list[CheckOutcome] = field(default_factory=list)
    problem: str | None = None
    exit_code: int = 0


class Graph:
    """The models of a lake and the Dagster definitions that run them."""

    def __init__(self, settings: Settings, lake: Lake) -> None:
        self.settings = settings
        self.lake = lake
        self.registry = Registry(settings.search_path)
        self.models: dict[str, Model] = load_models(settings.search_path, self.registry)
        self._defs = build_defs(settings=settings)
        self._checks = [
            key
            for definition in (*(self._defs.assets or []), *(self._defs.asset_checks or []))
            if isinstance(definition, dg.AssetsDefinition)
            for key in definition.check_keys
        ]

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

    def stale(self, models: Sequence[Model], window: Window | None = None, *, anew: bool = False) -> Plan:
        """Return which days of models are out of date; with `anew`, as if none had ever been built."""
        with task("Looking for days that are out of date"):
            return plan(self.lake, models, window, [model.name for model in models] if anew else ())

    def recreate(self, models: Sequence[Model]) -> None:
        """Drop tables, so that they are made anew from their inputs; their snapshots go with them."""
        for model in models:
            if self.lake.find(model.name) is not None:
                self.lake.catalog.drop_table(model.name)

    def build(self, models: Sequence[Model], instance: dg.DagsterInstance, window: Window | None) -> list[Outcome]:
        """Build what is out of date, or all days of a window; one run for the tables that share a range of days.

        Days that fail their checks are withheld. What depends on them is left out; everything else goes on.
        """
        before = self.stale(models, window)
        jobs = jobs_over(models, window) if window else list(jobs_for(before, models))
        tried: list[StaleDay] = []
        outcomes: list[Outcome] = []
        with task("Materializing", total=len(jobs)) as progress:
            while jobs:
                for job in jobs:
                    progress.update(detail=f"{', '.join(job.tables)} {job.window}")
                    outcomes.append(self.run(job, instance))
                    progress.advance()
                if all(outcome.success for outcome in outcomes[-len(jobs) :]):
                    break
                tried += before.days
                before = self.stale(models, window).without(tried)
                jobs = list(jobs_for(before, models))
                progress.update(total=len(outcomes) + len(jobs))
        return outcomes

    def run(self, job: Job, instance: dg.DagsterInstance) -> Outcome:
        """Build tables for the days of a window in one run."""
        keys = {asset_key(name) for name in job.tables}
        checks = [key for key in self._checks if key.asset_key in keys and key.name not in OF_THEIR_OWN_TIME]
        selection = dg.AssetSelection.assets(*keys).without_checks() | dg.AssetSelection.checks(*checks)
        return self._execute(selection, instance, job.tags, job)

    def check_balance(self, instance: dg.DagsterInstance) -> Outcome:
        """Run the checks that every topic is landed exactly once."""
        keys = [key for key in self._checks if key.name == BALANCE]
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
                    evaluation.severity == dg.AssetCheckSeverity.ERROR,
                    evaluation.description or "",
                )
            )
        for event in result.all_events:
            if event.is_step_failure and outcome.problem is None:
                outcome.problem, outcome.exit_code = _problem(event)
        return outcome


def _problem(event: dg.DagsterEvent) -> tuple[str, int]:
    """Return why a step failed, without a traceback, and the exit code that says so."""
    data = event.step_failure_data
    failure = data.user_failure_data
    if failure and failure.description:
        code = failure.metadata.get(EXIT_CODE)
        return failure.description, code.value if code and isinstance(code.value, int) else 1
    error = data.error
    if error and error.cls_name == "DagsterAssetCheckFailedError":
        return "a blocking check failed", ChecksFailedError.exit_code
    root = error.cause if error and error.cause else error
    return (f"{root.cls_name}: {root.message.strip().splitlines()[0]}" if root else "the step failed"), 1
