"""Finds the contracts of a lake: the user's folders first, then the built-in ones.

A folder holds `contracts/topics/*.yaml` and `contracts/tables/<namespace>/*.yaml`. A contract in an earlier folder
takes the place of one for the same topic or table in a later folder, so a user can change a built-in contract
without forking; two in one folder are an error.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from orderlake.contracts import naming
from orderlake.contracts.model import Contract, Kind
from orderlake.contracts.odcs import examine, load_contract
from orderlake.contracts.problems import Problem
from orderlake.errors import ContractError

_PATTERNS: dict[Kind, str] = {"topic": "contracts/topics/*.yaml", "table": "contracts/tables/*/*.yaml"}


def contract_files(search_path: Iterable[Path]) -> Iterator[tuple[Path, Kind]]:
    """Yield every contract file of the folders, in search order.

    Raises:
        ContractError: a folder of the search path does not exist.
    """
    for folder in search_path:
        if not folder.is_dir():
            raise ContractError(
                f"{folder} is not a folder.",
                remedy="correct ORDERLAKE_PATHS, or create it with a folder contracts/.",
            )
        for kind, pattern in _PATTERNS.items():
            for path in sorted(folder.glob(pattern)):
                yield path, kind


def kind_of_place(path: Path) -> Kind | None:
    """Return what a contract file describes by the folder it stands in; None where the folder does not tell."""
    parents = [parent.name for parent in path.absolute().parents][:2]
    if parents[:1] == ["topics"]:
        return "topic"
    return "table" if "tables" in parents else None


def examine_all(
    files: Iterable[tuple[Path, Kind | None]],
) -> Iterator[tuple[Path, Contract | None, list[Problem]]]:
    """Yield (file, contract if it could be built, problems) without raising on problems inside the files."""
    for path, kind in files:
        contract, problems = examine(path, kind)
        yield path, contract, problems


class Registry:
    """The contracts of one lake, loaded once.

    Raises:
        ContractError: on first use, if any contract file is not usable or two of them collide.
    """

    def __init__(self, search_path: Sequence[Path]) -> None:
        self.search_path = tuple(search_path)

    @cached_property
    def _contracts(self) -> dict[Kind, dict[str, Contract]]:
        found: dict[Kind, dict[str, Contract]] = {"topic": {}, "table": {}}
        roots = {folder: number for number, folder in enumerate(self.search_path)}
        for path, kind in contract_files(self.search_path):
            contract = load_contract(path, kind)
            rival = found[kind].get(contract.physical_name)
            if rival is None:
                found[kind][contract.physical_name] = contract
            elif _root_of(path, roots) == _root_of(rival.path, roots):
                raise ContractError(
                    f"{rival.path} and {path} are both the contract of {contract.physical_name}.",
                    remedy="keep one of the two files.",
                )
        _refuse_collisions(found["topic"])
        return found

    @property
    def topics(self) -> dict[str, Contract]:
        """The contracts of topics by topic."""
        return self._contracts["topic"]

    @property
    def tables(self) -> dict[str, Contract]:
        """The contracts of tables by `namespace.table`."""
        return self._contracts["table"]

    def topic(self, name: str) -> Contract:
        """Return the contract of a topic.

        Raises:
            ContractError: there is none.
        """
        return _find(self.topics, name, "topic", self.search_path)

    def table(self, name: str) -> Contract:
        """Return the contract of a table.

        Raises:
            ContractError: there is none.
        """
        return _find(self.tables, name, "table", self.search_path)

    def any(self, name: str) -> Contract:
        """Return the contract of a topic or a table.

        Raises:
            ContractError: there is none.
        """
        return _find({**self.topics, **self.tables}, name, "topic or table", self.search_path)


def _root_of(path: Path, roots: dict[Path, int]) -> int:
    return max((number for folder, number in roots.items() if path.is_relative_to(folder)), default=-1)


def _find(contracts: dict[str, Contract], name: str, what: str, search_path: Sequence[Path]) -> Contract:
    if name in contracts:
        return contracts[name]
    close = difflib.get_close_matches(name, contracts, n=1)
    folders = ", ".join(str(folder) for folder in search_path)
    raise ContractError(
        f"no contract describes the {what} {name!r}.",
        allowed=sorted(contracts) or "none: there is no contract yet",
        remedy=f"did you mean {close[0]!r}?" if close else f"write one under contracts/ in one of: {folders}",
    )


def _refuse_collisions(topics: dict[str, Contract]) -> None:
    tables: dict[str, str] = {}
    for topic, contract in topics.items():
        table = naming.raw_table(topic)
        if table in tables:
            raise ContractError(
                f"the topics {tables[table]!r} and {topic!r} would both land in {table} ({contract.path}).",
                remedy="rename one topic: dots and dashes become underscores in table names.",
            )
        tables[table] = topic
