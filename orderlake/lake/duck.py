"""A DuckDB session over pinned tables: the SQL engine of the embedded profile.

Tables appear under their own names (`raw.x`, `analytics.orders`) as views over their pins. The session lives in
memory, in UTC, and installs nothing: its extensions come from wheels.
"""

from __future__ import annotations

import importlib.util
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


def literal(text: str) -> str:
    """Return a text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """Return a dotted name with every part quoted as a SQL identifier."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


class DuckSession:
    """A DuckDB connection whose views are pins. A context manager: its files go when it is closed."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="orderlake-duck-")
        self.connection = duckdb.connect()
        self.pins: dict[str, Pin] = {}
        self._files = 0
        for statement in (
            "set autoinstall_known_extensions = false",
            "set autoload_known_extensions = false",
            "set TimeZone = 'UTC'",
            "set preserve_insertion_order = false",
            f"set temp_directory = {literal(f'{self._folder.name}/spill')}",
        ):
            self.connection.execute(statement)
        for name in _EXTENSIONS:
            self.connection.execute(f"load {literal(str(extension_path(name)))}")

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
            self._files += 1
            path = Path(self._folder.name) / f"{self._files}-{pin.name}.metadata.json"
            path.write_text(pin.metadata_json)
            schema = pin.name.split(".")[0]
            self.connection.execute(f"create schema if not exists {quoted(schema)}")
            view = f"create or replace view {quoted(pin.name)} as from iceberg_scan({literal(str(path))})"
            try:
                self.connection.execute(view)
            except duckdb.Error as error:
                raise CatalogError(
                    f"the table {pin.name} cannot be read: {str(error).splitlines()[0]}.",
                    remedy=f"put back what is missing below {local_path(pin.table.location())} from a copy.",
                ) from error
            self.pins[pin.name] = pin

    def attach_files(self, name: str, files: Sequence[str]) -> None:
        """Make Parquet files readable as one relation; there must be at least one."""
        listed = ", ".join(literal(local_path(file)) for file in files)
        self.connection.execute(
            f"create or replace temp view {quoted(name)} as from read_parquet([{listed}], hive_partitioning = false)"
        )

    def execute(self, statement: str, parameters: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
        """Run one statement.

        Raises:
            QueryError: DuckDB refused it.
        """
        try:
            return self.connection.execute(statement, dict(parameters) if parameters else None)
        except duckdb.Error as error:
            raise QueryError(f"DuckDB refused the statement: {error}".replace("\n\n", "\n")) from error
