"""The commands that build tables, what is out of date or what is asked for, and that explain what is out of date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orderlake.cli.app import App, json_option, pass_app, print_json, print_table

if TYPE_CHECKING:
    from orchestration.materialize import Outcome
    from orderlake.curation.staleness import StaleDay


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
    from orchestration.ranges import require_partitions
    from orderlake.curation.window import parse_window
    from orderlake.errors import InputError
    from orderlake.progress import shown

    window = parse_window(partition) if partition else None
    if window:
        require_partitions(window, app.settings.partitions_start)
    if recreate and not selection:
        raise InputError("--recreate drops tables and needs to be told which.", remedy="name them.")
    with shown(enabled=not as_json):
        graph = Graph(app.settings, app.lake)
        models = graph.select(selection)
        if dry_run:
            stale = graph.stale(models, window, anew=recreate or window is not None)
            print_stale(stale.days, "would be built", as_json=as_json)
            return
        if recreate:
            graph.recreate(models)
        with open_instance(app.settings) as instance:
            outcomes = graph.build(models, instance, window)
            if not selection and not partition:
                outcomes.append(graph.check_balance(instance))
    _report(outcomes, as_json=as_json)
    raise_for(outcomes)


@click.command()
@click.argument("selection", nargs=-1)
@json_option
@pass_app
def stale(app: App, selection: tuple[str, ...], as_json: bool) -> None:
    """Explain which days of which tables are out of date, and why.

    SELECTION names tables as for materialize. Told by state: a raw day by its rows, a built day by its last
    publication, each compared with what was recorded when the day was built. Ends with 0, stale days or not.
    """
    from orchestration.materialize import Graph
    from orderlake.progress import shown

    with shown(enabled=not as_json):
        graph = Graph(app.settings, app.lake)
        found = graph.stale(graph.select(selection))
    print_stale(found.days, "out of date", as_json=as_json)


def raise_for(outcomes: list[Outcome]) -> None:
    """Raise if a run failed: the error whose exit code says how."""
    from orderlake.errors import ChecksFailedError, OrderlakeError

    failed = [outcome for outcome in outcomes if not outcome.success]
    if not failed:
        return
    remedy = "the runs, with every check, are in the Dagster UI: orderlake ui"
    codes = {outcome.exit_code for outcome in failed}
    if codes == {ChecksFailedError.exit_code}:
        raise ChecksFailedError("what failed its checks was not published and keeps its former rows.", remedy=remedy)
    error = OrderlakeError(f"{len(failed)} of {len(outcomes)} runs failed; see above.", remedy=remedy)
    error.exit_code = max(codes - {ChecksFailedError.exit_code})
    raise error


def print_stale(days: list[StaleDay], what: str, *, as_json: bool) -> None:
    """Print days that are out of date, or would be built."""
    if as_json:
        print_json([{"table": day.table, "day": day.day, "reason": day.reason} for day in days])
        return
    if days:
        print_table(("table", "day", "why"), [(day.table, day.day, day.reason) for day in days])
    click.echo(f"{len(days)} {'day' if len(days) == 1 else 'days'} {what}")


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


COMMANDS = (materialize, stale)
