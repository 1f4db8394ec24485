"""What the Python API gives back: rows of pinned tables, as Arrow, pandas or DuckDB.

Nothing is read before one of the `to_` methods is called, and each call reads anew: the same rows, because they
come from the same snapshots. Rows have no order unless the SQL gives them one. Every read has a DuckDB cursor of
its own, so that threads may read at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from textwrap import indent
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from orderlake.errors import InputError, OrderlakeError, QueryError, UnavailableError
from orderlake.lake.catalog import Lake
from orderlake.lake.duck import DuckSession, PinnedCatalog, refused
from orderlake.lake.pins import Pin
from orderlake.lake.query import with_tables

if TYPE_CHECKING:
    import pandas as pd

#: Values for the parameters of a statement: by name for `$name`, in order for `?`.
Parameters = Mapping[str, Any] | Sequence[Any]

#: Rows of a streamed batch: small enough to hold many, large enough that the cost per batch does not count.
_BATCH_ROWS = 65_536


class Reading:
    """One query over pinned tables.

    Attributes:
        statement: the SQL.
        snapshots: the id of the snapshot of each table it reads; None for a table that has none yet.
    """

    def __init__(
        self,
        lake: Lake,
        session: Callable[[], DuckSession],
        pins: Sequence[Pin],
        statement: str,
        parameters: Parameters | None = None,
    ) -> None:
        self.statement = statement
        self.snapshots = {pin.name: pin.snapshot_id for pin in pins}
        self._lake = lake
        self._session = session
        self._pins = pins
        self._parameters = dict(parameters) if isinstance(parameters, Mapping) else list(parameters or ())
        self._schema: pa.Schema | None = None

    def to_arrow(self) -> pa.Table:
        """Return all rows.

        Decimals are `decimal128`, times `timestamp[us, tz=UTC]`: nothing is rounded. DuckDB's sum of integers is a
        `decimal128(38, 0)`.

        Raises:
            QueryError: DuckDB refused the statement, or failed while it read.
            InputError: a snapshot has expired since it was pinned.
            ConnectionClosedError: the connection is closed.
        """
        with self._opened() as cursor:
            table = cursor.execute(self.statement, self._parameters).to_arrow_table()
        return table if self._schema is None else table.cast(self._schema)

    def to_arrow_batch_reader(self, batch_rows: int = _BATCH_ROWS) -> pa.RecordBatchReader:
        """Return a reader of the rows in batches: memory holds the row groups that are being read, never all rows.

        Read it to its end, or drop it: it holds a DuckDB cursor. It ends with an error if the connection is closed.

        Args:
            batch_rows: the most rows of a batch.

        Raises:
            InputError: `batch_rows` is not positive; else as `to_arrow`.
        """
        if batch_rows < 1:
            raise InputError(f"a batch cannot have {batch_rows} rows.", allowed="1 and more")
        stream = self._stream(batch_rows)
        return pa.RecordBatchReader.from_batches(next(stream), stream)

    def to_pandas(self, **kwargs: Any) -> pd.DataFrame:
        """Return all rows as a data frame of Arrow-backed columns (`pandas.ArrowDtype`).

        pandas' own types would turn whole numbers with gaps into floats and decimals into slow objects; Arrow's keep
        every value exact. `types_mapper=None` gives pandas' own types.

        Args:
            **kwargs: passed on to `pyarrow.Table.to_pandas`.

        Raises:
            UnavailableError: pandas is not installed; else as `to_arrow`.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise UnavailableError("pandas is not installed.", remedy="pip install 'orderlake[pandas]'") from error
        frame: pd.DataFrame = self.to_arrow().to_pandas(**{"types_mapper": pd.ArrowDtype, **kwargs})
        return frame

    def to_duckdb(self) -> duckdb.DuckDBPyRelation:
        """Return a DuckDB relation; filters and aggregates that are added to it run inside DuckDB.

        It lives as long as the connection. All relations of a connection can be joined with each other, and share
        one DuckDB connection: use them in one thread. Errors of the relation itself are DuckDB's.

        Of a statement with parameters, and of a PIVOT whose columns come from the data, the rows are computed now.

        Raises:
            As `to_arrow`.
        """
        session = self._session()
        if self._view is None:
            return session.connection.from_arrow(self.to_arrow())
        return session.connection.sql(f"from {self._view}")

    def check(self) -> None:
        """Let DuckDB plan the statement, so that what is wrong with it shows before it runs.

        Raises:
            QueryError: it is not one query, or DuckDB refuses it.
        """
        kinds = [part.type for part in self._session().statements(self.statement)]
        prepares = all(kind == duckdb.StatementType.CREATE for kind in kinds[:-1])  # the types of a PIVOT
        if not kinds or not prepares or kinds[-1] != duckdb.StatementType.SELECT:
            names = ", ".join(str(kind).removeprefix("StatementType.") for kind in kinds)
            raise QueryError(
                f"this is not one query: {names or 'there is no statement'}.",
                allowed="one SELECT, FROM, WITH, VALUES, PIVOT, DESCRIBE, SHOW or SUMMARIZE",
                remedy="what writes or creates belongs into a DuckDB database of your own.",
            )
        with self._opened() as cursor:
            try:
                cursor.execute(f"explain {self.statement}", self._parameters)
            except duckdb.Error:
                # The same mistake, with a message that quotes the statement as it was given.
                cursor.execute(self.statement, self._parameters)
                raise

    def _stream(self, batch_rows: int) -> Iterator[Any]:
        """Yield the schema, then the batches; begun by its caller, so that the cursor is given back in any case."""
        with self._opened() as cursor:
            reader = cursor.execute(self.statement, self._parameters).to_arrow_reader(batch_rows)
            schema = self._schema or reader.schema
            yield schema
            for batch in reader:
                self._session()
                yield batch.cast(schema)

    @cached_property
    def _view(self) -> str | None:
        """The statement as a view beside its pins, which stays until the connection closes; None: none can hold it."""
        if self._parameters:
            return None
        with self._refusals():
            catalog = self._session().catalog(self._pins)
            try:
                catalog.cursor.execute(f"create view {catalog.name}.main.result as {self.statement}")
            except duckdb.ParserException:
                catalog.close()
                return None
        return f"{catalog.name}.main.result"

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor that sees the pins; what goes wrong on it becomes our error."""
        session = self._session()
        catalog: PinnedCatalog | None = None
        with self._refusals():
            try:
                catalog = session.catalog(self._pins)
                yield catalog.cursor
            finally:
                if catalog is not None:
                    catalog.close()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise self._explained(refused(error)) from error
        except (pa.ArrowException, OSError) as error:
            # What fails within a stream passes through Arrow.
            raise self._explained(QueryError(f"DuckDB failed while it read: {error}")) from error

    def _explained(self, error: QueryError) -> OrderlakeError:
        """Return what is behind an error: a closed connection, an expired snapshot, or a wrong statement."""
        self._session()
        for pin in self._pins:
            table = self._lake.find(pin.name)
            if pin.snapshot_id is not None and (table is None or not table.metadata.snapshot_by_id(pin.snapshot_id)):
                return InputError(
                    f"snapshot {pin.snapshot_id} of {pin.name} has expired since it was pinned.",
                    remedy="ask for the table again.",
                )
        return with_tables(error, self._lake)


class QueryResult(Reading):
    """The answer to a SQL statement: all tables it reads are pinned together."""

    def __repr__(self) -> str:
        """The tables, and the statement: showing it reads nothing."""
        pinned = [f"{name} at snapshot {snapshot}" for name, snapshot in self.snapshots.items()]
        return f"<orderlake query over {', '.join(pinned) or 'no table'}\n{indent(self.statement, '  ')}>"
