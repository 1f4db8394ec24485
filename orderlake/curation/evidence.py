"""What is known of rows without reading them: their columns from the catalog, and their files' statistics.

Statistics prove that a rule holds; they never say by how much it is broken. What they cannot prove is left to the
scan, which counts and gives samples. They are believed where they are exact:

* null counts and bounds of numbers. Bounds of strings may be cut short, floats of 32 bits are rounded when they are
  compared, and doubles have bounds that pass over NaN, so a file must state that it has no NaN;
* counts of rows, unless rows are deleted by delete files (merge-on-read; only other engines write them here). Files
  then describe more rows than there are. A proof stands, since what holds for all rows holds for those that are left;
  a count does not, and is left to the scan.
"""

from __future__ import annotations

import datetime as dt
import itertools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import DecimalType, DoubleType, IntegerType, LongType, NestedField, PrimitiveType

from orderlake.contracts.checks import CheckSpec, Claim, Comparison
from orderlake.contracts.iceberg import iceberg_type
from orderlake.contracts.model import Contract
from orderlake.contracts.thresholds import Number
from orderlake.lake.evolution import differences
from orderlake.lake.partitions import files_by_day, has_deletes, live_files
from orderlake.lake.pins import Pin

_HOLDS = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}


@dataclass(frozen=True)
class Evidence:
    """What catalog and manifests say of the rows of one table.

    Attributes:
        schema: the columns that the rows have.
        differences: how the table differs from its contract, as sentences.
        files: data files by day.
        exact: whether every row of the files is live.
    """

    contract: Contract
    schema: Schema
    differences: Sequence[str] = ()
    files: Mapping[dt.date, Sequence[DataFile]] = field(default_factory=dict)
    exact: bool = True

    def rows(self, day: dt.date) -> int | None:
        """Return the rows of a day; None where the manifests do not tell."""
        return self._most_rows(day) if self.exact else None

    def proves(self, check: CheckSpec, day: dt.date) -> bool:
        """Return whether no row of a day can break a rule of kind row or unique."""
        most = self._most_rows(day)
        if check.kind == "unique" or check.claim is None:
            return most == 0 or (check.kind == "unique" and most == 1)
        column = self._column(check.claim.column)
        files = self.files.get(day, ())
        return all(file.record_count == 0 or (column and file_proves(check.claim, column, file)) for file in files)

    def _most_rows(self, day: dt.date) -> int:
        return sum(file.record_count for file in self.files.get(day, ()))

    def _column(self, name: str) -> NestedField | None:
        """Return a column if the rows have it as the contract says."""
        column = next((column for column in self.schema.fields if column.name == name), None)
        wanted = iceberg_type(self.contract.column(name).type, itertools.count(1))
        return column if column and column.field_type == wanted else None


def staged_evidence(contract: Contract, table: Table, files: Sequence[DataFile]) -> Evidence:
    """Return what is known of files that are not published yet."""
    return Evidence(contract, table.schema(), _differences(contract, table), files_by_day(table, files))


def published_evidence(contract: Contract, pinned: Pin) -> Evidence:
    """Return what is known of a table at a snapshot."""
    table, snapshot = pinned.table, pinned.snapshot
    written = table.schemas().get(snapshot.schema_id) if snapshot and snapshot.schema_id is not None else None
    return Evidence(
        contract,
        written or table.schema(),
        _differences(contract, table),
        files_by_day(table, live_files(table, snapshot)),
        exact=not has_deletes(table, snapshot),
    )


def _differences(contract: Contract, table: Table) -> list[str]:
    return [difference.text for difference in differences(table.schema(), contract.columns)]


def file_proves(claim: Claim, column: NestedField, file: DataFile) -> bool:
    """Return whether the statistics of a file prove a claim for all of its rows."""
    nulls = _count(file.null_value_counts, column)
    values = _count(file.value_counts, column)
    if values is not None and values != file.record_count:
        return False  # Statistics of something else than one value a row.
    if claim.never_null and nulls != 0:
        return False
    all_null = nulls == file.record_count
    return all_null or all(_holds(comparison, limit, column, file) for comparison, limit in claim.bounds)


def _holds(comparison: Comparison, limit: Number, column: NestedField, file: DataFile) -> bool:
    bounds = file.lower_bounds if comparison in {">=", ">"} else file.upper_bounds
    raw = (bounds or {}).get(column.field_id)
    kind = column.field_type
    if raw is None or not isinstance(kind, PrimitiveType):
        return False
    bound: Any = from_bytes(kind, raw)
    match kind:
        case DoubleType():
            return _count(file.nan_value_counts, column) == 0 and _HOLDS[comparison](bound, float(limit))
        case IntegerType() | LongType() | DecimalType():
            # In SQL 0.1 is a decimal, but 1e+22 a double, which would be compared with rounding.
            text = str(limit)
            return "e" not in text and _HOLDS[comparison](bound, Decimal(text))
    return False


def _count(counts: Mapping[int, int] | None, column: NestedField) -> int | None:
    return (counts or {}).get(column.field_id)
