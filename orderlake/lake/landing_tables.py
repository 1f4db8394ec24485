"""The raw and the quarantine table of a topic: created from its contract, or compared with it."""

from __future__ import annotations

from pyiceberg.partitioning import PartitionSpec
from pyiceberg.table import Table

from orderlake.contracts.columns import QUARANTINE_COLUMNS, raw_columns
from orderlake.contracts.iceberg import contract_spec, iceberg_schema, partition_spec
from orderlake.contracts.model import Contract
from orderlake.contracts.naming import quarantine_table, raw_table
from orderlake.errors import LandingRefusedError
from orderlake.lake.catalog import Lake
from orderlake.lake.evolution import differences

#: Which contract a table follows, as `<id>@<version>`.
CONTRACT_PROPERTY = "orderlake.contract"


def open_landing_tables(lake: Lake, contract: Contract) -> tuple[Table, Table]:
    """Return the raw and the quarantine table of a topic, created where they do not exist.

    Raises:
        LandingRefusedError: the contract has changed in a way that is not additive.
    """
    properties = {CONTRACT_PROPERTY: f"{contract.id}@{contract.version}"}
    schema = iceberg_schema(raw_columns(contract))
    raw = lake.create(raw_table(contract.physical_name), schema, contract_spec(contract, schema), properties)
    quarantine_schema = iceberg_schema(QUARANTINE_COLUMNS)
    quarantine = lake.create(
        quarantine_table(contract.physical_name),
        quarantine_schema,
        partition_spec(quarantine_schema, "_kafka_timestamp"),
        properties,
    )
    _refuse_breaking(raw, contract)
    return raw, quarantine


def _refuse_breaking(raw: Table, contract: Contract) -> None:
    changes = differences(raw.schema(), raw_columns(contract))
    breaking = [change.text for change in changes if not change.additive]
    if not changes and _partitioning(contract_spec(contract, raw.schema())) != _partitioning(raw.spec()):
        breaking.append(f"the partitioning changes to {contract.partition_column} by {contract.partition_transform}")
    if breaking:
        raise LandingRefusedError(
            f"the contract {contract.path} no longer fits {'.'.join(raw.name())}:\n"
            + "\n".join(f"  - {line}" for line in breaking),
            remedy=[
                "put the contract back as it was; additive are: new fields, wider types, required to optional.",
                "or let the producer send the new form to a new topic (a new major version) with its own contract.",
            ],
        )


def _partitioning(spec: PartitionSpec) -> list[tuple[int, str]]:
    return [(field.source_id, str(field.transform)) for field in spec.fields]
