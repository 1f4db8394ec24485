"""Opens the Iceberg catalog of a lake and finds its tables.

The embedded profile keeps the catalog in SQLite: write-ahead logging lets readers go on while a commit is written,
and a busy timeout makes concurrent writers wait for each other instead of failing.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError, ValidationError
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from sqlalchemy import URL, event, select
from sqlalchemy.exc import SQLAlchemyError

from orderlake.errors import CatalogError, InputError
from orderlake.folders import make_folder
from orderlake.locations import local_path
from orderlake.settings import Settings

#: Name of the catalog inside the catalog database; Trino and Flink must use the same.
CATALOG_NAME = "lake"
_BUSY_TIMEOUT_MS = 60_000

#: What reading a metadata file or a manifest raises that is missing, cut off or overwritten.
UNREADABLE = (OSError, ValueError, ValidationError)

#: Properties of every table. Manifests are merged so that planning and commits stay cheap over thousands of commits;
#: old metadata files are removed as new ones come (snapshots are what keeps history, not metadata files).
TABLE_PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}


def _prepare_connection(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"pragma busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("pragma journal_mode = wal")
    cursor.close()


def _open_sqlite(path: Path, warehouse: str) -> SqlCatalog:
    # As text, the path would be unescaped once more: "%" and "?" in it mean something in an address.
    address = URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)
    # Two processes that meet an empty database race in SqlCatalog's "create tables": the first one in does it alone.
    with filelock.FileLock(path.with_suffix(".lock")):
        catalog = SqlCatalog(CATALOG_NAME, uri=address, warehouse=warehouse, init_catalog_tables="false")
        event.listen(catalog.engine, "connect", _prepare_connection)
        catalog.create_tables()
    return catalog


class Lake:
    """One lake: its catalog and where its tables are.

    Attributes:
        catalog: the Iceberg catalog.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    @classmethod
    def open(cls, settings: Settings, *, create: bool = True) -> Lake:
        """Open the lake of a profile.

        Args:
            settings: where it is.
            create: begin an embedded lake where there is none.

        Raises:
            SettingsError: the lake's folder cannot be made.
            InputError: there is no lake, and none is to be created.
            CatalogError: the catalog cannot be opened.
        """
        if not create and not (settings.home / "catalog.db").is_file():
            raise InputError(
                f"there is no lake in {settings.home}.",
                remedy=[
                    "name the folder of another one: ORDERLAKE_HOME, or orderlake.connect(home=...).",
                    "or begin one here: `orderlake demo`, or `orderlake up` and `orderlake land`.",
                ],
            )
        path = make_folder(settings.home, "ORDERLAKE_HOME") / "catalog.db"
        try:
            return cls(_open_sqlite(path, settings.warehouse))
        except (SQLAlchemyError, OSError) as error:
            raise CatalogError(
                f"the Iceberg catalog {path} cannot be opened: {_first_line(error)}.",
                remedy=[
                    f"if the file is damaged, put back a copy; the tables under {settings.warehouse} are not touched.",
                    "or begin a new lake: set ORDERLAKE_HOME to an empty folder.",
                ],
            ) from error

    def close(self) -> None:
        """Give back the catalog's connections; the lake opens new ones when it is used again."""
        self.catalog.close()

    def table_names(self) -> list[str]:
        """Return every table as `namespace.table`, sorted.

        Raises:
            CatalogError: the catalog does not answer.
        """
        try:
            return sorted(
                ".".join(identifier)
                for namespace in self.catalog.list_namespaces()
                for identifier in self.catalog.list_tables(namespace)
            )
        except SQLAlchemyError as error:
            raise _unreadable(error) from error

    def find(self, name: str) -> Table | None:
        """Return a table at its newest state, or None if it does not exist.

        Raises:
            CatalogError: the catalog does not answer, or the table's metadata file is missing or damaged.
        """
        if "." not in name:
            return None  # PyIceberg refuses a name without a namespace with an error of its own
        try:
            return self.catalog.load_table(name)
        except NoSuchTableError:
            return None
        except SQLAlchemyError as error:
            raise _unreadable(error) from error
        except UNREADABLE as error:
            location = self._metadata_location(name)
            if location is None:
                raise
            raise damaged(name, location, error) from error

    def load(self, name: str) -> Table:
        """Return a table at its newest state.

        Raises:
            InputError: it does not exist.
            CatalogError: the catalog does not answer, or the table's metadata file is missing or damaged.
        """
        table = self.find(name)
        if table is not None:
            return table
        names = self.table_names()
        close = difflib.get_close_matches(name, names, n=1)
        raise InputError(
            f"there is no table {name!r} in this lake.",
            allowed=names or "none: nothing has been landed yet",
            remedy=f"did you mean {close[0]!r}?" if close else "land or materialize it first.",
        )

    def _metadata_location(self, name: str) -> str | None:
        """Return the metadata file of a table as the catalog names it; None where it names none."""
        if not isinstance(self.catalog, SqlCatalog):
            return None
        namespace, _, table = name.rpartition(".")
        wanted = select(IcebergTables.metadata_location).filter_by(
            catalog_name=self.catalog.name, table_namespace=namespace, table_name=table
        )
        with self.catalog.engine.connect() as connection:
            location: str | None = connection.execute(wanted).scalar()
        return location

    def create(self, name: str, schema: Schema, spec: PartitionSpec, properties: dict[str, str]) -> Table:
        """Return the table of that name, created if it does not exist."""
        namespace, _ = name.split(".")
        try:
            self.catalog.create_namespace_if_not_exists(namespace)
            return self.catalog.create_table(
                name, schema, partition_spec=spec, properties={**TABLE_PROPERTIES, **properties}
            )
        except TableAlreadyExistsError:
            return self.load(name)
        except SQLAlchemyError as error:
            raise _unreadable(error) from error


def damaged(name: str, location: str, error: Exception) -> CatalogError:
    """Return the error that says that a file of a table is missing or damaged.

    Args:
        name: the table.
        location: the file that led to it: the table's metadata file.
        error: what reading met.
    """
    path = Path(local_path(location))
    reason = f"cannot be read: {_first_line(error)}" if path.exists() else "is missing"
    return CatalogError(
        f"the table {name} cannot be read: its metadata file {path} {reason}.",
        remedy=[
            f"put back {path.parent.parent} from a copy.",
            "or, if the lake was moved, move it back: tables are found by their absolute paths.",
            "or begin a new lake: set ORDERLAKE_HOME to an empty folder; then land and materialize again.",
        ],
    )


@contextlib.contextmanager
def reading(table: Table) -> Iterator[None]:
    """Turn what goes wrong while the files of a table's snapshots are read into an error that names the table."""
    try:
        yield
    except UNREADABLE as error:
        raise CatalogError(
            f"the table {'.'.join(table.name())} cannot be read: {_first_line(error)}.",
            remedy=f"put back what is missing below {local_path(table.location())} from a copy.",
        ) from error


def _unreadable(error: Exception) -> CatalogError:
    return CatalogError(
        f"the Iceberg catalog does not answer: {_first_line(error)}.", remedy="run `orderlake doctor`; then try again."
    )


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0].rstrip(".")
