"""Counts the bytes that this process reads while a context lasts, by kind of file.

Three counters, none of which samples or estimates:

* Python: every `read` and `seek` of PyIceberg's local input files goes through a counting wrapper: table metadata,
  manifest lists and manifests.
* DuckDB: its own log of the file system names every read with path and length; it is switched on in every session
  while counting. Parquet files are data, Avro and JSON files are metadata.
* The kernel: `rchar` of /proc/self/io, every byte that came through a read call, from the page cache or not. It holds
  the other two and what is neither table data nor metadata (SQLite pages of the catalog and of Dagster's instance,
  DuckDB's extensions, which are read to be verified, and the temporary copies of metadata that pins make), so it is the
  bound that nothing escapes.

Not told by the first two: Parquet that PyArrow reads while the ledger's small files are merged; the kernel's counter
has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pyiceberg.io.pyarrow import PyArrowFile

from orderlake.lake.duck import DuckSession


@dataclass
class Reading:
    """What was read.

    Attributes:
        opened: files by kind: data (Parquet), manifests (Avro) and metadata (JSON); a file that is opened twice counts
            twice.
        bytes: bytes by kind.
        by_table: bytes of data files by the folder of their table.
        process: bytes of all read calls of the process.
    """

    opened: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS.values(), 0))
    bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS.values(), 0))
    by_table: dict[str, int] = field(default_factory=dict)
    process: int = 0

    def note(self, path: str, count: int, opened: int = 0) -> None:
        """Add a read of a file."""
        kind = KINDS.get(Path(path).suffix)
        if kind is None:
            return
        self.opened[kind] += opened
        self.bytes[kind] += count
        if kind == "data" and "/data/" in path:
            table = "/".join(path.split("/data/", maxsplit=1)[0].split("/")[-2:])
            self.by_table[table] = self.by_table.get(table, 0) + count


KINDS = {".parquet": "data", ".avro": "manifests", ".json": "metadata"}


class _Counted:
    """An input stream that tells how much is read from it."""

    def __init__(self, stream: Any, path: str, reading: Reading) -> None:
        self._stream, self._path, self._reading = stream, path, reading

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size) if size >= 0 else self._stream.read()
        self._reading.note(self._path, len(data))
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def counted() -> Iterator[Reading]:
    """Count what this process reads; sessions that are open already are not counted."""
    reading = Reading()
    open_file, begin, close = PyArrowFile.open, DuckSession.__init__, DuckSession.close

    def counting_open(self: PyArrowFile, *arguments: Any, **named: Any) -> Any:
        reading.note(self.location, 0, opened=1)
        return _Counted(open_file(self, *arguments, **named), self.location, reading)

    def counting_begin(self: DuckSession) -> None:
        begin(self)
        self.connection.execute("call enable_logging('FileSystem')")

    def counting_close(self: DuckSession) -> None:
        # Files that DuckDB keeps open in its cache are not opened again; reads are what counts.
        for path, op, count in self.connection.execute(
            "select path, op, coalesce(bytes, 0) from duckdb_logs_parsed('FileSystem') where op in ('OPEN', 'READ')"
        ).fetchall():
            reading.note(path, count, opened=op == "OPEN")
        close(self)

    PyArrowFile.open, DuckSession.__init__, DuckSession.close = (  # type: ignore[method-assign]
        counting_open, counting_begin, counting_close,
    )  # fmt: skip
    before = _rchar()
    try:
        yield reading
    finally:
        PyArrowFile.open, DuckSession.__init__, DuckSession.close = (  # type: ignore[method-assign]
            open_file, begin, close,
        )  # fmt: skip
        reading.process = _rchar() - before


def _rchar() -> int:
    """Return the bytes of all read calls of this process so far; 0 where the kernel does not tell."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return int(lines[0].split()[1])
