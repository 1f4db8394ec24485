"""What every command shares: settings, the lake, the contracts, how results and errors are written.

Results go to stdout, everything else (progress, logs, errors) to stderr. With --json a result is one JSON document.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from orderlake.contracts.registry import Registry
    from orderlake.lake.catalog import Lake
    from orderlake.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

#: Columns of a table printed into a file or a pipe.
_WIDE = 240


class App:
    """The environment of one invocation; everything is loaded when it is first used."""

    @cached_property
    def settings(self) -> Settings:
        """The settings; logging is set up with them: a command that prints a result logs warnings only."""
        from orderlake.logging import configure_logging
        from orderlake.settings import load_settings

        settings = load_settings()
        level = "WARNING" if settings.log.level == "INFO" else settings.log.level
        configure_logging(level, settings.log.format)
        return settings

    def log_as_service(self) -> None:
        """Log at the level of the settings: for commands that run until they are stopped."""
        from orderlake.logging import configure_logging

        configure_logging(self.settings.log.level, self.settings.log.format)

    @cached_property
    def registry(self) -> Registry:
        """The contracts."""
        from orderlake.contracts.registry import Registry

        return Registry(self.settings.search_path)

    @cached_property
    def lake(self) -> Lake:
        """The lake."""
        from orderlake.lake.catalog import Lake

        return Lake.open(self.settings)


pass_app = click.make_pass_decorator(App, ensure=True)


def json_option(function: F) -> F:
    """Add the option --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)


def print_json(value: object) -> None:
    """Print a value as JSON: exact decimals as numbers, times in ISO 8601, bytes in base64."""
    import msgspec

    encoded = msgspec.json.Encoder(decimal_format="number").encode(value)
    click.echo(msgspec.json.format(encoded, indent=2).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print rows as a table; numbers are aligned to the right."""
    from rich.table import Table

    rows = list(rows)
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for position, name in enumerate(columns):
        numeric = bool(rows) and all(_is_number(row[position]) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def console(*, stderr: bool = False) -> Any:
    """Return a rich console that is wide where nobody's terminal would wrap it."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # the command line's to handle; rich would end with 1

    stream = sys.stderr if stderr else sys.stdout
    return Plain(file=stream, width=None if stream.isatty() else _WIDE, highlight=False, markup=False)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        click.echo(f"{name:<{width}}  {_cell(value)}")


def _is_number(value: object) -> bool:
    from decimal import Decimal

    return value is None or (isinstance(value, int | float | Decimal) and not isinstance(value, bool))


def _cell(value: object) -> str:
    import datetime as dt

    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="replace")
    return str(value)
