"""The words of lineage: references, inputs with their kind, gaps, and what they say of a column and of a table.

Kinds are those of OpenLineage's column lineage facet. A *direct* input gives its value: unchanged (`identity`),
computed (`transformation`) or from many rows (`aggregation`). An *indirect* one only decides: which value
(`conditional`), among which rows (`window`), or which rows there are (`filter`, `join`, `group_by`, `sort`).
One kind is ours: `rows`, for `count(*)` and its like, which depend on the existence of rows and on no value. Its
inputs are the columns that identify the counted rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "identity", "transformation", "aggregation", "rows", "conditional", "window", "filter", "join", "group_by", "sort"
]
#: The weakest first.
DIRECT: tuple[Kind, ...] = ("identity", "transformation", "aggregation")

#: Step of a path: any element of a list. Which element makes no difference to where a value comes from.
ANY = "*"
KAFKA = "kafka:"
LANDER = "lander"
#: The message's value as one JSON document.
DOCUMENT = "$"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Ref:
    """A column or what is inside it; or an origin, where lineage ends.

    Attributes:
        table: `namespace.table`; of an origin `kafka:<topic>` or `lander`.
        column: its column; of an origin `$` (the JSON document in the message's value), `message.<part>` (what
            Kafka keeps beside the value) or what the lander adds.
        path: the way into the column: names of fields, `*` for any element of a list.
    """

    table: str
    column: str
    path: tuple[str, ...] = ()

    @property
    def is_origin(self) -> bool:
        """Whether lineage ends here: in a message, or in what the lander adds to it."""
        return self.table == LANDER or self.table.startswith(KAFKA)

    @property
    def location(self) -> str:
        """The column and the way into it, e.g. `order_id`, `payload.items[*].sku`, `$.order_id`, `message.offset`."""
        return self.column + "".join(map(_step, self.path))

    def inside(self, path: tuple[str, ...]) -> Ref:
        """Return a reference to what is deeper inside."""
        return Ref(self.table, self.column, self.path + path)

    def __str__(self) -> str:
        return f"{self.table} {self.location}" if self.table.startswith(KAFKA) else f"{self.table}.{self.location}"


def _step(step: str) -> str:
    if step == ANY:
        return "[*]"
    return f".{step}" if _PLAIN.fullmatch(step) else f"['{step}']"


@dataclass(frozen=True, slots=True)
class Input:
    """A reference and how something depends on it."""

    ref: Ref
    kind: Kind

    @property
    def direct(self) -> bool:
        """Whether the value itself flows."""
        return self.kind in DIRECT


def through(outer: Kind, inner: Kind) -> Kind:
    """Return the kind of a dependency over two steps, e.g. an aggregation of an identity is an aggregation.

    What only decides in one of the steps only decides over both; the step nearer to the result names the kind.
    """
    if outer not in DIRECT:
        return outer
    return inner if inner not in DIRECT else max(outer, inner, key=DIRECT.index)


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a column that does not lead to an origin.

    Attributes:
        where: file and line of the SQL.
        broken: what is read cannot be found or followed, so inputs may be missing. Otherwise the part is made of no
            column at all (a constant, a clock), which is harmless beside parts that are.
    """

    reason: str
    where: str
    broken: bool


@dataclass(frozen=True, slots=True)
class ColumnLineage:
    """Where one column comes from.

    Attributes:
        expression: the SQL that makes it; empty for a landed column.
        inputs: what the expression reads, one step away.
        origins: where the inputs lead in the end.
        gaps: every part on the way that leads nowhere.
    """

    ref: Ref
    expression: str
    inputs: tuple[Input, ...]
    origins: tuple[Input, ...]
    gaps: tuple[Gap, ...]

    @property
    def resolved(self) -> bool:
        """Whether at least one path leads to an origin, and none is broken."""
        return bool(self.origins) and not any(gap.broken for gap in self.gaps)


@dataclass(frozen=True, slots=True)
class TableLineage:
    """Where a table's columns come from.

    Attributes:
        columns: those of the contract, in its order.
        filters: what decides over the table's rows as a whole, one step away: filters, joins, grouping, ordering.
    """

    table: str
    columns: tuple[ColumnLineage, ...]
    filters: tuple[Input, ...]

    @property
    def unresolved(self) -> tuple[ColumnLineage, ...]:
        """The columns that do not resolve."""
        return tuple(column for column in self.columns if not column.resolved)

    def __str__(self) -> str:
        return f"{len(self.columns) - len(self.unresolved)} of {len(self.columns)} columns resolve"
