"""The command that builds the tables: what is out of date, or the days that are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orderlake.cli.app import App, json_option, pass_app, print_json, print_table

if TYPE_CHECKING:
    import dagster as dg

    from orchestration.materialize import Graph, Outcome
    from orchestration.ranges import Job


@click.command()
@click.argument("selection", nargs=-1)
@click.option("--partition", metavar="A[..B]", help="Build this day or these days, out of date or not.")
@click.option("--recreate", is_flag=True, help="Drop the selected tables first and make all their days anew.")
@click.option("--dry-run", is_flag=True, help="Only say what would be built, and why.")
@json_option
@pass_app
def materialize(
    app: App, selection: tuple[str, ...], partition: str | None, recreate: bool, dry_run: bool, as_json: bool
) -> None:
    """Build tables through Dagster, with their contract checks.

    SELECTION names tables (analytics.orders, marts.*, analytics.orders+ with all that reads it); without it all
    tables. Without --partition exactly the days that are out of date are built, and the landed topics are checked.
    """
    from orchestration.instance import open_instance
    from orchestration.materialize import Graph
    from orchestration.ranges import jobs_for, jobs_over
    from orderlake.curation.window import parse_window
    from orderlake.errors import ChecksFailedError, InputError
    from orderlake.progress import shown

    window = parse_window(partition) if partition else None
    with shown(enabled=not as_json):
        graph = Graph(app.settings, app.lake)
        models = graph.select(selection)
        if recreate:
            if not selection:
                raise InputError("--recreate drops tables and needs to be told which.", remedy="name them.")
            graph.recreate(models)
        stale = graph.stale(models)
        jobs = jobs_over(models, window, app.settings.partitions_start) if window else list(jobs_for(stale, models))
        if dry_run:
            _print_plan([day for days in stale.stale.values() for day in days], as_json=as_json)
            return
        with open_instance(app.settings) as instance:
            outcomes = run_jobs(graph, jobs, instance)
            if not selection and not partition:
                outcomes.append(graph.check_balance(instance))
    _report(outcomes, as_json=as_json)
    if not all(outcome.success for outcome in outcomes):
        raise ChecksFailedError(
            "not everything could be built; what was not published keeps its former rows.",
            remedy="the runs, with every check, are in the Dagster UI: orderlake ui",
        )


def run_jobs(graph: Graph, jobs: list[Job], instance: dg.DagsterInstance) -> list[Outcome]:
    """Run jobs one after the other; one whose inputs were not published is left out."""
    from orchestration.materialize import Outcome
    from orderlake.progress import task

    outcomes: list[Outcome] = []
    with task("Materializing", total=len(jobs)) as progress:
        for job in jobs:
            progress.update(detail=f"{', '.join(job.tables)} {job.window}")
            missing = _unpublished_input(graph, job, outcomes)
            if missing:
                problem = f"{job.window} of {', '.join(job.tables)} was left out: {missing} was not published."
                outcomes.append(Outcome(job, "", success=False, problem=problem))
            else:
                outcomes.append(graph.run(job, instance))
            progress.advance()
    return outcomes


def _unpublished_input(graph: Graph, job: Job, outcomes: list[Outcome]) -> str | None:
    read = {name for table in job.tables for name in graph.models[table].inputs} - set(job.tables)
    for outcome in outcomes:
        if outcome.success or outcome.job is None:
            continue
        other = outcome.job.window
        if other.first <= job.window.last and job.window.first <= other.last:
            for name in read & set(outcome.job.tables):
                return name
    return None


def _print_plan(days: list[object], *, as_json: bool) -> None:
    from dataclasses import asdict

    rows = [asdict(day) for day in days]  # type: ignore[call-overload]
    if as_json:
        print_json(rows)
        return
    if rows:
        print_table(("table", "day", "why"), [(row["table"], row["day"], row["reason"]) for row in rows])
    click.echo(f"{len(rows)} days are out of date")


def _report(outcomes: list[Outcome], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "tables": outcome.job.tables if outcome.job else [],
                    "partition": str(outcome.job.window) if outcome.job else None,
                    "run_id": outcome.run_id,
                    "success": outcome.success,
                    "problem": outcome.problem,
                    "checks": outcome.checks,
                }
                for outcome in outcomes
            ]
        )
        return
    built = [outcome for outcome in outcomes if outcome.job]
    if not built:
        click.echo("everything is up to date")
    for outcome in outcomes:
        passed = sum(check.passed for check in outcome.checks)
        what = f"{', '.join(outcome.job.tables)} {outcome.job.window}" if outcome.job else "topic = raw + quarantine"
        verdict = "ok" if outcome.success else "FAILED"
        click.echo(f"{verdict:<6} {what}: {passed} of {len(outcome.checks)} checks passed")
        if outcome.problem:
            click.echo(f"       {outcome.problem}")
        for check in outcome.checks:
            if not check.passed:
                severity = "error" if check.blocking else "warning"
                click.echo(f"       {severity}: {check.table} {check.check}: {check.text}")


COMMANDS = (materialize,)
