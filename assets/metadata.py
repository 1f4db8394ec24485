"""What every asset tells about itself, in Dagster's standard keys, from its contract."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import dagster as dg

from orderlake.contracts.columns import raw_columns
from orderlake.contracts.model import Column, Contract

#: Lists in metadata are cut to this length, so that the UI stays quick.
CAP = 20


def asset_key(name: str) -> dg.AssetKey:
    """Return the asset key of a table: its address, the same in every environment."""
    return dg.AssetKey(name.split("."))


def topic_key(topic: str) -> dg.AssetKey:
    """Return the asset key of a topic."""
    return dg.AssetKey(["kafka", topic])


def owners(contract: Contract) -> list[str]:
    """Return the owning team in Dagster's form."""
    return [f"team:{contract.owner}"]


def tags(contract: Contract, layer: str) -> dict[str, str]:
    """Return the tags of an asset."""
    found = {"layer": layer, "contract_version": contract.version, "domain": contract.domain}
    # Dagster allows letters, digits, '_', '-' and '.' in a tag, at most 63.
    return {name: re.sub(r"[^\w.-]", "-", value)[:63] for name, value in found.items() if value}


def column_schema(columns: Sequence[Column]) -> dg.TableSchema:
    """Return the columns with types, descriptions, constraints and classification."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type),
                description=column.description or None,
                constraints=dg.TableColumnConstraints(
                    nullable=not column.required, unique=column.unique, other=_rules(column)
                ),
                tags={"classification": column.classification} if column.classification else {},
            )
            for column in columns
        ]
    )


def _rules(column: Column) -> list[str]:
    limits = column.constraints
    return [f"{name} {value}" for name in limits.__dataclass_fields__ if (value := getattr(limits, name)) is not None]


def contract_metadata(contract: Contract, table: str) -> dict[str, Any]:
    """Return the static metadata of a table's asset."""
    columns = raw_columns(contract) if contract.kind == "topic" else contract.columns
    return {
        "dagster/table_name": table,
        "dagster/column_schema": column_schema(columns),
        "contract": dg.MetadataValue.text(f"{contract.id} version {contract.version}"),
        "grain": contract.grain,
    }
