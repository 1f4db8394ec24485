"""A DuckDB session over pinned tables: the SQL engine of the embedded profile.

Tables appear under their own names (`raw.x`, `analytics.orders`) as views over their pins. The session lives in
memory, in UTC, and installs nothing: its extensions come from wheels. A reader that shares a session with others
takes a `PinnedCatalog`, in which the names mean its own pins for as long as it likes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import itertools
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from orderlake.errors import CatalogError, QueryError, UnavailableError
from orderlake.lake.pins import Pin
from orderlake.locations import local_path

#: In the order in which they need each other.
_EXTENSIONS = ("httpfs", "avro", "iceberg")


def extension_path(name: str) -> Path:
    """Return the file of a DuckDB extension that came as a wheel.

    Raises:
        UnavailableError: the wheel is not installed, or has no build for this platform.
    """
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        for path in Path(folder).rglob(f"{name}.duckdb_extension"):
            return path
    raise UnavailableError(
        f"the DuckDB extension {name!r} is not installed.", remedy=f"pip install duckdb-extension-{name}==1.5.5"
    )


#: The extension files whose signatures this process has checked, with their state then. DuckDB reads 80 MB to do it,
#: which takes longer than most of our statements.
_verified: dict[Path, tuple[int, int]] = {}


def _extension_files() -> dict[Path, tuple[int, int]]:
    """Return size and time of change of every extension's file, in the order of loading."""
    states = {path: path.stat() for path in map(extension_path, _EXTENSIONS)}
    return {path: (state.st_size, state.st_mtime_ns) for path, state in states.items()}


def literal(text: str) -> str:
    """Return a text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """Return a dotted name with every part quoted as a SQL identifier."""
    return ".".join(identifier(part) for part in name.split("."))


def identifier(name: str) -> str:
    """Return one name, dots included, quoted as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def refused(error: duckdb.Error) -> QueryError:
    """Return DuckDB's refusal of a statement as our error."""
    return QueryError(f"DuckDB refused the statement: {error}".replace("\n\n", "\n"))


class DuckSession:
    """A DuckDB connection whose views are pins. A context manager: its files go when it is closed."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="orderlake-duck-")
        # Files whose signatures this process has checked are not checked again; nothing else comes in unsigned.
        files = _extension_files()
        known = all(_verified.get(path) == state for path, state in files.items())
        self.connection = duckdb.connect(config={"allow_unsigned_extensions": known})
        self.pins: dict[str, Pin] = {}
        self._numbers = itertools.count(1)
        try:
            self._prepare(files)
        except BaseException:
            self.close()
            raise
        _verified.update(files)

    def _prepare(self, files: Iterable[Path]) -> None:
        for statement in (
            "set autoinstall_known_extensions = false",
            "set autoload_known_extensions = false",
            "set TimeZone = 'UTC'",
            "set preserve_insertion_order = false",
            # Else a name in SQL that is no table may find a variable of the Python function that runs it.
            "set global python_enable_replacements = false",
            f"set temp_directory = {literal(f'{self._folder.name}/spill')}",
            *(f"load {literal(str(path))}" for path in files),
            "set allow_unsigned_extensions = false",
        ):
            self.connection.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session and delete its files."""
        self.connection.close()
        self._folder.cleanup()

    def attach(self, pins: Iterable[Pin]) -> None:
        """Make pinned tables readable under their names; a name that is attached already is pinned anew.

        Raises:
            CatalogError: files of a table are missing or damaged.
        """
        for pin in pins:
            self._create_view(self.connection, pin)
            self.pins[pin.name] = pin

    def catalog(self, pins: Iterable[Pin]) -> PinnedCatalog:
        """Return a database in which these pins, and nothing else of the lake, are readable under their names."""
        name = f"pinned_{next(self._numbers)}"
        cursor = self.connection.cursor()
        # A cursor has settings of its own: it does not inherit the time zone.
        cursor.execute(f"set TimeZone = 'UTC'; attach ':memory:' as {name}; use {name}")
        for pin in pins:
            self._create_view(cursor, pin)
        return PinnedCatalog(name, cursor)

    def _create_view(self, connection: duckdb.DuckDBPyConnection, pin: Pin) -> None:
        text = pin.metadata_json
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        path = Path(self._folder.name) / f"{digest}.metadata.json"
        if not path.exists():
            unfinished = path.with_suffix(f".{next(self._numbers)}")
            unfinished.write_text(text)
            unfinished.replace(path)
        connection.execute(f"create schema if not exists {quoted(pin.name.split('.')[0])}")
        view = f"create or replace view {quoted(pin.name)} as from iceberg_scan({literal(str(path))})"
        try:
            connection.execute(view)
        except duckdb.IOException as error:
            raise CatalogError(
                f"the table {pin.name} cannot be read: {str(error).splitlines()[0]}.",
                remedy=f"put back what is missing below {local_path(pin.table.location())} from a copy.",
            ) from error

    def attach_files(self, name: str, files: Sequence[str]) -> None:
        """Make Parquet files readable as one relation; there must be at least one."""
        listed = ", ".join(literal(local_path(file)) for file in files)
        self.connection.execute(
            f"create or replace temp view {quoted(name)} as from read_parquet([{listed}], hive_partitioning = false)"
        )

    def statements(self, text: str) -> list[duckdb.Statement]:
        """Return the statements of a script; DuckDB may make several of one PIVOT.

        Raises:
            QueryError: the text is no SQL.
        """
        try:
            return self.connection.extract_statements(text)
        except duckdb.Error as error:
            raise refused(error) from error

    def execute(self, statement: str, parameters: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
        """Run one statement.

        Raises:
            QueryError: DuckDB refused it.
        """
        try:
            return self.connection.execute(statement, dict(parameters) if parameters else None)
        except duckdb.Error as error:
            raise refused(error) from error


class PinnedCatalog:
    """A DuckDB database of a session that holds views over some pins and stays as it is.

    Attributes:
        name: its name in the session; views that are created in it find the pins from every connection.
        cursor: a connection of its own, on which names mean these pins; for one thread at a time.
    """

    def __init__(self, name: str, cursor: duckdb.DuckDBPyConnection) -> None:
        self.name = name
        self.cursor = cursor

    def close(self) -> None:
        """Drop the database; nothing happens if the session has ended."""
        with contextlib.suppress(duckdb.Error):
            self.cursor.execute(f"use memory; detach {self.name}")
            self.cursor.close()
