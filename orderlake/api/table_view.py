"""A table as the Python API shows it: what metadata tells at once, and the rows when they are asked for."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from orderlake.api.reading import Reading
from orderlake.errors import InputError
from orderlake.lake.catalog import Lake
from orderlake.lake.duck import DuckSession, identifier, quoted
from orderlake.lake.files import described_schema
from orderlake.lake.partitions import total_rows
from orderlake.lake.pins import Pin

_SHOWN_COLUMNS = 40
_SHOWN_DESCRIPTION = 60


class TableView(Reading):
    """A table, or some of its columns and rows, at one snapshot.

    Attributes:
        name: `namespace.table`.
        snapshot_id: the snapshot; None if there was none yet: the table was empty.
        snapshot_at: when it was committed, in UTC, to the millisecond.
        row_count: its rows, from metadata; None where only reading tells: with a `where`, or where another engine
            has left delete files.
        schema: the columns in Arrow's types; `doc` in the metadata of a field is its description.
        descriptions: what the contract says about the columns that it describes, by name.
    """

    def __init__(
        self,
        lake: Lake,
        session: Callable[[], DuckSession],
        pin: Pin,
        columns: Iterable[str] | None = None,
        where: str | None = None,
    ) -> None:
        schema = described_schema(pin.schema)
        chosen = _chosen(pin.name, schema.names, columns)
        listed = ", ".join(identifier(name) for name in chosen)
        # The line break ends a comment in the condition.
        condition = f" where ({where}\n)" if where is not None else ""
        super().__init__(lake, session, [pin], f"select {listed} from {quoted(pin.name)}{condition}")
        self.schema = self._schema = pa.schema([schema.field(name) for name in chosen])
        self.descriptions: dict[str, str] = {
            field.name: field.metadata[b"doc"].decode() for field in self.schema if b"doc" in (field.metadata or {})
        }
        self.name = pin.name
        self.snapshot_id = pin.snapshot_id
        self.snapshot_at = (
            dt.datetime.fromtimestamp(pin.snapshot.timestamp_ms / 1000, tz=dt.UTC) if pin.snapshot else None
        )
        self.row_count = total_rows(pin.snapshot) if where is None and not _has_deletes(pin) else None

    def __repr__(self) -> str:
        """Name, snapshot, rows and columns: showing it reads nothing."""
        rows = "rows by a condition" if self.row_count is None else f"{self.row_count:,} rows"
        at = f"snapshot {self.snapshot_id} of {self.snapshot_at:%Y-%m-%d %H:%M:%SZ}" if self.snapshot_at else "empty"
        shown = list(self.schema)[:_SHOWN_COLUMNS]
        width = max(len(field.name) for field in shown)
        kinds = max(len(str(field.type)) for field in shown)
        lines = [f"<orderlake table {self.name}, {at}, {rows}"]
        lines += [f"  {f.name:<{width}}  {f.type!s:<{kinds}}  {self._description(f.name)}".rstrip() for f in shown]
        if len(self.schema) > len(shown):
            lines.append(f"  and {len(self.schema) - len(shown)} more columns")
        return "\n".join([*lines, "  rows: .to_arrow() .to_arrow_batch_reader() .to_pandas() .to_duckdb()>"])

    def _description(self, column: str) -> str:
        text = self.descriptions.get(column, "")
        return text if len(text) <= _SHOWN_DESCRIPTION else text[: _SHOWN_DESCRIPTION - 1].rstrip() + "…"


def _chosen(table: str, names: Sequence[str], columns: Iterable[str] | None) -> list[str]:
    """Return the columns that are asked for, each of which the table must have."""
    if columns is None:
        return list(names)
    chosen = [columns] if isinstance(columns, str) else list(columns)
    for name in chosen:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            raise InputError(
                f"{table} has no column {name!r}.", allowed=names, remedy=f"did you mean {close[0]!r}?" if close else ()
            )
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError(
            f"a column of {table} is asked for twice." if chosen else f"no column of {table} is asked for.",
            allowed=names,
            remedy="leave `columns` out for all of them.",
        )
    return chosen


def _has_deletes(pin: Pin) -> bool:
    """Tell whether rows are deleted by files of their own, which the total of the summary does not know."""
    summary = pin.snapshot.summary if pin.snapshot else None
    return summary is not None and summary.additional_properties.get("total-delete-files", "0") != "0"
