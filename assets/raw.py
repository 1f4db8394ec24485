"""Topics and raw tables: external assets, because the lander fills them, not Dagster.

What belongs here: their specs, and the check that a topic is landed exactly once.
"""

from collections.abc import Iterable, Sequence

import dagster as dg

from assets.failures import as_failures
from assets.metadata import CAP, asset_key, contract_metadata, owners, tags, topic_key
from orderlake.contracts.model import Contract
from orderlake.contracts.naming import raw_table
from resources.kafka import KafkaResource
from resources.lake import LakeResource
from streaming.balance import PartitionBalance, balance

BALANCE = "topic_equals_raw_and_quarantine"


def raw_specs(contracts: Iterable[Contract], partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetSpec]:
    """Return the assets of topics and of their raw tables."""
    specs = []
    for contract in contracts:
        topic, table = contract.physical_name, raw_table(contract.physical_name)
        specs.append(
            dg.AssetSpec(
                topic_key(topic),
                description=f"{contract.title}. {contract.description}",
                group_name="kafka",
                owners=owners(contract),
                tags=tags(contract, "topic"),
                kinds={"kafka"},
            )
        )
        specs.append(
            dg.AssetSpec(
                asset_key(table),
                deps=[topic_key(topic)],
                description=f"Every accepted message of {topic}, exactly once, as it was landed.",
                group_name="raw",
                owners=owners(contract),
                tags=tags(contract, "raw"),
                kinds={"iceberg"},
                code_version=contract.version,
                partitions_def=partitions,
                metadata=contract_metadata(contract, table),
            )
        )
    return specs


def balance_check(contract: Contract) -> dg.AssetChecksDefinition:
    """Return the check that topic = raw ∪ quarantine by (partition, offset), nothing lost and nothing twice."""
    topic, table = contract.physical_name, raw_table(contract.physical_name)

    @dg.asset_check(
        asset=asset_key(table),
        name=BALANCE,
        blocking=True,
        description=f"Every message of {topic} is in {table} or in quarantine, once.",
    )
    def check(lake: LakeResource, kafka: KafkaResource) -> dg.AssetCheckResult:
        with as_failures():
            opened = lake.open()
            if opened.find(table) is None:
                return dg.AssetCheckResult(passed=True, metadata={"landed": "nothing yet"})
            identity = kafka.describe(topic)
            state, partitions = balance(opened, topic, kafka.watermarks(topic, identity.partitions))
        same = (state.cluster_id, state.topic_id) == (identity.cluster_id, identity.topic_id)
        return dg.AssetCheckResult(
            passed=same and all(partition.holds for partition in partitions),
            description=_summary(partitions) if same else f"{topic} is not the topic that was landed any more",
            metadata={
                "records": sum(p.records for p in partitions),
                "raw": sum(p.raw for p in partitions),
                "quarantined": sum(p.quarantined for p in partitions),
                "doubled": sum(p.doubled for p in partitions),
                "lag": sum(p.lag or 0 for p in partitions),
                "partitions": dg.MetadataValue.table(_rows(partitions)),
            },
        )

    return check


def _summary(partitions: Sequence[PartitionBalance]) -> str:
    broken = [str(p.partition) for p in partitions if not p.holds]
    return f"partitions out of balance: {', '.join(broken[:CAP])}" if broken else "balanced"


def _rows(partitions: Sequence[PartitionBalance]) -> list[dg.TableRecord]:
    return [
        dg.TableRecord(
            {
                "partition": p.partition,
                "next offset": p.next_offset,
                "records": p.records,
                "raw": p.raw,
                "quarantined": p.quarantined,
                "doubled": p.doubled,
                "lag": p.lag or 0,
            }
        )
        for p in partitions[:CAP]
    ]
