"""Column lineage in Dagster: one hop of it on every table, and the check that all of it is known.

Dagster keeps lineage as metadata (`dagster/column_lineage`), of the definition and of every materialization. The
open-source UI of Dagster 1.13 hides that key, Dagster+ and GraphQL have it; so the same stands as text in
`column_origins`, which every UI shows.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from assets.metadata import CAP, asset_key, topic_key
from orderlake.curation.lineage.graph import Lineage
from orderlake.curation.lineage.values import KAFKA, Ref, TableLineage

LINEAGE_COMPLETE = "lineage_complete"
_COLUMN_LINEAGE = "dagster/column_lineage"


def column_lineage(table: TableLineage) -> dg.TableColumnLineage:
    """Return what the columns read one step away: columns of tables, of a topic paths in its messages."""
    deps: dict[str, list[dg.TableColumnDep]] = {}
    for column in table.columns:
        found = dict.fromkeys(_dep(given.ref) for given in column.inputs)
        deps[column.ref.column] = [dg.TableColumnDep(key, name) for key, name in filter(None, found)]
    return dg.TableColumnLineage(deps)


def _dep(ref: Ref) -> tuple[dg.AssetKey, str] | None:
    """Return what Dagster can name: columns as a whole, and topics; the lander is no asset."""
    if ref.table.startswith(KAFKA):
        return topic_key(ref.table.removeprefix(KAFKA)), ref.location
    return None if ref.is_origin else (asset_key(ref.table), ref.column)


def lineage_metadata(table: TableLineage) -> dict[str, Any]:
    """Return a table's lineage as metadata of its asset."""
    lines = ["| column | from | origin |", "|---|---|---|"]
    for column in table.columns:
        near = ", ".join(dict.fromkeys(f"`{found.ref}`" for found in column.inputs))
        far = ", ".join(dict.fromkeys(f"`{found.ref}`" for found in column.origins))
        lines.append(f"| {column.ref.column} | {near} | {far or 'unresolved'} |")
    return {_COLUMN_LINEAGE: column_lineage(table), "column_origins": dg.MetadataValue.md("\n".join(lines))}


def with_lineage(
    assets: Iterable[dg.AssetsDefinition | dg.AssetSpec], lineage: Lineage
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Return assets with the lineage of their tables in their metadata."""
    known = {asset_key(name): name for name in lineage.tables}

    def add(spec: dg.AssetSpec) -> dg.AssetSpec:
        name = known.get(spec.key)
        return spec.merge_attributes(metadata=lineage_metadata(lineage.table(name))) if name else spec

    return list(dg.map_asset_specs(add, assets))


def materialized_lineage(context: dg.AssetExecutionContext, key: dg.AssetKey) -> dict[str, Any]:
    """Return the lineage for the metadata of a materialization: that of the code that made it."""
    definition = context.assets_def.metadata_by_key[key]
    return {name: definition[name] for name in (_COLUMN_LINEAGE,) if name in definition}


def lineage_checks(lineage: Lineage, tables: Iterable[str]) -> dg.AssetChecksDefinition:
    """Return the check of every table that each of its columns resolves to an origin.

    All of them are one step, because it takes milliseconds and a step of its own costs a process. They do not block:
    a column of unknown origin is no wrong number.
    """
    keys = {asset_key(name): name for name in tables}

    @dg.multi_asset_check(
        name=LINEAGE_COMPLETE,
        specs=[
            dg.AssetCheckSpec(
                LINEAGE_COMPLETE,
                asset=key,
                description="Every column leads through the SQL to a path in a topic's messages, or to the lander.",
            )
            for key in keys
        ],
        can_subset=True,
    )
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        for selected in context.selected_asset_check_keys:
            yield _result(lineage.table(keys[selected.asset_key]), selected.asset_key)

    return check


def _result(table: TableLineage, key: dg.AssetKey) -> dg.AssetCheckResult:
    unresolved = table.unresolved
    metadata: dict[str, Any] = {"columns": len(table.columns), "resolved": len(table.columns) - len(unresolved)}
    if unresolved:
        metadata["unresolved"] = dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "column": column.ref.column,
                        "reason": "; ".join(gap.reason for gap in column.gaps),
                        "where": ", ".join(dict.fromkeys(gap.where for gap in column.gaps)),
                    }
                )
                for column in unresolved[:CAP]
            ]
        )
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=LINEAGE_COMPLETE,
        passed=not unresolved,
        severity=dg.AssetCheckSeverity.WARN,
        description=str(table),
        metadata=metadata,
    )
