"""Opens a lake for reading from Python: tables at a snapshot, SQL over tables pinned together."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from orderlake.api.reading import Parameters, QueryResult
from orderlake.api.table_view import TableView
from orderlake.errors import ConnectionClosedError
from orderlake.lake.catalog import Lake
from orderlake.lake.duck import DuckSession
from orderlake.lake.pins import pin
from orderlake.lake.query import AsOfLike, parse_as_of, pin_read

if TYPE_CHECKING:
    import os

    from orderlake.settings import Settings


class Connection:
    """A lake that is read from Python; made by `orderlake.connect()`. A context manager: leaving it closes it.

    Threads may share a connection and what it gives back, but for DuckDB relations (`to_duckdb`): all of these run
    on one DuckDB connection, which serves one thread at a time. A process that forks opens its connections
    afterwards.

    Attributes:
        home: the lake's folder.
    """

    def __init__(self, settings: Settings) -> None:
        self.home: Path = settings.home
        self._lake = Lake.open(settings, create=False)
        self._lock = threading.Lock()
        self._duck: DuckSession | None = None
        self._closed = False

    def tables(self) -> list[str]:
        """Return the names of all tables, `namespace.table`, sorted.

        Raises:
            ConnectionClosedError: the connection is closed.
            CatalogError: the catalog does not answer.
        """
        return self._open_lake().table_names()

    def table(
        self,
        name: str,
        as_of: AsOfLike | None = None,
        *,
        columns: Iterable[str] | None = None,
        where: str | None = None,
    ) -> TableView:
        """Return a table, fixed at the snapshot that is the newest now or was at `as_of`; nothing is read yet.

        Args:
            name: `namespace.table`.
            as_of: a moment (datetime or ISO text, UTC unless it says otherwise; a date is its first instant), or
                the id of a snapshot.
            columns: the columns, in this order; default: all.
            where: a condition in DuckDB's SQL, e.g. `currency = 'EUR' and event_time >= '2026-01-31'`. It is taken
                as it is: values that come from elsewhere belong into the parameters of `sql`.

        Raises:
            InputError: there is no such table, column or snapshot, or the snapshots at that time have expired.
            QueryError: DuckDB refuses the condition.
            ConnectionClosedError: the connection is closed.
            CatalogError: the catalog does not answer.
        """
        moment = None if as_of is None else parse_as_of(as_of)
        lake = self._open_lake()
        view = TableView(lake, self._session, pin(lake.load(name), moment), columns, where)
        if where is not None:
            view.check()
        return view

    def sql(
        self, statement: str, as_of: AsOfLike | None = None, *, parameters: Parameters | None = None
    ) -> QueryResult:
        """Return the answer to a query in DuckDB's SQL; all tables in it are pinned now, together.

        Args:
            statement: one query; tables are named as `tables()` says.
            as_of: a moment for all of its tables; or the id of a snapshot of one of them, then the others are read
                as they were when it was committed.
            parameters: values by name for `$name`, or in order for `?`.

        Raises:
            QueryError: it is not one query, or DuckDB refuses it.
            InputError: no table has that snapshot, or the snapshots at that time have expired.
            ConnectionClosedError: the connection is closed.
            CatalogError: the catalog does not answer.
        """
        moment = None if as_of is None else parse_as_of(as_of)
        lake = self._open_lake()
        result = QueryResult(lake, self._session, pin_read(lake, statement, moment), statement, parameters)
        result.check()
        return result

    def close(self) -> None:
        """End the connection and everything that reads through it; again is no error."""
        with self._lock:
            duck, self._duck, self._closed = self._duck, None, True
        if duck is not None:
            duck.close()
        self._lake.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<orderlake connection to {self.home}{', closed' if self._closed else ''}>"

    def _open_lake(self) -> Lake:
        if self._closed:
            raise self._refusal()
        return self._lake

    def _session(self) -> DuckSession:
        """Return the DuckDB session; it is begun when it is first needed."""
        with self._lock:
            if self._closed:
                raise self._refusal()
            if self._duck is None:
                self._duck = DuckSession()
            return self._duck

    def _refusal(self) -> ConnectionClosedError:
        return ConnectionClosedError(
            f"the connection to {self.home} is closed.", remedy="open a new one: orderlake.connect(...)."
        )


def connect(home: str | os.PathLike[str] | None = None) -> Connection:
    """Open a lake; `orderlake.connect` describes it."""
    from orderlake.settings import load_settings

    settings = load_settings()
    if home is not None:
        settings = settings.model_copy(update={"home": Path(home).expanduser().absolute()})
    return Connection(settings)
