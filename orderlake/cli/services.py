"""Commands for servers: up, down, logs."""

from __future__ import annotations

import click

from orderlake.cli.app import App, pass_app


@click.command()
@click.argument("service", nargs=-1)
@pass_app
def up(app: App, service: tuple[str, ...]) -> None:
    """Start the servers of the profile and wait until they answer.

    Without SERVICE all of them. What runs already is left alone; servers outlive this command.
    """
    from infra.native.lifecycle import up as start
    from orderlake.progress import shown

    with shown():
        started = start(app.settings, service)
    if not started:
        click.echo(f"nothing to start: Kafka is yours, at {app.settings.bootstrap_servers}")
    for item, fresh in started:
        click.echo(f"{item.title}: {'started' if fresh else 'already running'} at {item.address}")


@click.command()
@click.argument("service", nargs=-1)
@pass_app
def down(app: App, service: tuple[str, ...]) -> None:
    """Stop the servers of the profile.

    Without SERVICE all of them. Their data stays.
    """
    from infra.native.lifecycle import down as stop
    from orderlake.progress import shown

    with shown():
        stopped = stop(app.settings, service)
    for item, was_running in stopped:
        click.echo(f"{item.title}: {'stopped' if was_running else 'was not running'}")


@click.command()
@click.argument("service")
@click.option("-n", "--lines", default=50, show_default=True, type=click.IntRange(1), help="Lines from the end.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is added, until interrupted.")
@pass_app
def logs(app: App, service: str, lines: int, follow: bool) -> None:
    """Print the end of a server's log."""
    import time

    from infra.native.lifecycle import log_tail, select
    from orderlake.errors import InputError

    path = select(app.settings, [service])[0].log_file
    if not path.is_file():
        raise InputError(f"{service} has no log yet at {path}.", remedy=f"start it: orderlake up {service}")
    click.echo(log_tail(path, lines))
    if follow:
        with path.open(errors="replace") as file:
            file.seek(0, 2)
            while True:
                text = file.read()
                if text:
                    click.echo(text, nl=False)
                time.sleep(0.3)


@click.command()
@pass_app
def ui(app: App) -> None:
    """Open the Dagster UI: webserver and daemon on this lake, until Ctrl-C."""
    from infra.dagster_ui import run_ui
    from orchestration.instance import initialize_instance

    app.log_as_service()
    home = initialize_instance(app.settings)
    run_ui(app.settings, home, lambda address: click.echo(f"\nDagster UI: {address}  (Ctrl-C stops it)\n"))


COMMANDS = (up, down, logs, ui)
