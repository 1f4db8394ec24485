"""SQL models: one SELECT per table, in `sql/models/<namespace>/<table>.sql`, with its contract beside it.

A model is written in DuckDB's dialect and begins with a comment that states grain, key and inputs. It reads its
inputs by name, restricted to `$window_start` and `$window_end`; the window's days are exactly what it returns.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from orderlake.contracts.model import Contract
from orderlake.contracts.naming import RAW, raw_table
from orderlake.contracts.registry import Registry
from orderlake.errors import ModelError

_HEADER = re.compile(r"^--\s*(grain|key|inputs):\s*(.+?)\s*$", re.MULTILINE)
_PARAMETERS = {"window_start", "window_end"}


@dataclass(frozen=True)
class Model:
    """One table made by SQL.

    Attributes:
        name: `namespace.table`.
        sql: the statement, with its header.
        inputs: the tables it reads, sorted.
        contract: the contract of the table.
        path: the file of the SQL.
    """

    name: str
    sql: str
    inputs: tuple[str, ...]
    contract: Contract
    path: Path

    @cached_property
    def code_version(self) -> str:
        """Fingerprint of what decides the rows: the statement without comments and layout, and the columns' types."""
        canonical = sqlglot.parse_one(self.sql, dialect="duckdb").sql("duckdb", comments=False, normalize=True)
        columns = ",".join(f"{column.name}:{column.type}" for column in self.contract.columns)
        return hashlib.sha256(f"{canonical}|{columns}".encode()).hexdigest()[:12]

    @property
    def partition_column(self) -> str:
        """The column whose UTC day is the partition."""
        assert self.contract.partition_column is not None  # noqa: S101 - load_models has made sure
        return self.contract.partition_column


def _read(path: Path, registry: Registry) -> Model:
    name = f"{path.parent.name}.{path.stem}"
    sql = path.read_text(encoding="utf-8")
    header = dict(_HEADER.findall(sql))
    missing = {"grain", "key", "inputs"} - header.keys()
    if missing:
        raise ModelError(
            f"{path}: the header does not state {', '.join(sorted(missing))}.",
            allowed="comment lines `-- grain: ...`, `-- key: a, b`, `-- inputs: namespace.table, ...`",
        )
    contract = registry.table(name)
    if contract.partition_column is None:
        raise ModelError(
            f"{contract.path}: {name} is made by SQL but has no partition column.",
            remedy="mark the event time or the day with `partitioned: true`.",
        )
    if contract.partition_transform != "day":
        raise ModelError(f"{contract.path}: {name} is made by SQL and so is partitioned by day.", allowed="day")
    _compare(path, "key", _listed(header["key"]), contract.primary_key, "the contract's primaryKey is")
    inputs = tuple(sorted(_inputs(path, sql)))
    _compare(path, "inputs", sorted(_listed(header["inputs"])), inputs, "the statement reads")
    return Model(name, sql, inputs, contract, path)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _compare(path: Path, what: str, stated: Sequence[str], actual: Sequence[str], says: str) -> None:
    if list(stated) != list(actual):
        raise ModelError(
            f"{path}: the header states {what} {', '.join(stated)}; {says} {', '.join(actual)}.",
            remedy="make the two agree.",
        )


def _inputs(path: Path, sql: str) -> set[str]:
    try:
        statements = sqlglot.parse(sql, dialect="duckdb")
    except SqlglotError as error:
        raise ModelError(f"{path} is not SQL: {str(error).splitlines()[0]}", remedy="correct the statement.") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ModelError(f"{path} is not one SELECT.", remedy="write one statement per file.")
    statement = statements[0]
    used = {parameter.name for parameter in statement.find_all(exp.Parameter, exp.Placeholder)}
    if used != _PARAMETERS:
        raise ModelError(
            f"{path} uses the parameters {sorted(used)}.",
            allowed="$window_start and $window_end, both",
            remedy="restrict every input to the window.",
        )
    local = {cte.alias for cte in statement.find_all(exp.CTE)}
    return {f"{t.db}.{t.name}" for t in statement.find_all(exp.Table) if t.db or t.name not in local}


def load_models(search_path: Sequence[Path], registry: Registry) -> dict[str, Model]:
    """Return all models by table, each after those it reads. A user's model takes the place of a built-in one.

    Raises:
        ModelError: a model cannot be read, reads what nobody makes, or reads itself.
        ContractError: a model's table has no contract.
    """
    found: dict[str, Model] = {}
    for folder in search_path:
        for path in sorted(folder.glob("sql/models/*/*.sql")):
            if f"{path.parent.name}.{path.stem}" not in found:
                model = _read(path, registry)
                found[model.name] = model
    raw = {raw_table(topic) for topic in registry.topics}
    for model in found.values():
        for name in model.inputs:
            if name not in found and name not in raw:
                raise ModelError(
                    f"{model.path} reads {name}, which neither a topic lands nor a model makes.",
                    allowed=sorted(raw | found.keys()),
                )
    return {name: found[name] for name in _in_order(found)}


def _in_order(models: Mapping[str, Model]) -> Iterator[str]:
    graph = {name: {i for i in model.inputs if i in models} for name, model in models.items()}
    try:
        yield from TopologicalSorter(graph).static_order()
    except CycleError as error:
        raise ModelError(
            f"the models {' -> '.join(error.args[1])} read each other in a circle.", remedy="break the circle."
        ) from error


def is_raw(name: str) -> bool:
    """Return whether a table is landed rather than made by a model."""
    return name.startswith(f"{RAW}.")
