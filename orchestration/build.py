"""Assembles the Dagster definitions: a fresh object at every call, without network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.curated import curated_asset
from assets.lineage import lineage_checks, with_lineage
from assets.partitions import daily_partitions
from assets.raw import balance_check, raw_specs
from orderlake.contracts.registry import Registry
from orderlake.curation.lineage.graph import Lineage
from orderlake.curation.models import load_models
from orderlake.settings import Settings, load_settings
from resources.kafka import KafkaResource
from resources.lake import LakeResource


def build_defs(*, settings: Settings | None = None, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Return all assets, checks and resources of a lake.

    Args:
        settings: of the lake; default: those of this process.
        resources: takes the place of resources of the same name.

    Raises:
        ContractError, ModelError: a contract or a model cannot be used.
    """
    settings = settings or load_settings()
    registry = Registry(settings.search_path)
    topics = list(registry.topics.values())
    models = load_models(settings.search_path, registry)
    partitions = daily_partitions(settings.partitions_start)
    lineage = Lineage(models, topics)
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        *raw_specs(topics, partitions),
        *(curated_asset(model, partitions) for model in models.values()),
    ]
    return dg.Definitions(
        assets=with_lineage(assets, lineage),
        asset_checks=[*(balance_check(contract) for contract in topics), lineage_checks(lineage, models)],
        resources={
            "lake": LakeResource(home=str(settings.home)),
            "kafka": KafkaResource(bootstrap_servers=settings.bootstrap_servers),
            **(resources or {}),
        },
    )
