"""What every asset tells about itself, in Dagster's standard keys, from its contract."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from pyiceberg.table import Table

from orderlake.contracts.columns import raw_columns
from orderlake.contracts.model import Column, Contract
from orderlake.curation.refresh import Refresh
from orderlake.lake.landing_state import read_state
from orderlake.lake.partitions import total_rows
from orderlake.times import iso

#: Lists in metadata are cut to this length, so that the UI stays quick.
CAP = 20

#: How limits of numbers are written; other rules go by their names.
_SIGNS = {"minimum": "≥", "maximum": "≤", "exclusive_minimum": ">", "exclusive_maximum": "<"}


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
    keys = [column.name for column in columns if column.primary_key_position is not None]
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type),
                description=column.description or None,
                constraints=dg.TableColumnConstraints(
                    nullable=not column.required,
                    unique=column.unique or keys == [column.name],
                    other=[*(["primary key"] if column.name in keys else []), *_rules(column)],
                ),
                tags={"classification": column.classification} if column.classification else {},
            )
            for column in columns
        ]
    )


def _rules(column: Column) -> list[str]:
    rules = []
    for name in column.constraints.__dataclass_fields__:
        value = getattr(column.constraints, name)
        if isinstance(value, tuple):
            rules.append(f"one of {', '.join(map(str, value))}")
        elif value is not None:
            rules.append(f"{_SIGNS.get(name, name.replace('_', ' '))} {value}")
    return rules


def contract_metadata(contract: Contract, table: str) -> dict[str, Any]:
    """Return the static metadata of a table's asset."""
    columns = raw_columns(contract) if contract.kind == "topic" else contract.columns
    return {
        "dagster/table_name": table,
        "dagster/column_schema": column_schema(columns),
        "contract": dg.MetadataValue.text(f"{contract.id} version {contract.version}"),
        "grain": contract.grain,
    }


def raw_day_metadata(table: Table, rows: int) -> dict[str, Any]:
    """Return what is told about a changed day of a raw table: its rows, and how far the topic is landed."""
    state = read_state(table.metadata)
    metadata: dict[str, Any] = {
        "dagster/partition_row_count": rows,
        "dagster/row_count": total_rows(table.current_snapshot()),
        "offsets": offsets_text({partition: progress.next for partition, progress in state.partitions.items()}),
    }
    if snapshot := table.current_snapshot():
        metadata["iceberg/snapshot_id"] = str(snapshot.snapshot_id)
    if state.watermark is not None:
        metadata["watermark"] = iso(state.watermark)
    return metadata


def offsets_text(offsets: Mapping[int, int]) -> str:
    """Return the next offset of every Kafka partition, as `partition:offset`."""
    return ", ".join(f"{partition}:{offset}" for partition, offset in sorted(offsets.items()))


def materialization_metadata(done: Refresh, table: Table | None) -> dict[str, Any]:
    """Return what a run tells beyond the static metadata.

    Args:
        done: what it did: window, snapshots, offsets.
        table: what it is about, after the run; its rows are those of all days. None if there is none yet.
    """
    metadata: dict[str, Any] = {
        "dagster/row_count": total_rows(table.current_snapshot()) if table else 0,
        "window": str(done.window),
        "days_built": sum(len(built.published) for built in done.builds),
        "days_unchanged": len(done.unchanged),
    }
    for built in done.builds[-1:]:
        metadata["publish_id"] = built.publish_id
        if built.snapshot_id is not None:
            metadata["iceberg/snapshot_id"] = str(built.snapshot_id)
        if built.data_time is not None:
            metadata["data_time"] = iso(built.data_time)
        metadata |= {f"input/{name}": str(snapshot) for name, snapshot in built.inputs.items()}
        metadata |= {f"offsets/{name}": offsets_text(offsets) for name, offsets in built.offsets.items()}
    return metadata
