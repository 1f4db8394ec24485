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
_QUIT = frozenset({".quit", ".exit"})
_HELP = "End a statement with ; | .tables lists the tables | .quit or Ctrl-D leaves"


@click.command()
@click.argument("statement", required=False)
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values with a header.")
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
@click.option("--as-of", metavar="TIME|SNAPSHOT", help="Read the tables as they were at a time or a snapshot.")
@pass_app
def sql(app: App, statement: str | None, as_csv: bool, as_json: bool, as_of: str | None) -> None:
    """Query the lake with DuckDB's SQL; without STATEMENT a shell, or a script from a pipe.

    Tables are raw.x, quarantine.x, analytics.orders, marts.daily_orders, ...; every statement sees all of them at one
    moment; `show tables` or .tables lists them. The session is in memory: what you create in it is gone when it ends.
    With --csv or --json, the last statement is the one whose result is printed; those before it prepare it.
    """
    from orderlake.errors import InputError
    from orderlake.lake.duck import DuckSession
    from orderlake.lake.query import parse_as_of

    if as_csv and as_json:
        raise InputError("--csv and --json exclude each other.", allowed="one of the two")
    form = "csv" if as_csv else "json" if as_json else None
    moment = parse_as_of(as_of) if as_of else None
    with DuckSession() as session:
        if statement is None and sys.stdin.isatty():
            _shell(app, session, form, moment)
        else:
            text = _without_commands(sys.stdin.read() if statement is None else statement)
            if not _run_all(app, session, text, form, moment):
                raise InputError("there is no statement to run.", remedy='give one: orderlake sql "show tables"')


def _run_all(app: App, session: DuckSession, text: str, form: str | None, as_of: AsOf | None) -> int:
    """Run the statements of a text; return their number."""
    from orderlake.errors import InputError
    from orderlake.lake.statements import returns_rows, split

    statements = split(session.connection, text)
    if form and any(returns_rows(session.connection, statement) for statement in statements[:-1]):
        raise InputError(
            f"--{form} prints one result; more than one of the {len(statements)} statements has one. Nothing was run.",
            remedy="run them one by one; what only prepares (create temp table ...) may stand before the last.",
        )
    for number, statement in enumerate(statements, 1):
        _run(app, session, statement, form, as_of, show=not form or number == len(statements))
    return len(statements)


def _without_commands(text: str) -> str:
    """Return a script with the shell's commands, where a statement may begin, put as SQL: .tables; .quit ends it."""
    from orderlake.lake.statements import is_complete

    lines: list[str] = []
    for line in text.splitlines():
        command = line.strip().removesuffix(";")
        if command.startswith(".") and is_complete("\n".join(lines)):
            if command in _QUIT:
                break
            line = "show tables;" if command == ".tables" else line  # noqa: PLW2901
        lines.append(line)
    return "\n".join(lines)


def _run(app: App, session: DuckSession, statement: str, form: str | None, as_of: AsOf | None, *, show: bool) -> None:
    from orderlake.lake.query import run
    from orderlake.progress import shown, task

    with shown(enabled=form is None), task("Querying"):
        columns, rows = run(session, app.lake, statement, as_of)
    if not show:
        return
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
            if not gathered and line.strip() in _QUIT | {"exit", "quit"}:
                return
            gathered.append(line if gathered else _without_commands(line))
            text = "\n".join(gathered)
            if not text.rstrip().endswith(";"):
                continue
            gathered = []
            try:
                _run_all(app, session, text, form, as_of)
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
