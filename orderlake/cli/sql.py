"""The command that queries the lake: one statement, a script from a pipe, or a shell."""

from __future__ import annotations

import contextlib
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orderlake.cli.app import App, pass_app, print_json, print_table

if TYPE_CHECKING:
    from orderlake.lake.duck import DuckSession
    from orderlake.lake.query import AsOf

_SHOWN_ROWS = 200
_HELP = "End a statement with ; | .tables lists the tables | .quit or Ctrl-D leaves"


@click.command()
@click.argument("statement", required=False)
@click.option("--csv", "form", flag_value="csv", help="Print comma-separated values with a header.")
@click.option("--json", "form", flag_value="json", help="Print an array of objects.")
@click.option("--as-of", metavar="TIME|SNAPSHOT", help="Read the tables as they were at a time or a snapshot.")
@pass_app
def sql(app: App, statement: str | None, form: str | None, as_of: str | None) -> None:
    """Query the lake with DuckDB's SQL; without STATEMENT a shell.

    Tables are raw.x, quarantine.x, analytics.orders, marts.daily_orders, ...; every statement sees all of them at one
    moment. The session is in memory: what you create in it is gone when it ends.
    """
    from orderlake.lake.duck import DuckSession
    from orderlake.lake.query import parse_as_of

    moment = parse_as_of(as_of) if as_of else None
    with DuckSession() as session:
        if statement is None and sys.stdin.isatty():
            _shell(app, session, form, moment)
        else:
            for part in session.split(sys.stdin.read() if statement is None else statement):
                _run(app, session, part, form, moment)


def _run(app: App, session: DuckSession, statement: str, form: str | None, as_of: AsOf | None) -> None:
    from orderlake.lake.query import run
    from orderlake.progress import shown, task

    with shown(enabled=form is None), task("Querying"):
        columns, rows = run(session, app.lake, statement, as_of)
    if form == "json":
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif form == "csv":
        _print_csv(columns, rows)
    elif columns:
        print_table(columns, rows[:_SHOWN_ROWS])
        more = f", the first {_SHOWN_ROWS} shown (--csv prints all)" if len(rows) > _SHOWN_ROWS else ""
        click.echo(f"{len(rows):,} rows{more}")


def _print_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(_csv_value(value) for value in row)


def _csv_value(value: Any) -> Any:
    import datetime as dt

    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.hex() if isinstance(value, bytes | bytearray) else value


def _shell(app: App, session: DuckSession, form: str | None, as_of: AsOf | None) -> None:
    from orderlake.errors import OrderlakeError

    click.echo(_HELP)
    with _history(app.settings.home / "sql_history"):
        gathered: list[str] = []
        while True:
            try:
                line = input("      ...> " if gathered else "orderlake> ")
            except EOFError:
                click.echo()
                return
            except KeyboardInterrupt:
                gathered = []
                click.echo()
                continue
            if not gathered and line.strip() in {".quit", ".exit", "exit", "quit"}:
                return
            gathered.append(".tables;" if not gathered and line.strip() == ".tables" else line)
            text = "\n".join(gathered)
            if not text.rstrip().endswith(";"):
                continue
            gathered = []
            try:
                if text == ".tables;":
                    print_table(["table"], [[name] for name in app.lake.table_names()])
                else:
                    for part in session.split(text):
                        _run(app, session, part, form, as_of)
            except OrderlakeError as error:
                click.echo(f"error: {error}", err=True)
            except KeyboardInterrupt:
                click.echo("interrupted", err=True)


@contextlib.contextmanager
def _history(path: Path) -> Iterator[None]:
    """Keep the shell's lines over sessions, where Python has readline."""
    try:
        import readline
    except ImportError:
        yield
        return
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            readline.set_history_length(1_000)
            readline.write_history_file(path)


COMMANDS = (sql,)
