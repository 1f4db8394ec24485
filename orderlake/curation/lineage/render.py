"""Lineage for people and programs: a tree of text, a Mermaid flowchart, a document for JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from orderlake.curation.lineage.graph import Lineage
from orderlake.curation.lineage.values import ColumnLineage, Gap, Input, Ref, TableLineage


class _Branch(NamedTuple):
    label: str
    below: Sequence[_Branch]


def tree(lineage: Lineage, table: TableLineage) -> str:
    """Return columns with their expressions, and below each all it is made of, down to the origins."""
    branches = [_Branch(_head(column), _inputs(lineage, column)) for column in table.columns]
    if table.filters:
        label = "rows, which ones there are"
        branches.append(_Branch(label, [_Branch(f"{found.ref} ({found.kind})", ()) for found in table.filters]))
    return "\n".join([f"{table.table}: {table}", *_lines(branches)])


def _head(column: ColumnLineage) -> str:
    plain = column.expression in {"", column.ref.location}
    return column.ref.location if plain else f"{column.ref.location} = {column.expression}"


def _inputs(lineage: Lineage, column: ColumnLineage) -> list[_Branch]:
    below = []
    for found in column.inputs:
        further = [] if found.ref.is_origin else _inputs(lineage, lineage.column(found.ref))
        below.append(_Branch(str(found.ref) if found.kind == "identity" else f"{found.ref} ({found.kind})", further))
    deeper = {gap for found in column.inputs if not found.ref.is_origin for gap in lineage.column(found.ref).gaps}
    return below + [_Branch(f"UNRESOLVED {gap.where}: {gap.reason}", ()) for gap in column.gaps if gap not in deeper]


def _lines(branches: Sequence[_Branch], indent: str = "") -> Iterator[str]:
    for number, branch in enumerate(branches):
        last = number == len(branches) - 1
        yield f"{indent}{'└── ' if last else '├── '}{branch.label}"
        yield from _lines(branch.below, indent + ("    " if last else "│   "))


def mermaid(lineage: Lineage, table: TableLineage) -> str:
    """Return a flowchart from the origins to the columns: a solid arrow where a value flows, else a dotted one."""
    edges: dict[tuple[Ref, Ref, str], None] = {}
    gaps: dict[tuple[Ref, Gap], None] = {}
    todo = [column.ref for column in table.columns]
    nodes: dict[Ref, None] = dict.fromkeys(todo)
    while todo:
        ref = todo.pop(0)
        column = lineage.column(ref)
        gaps |= {(ref, gap): None for gap in column.gaps if not column.inputs}
        for found in column.inputs:
            label = "" if found.kind == "identity" else f"|{found.kind}|"
            edges[found.ref, ref, f"{'-->' if found.direct else '-.->'}{label}"] = None
            if found.ref not in nodes:
                nodes[found.ref] = None
                if not found.ref.is_origin:
                    todo.append(found.ref)
    names = {ref: f"c{number}" for number, ref in enumerate(nodes)}
    groups: dict[str, list[Ref]] = defaultdict(list)
    for ref in nodes:
        groups[ref.table].append(ref)
    lines = ["flowchart LR"]
    for number, (group, members) in enumerate(reversed(groups.items())):
        lines.append(f'  subgraph t{number}["{_quoted(group)}"]')
        lines += [f'    {names[ref]}["{_quoted(ref.location)}"]' for ref in members]
        lines.append("  end")
    lines += [f"  {names[source]} {arrow} {names[target]}" for source, target, arrow in edges]
    for number, (ref, gap) in enumerate(gaps):
        lines.append(f'  g{number}(["{_quoted(gap.reason)}"]) -.-x {names[ref]}')
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Return text as it may stand between the quotes of a Mermaid label."""
    for character, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, entity)
    return text


def document(table: TableLineage) -> dict[str, Any]:
    """Return a table's lineage as the value that --json prints."""
    return {
        "table": table.table,
        "columns": [
            {
                "column": column.ref.location,
                "expression": column.expression or None,
                "resolved": column.resolved,
                "inputs": [_document(found) for found in column.inputs],
                "origins": [_document(found) for found in column.origins],
                "gaps": [{"reason": gap.reason, "where": gap.where, "broken": gap.broken} for gap in column.gaps],
            }
            for column in table.columns
        ],
        "filters": [_document(found) for found in table.filters],
    }


def _document(found: Input) -> dict[str, str]:
    return {
        "table": found.ref.table,
        "column": found.ref.location,
        "type": "DIRECT" if found.direct else "INDIRECT",
        "kind": found.kind,
    }
