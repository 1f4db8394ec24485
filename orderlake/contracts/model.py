"""A data contract in memory: what `odcs` reads and every compiler works from.

All values are immutable. Names follow ODCS where it has one; `kind` is ours: a contract describes a Kafka topic or
an Iceberg table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orderlake.contracts.types import ColumnType

Kind = Literal["topic", "table"]
Severity = Literal["error", "warning", "info"]
#: ODCS 3.2 data quality dimensions.
Dimension = Literal["accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness"]
#: How a decimal or a number is written in a JSON message.
Wire = Literal["string", "number"]


@dataclass(frozen=True, slots=True)
class Constraints:
    """ODCS logicalTypeOptions and enum: what a value must satisfy. Lengths are in Unicode code points."""

    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    format: str | None = None
    minimum: float | int | None = None
    maximum: float | int | None = None
    exclusive_minimum: float | int | None = None
    exclusive_maximum: float | int | None = None
    multiple_of: float | int | None = None
    enum: tuple[str | int, ...] | None = None


@dataclass(frozen=True, slots=True)
class QualityRule:
    """One ODCS quality rule.

    Attributes:
        name: unique within the contract, letters, digits and underscores.
        metric: `sql`, or a library metric (nullValues, missingValues, invalidValues, duplicateValues, rowCount).
        operator: the ODCS operator, e.g. `mustBe`, `mustBeLessThan`, `mustBeBetween`.
        operand: its number, or pair of numbers.
        unit: `rows`, or `percent` of the rows.
        query: the statement of a `sql` rule; it returns one number.
        column: the column it is declared on; None for rules of the table.
        line: where it stands in the contract file, from 1.
    """

    name: str
    metric: str
    operator: str
    operand: float | int | tuple[float | int, float | int]
    unit: Literal["rows", "percent"] = "rows"
    query: str | None = None
    arguments: tuple[tuple[str, object], ...] = ()
    severity: Severity = "error"
    dimension: Dimension | None = None
    description: str = ""
    column: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """One property of a contract.

    Attributes:
        timezone: for a timestamp in a message: its text must carry a zone (else it is meant as UTC).
        wire: for a decimal in a message: a JSON string or a JSON number.
    """

    name: str
    type: ColumnType
    required: bool = False
    unique: bool = False
    description: str = ""
    classification: str | None = None
    tags: tuple[str, ...] = ()
    primary_key_position: int | None = None
    constraints: Constraints = Constraints()
    timezone: bool = True
    wire: Wire = "string"
    line: int = 0


@dataclass(frozen=True, slots=True)
class Sla:
    """One ODCS slaProperty, e.g. freshness 60 s of `orders.event_time`."""

    property: str
    value: str | float | int | bool | None
    unit: str | None
    element: str | None
    description: str = ""


@dataclass(frozen=True, slots=True)
class TopicOptions:
    """What only the contract of a topic declares (ODCS customProperties of vendor `orderlake`).

    Attributes:
        dialect: how the source speaks; decides the decoder.
        message_key: the field that producers use as Kafka key.
        payload: keep the original bytes in `_payload`, or drop them.
        partitions: partitions of the topic where orderlake creates it.
        config: Kafka topic configuration where orderlake creates it, e.g. retention.ms.
    """

    dialect: Literal["flat"] = "flat"
    message_key: str | None = None
    payload: Literal["keep", "drop"] = "keep"
    partitions: int = 4
    config: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract for one topic or one table.

    Attributes:
        id: the contract's identifier (ODCS `id`).
        physical_name: the topic's name, or `namespace.table`.
        schema_name: name of the ODCS schema object: what slaProperties call it.
        partition_column: the timestamp or date whose UTC day (or hour) is the partition.
        path: the file it was read from.
        line: where the table or topic is described in it.
    """

    id: str
    title: str
    version: str
    status: str
    kind: Kind
    physical_name: str
    description: str
    grain: str
    owner: str
    domain: str
    columns: tuple[Column, ...]
    schema_name: str = ""
    partition_column: str | None = None
    partition_transform: Literal["day", "hour"] = "day"
    quality: tuple[QualityRule, ...] = ()
    slas: tuple[Sla, ...] = ()
    tags: tuple[str, ...] = ()
    topic: TopicOptions = TopicOptions()
    path: Path = field(default=Path(), compare=False)
    line: int = field(default=1, compare=False)

    def column(self, name: str) -> Column:
        """Return the column of that name.

        Raises:
            KeyError: the contract has none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The primary key's columns in their declared order."""
        keyed = [c for c in self.columns if c.primary_key_position is not None]
        return tuple(c.name for c in sorted(keyed, key=lambda c: c.primary_key_position or 0))

    def place(self, line: int) -> str:
        """Return `file:line`, the file as it is named below the folder `contracts`: the same on every machine."""
        parts = self.path.parts
        below = parts[-parts[::-1].index("contracts") :] if "contracts" in parts[:-1] else parts[-1:]
        return f"{'/'.join(below)}:{line}"

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)
