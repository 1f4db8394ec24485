"""Tables made by SQL models: one asset per model, its contract's checks as the asset's own checks.

Every model in `sql/models/` becomes an asset here; nothing is written by hand for a new table.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.failures import as_failures, checks_failed
from assets.lineage import materialized_lineage
from assets.metadata import CAP, asset_key, contract_metadata, materialization_metadata, owners, tags
from assets.partitions import window_of
from assets.rollup import roll_up
from orderlake.contracts.checks import CheckSpec, compile_checks
from orderlake.curation.build import check_published
from orderlake.curation.models import Model
from orderlake.curation.refresh import Refresh, rebuild, refresh
from orderlake.curation.verdicts import failing_days
from resources.lake import LakeResource

#: Tag of a run that builds of its days only those that are out of date: every run that was not asked for by a person.
ONLY_STALE = "orderlake/only_stale"

#: What passes by itself (a busy catalog, a faster writer) is tried again; `allow_retries` says what that is.
_RETRIES = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

#: What an asset's function may yield.
Event = dg.AssetCheckResult | dg.MaterializeResult[Any]


def check_spec(model: Model, check: CheckSpec) -> dg.AssetCheckSpec:
    """Return a contract's check as a check of the model's asset."""
    return dg.AssetCheckSpec(
        check.name,
        asset=asset_key(model.name),
        blocking=check.blocking,
        description=check.description or None,
        metadata={
            "threshold": str(check.threshold),
            "dimension": check.dimension,
            "severity": check.severity,
            "contract": model.contract.place(check.line),
        },
    )


def curated_asset(
    model: Model,
    partitions: dg.PartitionsDefinition[str],
    condition: dg.AutomationCondition[dg.AssetKey] | None = None,
) -> dg.AssetsDefinition:
    """Return the asset of a model.

    It builds one day or a range of days in one publication. Its checks can also be run alone: then they look at every
    published day.
    """
    namespace, table = model.name.split(".")
    key = asset_key(model.name)
    checks = {check.name: check for check in compile_checks(model.contract)}

    @dg.multi_asset(
        name=f"{namespace}__{table}",
        specs=[
            dg.AssetSpec(
                key,
                deps=[asset_key(name) for name in model.inputs],
                description=f"{model.contract.title}. {model.contract.description}",
                group_name=namespace,
                owners=owners(model.contract),
                tags=tags(model.contract, namespace),
                kinds={"iceberg", "duckdb", "sql"},
                code_version=f"{model.contract.version}+{model.code_version}",
                metadata=contract_metadata(model.contract, model.name),
                automation_condition=condition,
            )
        ],
        check_specs=[check_spec(model, check) for check in checks.values()],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=_RETRIES,
        can_subset=True,
        pool=f"{namespace}_{table}",
    )
    def run(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Event]:
        run_id = context.run.run_id
        if key not in context.selected_asset_keys:
            chosen = [checks[selected.name] for selected in context.selected_asset_check_keys]
            with as_failures():
                findings = check_published(lake.open(), model, chosen, run_id)
            yield from roll_up(findings, chosen, {})
            return
        make = refresh if ONLY_STALE in context.run.tags else rebuild
        with as_failures():
            opened = lake.open()
            done = make(opened, model, window_of(context), run_id)
            elsewhere = failing_days(opened, model.name)
        yield from roll_up(done.findings, list(checks.values()), elsewhere)
        metadata = materialization_metadata(done, opened.find(model.name)) | materialized_lineage(context, key)
        if done.withheld:
            # The step fails, so that Dagster would not report anything: the days that were published are reported here.
            for day, rows in done.rows.items():
                context.log_event(
                    dg.AssetMaterialization(
                        key, partition=day.isoformat(), metadata={**metadata, "dagster/partition_row_count": rows}
                    )
                )
            raise checks_failed(_refusal(model, done))
        for day, rows in done.rows.items():
            context.add_asset_metadata(
                {"dagster/partition_row_count": rows}, asset_key=key, partition_key=day.isoformat()
            )
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)

    return run


def _refusal(model: Model, done: Refresh) -> str:
    days = sorted(done.withheld)
    names = sorted({name for failed in done.withheld.values() for name in failed})
    listed = ", ".join(map(str, days[:CAP])) + (f" and {len(days) - CAP} more" if len(days) > CAP else "")
    others = f"; {len(done.rows)} other days were published" if done.rows else ""
    return f"not published of {model.name}: {listed}, where {', '.join(names[:CAP])} failed. Old rows stay{others}."
