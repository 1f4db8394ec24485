"""Entry point of the command `orderlake`: the commands by topic, and how errors end."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from typing import TextIO

import click

from orderlake import __version__
from orderlake.cli import contract, demo, doctor, land, lineage, materialize, produce, quarantine, services, sql, status
from orderlake.cli.app import App
from orderlake.errors import OrderlakeError

_SECTIONS = {
    "Servers": ("up", "down", "status", "doctor", "logs", "ui"),
    "Data in": ("produce", "replay", "land", "quarantine"),
    "Data out": ("materialize", "stale", "sql"),
    "Contracts": ("contract", "lineage"),
    "All at once": ("demo",),
}

_EXIT_CODES = """Exit codes: 0 done, 1 failed, 2 wrong input, 3 a server or store does not answer, 4 landing refused,
5 other writers were faster every time, 6 a contract check failed."""


class _Sections(click.Group):
    """A group whose help lists the commands by topic."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, names in _SECTIONS.items():
            commands = [(name, command) for name in names if (command := self.get_command(ctx, name))]
            if commands:
                with formatter.section(section):
                    formatter.write_dl([(name, command.get_short_help_str(80)) for name, command in commands])


@click.group(cls=_Sections, epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="orderlake")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """An order and fulfilment lakehouse: Kafka to Iceberg exactly once, curated and guarded by contracts.

    Settings come from the environment (ORDERLAKE_...) and from .env; see .env.example.
    """
    ctx.obj = App()
    ctx.meta["debug"] = debug


for module in (services, status, doctor, produce, land, quarantine, materialize, sql, contract, lineage, demo):
    for command in module.COMMANDS:
        cli.add_command(command)


def main() -> None:
    """Run the command line; an error of orderlake ends with its message and its exit code, without a traceback."""
    debug = "--debug" in sys.argv[1:2]
    try:
        # Without its standalone mode, click returns the status that a command ends with.
        status = cli(standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()
    except OrderlakeError as error:
        if debug:
            raise
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except (BrokenPipeError, SystemExit):
        # click ends with 1 where a pipe is broken; if it is that of our results, its reader has had enough.
        if not _is_unread(sys.__stdout__):
            raise
        sys.exit(0)
    else:
        sys.exit(status)


def _is_unread(stream: TextIO | None) -> bool:
    """Return whether the reader of a pipe (head, less) is gone; what is still to be written is dropped then."""
    if stream is None or stream.closed:
        return False
    poll = select.poll()
    poll.register(stream, select.POLLOUT)
    if not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        return False
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
    return True
