"""Assembles the Dagster definitions: a fresh object at every call, without network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.comparison import comparison_check
from assets.curated import curated_asset
from assets.freshness import freshness_check
from assets.lineage import lineage_checks, with_lineage
from assets.metadata import asset_key
from assets.partitions import daily_partitions
from assets.raw import balance_check, raw_specs
from orchestration.alerts import check_alerts, run_failure_alerts
from orchestration.catch_up import catch_up_sensor
from orchestration.freshness import freshness_sensor
from orchestration.policies import automation_sensor, nightly, refresh_on_update
from orchestration.raw_days import raw_days_sensor
from orderlake.contracts.naming import raw_table
from orderlake.contracts.registry import Registry
from orderlake.contracts.slas import freshness_limit
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
    guarded = {raw_table(contract.physical_name): contract for contract in topics}
    policy = refresh_on_update(map(asset_key, guarded))
    guarded |= {name: model.contract for name, model in models.items()}
    partitions = daily_partitions(settings.partitions_start)
    lineage = Lineage(models, topics)
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        *raw_specs(topics, partitions),
        *(curated_asset(model, partitions, policy) for model in models.values()),
    ]
    limits = {name: limit for name, contract in guarded.items() if (limit := freshness_limit(contract)) is not None}
    compared = nightly(settings.profile)
    of_their_own_time = [
        *(freshness_check(name, limit) for name, limit in limits.items()),
        *(comparison_check(m, settings.automation.compare_days, compared) for m in models.values() if compared),
    ]
    build_tables = dg.define_asset_job(
        "build_tables",
        selection=dg.AssetSelection.assets(*(asset_key(name) for name in models))
        - dg.AssetSelection.checks(*of_their_own_time),
        description="Builds curated tables for the days that a run is asked for.",
    )
    return dg.Definitions(
        assets=with_lineage(assets, lineage),
        asset_checks=[
            *(balance_check(contract) for contract in topics),
            *of_their_own_time,
            lineage_checks(lineage, models),
        ],
        jobs=[build_tables],
        # A process for every step would spend seconds on imports for each, and the steps of a run wait for each other.
        executor=dg.in_process_executor,
        sensors=[
            raw_days_sensor(topics, settings.automation),
            automation_sensor(settings.automation.tick_seconds),
            catch_up_sensor(list(models.values()), build_tables, settings.automation),
            freshness_sensor(limits, settings.automation),
            run_failure_alerts(settings.alerts),
            check_alerts({name: contract.owner for name, contract in guarded.items()}, settings.alerts),
        ],
        resources={
            "lake": LakeResource(home=str(settings.home)),
            "kafka": KafkaResource(bootstrap_servers=settings.bootstrap_servers),
            **(resources or {}),
        },
    )
