"""YAML with line numbers: a contract file as plain values plus the line of every value.

YAML 1.1 turns `NO` into false and `2026-01-31` into a date; contracts are full of country codes and versions, so
only `true` and `false` are booleans here and dates stay text (as in YAML 1.2). A key given twice is an error:
PyYAML would keep the last one silently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orderlake.errors import ContractError

#: Far more than any contract has: aliases of aliases double with every line, and Python's stack ends.
_MOST_VALUES = 100_000
_DEEPEST = 100

#: Keys and list positions from the root to a value.
Location = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2 booleans and no dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed YAML file.

    Attributes:
        data: the values: dict, list, str, int, float, bool or None.
        lines: line (from 1) of every location; of a mapping's value, the line of its key.
    """

    path: Path
    data: Any
    lines: dict[Location, int]

    def line(self, location: Location) -> int:
        """Return the line of a location, or of the nearest enclosing one that has a line."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def _collect(
    node: yaml.Node, location: Location, lines: dict[Location, int], path: Path, around: tuple[yaml.Node, ...] = ()
) -> None:
    lines.setdefault(location, node.start_mark.line + 1)
    if any(node is outer for outer in around):
        raise ContractError(f"{path}:{lines[location]}: an alias stands inside what it names.", remedy="write it out.")
    if len(lines) > _MOST_VALUES or len(around) > _DEEPEST:
        raise ContractError(
            f"{path}:{node.start_mark.line + 1}: the file has, its aliases written out, too many values.",
            allowed=f"{_MOST_VALUES:,} values, {_DEEPEST} levels deep",
        )
    around = (*around, node)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ContractError(
                    f"{path}:{line}: a key is not text but a list or a mapping.", remedy="give it a name."
                )
            if key.value in seen:
                raise ContractError(
                    f"{path}:{line}: the key {key.value!r} is given twice.", remedy="keep one of the two."
                )
            seen.add(key.value)
            lines[*location, key.value] = line
            _collect(value, (*location, key.value), lines, path, around)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            _collect(value, (*location, position), lines, path, around)


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ContractError: the file cannot be read, is not YAML, or has a key twice; with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"{path} cannot be read: {error}.", remedy="give a readable UTF-8 file.") from error
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise ContractError(f"{path}: not YAML: {' '.join(str(error).split())}.", remedy="correct the file.") from error
    try:
        node = loader.get_single_node()
        lines: dict[Location, int] = {}
        if node is None:
            return Document(path, None, lines)
        _collect(node, (), lines, path)
        return Document(path, loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ContractError(f"{path}:{line}: not YAML: {error.problem}.", remedy="correct the line.") from error
    except RecursionError as error:
        raise ContractError(f"{path} is nested too deeply.", allowed=f"{_DEEPEST} levels") from error
    except (ValueError, OverflowError) as error:  # a tag that its value does not fit, such as !!int x
        raise ContractError(f"{path}: not YAML: {error}.", remedy="correct the value.") from error
    finally:
        loader.dispose()
